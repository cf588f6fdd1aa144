//! Files beside a log: their paths, their locks, and leftovers.

pub mod deferred_close;
pub mod held_storage;
pub mod lease;
pub(super) mod leftovers;
pub mod lock;
pub mod neighbour;
pub mod path;
