//! Memtable: the changes since the last checkpoint, in memory: a hash index over slots, and the orders of keys and of
//! the feed.

pub(super) mod hash_index;
pub mod held;
pub(super) mod key_index;
pub(super) mod ordered_key;
pub(super) mod slots;
pub(super) mod stream;
