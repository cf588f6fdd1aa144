//! Gathers entries for a peer, about as many as one message holds.

use super::exchange::Act;
use super::view::View;
use crate::core::limits::CHUNK_BYTES_MAX;
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::sync::feed::send::entry_cost;
use crate::sync::options::BATCH_COST;

/// Most oversized entries that are noted at once: each is put on the peer's list.
const TOO_LARGE_AT_ONCE: usize = 64;

/// Most entries that are passed over at once without being sent: some hundred microseconds.
const LOOKED_AT_ONCE: usize = 4_096;

/// Entries that were gathered for the peer.
#[derive(Default)]
pub(super) struct Gathered {
    entries: Vec<Entry>,
    cost: u64,
    too_large: Vec<u64>,
    /// Number of entries that were looked at.
    looked: usize,
    large: Option<u64>,
}

impl Gathered {
    /// Gathers the entries of some keys. Keys left in `keys` did not fit.
    pub(super) fn fetch(
        &mut self,
        view: &View<'_>,
        keys: &mut Vec<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let mut at = 0;
        while let Some(key) = keys.get(at).filter(|_| !self.is_full()) {
            self.looked += 1;
            if let Some(held) = view.get(key)?.filter(|held| view.may_travel(held))
                && !self.add(&held.entry, held.lseq, view.value_bytes_max)
            {
                break;
            }
            at += 1;
        }
        keys.drain(..at);
        Ok(())
    }

    /// Adds an entry. Returns false if its value goes in chunks and gathered entries have to be sent before it.
    pub(super) fn add(&mut self, entry: &Entry, lseq: u64, value_bytes_max: u64) -> bool {
        if entry.limited_length() as u64 > value_bytes_max {
            self.too_large.push(lseq);
        } else if entry.value_length() <= CHUNK_BYTES_MAX {
            self.cost += entry_cost(entry);
            self.entries.push(entry.clone());
        } else if self.is_empty() {
            self.large = Some(lseq);
        } else {
            return false;
        }
        true
    }

    /// Counts an entry that was looked at.
    pub(super) fn look(&mut self) {
        self.looked += 1;
    }

    pub(super) fn is_full(&self) -> bool {
        self.large.is_some()
            || self.cost >= BATCH_COST
            || self.too_large.len() >= TOO_LARGE_AT_ONCE
            || self.looked >= LOOKED_AT_ONCE
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.too_large.is_empty() && self.large.is_none()
    }

    pub(super) fn into_act(self) -> Act {
        match self.large {
            Some(lseq) => Act::Large(lseq),
            None => Act::Send(self.entries, self.too_large),
        }
    }
}
