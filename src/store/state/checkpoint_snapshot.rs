//! Snapshots of the changes since the checkpoint, from which the next one is made. Such a snapshot is read once, in key
//! order, and only the first replacement of each key matters: it costs writers a number and a move.

use std::ops::Bound;

use super::map::EntryMap;
use super::snapshot::{PAGE_BYTES, SnapshotId};
use crate::store::memtable::held::Held;
use crate::store::memtable::slots::Slots;

/// An open snapshot of changes. Valid for the map on which it was begun, as long as that keeps its slots.
#[derive(Debug)]
pub(in crate::store) struct CheckpointSnapshot {
    /// Local sequence up to which changes are part of the snapshot.
    to: u64,
    /// For each slot of that time the place of its kept entry, plus one; 0: the slot still holds the entry.
    places: Vec<u32>,
    kept: Slots,
    /// Memory of the kept entries besides their slots, in bytes.
    payload_bytes: usize,
}

impl CheckpointSnapshot {
    /// A snapshot of all slots of a map, up to a local sequence.
    pub(in crate::store) fn new(to: u64, slots: &Slots) -> Self {
        Self {
            to,
            places: vec![0; slots.next() as usize],
            kept: Slots::default(),
            payload_bytes: 0,
        }
    }

    /// Memory of the snapshot, in bytes.
    pub(in crate::store) fn memory_bytes(&self) -> usize {
        let places = size_of::<u32>() * self.places.len();
        let kept = size_of::<Held>() * self.kept.next() as usize;
        places + kept + self.payload_bytes
    }

    /// True if the snapshot needs the entry installed as `lseq`.
    pub(in crate::store) fn wants(&self, lseq: u64) -> bool {
        lseq <= self.to
    }

    /// Keeps the replaced entry of a slot, which must be wanted.
    pub(in crate::store) fn keep(&mut self, slot: u32, replaced: Held) {
        if let Some(place) = self.places.get_mut(slot as usize) {
            self.payload_bytes += replaced.entry.memory_bytes();
            self.kept.push(replaced);
            // The slot number after this entry's is its own plus one.
            *place = self.kept.next();
        }
    }

    fn kept(&self, slot: u32) -> Option<&Held> {
        let place = self.places.get(slot as usize)?.checked_sub(1)?;
        self.kept.get(place)
    }
}

/// Calls `visit` with the entries that had changed since the checkpoint when the snapshot began, in key order after the
/// key `after`, tombstones included: about [`PAGE_BYTES`] or `limit` entries. All keys must have been sorted when it
/// began. Returns the key after which to continue; `None` at the end.
pub(in crate::store) fn changed_page(
    map: &EntryMap,
    snapshot: SnapshotId,
    after: Option<&[u8]>,
    limit: usize,
    mut visit: impl FnMut(&Held),
) -> Option<Box<[u8]>> {
    let snapshot = map.snapshots().changes(snapshot)?;
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut slots = map.sorted_from(from);
    let mut bytes = 0;
    for count in 1.. {
        let (slot, now) = slots.next()?;
        let held = if snapshot.wants(now.lseq) {
            Some(now)
        } else {
            snapshot.kept(slot)
        };
        if let Some(held) = held {
            bytes += held.entry.key().len() + held.entry.value_length();
            visit(held);
        }
        if count >= limit || bytes >= PAGE_BYTES {
            return Some(now.entry.key().into());
        }
    }
    None
}
