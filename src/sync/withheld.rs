//! What has no row of its own and must not go ahead of the rows before it: the removal of kept losers is relayed, and so
//! would not wait for a tick, but the value that settles the conflict does. Were it lost with this node's disk meanwhile,
//! nobody would hold the losers any more.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::replica::Replica;
use crate::store::entry::Namespace;
use crate::store::map::{EntryMap, Installed};

/// Local sequences of entries that this node wrote and that are no rows, as far as rows before them may wait for a tick.
#[derive(Debug, Clone, Default)]
pub(super) struct Withheld {
    lseqs: BTreeSet<u64>,
    /// What was written before this process opened the log was looked up.
    is_complete: bool,
}

impl Replica {
    /// A change was installed.
    pub(super) fn withhold(&mut self, change: &Installed) {
        let is_own = change.from.is_none() && change.dot.origin == self.origin;
        if is_own && !change.is_user && !self.options.automatic {
            self.withheld.lseqs.insert(change.lseq);
        }
    }

    /// Looks up, once, what was written before this process opened the log. A checkpoint that cannot be read is found out
    /// by who sends from it.
    pub(super) fn recall_withheld(&mut self, map: &EntryMap) {
        if self.options.automatic || std::mem::replace(&mut self.withheld.is_complete, true) {
            return;
        }
        let kept = Namespace::Conflict as u8;
        for entry in map.range_from(Bound::Included(&[kept])) {
            let Some(entry) = entry
                .ok()
                .filter(|entry| entry.key().first() == Some(&kept))
            else {
                break;
            };
            if entry.dot.origin != self.origin {
                continue;
            }
            if let Ok(Some(held)) = map.held_entry(entry.key())
                && held.lseq > self.released
            {
                self.withheld.lseqs.insert(held.lseq);
            }
        }
    }

    /// Up to where nothing goes ahead of own rows that wait for a tick.
    pub(super) fn unwithheld(&mut self, map: &EntryMap) -> u64 {
        if self.options.automatic {
            self.withheld.lseqs.clear();
        }
        while let Some(first) = self.withheld.lseqs.first().copied() {
            let waits = first > self.released
                && map
                    .own_rows(self.released, first)
                    .is_ok_and(|rows| rows > 0);
            if waits {
                return first - 1;
            }
            self.withheld.lseqs.pop_first();
        }
        u64::MAX
    }
}
