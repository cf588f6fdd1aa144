//! Outcome of a reconciliation: the differences, as numbers and by some of the keys.

use std::collections::BTreeSet;

use crate::store::entry::{Entry, Namespace};

/// Most differing keys that are kept: as many as people look at. A program that needs all of them has the entries.
pub const DIFFERING_KEYS_MAX: usize = 100;

/// Differences between two sides of a reconciliation, as one of them saw them, and what was done about them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Entries here at the beginning, those of removed keys included.
    pub compared: u64,
    /// True if some range of keys was not the same on both sides.
    pub is_unequal: bool,
    /// Entries sent to the peer.
    pub sent: u64,
    /// Entries received from the peer that were news.
    pub received: u64,
    /// Entries that the peer lacks and may not be sent yet: own writes that wait for a tick, and entries that are not
    /// durable.
    pub held_back: u64,
    /// Entries that the peer lacks and does not take: they are larger than it accepts.
    pub refused: u64,
    /// Keys of users among all these entries, at most `DIFFERING_KEYS_MAX`.
    pub keys: BTreeSet<Vec<u8>>,
    /// True if there were more keys.
    pub has_more_keys: bool,
}

impl Outcome {
    /// True if both sides held the same state.
    pub fn is_equal(&self) -> bool {
        let differing = self.sent + self.received + self.held_back + self.refused;
        !self.is_unequal && differing == 0
    }

    /// Counts an entry sent to the peer.
    pub(super) fn count_sent(&mut self, entry: &Entry) {
        self.sent += 1;
        self.note(entry);
    }

    /// Counts an entry received from the peer.
    pub(super) fn count_received(&mut self, entry: &Entry) {
        self.received += 1;
        self.note(entry);
    }

    /// Counts an entry that may not be sent yet.
    pub(super) fn count_held_back(&mut self, entry: &Entry) {
        self.held_back += 1;
        self.note(entry);
    }

    /// Counts an entry that is larger than the peer takes.
    pub(super) fn count_refused(&mut self, entry: &Entry) {
        self.refused += 1;
        self.note(entry);
    }

    fn note(&mut self, entry: &Entry) {
        let Some((Namespace::User, key)) = Namespace::of(entry.key()).zip(entry.key().get(1..))
        else {
            return;
        };
        if self.keys.len() < DIFFERING_KEYS_MAX {
            self.keys.insert(key.to_vec());
        } else if !self.has_more_keys {
            self.has_more_keys = !self.keys.contains(key);
        }
    }

    /// Adds the outcome of an earlier attempt. Entries which that attempt could not send are counted by this one.
    pub(in crate::sync) fn join(&mut self, earlier: &Self) {
        self.is_unequal |= !earlier.is_equal();
        self.sent += earlier.sent;
        self.received += earlier.received;
        self.has_more_keys |= earlier.has_more_keys;
        for key in &earlier.keys {
            if self.keys.len() < DIFFERING_KEYS_MAX {
                self.keys.insert(key.clone());
            } else {
                self.has_more_keys |= !self.keys.contains(key);
            }
        }
    }
}
