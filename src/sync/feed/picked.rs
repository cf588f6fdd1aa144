//! Picks the entries of the next message to a peer from the feed, in its order, passing over those that are not for
//! the peer.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::send::{entry_cost, is_left_out};
use crate::core::limits::CHUNK_BYTES_MAX;
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::memtable::held::{Held, Via};
use crate::sync::message::Stream;
use crate::sync::options::BATCH_COST;
use crate::sync::outbox::rejected::list_room;
use crate::sync::peer::link::Link;

/// Entries picked for the next message to a peer, and the state of the scan that picks them.
pub(in crate::sync) struct Picked {
    /// Place up to which the feed was scanned.
    pub(in crate::sync) to: u64,
    pub(in crate::sync) entries: Vec<Entry>,
    cost: u64,
    /// An entry whose value goes in chunks, if it comes first in the scan.
    pub(in crate::sync) large: Option<u64>,
    /// Entries larger than the peer takes that are not on its list yet.
    pub(in crate::sync) rejected: Vec<u64>,
    /// Entries that were passed over.
    pub(in crate::sync) passed: u64,
    /// True if the scan ended because its allowance was used up.
    pub(in crate::sync) is_cut: bool,
    /// True if the list of rejected entries has no room until the peer acknowledges something.
    pub(in crate::sync) is_held_back: bool,
    pub(in crate::sync) unreadable: Option<StoreError>,
    limit: u64,
    listed: u64,
    allowance: u64,
    list_max: usize,
}

impl Picked {
    /// An empty result for a scan of a stream up to `limit` that passes over at most `allowance` entries.
    pub(in crate::sync) fn new(link: &Link, stream: Stream, limit: u64, allowance: u64) -> Self {
        Self {
            to: limit,
            entries: Vec::new(),
            cost: 0,
            large: None,
            rejected: Vec::new(),
            passed: 0,
            is_cut: false,
            is_held_back: false,
            unreadable: None,
            limit,
            listed: link.sending.listed.get(stream),
            allowance,
            list_max: list_room(link),
        }
    }

    /// Picks or passes over the next entry of the feed. Breaks when the message is complete.
    pub(in crate::sync) fn pick(
        &mut self,
        link: &Link,
        peer: Option<Via>,
        held: Result<Cow<'_, Held>, StoreError>,
    ) -> ControlFlow<()> {
        let held = match held {
            Ok(held) => held,
            Err(error) => {
                self.unreadable = Some(error);
                return ControlFlow::Break(());
            }
        };
        if held.lseq > self.limit {
            return ControlFlow::Break(());
        }
        let is_left_out = is_left_out(link, &held, peer);
        let is_too_large = held.entry.limited_length() as u64 > link.value_bytes_max;
        if is_left_out || is_too_large {
            return self.pass_over(held.lseq, !is_left_out && held.lseq > self.listed);
        }
        if !self.rejected.is_empty() {
            // The list goes on record before anything is sent after it.
            self.to = held.lseq - 1;
            return ControlFlow::Break(());
        }
        if held.entry.value_length() > CHUNK_BYTES_MAX {
            if self.entries.is_empty() {
                self.large = Some(held.lseq);
                self.to = held.lseq;
            } else {
                self.to = held.lseq - 1;
            }
            return ControlFlow::Break(());
        }
        self.cost += entry_cost(&held.entry);
        let lseq = held.lseq;
        self.entries.push(match held {
            Cow::Borrowed(held) => held.entry.clone(),
            Cow::Owned(held) => held.entry,
        });
        if self.cost >= BATCH_COST {
            self.to = lseq;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Passes over an entry, which goes on the list of rejected entries if it `is_unlisted`.
    pub(in crate::sync) fn pass_over(&mut self, lseq: u64, is_unlisted: bool) -> ControlFlow<()> {
        let is_list_full = is_unlisted && self.rejected.len() >= self.list_max;
        if is_list_full || is_unlisted && !self.entries.is_empty() {
            // The entries picked so far are sent first, and the list has to have room.
            (self.to, self.is_held_back) = (lseq - 1, is_list_full);
            return ControlFlow::Break(());
        }
        self.rejected.extend(is_unlisted.then_some(lseq));
        self.passed += 1;
        if self.passed >= self.allowance {
            (self.to, self.is_cut) = (lseq, true);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
