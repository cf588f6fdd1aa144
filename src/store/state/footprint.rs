//! Memory of the changes since the checkpoint, estimated from counters that are kept anyway.

use super::map::EntryMap;
use crate::store::memtable::held::Held;

/// Bytes of an entry in the indexes: its places by hash, in key order, in the feed and among the rows that it replaced,
/// with the allocator's rounding. Measured with a million entries of a hundred bytes.
const INDEXES_BYTES: usize = 128;

impl EntryMap {
    /// Memory of the map, in bytes: the changes since the checkpoint, and the entries kept for the next one. Without
    /// the cached blocks of the checkpoint, which have a limit of their own.
    pub fn memory_bytes(&self) -> u64 {
        let slot = size_of::<Held>() + INDEXES_BYTES;
        let slots = slot * self.slots.next() as usize;
        (slots + self.payload_bytes + self.snapshots.changes_bytes()) as u64
    }
}
