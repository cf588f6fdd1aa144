//! Checkpoints: the policy of when one is due, and the thread that writes it beside the commits.

pub mod checkpoints;
pub mod copy;
pub(super) mod copy_writer;
pub(super) mod driver;
pub(super) mod due;
pub(super) mod stage;
pub(super) mod thread;
