//! The memory of what changed since the checkpoint, from counters that are kept anyway.

use super::map::{EntryMap, Held};

/// Bytes that an entry takes in the indexes: its place by hash, in the order of keys, in the feed and among the rows that
/// it replaced; and what the allocator rounds up. Measured with a million entries of a hundred bytes.
const INDEXES_BYTES: usize = 128;

impl EntryMap {
    /// Memory of the map, in bytes: what changed since the checkpoint, and what is kept for the next one. Not the
    /// blocks of the checkpoint, which have a limit of their own.
    pub fn memory_bytes(&self) -> u64 {
        let slot = size_of::<Held>() + INDEXES_BYTES;
        let slots = slot * self.slots.next() as usize;
        (slots + self.payload_bytes + self.snapshots.changes_bytes()) as u64
    }
}
