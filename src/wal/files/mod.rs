//! The files beside a log: where they are, who holds them, what is left of them.

pub mod deferred_close;
pub mod held_storage;
pub mod lease;
pub(super) mod leftovers;
pub mod lock;
pub mod path;
