//! Checkpoints of one node: when one is due, who waits for one, and what came of the last. Writers never wait for
//! it; the committer seals the log before and takes the new file over after.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::thread::Outcome;
use crate::core::clock::WallMs;
use crate::disk::storage::Storage;
use crate::node::api::backup::Copy;
use crate::node::failure::Failure;
use crate::node::shared::Shared;

/// A log that is shorter is not worth a checkpoint when the node closes, in bytes: reading it takes some
/// milliseconds.
const CLOSING_LOG_BYTES_MIN: u64 = 1 << 20;

/// What a log may grow to, as a part of the live data, before a closing node makes a checkpoint: so much more
/// than the data is on disk at most.
const CLOSING_PART: u64 = 8;

/// Most bytes, of live data and log together, of which a closing node begins a checkpoint by itself: about a tenth of a
/// second of work. A node that closes has been told to end, and who told it may kill it after some seconds.
const CLOSING_WORK_BYTES_MAX: u64 = 16 << 20;

/// How long a closing node works on a checkpoint or a backup before it gives it up, in milliseconds. With what it waits for
/// peers, and the syncs of the log, it ends within a second. The log keeps everything.
const CLOSING_WORK_MS: u64 = 400;

/// The same while the node runs: a checkpoint writes all live data once.
const RUNNING_PART: u64 = 2;

/// New keys that are put in order between two groups while a checkpoint is due: about two milliseconds.
const SETTLED_BETWEEN_GROUPS: usize = 8192;

/// New keys that may be left to be put in order while the log is sealed: a millisecond.
const LEFT_TO_THE_SEAL: usize = 4096;

/// The same where the checkpoint is pressing: some milliseconds.
const LEFT_WHEN_PRESSING: usize = 1 << 15;

/// How many times its limit the log may grow to while more new keys come between two groups than are put in order, as in
/// a first sync: that ends sooner without a checkpoint beside it, and one of all that came costs less than several.
const STRETCHED: u64 = 4;

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

    /// The thread of a checkpoint has come to something.
    pub(in crate::node) fn tell(&self, shared: &Shared, outcome: Outcome) {
        *self.done.lock() = Some(outcome);
        shared.queue.wake();
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
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Whether a log has grown enough for a checkpoint.
pub(in crate::node) fn is_due(log_bytes: u64, live_bytes: u64, log_bytes_max: u64) -> bool {
    log_bytes > log_bytes_max.max(live_bytes / RUNNING_PART)
}

/// Whether a checkpoint that is due may not wait for a calmer moment.
pub(in crate::node) fn is_pressing(log_bytes: u64, log_bytes_max: u64) -> bool {
    log_bytes / STRETCHED > log_bytes_max
}

/// How many new keys are left out of order before the next group comes in, of so many, after `left` were before the last.
/// A checkpoint that is pressing begins after some groups, however many keys come with each.
pub(in crate::node) fn sorted_to(unsorted: usize, left: usize, is_pressing: bool) -> usize {
    let some = unsorted.saturating_sub(SETTLED_BETWEEN_GROUPS);
    if is_pressing {
        some.min(left / 4 * 3)
    } else {
        some
    }
}

/// Whether the rest of the new keys may be put in order while the log is sealed.
pub(in crate::node) fn may_seal(unsorted: usize, is_pressing: bool) -> bool {
    let left = if is_pressing {
        LEFT_WHEN_PRESSING
    } else {
        LEFT_TO_THE_SEAL
    };
    unsorted <= left
}

/// Whether it has for a node that closes.
pub(in crate::node) fn is_due_at_close(log_bytes: u64, live_bytes: u64) -> bool {
    log_bytes > CLOSING_LOG_BYTES_MIN.max(live_bytes / CLOSING_PART)
}

/// Whether a closing node begins a checkpoint. A larger one is left to the next opening, or to who asks for it.
pub(in crate::node) fn begins_at_close(log_bytes: u64, live_bytes: u64) -> bool {
    is_due_at_close(log_bytes, live_bytes)
        && log_bytes.saturating_add(live_bytes) <= CLOSING_WORK_BYTES_MAX
}

/// Whether a node that has been closing for so long gives up the checkpoint or the backup that is under way.
pub(in crate::node) fn is_given_up(closing_ms: u64) -> bool {
    closing_ms >= CLOSING_WORK_MS
}

/// Tells everybody who asked for a checkpoint that there is none to be had, or none needed.
pub(in crate::node) fn answer_all(shared: &Shared, outcome: &Result<(), Failure>) {
    for waiting in std::mem::take(&mut *shared.checkpoints.asked.lock()) {
        let _ = waiting.send(outcome.clone());
    }
}

/// Tells everybody who asked for anything that nothing more is made.
pub(in crate::node) fn refuse_all(shared: &Shared, failure: &Failure) {
    answer_all(shared, &Err(failure.clone()));
    while let Some(copy) = shared.checkpoints.next_copy() {
        copy.answer.give(Err(failure.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups until a checkpoint begins while so many new keys come with each; `None` if it never does.
    fn groups_until_sealed(new_keys: usize, is_pressing: bool) -> Option<usize> {
        let mut unsorted = 1 << 19;
        let mut left = unsorted;
        (1..1000).find(|_| {
            left = sorted_to(unsorted, left, is_pressing);
            unsorted = left + new_keys;
            may_seal(left, is_pressing)
        })
    }

    #[test]
    fn a_checkpoint_waits_for_a_calmer_moment_and_not_for_ever() {
        assert_eq!(groups_until_sealed(1_000, false), Some(73));
        assert_eq!(groups_until_sealed(30_000, false), None);
        for new_keys in [0, 1_000, 30_000, 1_000_000] {
            assert_eq!(groups_until_sealed(new_keys, true), Some(10), "{new_keys}");
        }
        assert!(!is_pressing(4 * 100 + 3, 100));
        assert!(is_pressing(4 * 101, 100));
    }

    #[test]
    fn a_closing_node_begins_only_what_is_soon_done_and_gives_up_what_is_not() {
        let (log, most) = (CLOSING_LOG_BYTES_MIN + 1, CLOSING_WORK_BYTES_MAX);
        assert!(begins_at_close(log, 0));
        assert!(!begins_at_close(CLOSING_LOG_BYTES_MIN, 0), "not worth it");
        // However much there is to be gained.
        assert!(begins_at_close(most / 2, most / 2));
        assert!(!begins_at_close(most / 2, most / 2 + 1));
        assert!(!begins_at_close(508 << 20, 508 << 20));
        assert!(!begins_at_close(u64::MAX, u64::MAX));
        assert!(!is_given_up(0) && !is_given_up(CLOSING_WORK_MS - 1));
        assert!(is_given_up(CLOSING_WORK_MS) && is_given_up(u64::MAX));
    }

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
