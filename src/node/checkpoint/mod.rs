//! When a checkpoint is due, and the thread that writes it beside the commits.

pub mod checkpoints;
pub(super) mod driver;
pub(super) mod thread;
