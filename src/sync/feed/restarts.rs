//! Limits how often a peer may have the feed from its start, which eight bytes ask for: an exponential backoff. Pure.

use crate::core::clock::{MonotonicMs, Now};
use crate::sync::message::Positions;
use crate::sync::options::REPAIR_DELAY_MS;
use crate::sync::peer::link::Link;
use crate::sync::replica::Replica;

/// Backoff of one peer's requests for the feed from its start.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::sync) struct Restarts {
    begins_at: MonotonicMs,
    delay_ms: u64,
}

/// Delay between the first and the second sending of the whole feed to a peer, in milliseconds; doubles up to
/// [`RESTART_DELAY_MS_MAX`].
const RESTART_DELAY_MS: u64 = 1_000;

/// The longest such delay: a peer that asks because states differ does so no more often than that.
const RESTART_DELAY_MS_MAX: u64 = REPAIR_DELAY_MS;

impl Restarts {
    /// Takes in a request for the feed from its start, and returns when it begins. Asking again before then changes
    /// nothing.
    pub(in crate::sync) fn asked(&mut self, now: MonotonicMs) -> MonotonicMs {
        if now >= self.begins_at {
            self.begins_at = now.max(self.begins_at.after(self.delay_ms));
            self.delay_ms = (2 * self.delay_ms).clamp(RESTART_DELAY_MS, RESTART_DELAY_MS_MAX);
        }
        self.begins_at
    }
}

impl Replica {
    /// Starts the feed from its beginning for a peer that asked for it, after the delay of [`Restarts`].
    pub(in crate::sync) fn begin_anew(&mut self, link: &mut Link, now: Now) {
        link.take_back(Positions::default());
        self.unsent(link.origin);
        let sending = &mut link.sending;
        let begins_at = sending.restarts.asked(now.monotonic);
        if begins_at > now.monotonic {
            sending.paused_until = sending.paused_until.max(begins_at);
        }
        sending.begun = Positions::default();
        sending.reported_once = sending.reported_once.furthest(sending.reported_before);
        sending.reported_before = Positions::default();
        link.sending.peer_has.clear();
        link.sending.lineage_reported = 0;
        link.sending.skip_echo = false;
        link.sending.held_ahead.clear();
        link.sending.parts.clear();
        self.record_acknowledged(link, now.monotonic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_the_whole_feed_all_the_time_waits_longer_and_longer() {
        let mut restarts = Restarts::default();
        let mut begun = std::collections::BTreeSet::new();
        for now in 1..600_000 {
            begun.insert(restarts.asked(MonotonicMs(now)));
        }
        let begun: Vec<u64> = begun.into_iter().map(|at| at.0).collect();
        assert_eq!(begun[0], 1, "the first time at once");
        let waits: Vec<u64> = begun.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(waits[..4], [1_000, 2_000, 4_000, 8_000]);
        assert_eq!(waits.last(), Some(&RESTART_DELAY_MS_MAX));
    }

    #[test]
    fn who_repairs_as_often_as_the_protocol_does_never_waits() {
        let mut restarts = Restarts::default();
        for repair in 0..100 {
            let now = MonotonicMs(1 + repair * REPAIR_DELAY_MS);
            assert_eq!(restarts.asked(now), now);
        }
    }
}
