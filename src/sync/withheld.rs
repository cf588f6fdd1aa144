//! What has no row of its own and must not go ahead of the rows before it: the removal of kept losers is relayed, and so
//! would not wait for a tick, but the value that settles the conflict does. Were it lost with this node's disk meanwhile,
//! nobody would hold the losers any more.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::replica::Replica;
use crate::store::conflict::user_key_in;
use crate::store::entry::Namespace;
use crate::store::error::StoreError;
use crate::store::map::{EntryMap, Held, Installed};

/// Local sequences of entries that this node wrote and that are no rows, as far as rows before them may wait for a tick.
#[derive(Debug, Clone, Default)]
pub(super) struct Withheld {
    lseqs: BTreeSet<u64>,
    /// What was there before was looked up.
    is_complete: bool,
}

impl Replica {
    /// A change was installed.
    pub(super) fn withhold(&mut self, change: &Installed) {
        let is_own = change.from.is_none() && change.dot.origin == self.author;
        if is_own && !change.is_user && !self.options.automatic {
            self.withheld.lseqs.insert(change.lseq);
        }
    }

    /// Looks up, once, what was written before this process opened the log, or while own writes did not wait.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    fn recall_withheld(&mut self, map: &EntryMap) -> Result<(), StoreError> {
        if self.withheld.is_complete {
            return Ok(());
        }
        let kept = Namespace::Conflict as u8;
        for entry in map.range_from(Bound::Included(&[kept])) {
            let entry = entry?;
            if entry.key().first() != Some(&kept) {
                break;
            }
            let held = map.held_entry(entry.key())?;
            let lseq = held
                .filter(|held| held.via == 0)
                .map_or(0, |held| held.lseq);
            if lseq > self.released {
                self.withheld.lseqs.insert(lseq);
            }
        }
        self.withheld.is_complete = true;
        Ok(())
    }

    /// Up to where nothing goes ahead of own rows that wait for a tick.
    pub(super) fn unwithheld(&mut self, map: &EntryMap) -> u64 {
        if self.options.automatic {
            self.withheld = Withheld::default();
            return u64::MAX;
        }
        if let Err(error) = self.recall_withheld(map) {
            // Nothing is passed on before that can be read.
            tracing::error!(%error, "what has to wait for own writes cannot be read");
            return 0;
        }
        while let Some(first) = self.withheld.lseqs.first().copied() {
            // Where the rows that it waits for cannot be read, it waits.
            if self.follows_unreleased(first, map).unwrap_or(true) {
                return first - 1;
            }
            self.withheld.lseqs.pop_first();
        }
        u64::MAX
    }

    /// Whether something that the entry at a place must not go ahead of waits for a tick.
    fn follows_unreleased(&self, lseq: u64, map: &EntryMap) -> Result<bool, StoreError> {
        if map.own_rows(self.released, lseq)? > 0 {
            return Ok(true);
        }
        // Where what settled a conflict was replaced before it left, its row has moved behind this.
        let Some(kept) = map.at(lseq)? else {
            return Ok(false);
        };
        let Some(user_key) = user_key_in(kept.entry.key()) else {
            return Ok(false);
        };
        let row = map.held_entry(&[&[Namespace::User as u8], user_key].concat())?;
        let is_unreleased = |row: &Held| row.is_row() && row.lseq > self.released;
        Ok(row.is_some_and(|row| is_unreleased(&row)))
    }
}
