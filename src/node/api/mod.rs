//! The calls of a node, for Rust programs and the bindings. Each submits to the committer or reads the state; none
//! decides anything about replication.

pub mod backup;
pub(super) mod compare;
pub mod conflicts;
pub(super) mod handle;
pub mod mailbox;
pub(super) mod open;
pub(super) mod peers;
pub(super) mod progress;
pub(super) mod reading;
pub(super) mod recovery_report;
pub(super) mod salvage;
pub(super) mod stats;
pub(super) mod verify;
pub(super) mod wait_for;
pub(super) mod writing;
