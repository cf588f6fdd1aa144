//! Checkpoints: the policy of when one is due, and the thread that writes it beside the commits.

pub mod checkpoints;
pub(super) mod driver;
pub(super) mod thread;
