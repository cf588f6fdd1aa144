//! Checkpoints of one node: when one is due, who waits for one, and what came of the last. Writers never wait for
//! it but where memory or disk would run out (see [`crate::node::commit::intake`]); the committer seals the log before and takes the new
//! file over after.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::thread::Outcome;
use crate::core::clock::WallMs;
use crate::disk::storage::Storage;
use crate::node::api::backup::Copy;
use crate::node::commit::intake::Sizes;
use crate::node::failure::Failure;
use crate::node::shared::Shared;
use crate::store::state::totals::Totals;

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

/// The part of the dead bytes that there may be on disk at which a checkpoint is due: the rest is for what comes while it is
/// written.
const DEAD_DUE_PART: u64 = 2;

/// Bytes that a row takes on disk besides its key and value: about, in the log and in a checkpoint.
const ROW_BYTES: u64 = 32;

/// New keys that are put in order between two groups while a checkpoint is due: about two milliseconds.
const SETTLED_BETWEEN_GROUPS: usize = 8192;

/// New keys that may be left to be put in order while the log is sealed: a millisecond.
const LEFT_TO_THE_SEAL: usize = 4096;

/// The same where the checkpoint is pressing: some milliseconds.
const LEFT_WHEN_PRESSING: usize = 1 << 15;

/// Factor of its limit that the log may grow to: with much data, whose checkpoints take long; and while more new keys come
/// between two groups than are put in order, as in a first sync, which ends sooner without a checkpoint beside it. All of it
/// is read again after a crash.
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

    /// The thread of a checkpoint has come to something.
    pub(in crate::node) fn tell(&self, shared: &Shared, outcome: Outcome) {
        *self.done.lock() = Some(outcome);
        shared.queue.wake();
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

/// From where on a checkpoint is made, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node) struct DueFrom {
    /// Length that the log is meant to have.
    pub(in crate::node) log_bytes: u64,
    /// The memory of what changed.
    pub(in crate::node) changed_bytes: u64,
}

impl DueFrom {
    /// Most bytes that the log may have.
    fn log_bytes_max(&self, sizes: &Sizes) -> u64 {
        let stretched = self.log_bytes.saturating_mul(STRETCHED);
        self.log_bytes
            .max((sizes.data_bytes / RUNNING_PART).min(stretched))
    }

    /// A checkpoint is due: the log is long enough, much of what is on disk is dead, or memory is used up.
    pub(in crate::node) fn is_due(&self, sizes: &Sizes) -> bool {
        sizes.log_bytes > self.log_bytes_max(sizes)
            || sizes.dead_bytes() > sizes.dead_bytes_max(self.log_bytes) / DEAD_DUE_PART
            || sizes.changed_bytes > self.changed_bytes
    }

    /// A checkpoint that is due may not wait for a calmer moment.
    pub(in crate::node) fn is_pressing(&self, sizes: &Sizes) -> bool {
        let dead_max = sizes.dead_bytes_max(self.log_bytes);
        let dead_due = dead_max / DEAD_DUE_PART;
        sizes.log_bytes / STRETCHED > self.log_bytes
            || sizes.dead_bytes() > dead_due + (dead_max - dead_due) / 2
            || sizes.changed_bytes > self.changed_bytes
    }
}

/// About how long a checkpoint of that many entries would be, in bytes.
pub(in crate::node) fn data_bytes(totals: &Totals) -> u64 {
    let rows = totals.live.saturating_add(totals.tombstones);
    let rows_bytes = rows.saturating_mul(ROW_BYTES);
    totals.live_bytes.saturating_add(rows_bytes)
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
    }

    const MIB: u64 = 1 << 20;
    const DUE_FROM: DueFrom = DueFrom {
        log_bytes: 64 * MIB,
        changed_bytes: 500 * MIB,
    };

    /// A store whose log holds nothing that is not live.
    fn grown(log: u64, checkpoint: u64) -> Sizes {
        Sizes {
            log_bytes: log * MIB,
            checkpoint_bytes: checkpoint * MIB,
            data_bytes: (log + checkpoint) * MIB,
            changed_bytes: log * MIB,
        }
    }

    /// A store of which that much was overwritten since the checkpoint.
    fn overwritten(log: u64, data: u64) -> Sizes {
        Sizes {
            log_bytes: log * MIB,
            checkpoint_bytes: data * MIB,
            data_bytes: data * MIB,
            changed_bytes: log * MIB,
        }
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
    fn a_log_may_grow_with_the_data_and_not_without_end() {
        assert!(!DUE_FROM.is_due(&grown(64, 0)));
        assert!(DUE_FROM.is_due(&grown(65, 0)));
        assert!(!DUE_FROM.is_due(&grown(100, 110)));
        for checkpoint in [1_000, 10_000, 1_000_000] {
            assert!(!DUE_FROM.is_due(&grown(256, checkpoint)));
            assert!(DUE_FROM.is_due(&grown(257, checkpoint)));
        }
        assert!(!DUE_FROM.is_pressing(&grown(256, 0)));
        assert!(DUE_FROM.is_pressing(&grown(257, 0)));
    }

    #[test]
    fn a_checkpoint_is_due_when_memory_is_used_up_however_short_the_log_is() {
        let sizes = Sizes {
            changed_bytes: 500 * MIB,
            ..grown(1, 0)
        };
        assert!(!DUE_FROM.is_due(&sizes));
        let sizes = Sizes {
            changed_bytes: 500 * MIB + 1,
            ..sizes
        };
        assert!(DUE_FROM.is_due(&sizes) && DUE_FROM.is_pressing(&sizes));
    }

    #[test]
    fn what_is_dead_on_disk_is_a_part_of_the_data_or_a_small_constant() {
        assert!(!DUE_FROM.is_due(&overwritten(15, 1)));
        assert!(DUE_FROM.is_due(&overwritten(16, 1)));
        assert!(!DUE_FROM.is_due(&overwritten(10, 60)));
        assert!(DUE_FROM.is_due(&overwritten(11, 60)));
        assert!(!DUE_FROM.is_pressing(&overwritten(15, 60)));
        assert!(DUE_FROM.is_pressing(&overwritten(16, 60)));
        // Removals make what the checkpoint holds dead.
        let removed = Sizes {
            log_bytes: MIB,
            checkpoint_bytes: 100 * MIB,
            data_bytes: 10 * MIB,
            changed_bytes: MIB,
        };
        assert!(DUE_FROM.is_due(&removed));
        // Who asks for a long log has it.
        let long = DueFrom {
            log_bytes: 2048 * MIB,
            ..DUE_FROM
        };
        assert!(!long.is_due(&overwritten(254, 1)));
        assert!(long.is_due(&overwritten(256, 1)));
    }

    #[test]
    fn new_data_is_due_when_the_log_is_long_and_not_before() {
        for data in 1..64 {
            assert!(!DUE_FROM.is_due(&grown(data, 0)), "{data} MiB");
            assert!(!DUE_FROM.is_due(&grown(data, 100)), "{data} MiB");
        }
    }

    #[test]
    fn a_log_that_closes_is_worth_a_checkpoint_by_the_data() {
        assert!(!is_due_at_close(CLOSING_LOG_BYTES_MIN, 0));
        assert!(is_due_at_close(CLOSING_LOG_BYTES_MIN + 1, 0));
        assert!(!is_due_at_close(
            2 * CLOSING_LOG_BYTES_MIN,
            16 * CLOSING_LOG_BYTES_MIN
        ));
    }
}
