//! Checkpoints of one node: when one is due, who waits for one, and what came of the last. Writers never wait for
//! it; the committer seals the log before and takes the new file over after.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::checkpoint_thread::Outcome;
use super::copies::Copy;
use super::failure::Failure;
use super::shared::Shared;
use crate::core::clock::WallMs;
use crate::wal::storage::Storage;

/// A log that is shorter is not worth a checkpoint when the node closes, in bytes: reading it takes some
/// milliseconds.
const CLOSING_LOG_BYTES_MIN: u64 = 1 << 20;

/// What a log may grow to, as a part of the live data, before a closing node makes a checkpoint: so much more
/// than the data is on disk at most.
const CLOSING_PART: u64 = 8;

/// The same while the node runs: a checkpoint writes all live data once.
const RUNNING_PART: u64 = 2;

/// The last checkpoint of this open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastCheckpoint {
    /// When it was finished.
    pub at: WallMs,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// How long its file is.
    pub file_bytes: u64,
    /// How many rows it has, tombstones included.
    pub rows: u64,
}

pub(super) type Waiting = Vec<oneshot::Sender<Result<(), Failure>>>;

/// What the committer, its checkpointing thread and callers share.
#[derive(Default)]
pub(super) struct Checkpoints {
    /// Somebody waits for a checkpoint of all that is accepted.
    pub(super) asked: Mutex<Waiting>,
    copies: Mutex<VecDeque<Copy>>,
    /// What the thread of a checkpoint has come to, and nobody has looked at yet.
    pub(super) done: Mutex<Option<Outcome>>,
    pub(super) last: Mutex<Option<LastCheckpoint>>,
    /// Nothing more is made. Set and looked at under the locks of what is asked for.
    is_over: AtomicBool,
    /// The node is dropped, and does not wait for one.
    pub(super) is_abandoned: AtomicBool,
}

impl Checkpoints {
    /// Asks for one. Wake the committer after it.
    pub(super) fn ask(&self) -> oneshot::Receiver<Result<(), Failure>> {
        let (sender, receiver) = oneshot::channel();
        let mut asked = self.asked.lock();
        if !self.is_over.load(Ordering::Acquire) {
            asked.push(sender);
        }
        receiver
    }

    /// The committer ends: nobody who asks from now on, or has asked, gets anything but word of that.
    pub(super) fn end(&self) {
        let (mut asked, mut copies) = (self.asked.lock(), self.copies.lock());
        self.is_over.store(true, Ordering::Release);
        asked.clear();
        copies.clear();
    }

    /// Asks for a copy. Wake the committer after it.
    pub(super) fn ask_copy(&self, copy: Copy) {
        let mut copies = self.copies.lock();
        if !self.is_over.load(Ordering::Acquire) {
            copies.push_back(copy);
        }
    }

    /// The next copy to be made.
    pub(super) fn next_copy(&self) -> Option<Copy> {
        self.copies.lock().pop_front()
    }

    /// The thread of a checkpoint has come to something.
    pub(super) fn tell(&self, shared: &Shared, outcome: Outcome) {
        *self.done.lock() = Some(outcome);
        shared.queue.wake();
    }

    pub(super) fn is_asked(&self) -> bool {
        !self.asked.lock().is_empty()
    }

    /// The last checkpoint of this open.
    pub(super) fn last(&self) -> Option<LastCheckpoint> {
        self.last.lock().clone()
    }
}

/// Where checkpoints of a log go.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) storage: Arc<dyn Storage>,
    /// The log's name.
    pub(super) name: String,
    pub(super) cache_bytes: usize,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Whether a log has grown enough for a checkpoint.
pub(super) fn is_due(log_bytes: u64, live_bytes: u64, log_bytes_max: u64) -> bool {
    log_bytes > log_bytes_max.max(live_bytes / RUNNING_PART)
}

/// Whether it has for a node that closes.
pub(super) fn is_due_at_close(log_bytes: u64, live_bytes: u64) -> bool {
    log_bytes > CLOSING_LOG_BYTES_MIN.max(live_bytes / CLOSING_PART)
}

/// Tells everybody who asked for a checkpoint that there is none to be had, or none needed.
pub(super) fn answer_all(shared: &Shared, outcome: &Result<(), Failure>) {
    for waiting in std::mem::take(&mut *shared.checkpoints.asked.lock()) {
        let _ = waiting.send(outcome.clone());
    }
}

/// Tells everybody who asked for anything that nothing more is made.
pub(super) fn refuse_all(shared: &Shared, failure: &Failure) {
    answer_all(shared, &Err(failure.clone()));
    while let Some(copy) = shared.checkpoints.next_copy() {
        let _ = copy.answer.send(Err(failure.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_may_grow_with_the_data() {
        assert!(!is_due(100, 0, 100));
        assert!(is_due(101, 0, 100));
        assert!(!is_due(101, 202, 100));
        assert!(!is_due_at_close(CLOSING_LOG_BYTES_MIN, 0));
        assert!(is_due_at_close(CLOSING_LOG_BYTES_MIN + 1, 0));
        assert!(!is_due_at_close(
            2 * CLOSING_LOG_BYTES_MIN,
            16 * CLOSING_LOG_BYTES_MIN
        ));
    }
}
