//! Decides when a checkpoint is due, when it is pressing, and how much is put in order before it. Pure.

use crate::node::commit::intake::Sizes;
use crate::store::state::totals::Totals;

/// Log length below which a closing node makes no checkpoint, in bytes: reading the log takes some milliseconds.
const CLOSING_LOG_BYTES_MIN: u64 = 1 << 20;

/// Divisor of the live data for the log length at which a closing node makes a checkpoint: at most that much more than
/// the data is on disk.
const CLOSING_PART: u64 = 8;

/// Most bytes of live data and log together at which a closing node begins a checkpoint by itself: about a tenth of a
/// second of work. A closing node has been told to end, and may be killed after some seconds.
const CLOSING_WORK_BYTES_MAX: u64 = 16 << 20;

/// Time after which a closing node gives up a checkpoint or a backup, in milliseconds. With the wait for peers and the
/// syncs of the log, it ends within a second. The log keeps everything.
const CLOSING_WORK_MS: u64 = 400;

/// Divisor of the live data for the log length at which a running node makes a checkpoint: a checkpoint writes all live
/// data once.
const RUNNING_PART: u64 = 2;

/// Divisor of the limit on dead bytes on disk for the amount at which a checkpoint is due. The rest of the limit is for
/// bytes that become dead while the checkpoint is written.
const DEAD_DUE_PART: u64 = 2;

/// Approximate bytes of a row on disk besides its key and value, in the log and in a checkpoint.
const ROW_BYTES: u64 = 32;

/// New keys that are sorted in between two groups while a checkpoint is due: about two milliseconds.
const SETTLED_BETWEEN_GROUPS: usize = 8192;

/// Most unsorted new keys that are sorted in during a seal: a millisecond.
const LEFT_TO_THE_SEAL: usize = 4096;

/// Most unsorted new keys that are sorted in during a seal if the checkpoint is pressing: some milliseconds.
const LEFT_WHEN_PRESSING: usize = 1 << 15;

/// Factor of its limit up to which the log may grow: with much data, whose checkpoints take long; and while more new
/// keys come between two groups than are sorted in, as in a first sync, which ends sooner without a checkpoint beside
/// it. All of the log is read again after a crash.
const STRETCHED: u64 = 4;

/// Thresholds from which on a checkpoint is due, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node) struct DueFrom {
    /// Intended length of the log.
    pub(in crate::node) log_bytes: u64,
    /// Memory of the changes since the checkpoint.
    pub(in crate::node) changed_bytes: u64,
}

impl DueFrom {
    /// Most bytes of the log before a checkpoint is due.
    fn log_bytes_max(&self, sizes: &Sizes) -> u64 {
        let stretched = self.log_bytes.saturating_mul(STRETCHED);
        self.log_bytes
            .max((sizes.data_bytes / RUNNING_PART).min(stretched))
    }

    /// True if a checkpoint is due: the log is long enough, much of the disk is dead bytes, or memory is used up.
    pub(in crate::node) fn is_due(&self, sizes: &Sizes) -> bool {
        sizes.log_bytes > self.log_bytes_max(sizes)
            || sizes.dead_bytes() > sizes.dead_bytes_max(self.log_bytes) / DEAD_DUE_PART
            || sizes.changed_bytes > self.changed_bytes
    }

    /// True if a due checkpoint must not wait for a calmer moment.
    pub(in crate::node) fn is_pressing(&self, sizes: &Sizes) -> bool {
        let dead_max = sizes.dead_bytes_max(self.log_bytes);
        let dead_due = dead_max / DEAD_DUE_PART;
        sizes.log_bytes / STRETCHED > self.log_bytes
            || sizes.dead_bytes() > dead_due + (dead_max - dead_due) / 2
            || sizes.changed_bytes > self.changed_bytes
    }
}

