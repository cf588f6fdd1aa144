//! How many rows of the feed are looked at for peers without being sent: those outside of what a peer takes, and those that
//! it has. A small message may ask for a look at all of them, so they are looked at in pieces, between which others have
//! their turn, and the links take turns too. Pure.

use crate::core::clock::MonotonicMs;
use crate::core::token_bucket::TokenBucket;

/// Rows that are passed over in one turn of all links: some hundred microseconds, for which a commit may have to wait.
const ROWS_AT_ONCE: u32 = 4_096;

/// Rows that are passed over in a millisecond, over all links: under half of one processor, and more than peers send.
const ROWS_PER_MS: u32 = 4_000;

/// Rows that a link may pass over in its turn even if others have used up all: entries that are to be sent lie among
/// them.
const ROWS_OF_A_LINK_MIN: u64 = 64;

/// What it takes to put an entry on the list of what a peer does not take, in rows that are passed over: it is looked up
/// more than once, and others on the list move.
const ROWS_OF_A_LISTED_ENTRY: u64 = 64;

/// How long it takes until more may be looked at, in milliseconds.
const PAUSE_MS: u64 = 1;

/// Rows that may be looked at.
#[derive(Debug)]
pub(in crate::sync) struct Looking {
    bucket: TokenBucket,
    due: Option<MonotonicMs>,
    turn: usize,
}

impl Default for Looking {
    fn default() -> Self {
        Self {
            bucket: TokenBucket::full(ROWS_AT_ONCE, MonotonicMs(0)),
            due: None,
            turn: 0,
        }
    }
}

impl Looking {
    /// All links have their turn now. Says with the how-manieth of so many it begins: those that came too short go first
    /// some time.
    pub(in crate::sync) fn begin(&mut self, links: usize, now: MonotonicMs) -> usize {
        self.bucket.fill(ROWS_PER_MS, now);
        self.due.take_if(|due| *due <= now);
        self.turn.checked_rem(links).unwrap_or(0)
    }

    /// Rows that a link may pass over now.
    pub(in crate::sync) fn allowance(&self) -> u64 {
        self.bucket.available().max(ROWS_OF_A_LINK_MIN)
    }

    /// A link has passed over so many rows. `is_cut` says that it would have looked at more.
    pub(in crate::sync) fn passed(&mut self, rows: u64, is_cut: bool, now: MonotonicMs) {
        self.bucket.spend(rows);
        if is_cut {
            self.turn = self.turn.wrapping_add(1);
            self.due = Some(now.after(PAUSE_MS));
        }
    }

    /// So many entries were listed for a link, among which there are none to be sent: more is due soon.
    pub(in crate::sync) fn listed(&mut self, entries: usize, now: MonotonicMs) {
        let rows = (entries as u64).saturating_mul(ROWS_OF_A_LISTED_ENTRY);
        self.passed(rows, true, now);
    }

    /// Whether all that may be looked at now was.
    pub(in crate::sync) fn is_used_up(&self) -> bool {
        self.bucket.available() == 0
    }

    /// When more is to be looked at, if something was left.
    pub(in crate::sync) fn due(&self) -> Option<MonotonicMs> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_passed_over_in_pieces_and_what_is_left_is_due_soon() {
        let mut looking = Looking::default();
        let (mut now, mut rows, mut pieces) = (MonotonicMs(1), 0, 0);
        while rows < 1_000_000 {
            looking.begin(1, now);
            let piece = looking.allowance();
            assert!(piece <= u64::from(ROWS_AT_ONCE));
            looking.passed(piece, true, now);
            (rows, pieces) = (rows + piece, pieces + 1);
            let due = looking.due().unwrap();
            assert!(due > now, "others have their turn");
            now = due;
        }
        assert!(pieces >= 200);
        assert!(
            now.0 < 2 * 1_000_000 / u64::from(ROWS_PER_MS),
            "it goes on at its rate"
        );
    }

    #[test]
    fn links_come_first_by_turns_while_there_is_not_enough_for_all() {
        let mut looking = Looking::default();
        let mut first = Vec::new();
        for now in 1..=6 {
            first.push(looking.begin(3, MonotonicMs(now)));
            looking.passed(looking.allowance(), true, MonotonicMs(now));
        }
        assert_eq!(first, [0, 1, 2, 0, 1, 2]);
    }
}
