//! Stages of a checkpoint, as its thread reports them to the committer.

use std::sync::Arc;

use crate::node::failure::Failure;
use crate::store::state::base::Base;
use crate::store::state::rebase::Rebase;
use crate::wal::error::WalError;
use crate::wal::log::segment_removal::Removal;

/// A stage that the thread of a checkpoint or a copy has reached.
pub(in crate::node) enum Stage {
    /// The new checkpoint is in place, and most of the later changes are in the map over it.
    Placed(Arc<Base>, Box<Rebase>),
    /// The files that the checkpoint covers were removed, as far as they could be.
    Removed(Removal, Result<u64, WalError>),
    /// A copy was written, and its caller has the outcome.
    Copied,
}

/// A stage, or the failure that ended the thread's work.
pub(in crate::node) type Outcome = Result<Stage, Failure>;