/// Approximate length of a checkpoint of these entries, in bytes.
pub(in crate::node) fn data_bytes(totals: &Totals) -> u64 {
    let rows = totals.live.saturating_add(totals.tombstones);
    let rows_bytes = rows.saturating_mul(ROW_BYTES);
    totals.live_bytes.saturating_add(rows_bytes)
}

/// Number of new keys to leave unsorted before the next group, of `unsorted`, where `left` were left before the last. A
/// pressing checkpoint begins after some groups, however many keys come with each.
pub(in crate::node) fn sorted_to(unsorted: usize, left: usize, is_pressing: bool) -> usize {
    let some = unsorted.saturating_sub(SETTLED_BETWEEN_GROUPS);
    if is_pressing {
        some.min(left / 4 * 3)
    } else {
        some
    }
}

/// True if the unsorted new keys are few enough to be sorted in during the seal.
pub(in crate::node) fn may_seal(unsorted: usize, is_pressing: bool) -> bool {
    let left = if is_pressing {
        LEFT_WHEN_PRESSING
    } else {
        LEFT_TO_THE_SEAL
    };
    unsorted <= left
}

/// True if a closing node's log is long enough for a checkpoint.
pub(in crate::node) fn is_due_at_close(log_bytes: u64, live_bytes: u64) -> bool {
    log_bytes > CLOSING_LOG_BYTES_MIN.max(live_bytes / CLOSING_PART)
}

/// True if a closing node begins a checkpoint. A larger one is left to the next opening, or to an explicit request.
pub(in crate::node) fn begins_at_close(log_bytes: u64, live_bytes: u64) -> bool {
    is_due_at_close(log_bytes, live_bytes)
        && log_bytes.saturating_add(live_bytes) <= CLOSING_WORK_BYTES_MAX
}

/// True if a node that has been closing for that long gives up the checkpoint or the backup under way.
pub(in crate::node) fn is_given_up(closing_ms: u64) -> bool {
    closing_ms >= CLOSING_WORK_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number of groups until a checkpoint begins while that many new keys come with each; `None` if it never does.
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

    /// Sizes of a store whose log holds only live data.
    fn grown(log: u64, checkpoint: u64) -> Sizes {
        Sizes {
            log_bytes: log * MIB,
            checkpoint_bytes: checkpoint * MIB,
            data_bytes: (log + checkpoint) * MIB,
            live_bytes: (log + checkpoint) * MIB,
            changed_bytes: log * MIB,
        }
    }

    /// Sizes of a store of which that much was overwritten since the checkpoint.
    fn overwritten(log: u64, data: u64) -> Sizes {
        Sizes {
            log_bytes: log * MIB,
            checkpoint_bytes: data * MIB,
            data_bytes: data * MIB,
            live_bytes: data * MIB,
            changed_bytes: log * MIB,
        }
    }

    #[test]
    fn a_closing_node_begins_only_what_is_soon_done_and_gives_up_what_is_not() {
        let (log, most) = (CLOSING_LOG_BYTES_MIN + 1, CLOSING_WORK_BYTES_MAX);
        assert!(begins_at_close(log, 0));
        assert!(!begins_at_close(CLOSING_LOG_BYTES_MIN, 0), "not worth it");
        // A large gain changes nothing.
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
        assert!(!DUE_FROM.is_due(&overwritten(12, 60)));
        assert!(DUE_FROM.is_due(&overwritten(13, 60)));
        assert!(!DUE_FROM.is_pressing(&overwritten(18, 60)));
        assert!(DUE_FROM.is_pressing(&overwritten(19, 60)));
        // Removals make data in the checkpoint dead.
        let removed = Sizes {
            log_bytes: MIB,
            checkpoint_bytes: 100 * MIB,
            data_bytes: 10 * MIB,
            live_bytes: 10 * MIB,
            changed_bytes: MIB,
        };
        assert!(DUE_FROM.is_due(&removed));
        // A long log that was asked for is allowed.
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
