//! A whole node: the layers below joined into one thing that opens, writes, reads, replicates and closes.
//! This is the SDK of a Rust program, and all that the bindings know.
//!
//! `machine` and `directory` decide, and are pure; `shared`, `committer` and `network` drive them.

mod alarm;
mod checkpointing;
pub mod checkpoints;
mod committer;
pub mod conversation;
pub mod copies;
pub mod directory;
pub mod events;
pub mod failure;
mod farewells;
mod greetings;
mod handle;
pub mod machine;
mod network;
mod open;
pub mod options;
mod peers;
pub mod queue;
mod reading;
mod runtime;
mod shared;
mod waiters;
mod writing;

pub use crate::metadata::NodeInfo;
pub use crate::store::operation::{Operation, Receipt, WriteStatus};
pub use crate::sync::options::AckPolicy;
pub use crate::sync::report::{SyncReport, TickReport};
pub use checkpoints::LastCheckpoint;
pub use copies::CopyProgress;
pub use events::{Change, IdentityEvent, NodeEvents, Silent};
pub use failure::{ErrorCode, Failure};
pub use handle::Node;
pub use options::Options;
pub use peers::PeerView;

#[cfg(test)]
mod tests;
