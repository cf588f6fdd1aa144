//! The policy of inline commits: whether this disk makes small groups durable so quickly that a writer may wait for it
//! itself. Handing a group over to another thread and waiting for the answer takes some tens of microseconds.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Longest time of a quick small group, in microseconds. An event loop is not hurt by less: a turn of it often takes
/// longer. Shared disks that need 200 µs take two or three times as long for one group of a hundred.
const QUICK_US: u64 = 1_000;

/// Quick groups in a row before writers wait, at first and after a group that was not quick: short disturbances of a
/// disk are over by then.
const QUICK_IN_A_ROW: u32 = 4;

/// Shortest time of a slow small group, in microseconds: an event loop that is held for so long is noticeable.
const SLOW_US: u64 = 5_000;

/// Quick groups in a row before writers wait after a slow one. A disk that is always slow has none; one that is slow
/// now and then has them at once, and handing over that many takes less time than the slow one did.
const QUICK_AFTER_SLOW: u32 = 32;

/// A writer that writes within this time after a group, in microseconds, awaits one write after another. Any other has
/// work of its own to do while the disk works.
const AWAITED_US: u64 = 150;

/// Record of the speed of the last small groups. The committer updates it, one thread at a time; any thread reads it.
#[derive(Debug)]
pub(in crate::node) struct QuickSyncs {
    /// Number of groups that still have to be quick.
    owed: AtomicU32,
    /// Time at which the last group was over, in microseconds.
    ended_us: AtomicU64,
}

impl QuickSyncs {
    pub(in crate::node) fn new() -> Self {
        Self {
            owed: AtomicU32::new(QUICK_IN_A_ROW),
            ended_us: AtomicU64::new(0),
        }
    }

    /// Records the time that a small group took to become durable.
    pub(in crate::node) fn took(&self, took_us: u64) {
        let owed = self.owed.load(Ordering::Relaxed);
        let owed = if took_us > SLOW_US {
            QUICK_AFTER_SLOW
        } else if took_us > QUICK_US {
            owed.max(QUICK_IN_A_ROW)
        } else {
            owed.saturating_sub(1)
        };
        self.owed.store(owed, Ordering::Relaxed);
    }

    /// Leaves commits to the commit thread for a while: it has reports that must arrive before later writes are
    /// answered.
    pub(in crate::node) fn rest(&self) {
        let owed = self.owed.load(Ordering::Relaxed);
        self.owed.store(owed.max(QUICK_IN_A_ROW), Ordering::Relaxed);
    }

    /// Records that a group is over, and its callers are answered.
    pub(in crate::node) fn ended(&self, now_us: u64) {
        self.ended_us.store(now_us, Ordering::Relaxed);
    }

    /// True if a writer may wait for the disk now: the disk is quick, and the writer awaits one write after another.
    pub(in crate::node) fn are_awaited(&self, now_us: u64) -> bool {
        self.owed.load(Ordering::Relaxed) == 0
            && now_us.saturating_sub(self.ended_us.load(Ordering::Relaxed)) <= AWAITED_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_before_enough_groups_were_quick() {
        let syncs = QuickSyncs::new();
        for _ in 1..QUICK_IN_A_ROW {
            syncs.took(QUICK_US);
        }
        syncs.ended(5);
        assert!(!syncs.are_awaited(5));
        syncs.took(QUICK_US);
        assert!(syncs.are_awaited(5));
    }

    #[test]
    fn nobody_waits_for_a_while_after_a_slow_group() {
        let syncs = QuickSyncs::new();
        for _ in 0..QUICK_IN_A_ROW {
            syncs.took(0);
        }
        for (took_us, owed) in [
            (QUICK_US + 1, QUICK_IN_A_ROW),
            (SLOW_US + 1, QUICK_AFTER_SLOW),
        ] {
            assert!(syncs.are_awaited(0));
            syncs.took(took_us);
            for _ in 0..owed {
                assert!(!syncs.are_awaited(0));
                syncs.took(0);
            }
        }
        assert!(syncs.are_awaited(0));
        syncs.took(SLOW_US + 1);
        syncs.took(QUICK_US + 1);
        for _ in 0..QUICK_IN_A_ROW {
            syncs.took(0);
        }
        assert!(!syncs.are_awaited(0), "a slow one counts for longer");
    }

    #[test]
    fn nobody_waits_for_a_while_after_what_has_to_be_heard_first() {
        let syncs = QuickSyncs::new();
        for _ in 0..2 {
            for _ in 0..QUICK_IN_A_ROW {
                assert!(!syncs.are_awaited(0));
                syncs.took(0);
            }
            assert!(syncs.are_awaited(0));
            syncs.rest();
        }
    }

    #[test]
    fn nobody_waits_who_did_something_else_since() {
        let syncs = QuickSyncs::new();
        for _ in 0..QUICK_IN_A_ROW {
            syncs.took(0);
        }
        syncs.ended(1_000);
        assert!(syncs.are_awaited(1_000 + AWAITED_US));
        assert!(!syncs.are_awaited(1_001 + AWAITED_US));
    }
}
