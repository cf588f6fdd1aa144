//! Totals over a set of entries, kept up to date as it changes.

use crate::core::rules::{Rule, is_broken};
use crate::store::entry::{Entry, Namespace, Summary};

/// Count of numbers in the stored form of [`Totals`].
pub(in crate::store) const NOTED: usize = 5;

/// Counts over a set of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Number of users' keys that have a value.
    pub live: u64,
    /// Bytes of keys and values of all entries that have one.
    pub live_bytes: u64,
    /// Number of entries without a value.
    pub tombstones: u64,
    /// Number of rows of the outbox: entries of users' keys that were written here.
    pub own: u64,
    /// Count and fingerprint of all replicated entries.
    pub summary: Summary,
}

/// True if an entry is in the users' namespace.
pub fn is_user(entry: &Entry) -> bool {
    entry.key().first() == Some(&(Namespace::User as u8))
}

/// True if an entry is a row of the outbox: in the users' namespace, and written here.
pub fn is_row(entry: &Entry, is_written_here: bool) -> bool {
    is_written_here && (is_user(entry) || is_broken(Rule::KeptIsRow))
}

impl Totals {
    /// Adds an entry.
    pub(in crate::store) fn add(&mut self, entry: &Entry, is_written_here: bool) {
        if Namespace::of(entry.key()).is_some_and(Namespace::is_replicated) {
            self.summary.add(entry);
        }
        if let Some(value) = entry.value() {
            self.live_bytes += (entry.key().len() + value.len()) as u64;
            self.live += u64::from(is_user(entry) || is_broken(Rule::KeptCounted));
        } else {
            self.tombstones += 1;
        }
        self.own += u64::from(is_row(entry, is_written_here));
    }

    /// Removes an entry that was added before.
    pub(in crate::store) fn remove(&mut self, entry: &Entry, is_written_here: bool) {
        if Namespace::of(entry.key()).is_some_and(Namespace::is_replicated) {
            self.summary.remove(entry);
        }
        if let Some(value) = entry.value() {
            self.live_bytes = self
                .live_bytes
                .saturating_sub((entry.key().len() + value.len()) as u64);
            let is_counted = is_user(entry) || is_broken(Rule::KeptCounted);
            self.live = self.live.saturating_sub(u64::from(is_counted));
        } else {
            self.tombstones = self.tombstones.saturating_sub(1);
        }
        self.own = self
            .own
            .saturating_sub(u64::from(is_row(entry, is_written_here)));
    }

    /// The stored form: numbers beside a checkpoint, whose own sum is the fingerprint.
    pub(in crate::store) fn noted(&self) -> [u64; NOTED] {
        [
            self.live,
            self.live_bytes,
            self.tombstones,
            self.own,
            self.summary.count,
        ]
    }

    /// Totals from their stored form; `None` if numbers are missing.
    pub(in crate::store) fn from_noted(notes: &[u64], fingerprint: u128) -> Option<Self> {
        let [live, live_bytes, tombstones, own, count] = *notes.first_chunk::<NOTED>()?;
        Some(Self {
            live,
            live_bytes,
            tombstones,
            own,
            summary: Summary { count, fingerprint },
        })
    }
}
