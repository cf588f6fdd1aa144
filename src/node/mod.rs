//! A whole node: the layers below joined into one object that opens, writes, reads, replicates and closes. This is the
//! SDK of a Rust program, and the only layer that the bindings use.
//!
//! `machine` decides, and is pure; `shared`, `commit`, `checkpoint` and `net` drive it.

pub(crate) mod advice;
pub(crate) mod api;
pub(crate) mod checkpoint;
pub(crate) mod commit;
pub(crate) mod conflict;
mod counters;
pub(crate) mod events;
pub(crate) mod failure;
pub(crate) mod histogram;
pub(crate) mod machine;
pub(crate) mod memory;
mod net;
pub(crate) mod options;
mod pending_calls;
mod seeds;
mod shared;

pub use crate::core::error_kind::ErrorKind;
pub use crate::core::identity::Dot;
pub use crate::metadata::NodeInfo;
pub use crate::store::commit::operation::{Operation, Receipt, WriteStatus};
pub use crate::store::conflict::policy::ConflictPolicy;
pub use crate::sync::Outcome as Difference;
pub use crate::sync::delivery::waiting::Subject;
pub use crate::sync::delivery::waits::Holders;
pub use crate::sync::identity::identity_conflict::{IdentityConflict, IdentityConflictReason};
pub use crate::sync::options::AckPolicy;
pub use crate::sync::outbox::rows::{OutboxRow, PeerTrouble, RowState, Trouble};
pub use crate::sync::peer::progress::{Lag, PeerStatus};
pub use crate::sync::report::{SyncReport, TickReport};
pub use api::compare::Comparison;
pub use api::handle::Node;
pub use api::mailbox::{Event, Mailbox};
pub use api::peers::PeerView;
pub use api::recovery_report::{CutOff, OpenedCheckpoint, RecoveryOutcome, RecoveryReport};
pub use api::salvage::{SalvageReport, salvage};
pub use api::stats::Stats;
pub use api::verify::{FileReport, Notice, NoticeKind, VerifyReport, verify};
pub use api::wait_for::{Delivered, Wait};
pub use checkpoint::checkpoints::LastCheckpoint;
pub use checkpoint::copy::CopyProgress;
pub use conflict::{Conflict, Version};
pub use events::{Change, IdentityEvent, NodeEvents, Silent};
pub use failure::{ErrorCode, Failure};
pub use machine::peer_state::PeerState;
pub use machine::progress::PeerRow;
pub use options::Options;

pub use crate::wal::recover::inspect::UnfinishedEnd;
pub use crate::wal::recover::readable::LostRange;

#[cfg(test)]
mod tests;

#[cfg(test)]
#[path = "../../tests/simulation/mod.rs"]
mod simulation;
