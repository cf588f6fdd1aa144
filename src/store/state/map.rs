//! The map from key to entry: changes since the checkpoint in memory (the memtable), found by hash, ordered by key
//! bytes, and listed by local sequence; everything else in the checkpoint under it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::base::Base;
use super::checkpoint_snapshot::CheckpointSnapshot;
use super::snapshot::{ClosedSnapshot, SnapshotId, Snapshots};
use super::totals::{Totals, is_row, is_user};
use crate::core::checksum::key_hash;
use crate::core::identity::Origin;
use crate::store::commit::ledger::Ledger;
use crate::store::conflict::policy::sibling_author;
use crate::store::entry::{Entry, Namespace, Summary};
use crate::store::error::StoreError;
use crate::store::lineage::{KEY_PREFIX, Lineage, LineageRecord};
use crate::store::memtable::hash_index::HashIndex;
use crate::store::memtable::held::{BaseRow, Held, Installed, Via};
use crate::store::memtable::key_index::KeyIndex;
use crate::store::memtable::slots::Slots;
use crate::store::memtable::stream::Stream;
use crate::table::{GoneRows, RowRef};

/// Kept entries of ended snapshots that each write frees or hands on: more than it adds, so that they cannot pile up.
const MERGED_BY_WRITE: usize = 4;

/// Kept entries of ended snapshots that are freed or handed on under one lock, by a caller that does nothing else
/// meanwhile.
const MERGED_AT_ONCE: usize = 256;

/// All entries of a node, tombstones included.
#[derive(Debug, Default)]
pub struct EntryMap {
    pub(in crate::store) slots: Slots,
    by_hash: HashIndex,
    pub(in crate::store) by_key: KeyIndex,
    pub(in crate::store) own: Stream,
    pub(in crate::store) relay: Stream,
    pub(in crate::store) local: Stream,
    pub(in crate::store) totals: Totals,
    pub(in crate::store) snapshots: Snapshots,
    /// The peers that sent entries; a [`Via`] is the place in this list, plus one.
    pub(in crate::store) sources: Vec<Origin>,
    pub(in crate::store) base: Option<Arc<Base>>,
    /// Local sequences of the outbox's rows in the checkpoint that were replaced since.
    pub(in crate::store) shadowed: BTreeSet<u64>,
    /// Live rows of the checkpoint that were replaced since, counted by block.
    pub(in crate::store) gone: GoneRows,
    /// Slots whose base row is not looked up yet.
    pub(in crate::store) base_unknown: Vec<u32>,
    /// Number of siblings' keys that changed since the checkpoint.
    pub(in crate::store) kept_since: usize,
    /// Authors of siblings that changed since this map exists.
    pub(in crate::store) sibling_authors: BTreeSet<Origin>,
    /// True if the totals do not count the base rows that these slots replaced.
    pub(in crate::store) totals_known: bool,
    /// Lineage of authors, from the lineage records in the map.
    pub(in crate::store) lineage: Arc<Lineage>,
    /// Local sequences of the lineage records.
    pub(in crate::store) lineage_places: BTreeSet<u64>,
    /// Memory of the entries besides their slots, in bytes; see [`EntryMap::memory_bytes`].
    pub(in crate::store) payload_bytes: usize,
}

impl EntryMap {
    /// A map over a checkpoint, without changes.
    pub fn over(base: Arc<Base>) -> Self {
        Self {
            totals: base.totals(),
            sources: base.sources().to_vec(),
            base: Some(base),
            ..Self::default()
        }
    }

    /// The checkpoint under the map.
    pub fn base(&self) -> Option<&Arc<Base>> {
        self.base.as_ref()
    }

    /// The number of a peer that sends entries; given if it has none.
    fn via(&mut self, peer: Origin) -> Via {
        self.via_of(peer).unwrap_or_else(|| {
            self.sources.push(peer);
            Via::try_from(self.sources.len()).unwrap_or(Via::MAX)
        })
    }

    /// The number of a peer; `None` if no entry came from it yet.
    pub fn via_of(&self, peer: Origin) -> Option<Via> {
        let place = self.sources.iter().position(|source| *source == peer)?;
        Via::try_from(place + 1).ok()
    }

    /// All peers that sent entries.
    pub(in crate::store) fn sources(&self) -> &[Origin] {
        &self.sources
    }

    /// The peer with a number.
    pub fn source_of(&self, via: Via) -> Option<Origin> {
        let place = usize::try_from(via).ok()?.checked_sub(1)?;
        self.sources.get(place).copied()
    }

    pub(in crate::store) fn held(&self, slot: u32) -> Option<&Held> {
        self.slots.get(slot)
    }

    fn slot_of(&self, key: &[u8], hash: u64) -> Option<u32> {
        self.by_hash.find(hash, |slot| {
            self.held(slot).is_some_and(|held| held.entry.key() == key)
        })
    }

    /// Prefetches the place of a hash, see [`HashIndex::touch`].
    pub(in crate::store) fn touch(&self, hash: u64) -> u64 {
        self.by_hash.touch(hash)
    }

