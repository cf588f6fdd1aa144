//! Rate limit on reconciliations that a peer opens: a token bucket. Each opening discards the one under way, and its
//! answer may scan the whole state, for some thirty bytes. Pure.

use crate::core::clock::MonotonicMs;
use crate::core::token_bucket::TokenBucket;

/// Reconciliations that a peer may open at once on one connection: it opens one when it connects, and again when an
/// attempt came to nothing, after a delay that doubles.
const OPENINGS_AT_ONCE: u32 = 8;

/// Sustained interval at which a peer may open one, in milliseconds: no honest peer does so for longer than a few
/// attempts.
const OPENING_EVERY_MS: u32 = 1_000;

/// Rate limit of the peer of one connection.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::sync) struct Openings {
    bucket: Option<TokenBucket>,
}

impl Openings {
    /// Counts an opening at `now`. Fails if the peer opens them more often than any honest one: its connection should
    /// end, because the messages it has sent already would keep this node busy even when it is long gone.
    pub(in crate::sync) fn count(&mut self, now: MonotonicMs) -> Result<(), &'static str> {
        let full = || TokenBucket::full(OPENINGS_AT_ONCE * OPENING_EVERY_MS, now);
        let bucket = self.bucket.get_or_insert_with(full);
        bucket.fill(1, now);
        if bucket.available() < u64::from(OPENING_EVERY_MS) {
            return Err("reconciliations that are opened again and again");
        }
        bucket.spend(u64::from(OPENING_EVERY_MS));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_opens_reconciliations_without_a_pause_is_stopped() {
        let mut openings = Openings::default();
        let opened = (0..100).filter(|at| openings.count(MonotonicMs(*at)).is_ok());
        assert_eq!(opened.count(), 8);
    }

    #[test]
    fn a_peer_whose_attempts_come_to_nothing_may_try_for_ever() {
        let mut openings = Openings::default();
        for attempt in 0..10_000 {
            assert_eq!(openings.count(MonotonicMs(attempt * 1_000)), Ok(()));
        }
    }
}
