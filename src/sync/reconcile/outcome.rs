//! What a reconciliation came to: what differed, in numbers and by some of the keys.

use std::collections::BTreeSet;

use crate::store::entry::{Entry, Namespace};

/// How many keys of what differed are kept: as many as somebody looks at. Whoever wants all of them has the entries.
pub const DIFFERING_KEYS_MAX: usize = 100;

/// What two sides held differently, as one of them saw it, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Entries that were held here when it began, those of removed keys included.
    pub compared: u64,
    /// Some range of keys was not the same on both sides.
    pub is_unequal: bool,
    /// Entries that went to the peer.
    pub sent: u64,
    /// Entries that came from the peer.
    pub received: u64,
    /// Entries that the peer lacks and may not be sent yet: own writes that wait for a tick, and what is not durable.
    pub held_back: u64,
    /// Entries that the peer lacks and does not take: they are larger than it accepts.
    pub refused: u64,
    /// Keys of users among all these, at most [`DIFFERING_KEYS_MAX`].
    pub keys: BTreeSet<Vec<u8>>,
    /// There were more keys.
    pub has_more_keys: bool,
}

impl Outcome {
    /// Whether both sides held the same.
    pub fn is_equal(&self) -> bool {
        let differing = self.sent + self.received + self.held_back + self.refused;
        !self.is_unequal && differing == 0
    }

    /// An entry goes to the peer.
    pub(super) fn count_sent(&mut self, entry: &Entry) {
        self.sent += 1;
        self.note(entry);
    }

    /// An entry came.
    pub(super) fn count_received(&mut self, entry: &Entry) {
        self.received += 1;
        self.note(entry);
    }

    /// An entry has to wait.
    pub(super) fn count_held_back(&mut self, entry: &Entry) {
        self.held_back += 1;
        self.note(entry);
    }

    /// An entry is larger than the peer takes.
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

    /// With what an attempt before it had moved already. What that one could not send, this one met again.
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