    /// True if a key has changed since the checkpoint.
    pub fn has_changed(&self, key: &[u8]) -> bool {
        !self.by_hash.is_empty() && self.slot_of(key, key_hash(key)).is_some()
    }

    /// True if the key of a row of the checkpoint has changed since.
    pub(in crate::store) fn has_changed_row(&self, row: &RowRef) -> bool {
        !self.by_hash.is_empty() && self.has_changed(&row.key())
    }

    /// The entry of a key that has changed since the checkpoint, found by the key's hash.
    pub fn changed_entry(&self, key: &[u8], hash: u64) -> Option<&Entry> {
        if self.by_hash.is_empty() {
            return None;
        }
        self.held(self.slot_of(key, hash)?).map(|held| &held.entry)
    }

    /// The entry of a key that has changed since the checkpoint, with the facts about it that only this node has.
    pub(in crate::store) fn changed_held(&self, key: &[u8]) -> Option<&Held> {
        if self.by_hash.is_empty() {
            return None;
        }
        self.held(self.slot_of(key, key_hash(key))?)
    }

    /// The entry of a stored key, tombstones included.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn entry(&self, key: &[u8]) -> Result<Option<Cow<'_, Entry>>, StoreError> {
        if let Some(entry) = self.changed_entry(key, key_hash(key)) {
            return Ok(Some(Cow::Borrowed(entry)));
        }
        let Some(base) = &self.base else {
            return Ok(None);
        };
        Ok(base.entry(key)?.map(|found| Cow::Owned(found.entry)))
    }

    /// Reads the value of a key that has changed since the checkpoint; `None` if it has not.
    #[cfg(test)]
    pub fn read_changed<R>(
        &self,
        key: &[u8],
        read: impl FnOnce(Option<&[u8]>, bool) -> R,
    ) -> Option<R> {
        let entry = self.changed_entry(key, key_hash(key))?;
        let ascii = entry.flags.contains(crate::store::entry::EntryFlags::ASCII);
        Some(read(entry.value(), ascii))
    }

    /// Number of users' keys with a value.
    pub fn len(&self) -> usize {
        usize::try_from(self.totals.live).unwrap_or(usize::MAX)
    }

    /// Totals over all entries. Exact once all base rows are known, see [`Self::base_unknown`].
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Count and fingerprint of all replicated entries.
    pub fn summary(&self) -> Summary {
        self.totals.summary
    }

    fn stream_of(&mut self, entry: &Entry, via: Via) -> &mut Stream {
        if Namespace::of(entry.key()).is_none_or(|namespace| !namespace.is_replicated()) {
            &mut self.local
        } else if is_row(entry, via == 0) {
            &mut self.own
        } else {
            &mut self.relay
        }
    }

    /// Replaces the key's entry by `entry`. The caller has made sure that it is the greater one, and that `lseq` is the
    /// highest ever given.
    pub fn install(&mut self, entry: Entry, lseq: u64, from: Option<Origin>) -> Installed {
        let hash = key_hash(entry.key());
        self.install_hashed(entry, hash, lseq, from, BaseRow::Unknown)
    }

    /// Replaces the key's entry as [`Self::install`] does, for callers that know the key's hash and base row.
    pub fn install_hashed(
        &mut self,
        entry: Entry,
        hash: u64,
        lseq: u64,
        from: Option<Origin>,
        base_row: BaseRow,
    ) -> Installed {
        let via = from.map_or(0, |peer| self.via(peer));
        let mut installed = Installed {
            replaced: None,
            replaced_dot: None,
            lseq,
            dot: entry.dot,
            from,
            is_user: is_user(&entry),
            is_row: is_row(&entry, via == 0),
            replaced_row: false,
        };
        self.totals.add(&entry, via == 0);
        self.payload_bytes += entry.memory_bytes();
        let is_lineage = entry.key().starts_with(&KEY_PREFIX);
        if is_lineage {
            self.learn_lineage(&entry, lseq);
        }
        let found = match &base_row {
            BaseRow::Unknown => self.slot_of(entry.key(), hash),
            BaseRow::Nothing | BaseRow::Row(_) => None,
        };
        debug_assert_eq!(found, self.slot_of(entry.key(), hash));
        let slot = found.unwrap_or_else(|| self.slots.next());
        self.stream_of(&entry, via).push(lseq, slot);
        if let Some(slot) = found
            && let Some(place) = self.slots.get_mut(slot)
        {
            let is_gone = entry.is_tombstone();
            let replaced = std::mem::replace(place, Held { entry, lseq, via });
            if replaced.entry.is_tombstone() != is_gone {
                self.by_key.turn(slot);
            }
            self.totals.remove(&replaced.entry, replaced.via == 0);
            self.payload_bytes -= replaced.entry.memory_bytes();
            self.stream_of(&replaced.entry, replaced.via)
                .remove(replaced.lseq);
            installed.replaced_row = replaced.is_row();
            if is_lineage {
                self.lineage_places.remove(&replaced.lseq);
            }
            installed.replaced = Some(replaced.lseq);
            installed.replaced_dot = Some(replaced.entry.dot);
            self.snapshots.keep_replaced(slot, replaced);
            self.snapshots.merge_some(MERGED_BY_WRITE);
            return installed;
        }
        match base_row {
            BaseRow::Unknown if self.base.is_some() => self.base_unknown.push(slot),
            BaseRow::Nothing | BaseRow::Unknown => self.snapshots.keep_absent(entry.key()),
            BaseRow::Row(row) => {
                installed.replaced = Some(row.lseq);
                installed.replaced_dot = Some(row.entry.dot);
                installed.replaced_row = is_row(&row.entry, row.source.is_none());
                self.lineage_places.remove(&row.lseq);
                self.shadow(&row);
                self.snapshots.keep_row(row.entry);
            }
        }
        self.snapshots.merge_some(MERGED_BY_WRITE);
        self.add(slot, hash, Held { entry, lseq, via });
        installed
    }

    /// Puts a key that has not changed since the checkpoint into the next slot.
    fn add(&mut self, slot: u32, hash: u64, held: Held) {
        let is_kept = held.entry.key().first() == Some(&(Namespace::Conflict as u8));
        self.kept_since += usize::from(is_kept);
        if is_kept && let Some(author) = sibling_author(held.entry.key()) {
            self.sibling_authors.insert(author);
        }
        self.by_key.insert(slot);
        self.slots.push(held);
        self.by_hash.insert(hash, slot);
    }

    /// Number of keys that are not sorted in yet; see [`Self::sort_some`].
    pub fn unsorted(&self) -> usize {
        self.by_key.unsorted()
    }

    /// Sorts in some new keys, and moves some that gained or lost their value into the other order, so that a scan need
    /// not.
    pub fn sort_some(&mut self) {
        self.by_key.sort_some(&self.slots);
    }

    /// Begins a snapshot of the present map; see [`Snapshots`].
    pub fn open_snapshot(&mut self) -> SnapshotId {
        self.snapshots.open()
    }

    /// Begins a snapshot of the changes since the checkpoint up to the local sequence `to`. All keys must be sorted in.
    pub fn open_checkpoint_snapshot(&mut self, to: u64) -> SnapshotId {
        let snapshot = CheckpointSnapshot::new(to, &self.slots);
        self.snapshots.open_changes(snapshot)
    }

    /// Ends a snapshot. Drop the returned value once the map is unlocked.
    pub fn close_snapshot(&mut self, snapshot: SnapshotId) -> ClosedSnapshot {
        self.snapshots.close(snapshot)
    }

    /// Frees some of the entries kept for ended snapshots. Returns true if there are more.
    pub fn merge_undo(&mut self) -> bool {
        self.snapshots.merge_some(MERGED_AT_ONCE);
        self.snapshots.has_ended()
    }

    /// The open snapshots.
    pub fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    /// Totals, counted anew.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    #[cfg(test)]
    pub fn recount(&self) -> Result<Totals, StoreError> {
        let mut totals = Totals::default();
        let mut rows = self.range_from(Bound::Unbounded);
        while let Some(held) = rows.next_held() {
            let held = held?;
            totals.add(&held.entry, held.via == 0);
        }
        Ok(totals)
    }

    /// Lineage of authors, as far as records here name it.
    pub fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// The present lineage, for use without the map.
    pub fn shared_lineage(&self) -> Arc<Lineage> {
        Arc::clone(&self.lineage)
    }

    /// Adds the lineage of this node's current author, which has no record before it has written.
    pub fn know_authorship(&mut self, ledger: &Ledger) {
        let record = ledger.authorship.record(ledger.origin, &ledger.node_id);
        Arc::make_mut(&mut self.lineage).add(&record);
    }

    /// Local sequences of lineage records above `after`, in order.
    pub fn lineage_after(&self, after: u64) -> impl Iterator<Item = u64> + '_ {
        self.lineage_places
            .range((Bound::Excluded(after), Bound::Unbounded))
            .copied()
    }

    fn learn_lineage(&mut self, entry: &Entry, lseq: u64) {
        if let Some(record) = LineageRecord::of(entry) {
            Arc::make_mut(&mut self.lineage).add(&record);
        }
        self.lineage_places.insert(lseq);
    }

    /// Adds the lineage records of the checkpoint.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub(in crate::store) fn recall_lineage(&mut self) -> Result<(), StoreError> {
        let Some(base) = self.base.clone() else {
            return Ok(());
        };
        let mut rows = base.range(Bound::Included(&KEY_PREFIX))?;
        while let Some(row) = rows.next()? {
            if !row.key().starts_with(&KEY_PREFIX) {
                break;
            }
            let found = base.decode(&row)?;
            self.learn_lineage(&found.entry, found.lseq);
        }
        Ok(())
    }
}
