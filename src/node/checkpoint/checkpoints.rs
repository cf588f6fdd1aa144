//! Checkpoints of one node: who waits for one, and what came of the last. Writers never wait for
//! it but where memory or disk would run out (see [`crate::node::commit::intake`]); the committer seals the log before and takes the new
//! file over after.

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

pub(in crate::node) type Waiting = Vec<oneshot::Sender<Result<(), Failure>>>;

/// What the committer, its checkpointing thread and callers share.
#[derive(Default)]
pub(in crate::node) struct Checkpoints {
    /// Somebody waits for a checkpoint of all that is accepted.
    pub(in crate::node) asked: Mutex<Waiting>,
    copies: Mutex<VecDeque<Copy>>,
    /// What the thread of a checkpoint has come to, and nobody has looked at yet.
    pub(in crate::node) done: Mutex<Option<Outcome>>,
    pub(in crate::node) last: Mutex<Option<LastCheckpoint>>,
    /// Nothing more is made. Set and looked at under the locks of what is asked for.
    is_over: AtomicBool,
    /// The node is dropped, and does not wait for one.
    pub(in crate::node) is_abandoned: AtomicBool,
    /// Progress of the one under way, of [`crate::node::commit::intake::WHOLE`].
    pub(in crate::node) progress: AtomicU32,
    /// The one under way is to be written without pauses: there is little room left for those who write.
    pub(in crate::node) is_hurried: AtomicBool,
}

impl Checkpoints {
    /// Asks for one. Wake the committer after it.
    pub(in crate::node) fn ask(&self) -> oneshot::Receiver<Result<(), Failure>> {
        let (sender, receiver) = oneshot::channel();
        let mut asked = self.asked.lock();
        if !self.is_over.load(Ordering::Acquire) {
            asked.push(sender);
        }
        receiver
    }

    /// The committer ends: nobody who asks from now on, or has asked, gets anything but word of that.
    pub(in crate::node) fn end(&self) {
        let (mut asked, mut copies) = (self.asked.lock(), self.copies.lock());
        self.is_over.store(true, Ordering::Release);
        asked.clear();
        copies.clear();
    }

    /// Asks for a copy. Wake the committer after it.
    pub(in crate::node) fn ask_copy(&self, copy: Copy) {
        let mut copies = self.copies.lock();
        if !self.is_over.load(Ordering::Acquire) {
            copies.push_back(copy);
        }
    }

    /// The next copy to be made.
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

    /// The one under way has done `part` of the `whole` between the marks `from` and `to`.
    pub(in crate::node) fn go_on(&self, (from, to): (u32, u32), part: u64, whole: u64) {
        let steps = u64::from(to.saturating_sub(from));
        let done = steps.saturating_mul(part.min(whole)) / whole.max(1);
        let done = from.saturating_add(u32::try_from(done).unwrap_or(0));
        self.progress.store(done, Ordering::Relaxed);
    }

    pub(in crate::node) fn is_asked(&self) -> bool {
        !self.asked.lock().is_empty()
    }

    /// The last checkpoint of this open.
    pub(in crate::node) fn last(&self) -> Option<LastCheckpoint> {
        self.last.lock().clone()
    }
}

/// Where checkpoints of a log go.
#[derive(Clone)]
pub(in crate::node) struct Place {
    pub(in crate::node) storage: Arc<dyn Storage>,
    /// The log's name.
    pub(in crate::node) name: String,
    pub(in crate::node) cache_bytes: usize,
    /// Memory for the order of the feeds while one is written.
    pub(in crate::node) work_bytes: usize,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
