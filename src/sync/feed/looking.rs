//! Limits how many feed rows are passed over for peers without being sent, because they are out of scope or the peer
//! has them: a token bucket over all links. A small message may ask for a scan of all rows, so rows are scanned in
//! pieces, between which other work has its turn, and the links take turns too. Pure.

use crate::core::clock::MonotonicMs;
use crate::core::token_bucket::TokenBucket;

/// Rows that are passed over in one turn of all links: some hundred microseconds, for which a commit may have to wait.
const ROWS_AT_ONCE: u32 = 4_096;

/// Rows that are passed over in a millisecond, over all links: under half of one processor, and more than peers send.
const ROWS_PER_MS: u32 = 4_000;

/// Rows that a link may pass over in its turn even if other links have emptied the bucket: entries that are to be sent
/// lie among them.
const ROWS_OF_A_LINK_MIN: u64 = 64;

/// Cost of one entry added to the list of entries that a peer does not take, in passed-over rows: the entry is looked
/// up more than once, and other entries on the list move.
const ROWS_OF_A_LISTED_ENTRY: u64 = 64;

/// Delay until more rows may be passed over, in milliseconds.
const PAUSE_MS: u64 = 1;

/// The budget of rows that may be passed over, shared by all links.
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
    /// Begins a turn of all links. Returns the index of the link that goes first, among `links`: each link whose turn
    /// was cut short goes first some time.
    pub(in crate::sync) fn begin(&mut self, links: usize, now: MonotonicMs) -> usize {
        self.bucket.fill(ROWS_PER_MS, now);
        self.due.take_if(|due| *due <= now);
        self.turn.checked_rem(links).unwrap_or(0)
    }

    /// Rows that a link may pass over now, at least [`ROWS_OF_A_LINK_MIN`].
    pub(in crate::sync) fn allowance(&self) -> u64 {
        self.bucket.available().max(ROWS_OF_A_LINK_MIN)
    }

    /// Charges rows that a link has passed over. `is_cut`: the link has more to look at, so the next turn is due soon.
    pub(in crate::sync) fn passed(&mut self, rows: u64, is_cut: bool, now: MonotonicMs) {
        self.bucket.spend(rows);
        if is_cut {
            self.turn = self.turn.wrapping_add(1);
            self.due = Some(now.after(PAUSE_MS));
        }
    }

    /// Charges entries that were listed for a link. None of them was to be sent, so the next turn is due soon.
    pub(in crate::sync) fn listed(&mut self, entries: usize, now: MonotonicMs) {
        let rows = (entries as u64).saturating_mul(ROWS_OF_A_LISTED_ENTRY);
        self.passed(rows, true, now);
    }

    /// True if no budget is left now.
    pub(in crate::sync) fn is_used_up(&self) -> bool {
        self.bucket.available() == 0
    }

    /// When more rows are to be looked at; `None` if no link was cut short.
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
