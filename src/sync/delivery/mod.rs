//! Waiting until writes are durable on other nodes.

pub(super) mod successors;
pub mod wait_queue;
pub mod waiting;
pub mod waits;
