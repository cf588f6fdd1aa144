//! Checkpoints of one node: the callers that wait for one, and the result of the last. Writers wait for a checkpoint only
//! if memory or disk would run out (see [`crate::node::commit::intake`]); the committer seals the log before and takes the
//! new file over after.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::copy::Copy;
use super::stage::Outcome;
use crate::core::clock::WallMs;
use crate::disk::storage::Storage;
use crate::node::commit::queue::Queue;
use crate::node::failure::Failure;

/// The last checkpoint since the opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastCheckpoint {
    /// Time at which the checkpoint was finished.
    pub at: WallMs,
    /// Time that the checkpoint took, in milliseconds.
    pub took_ms: u64,
    /// Length of the file, in bytes.
    pub file_bytes: u64,
    /// Number of rows, tombstones included.
    pub rows: u64,
}

pub(in crate::node) type Waiting = Vec<oneshot::Sender<Result<(), Failure>>>;

/// State shared by the committer, the checkpoint thread and callers.
#[derive(Default)]
pub(in crate::node) struct Checkpoints {
    /// Callers that wait for a checkpoint of everything accepted.
    pub(in crate::node) asked: Mutex<Waiting>,
    copies: Mutex<VecDeque<Copy>>,
    /// Outcome of the checkpoint thread that was not taken yet.
    pub(in crate::node) done: Mutex<Option<Outcome>>,
    pub(in crate::node) last: Mutex<Option<LastCheckpoint>>,
    /// True once nothing more is made. Set and read under the locks of the requests.
    is_over: AtomicBool,
    /// True once checkpoints and backups under way are given up: the node was dropped, its close took too long, or the
    /// committer panicked. The committer still waits for the checkpoint thread, which then ends soon.
    pub(in crate::node) is_abandoned: AtomicBool,
    /// Progress of the checkpoint under way, in parts of [`crate::node::commit::intake::WHOLE`].
    pub(in crate::node) progress: AtomicU32,
    /// True if the checkpoint under way must be written without pauses, because writers have little room left.
    pub(in crate::node) is_hurried: AtomicBool,
}

impl Checkpoints {
    /// Requests a checkpoint. The caller must wake the committer afterwards.
    pub(in crate::node) fn ask(&self) -> oneshot::Receiver<Result<(), Failure>> {
        let (sender, receiver) = oneshot::channel();
        let mut asked = self.asked.lock();
        if !self.is_over.load(Ordering::Acquire) {
            asked.push(sender);
        }
        receiver
    }

    /// Ends all requests, because the committer ends: present and later callers get no checkpoint.
    pub(in crate::node) fn end(&self) {
        let (mut asked, mut copies) = (self.asked.lock(), self.copies.lock());
        self.is_over.store(true, Ordering::Release);
        asked.clear();
        copies.clear();
    }

    /// Requests a copy. The caller must wake the committer afterwards.
    pub(in crate::node) fn ask_copy(&self, copy: Copy) {
        let mut copies = self.copies.lock();
        if !self.is_over.load(Ordering::Acquire) {
            copies.push_back(copy);
        }
    }

    /// Takes the next requested copy.
    pub(in crate::node) fn next_copy(&self) -> Option<Copy> {
        self.copies.lock().pop_front()
    }

    /// Leaves an `outcome` of the checkpointing thread for the committer, and wakes it through its `queue`.
    pub(in crate::node) fn tell(&self, queue: &Queue, outcome: Outcome) {
        *self.done.lock() = Some(outcome);
        queue.wake();
    }

    /// Answers everybody who asked for a checkpoint, because there is none to be had, or none needed.
    pub(in crate::node) fn answer_all(&self, outcome: &Result<(), Failure>) {
        for waiting in std::mem::take(&mut *self.asked.lock()) {
            let _ = waiting.send(outcome.clone());
        }
    }

    /// Answers everybody who asked for a checkpoint or a copy with `failure`, because nothing more is made.
    pub(in crate::node) fn refuse_all(&self, failure: &Failure) {
        self.answer_all(&Err(failure.clone()));
        while let Some(copy) = self.next_copy() {
            copy.answer.give(Err(failure.clone()));
        }
    }

    /// Notes that `part` of the `whole` between the marks `from` and `to` is done.
    pub(in crate::node) fn go_on(&self, (from, to): (u32, u32), part: u64, whole: u64) {
        let steps = u64::from(to.saturating_sub(from));
        let done = steps.saturating_mul(part.min(whole)) / whole.max(1);
        let done = from.saturating_add(u32::try_from(done).unwrap_or(0));
        self.progress.store(done, Ordering::Relaxed);
    }

    pub(in crate::node) fn is_asked(&self) -> bool {
        !self.asked.lock().is_empty()
    }

    /// The last checkpoint since the opening.
    pub(in crate::node) fn last(&self) -> Option<LastCheckpoint> {
        self.last.lock().clone()
    }
}

/// Place of a log's checkpoints, and the memory for them.
#[derive(Clone)]
pub(in crate::node) struct Place {
    pub(in crate::node) storage: Arc<dyn Storage>,
    /// Name of the log.
    pub(in crate::node) name: String,
    pub(in crate::node) cache_bytes: usize,
    /// Memory for sorting the feeds while a checkpoint is written, in bytes.
    pub(in crate::node) work_bytes: usize,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
