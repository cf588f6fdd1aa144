//! Snapshots of what has changed since the checkpoint, which the next one is made of. Such a snapshot is taken of each key
//! once, in order, and only its first replacement matters: what it takes from writers is a number and a move.

use std::ops::Bound;

use super::map::{EntryMap, Held};
use super::snapshot::{PAGE_BYTES, SnapshotId};
use crate::store::memtable::slots::Slots;

/// An open snapshot of changes. Good for the map that it was begun on, as long as that keeps its slots.
#[derive(Debug)]
pub(in crate::store) struct CheckpointSnapshot {
    /// Up to this local sequence: what is above is not part of it.
    to: u64,
    /// For each slot that there was when it began where what it held is kept, plus one; 0: it holds it still.
    places: Vec<u32>,
    kept: Slots,
    /// Memory of the kept entries besides their slots.
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

    /// Memory that it takes, in bytes.
    pub(in crate::store) fn memory_bytes(&self) -> usize {
        let places = size_of::<u32>() * self.places.len();
        let kept = size_of::<Held>() * self.kept.next() as usize;
        places + kept + self.payload_bytes
    }

    /// Whether it needs what was installed as `lseq`.
    pub(in crate::store) fn wants(&self, lseq: u64) -> bool {
        lseq <= self.to
    }

    /// Keeps what a slot held, which is replaced; it must be wanted.
    pub(in crate::store) fn keep(&mut self, slot: u32, replaced: Held) {
        if let Some(place) = self.places.get_mut(slot as usize) {
            self.payload_bytes += replaced.entry.memory_bytes();
            self.kept.push(replaced);
            // The number of the next one is one more than that of this.
            *place = self.kept.next();
        }
    }

    fn kept(&self, slot: u32) -> Option<&Held> {
        let place = self.places.get(slot as usize)?.checked_sub(1)?;
        self.kept.get(place)
    }
}

/// Hands to `visit` what had changed since the checkpoint when a snapshot of changes began, at which all keys were in
/// order, tombstones included, in key order behind `after`: about [`PAGE_BYTES`] or `limit` entries. Returns the
/// key to go on behind; `None`: that was all.
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
