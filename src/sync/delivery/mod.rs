//! Waiting until writes are durable on other nodes.

pub(super) mod successors;
pub(super) mod wait_queue;
pub mod waiting;
pub mod waits;
