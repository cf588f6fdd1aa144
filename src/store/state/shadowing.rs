//! Shadowing: rows of the checkpoint that the memtable has replaced.

use super::base::BaseEntry;
use super::map::EntryMap;
use super::totals::is_row;
use crate::store::error::StoreError;

/// Entries whose base row is looked up under one lock.
const LOOKED_UP_AT_ONCE: usize = 256;

impl EntryMap {
    /// Notes that a row of the checkpoint is not the newest of its key any more, and takes it out of the totals.
    pub(in crate::store) fn shadow(&mut self, row: &BaseEntry) {
        self.totals.remove(&row.entry, row.source.is_none());
        self.mark_shadowed(row);
    }

    fn mark_shadowed(&mut self, row: &BaseEntry) {
        if let Some(of) = row.block_of.filter(|_| !row.entry.is_tombstone()) {
            self.gone.add(of);
        }
        if is_row(&row.entry, row.source.is_none()) {
            self.shadowed.insert(row.lseq);
        }
    }

    /// Number of entries whose base row, which they may have replaced, is not known. Until it is, rows of the outbox
    /// may be counted twice.
    pub fn base_unknown(&self) -> usize {
        self.base_unknown.len()
    }

    /// Number of entries that the totals count in addition to an unknown base row. Until there are none, totals are too
    /// high.
    pub fn untotalled(&self) -> usize {
        if self.totals_known {
            0
        } else {
            self.base_unknown.len()
        }
    }

    /// Looks up the base rows of some of these entries.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there; then nothing has changed.
    pub fn look_up_base(&mut self) -> Result<(), StoreError> {
        let Some(base) = self.base.clone() else {
            self.base_unknown.clear();
            return Ok(());
        };
        let rest = self.base_unknown.len().saturating_sub(LOOKED_UP_AT_ONCE);
        let some = self.base_unknown.get(rest..).unwrap_or_default();
        let mut rows = Vec::with_capacity(some.len());
        for slot in some {
            if let Some(held) = self.held(*slot) {
                rows.extend(base.entry(held.entry.key())?);
            }
        }
        self.base_unknown.truncate(rest);
        for row in rows {
            if self.totals_known {
                self.mark_shadowed(&row);
            } else {
                self.shadow(&row);
            }
        }
        Ok(())
    }

    /// Sorts the entries with an unknown base row, so that lookups in key order read each part of the checkpoint once.
    pub fn sort_base_unknown(&mut self) {
        let mut base_unknown = std::mem::take(&mut self.base_unknown);
        base_unknown.sort_unstable_by(|a, b| {
            let key = |slot: u32| self.held(slot).map(|held| held.entry.key());
            key(*b).cmp(&key(*a))
        });
        self.base_unknown = base_unknown;
    }
}
