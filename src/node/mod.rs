//! A whole node: the layers below joined into one thing that opens, writes, reads, replicates and closes.
//! This is the SDK of a Rust program, and all that the bindings know.
//!
//! `machine` and `directory` decide, and are pure; `shared`, `committer` and `network` drive them.

pub mod advice;
mod alarm;
mod awaiting;
mod backlog;
mod checkpoint_thread;
mod checkpointing;
pub mod checkpoints;
mod commit_thread;
mod committer;
mod comparing;
pub mod conflicts;
pub mod conversation;
pub mod copies;
pub mod directory;
pub mod events;
pub mod failure;
mod fair_use;
mod farewells;
mod figures;
mod greetings;
mod handle;
pub mod histogram;
mod intake;
pub mod machine;
pub mod mailbox;
pub mod memory_budget;
mod memory_limit;
mod network;
mod open;
pub mod options;
mod overlap;
mod peers;
mod progress;
pub mod queue;
mod quick_syncs;
mod reading;
mod recovery_report;
mod renewing;
mod runtime;
mod salvaging;
mod shared;
mod sync_thread;
mod verification;
mod waiters;
mod writing;

pub use crate::core::identity::Dot;
pub use crate::metadata::NodeInfo;
pub use crate::store::conflict::ConflictPolicy;
pub use crate::store::operation::{Operation, Receipt, WriteStatus};
pub use crate::sync::Outcome as Difference;
pub use crate::sync::doubt::{Doubt, DoubtReason};
pub use crate::sync::listing::{OutboxRow, PeerTrouble, RowState, Trouble};
pub use crate::sync::options::AckPolicy;
pub use crate::sync::progress::{Lag, PeerStatus};
pub use crate::sync::report::{SyncReport, TickReport};
pub use crate::sync::waiting::Subject;
pub use crate::sync::waits::Holders;
pub use awaiting::{Delivered, Wait};
pub use checkpoints::LastCheckpoint;
pub use comparing::Comparison;
pub use conflicts::{Conflict, Version};
pub use copies::CopyProgress;
pub use events::{Change, IdentityEvent, NodeEvents, Silent};
pub use failure::{ErrorCode, Failure};
pub use figures::Stats;
pub use handle::Node;
pub use options::Options;
pub use peers::PeerView;
pub use progress::PeerRow;
pub use recovery_report::{CutOff, OpenedCheckpoint, RecoveryOutcome, RecoveryReport};
pub use salvaging::{SalvageReport, salvage};
pub use verification::{FileReport, Notice, VerifyReport, verify};

pub use crate::wal::inspect::UnfinishedEnd;
pub use crate::wal::readable::LostRange;

#[cfg(test)]
mod tests;

#[cfg(test)]
#[path = "../../tests/simulation/mod.rs"]
mod simulation;
