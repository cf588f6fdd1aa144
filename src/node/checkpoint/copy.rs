//! Requests for a copy of the store, their progress, and their outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::core::error_kind::ErrorKind;
use crate::disk::storage::Storage;
use crate::node::failure::{ErrorCode, Failure};

/// Progress of a copy, and the wish to cancel it. Read and set from any thread.
#[derive(Debug, Default)]
pub struct CopyProgress {
    pub(in crate::node) entries: AtomicU64,
    pub(in crate::node) entries_total: AtomicU64,
    pub(in crate::node) bytes: AtomicU64,
    is_cancelled: AtomicBool,
}

impl CopyProgress {
    /// Entries that were written so far, tombstones included.
    pub fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// Entries of the store, tombstones included; 0 before the copy has begun.
    pub fn entries_total(&self) -> u64 {
        self.entries_total.load(Ordering::Relaxed)
    }

    /// Bytes that were written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// True if the copy was cancelled.
    pub(in crate::node) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    /// Cancels the copy: it ends with an error of kind `aborted`, and nothing is left of it.
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Release);
    }
}

/// A request for a copy of the store, and where its outcome goes.
pub(in crate::node) struct Copy {
    pub(in crate::node) storage: Arc<dyn Storage>,
    pub(in crate::node) name: String,
    pub(in crate::node) progress: Arc<CopyProgress>,
    pub(in crate::node) answer: CopyAnswer,
}

/// Outcome of a copy.
type CopyOutcome = Result<(), Failure>;

/// The channel for the outcome of a copy: the thread that writes it answers, or the committer where it has no thread.
#[derive(Clone)]
pub(in crate::node) struct CopyAnswer(Arc<Mutex<Option<oneshot::Sender<CopyOutcome>>>>);

impl CopyAnswer {
    pub(in crate::node) fn new(sender: oneshot::Sender<CopyOutcome>) -> Self {
        Self(Arc::new(Mutex::new(Some(sender))))
    }

    /// Answers the caller. Only the first answer counts.
    pub(in crate::node) fn give(&self, outcome: CopyOutcome) {
        if let Some(sender) = self.0.lock().take() {
            // The receiver is gone if the call was given up.
            let _ = sender.send(outcome);
        }
    }
}

/// The failure of a copy that was cancelled.
pub(in crate::node) fn aborted() -> Failure {
    Failure::new(
        ErrorCode::InvalidState,
        ErrorKind::Aborted,
        "the backup was aborted; nothing is left of it",
    )
    .retryable()
}
