//! Whether this disk makes small groups durable so quickly that who writes may as well wait for it himself: handing
//! a group over to another thread and hearing of it takes some tens of microseconds.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A small group that took longer than that, in microseconds, was not quick. An event loop does not feel less: a turn
/// of it often takes longer. Shared disks that need 200 µs take twice or three times as long for one group of a hundred.
const QUICK_US: u64 = 1_000;

/// Quick groups in a row before anybody waits for one, at the beginning and after one that was not: what keeps a disk
/// busy for a moment is over by then.
const QUICK_IN_A_ROW: u32 = 4;

/// A small group that took longer than that, in microseconds, was slow: an event loop that is held for so long is felt.
const SLOW_US: u64 = 5_000;

/// Quick groups before anybody waits for one after one that was slow. A disk that is always slow has none; one that is
/// slow now and then has them again at once, and to hand over each of so many takes less than that one did.
const QUICK_AFTER_SLOW: u32 = 32;

/// Who writes that soon after a group, in microseconds, awaits one write after another. Who does not has other things
/// to do while the disk works.
const AWAITED_US: u64 = 150;

/// How quick the last small groups were. Counted by whoever commits, one at a time; read by anybody.
#[derive(Debug)]
pub(in crate::node) struct QuickSyncs {
    /// Groups that have to be quick yet.
    owed: AtomicU32,
    /// When the last group was over.
    ended_us: AtomicU64,
}

impl QuickSyncs {
    pub(in crate::node) fn new() -> Self {
        Self {
            owed: AtomicU32::new(QUICK_IN_A_ROW),
            ended_us: AtomicU64::new(0),
        }
    }

    /// A small group was made durable, which took that long.
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

    /// The thread tells something that has to be heard before what is written next: for a while it commits.
    pub(in crate::node) fn rest(&self) {
        let owed = self.owed.load(Ordering::Relaxed);
        self.owed.store(owed.max(QUICK_IN_A_ROW), Ordering::Relaxed);
    }

    /// A group is over, and told.
    pub(in crate::node) fn ended(&self, now_us: u64) {
        self.ended_us.store(now_us, Ordering::Relaxed);
    }

    /// Whether who writes now may wait for the disk: it is quick, and he awaits one write after another.
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
