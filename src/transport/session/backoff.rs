//! Exponential backoff for calling a peer again that was connected once.

use crate::core::checksum::{hash128, hash128_pair};

/// The first delay, in milliseconds, before jitter.
pub const RECONNECT_MS_MIN: u64 = 250;

/// Longest delay, in milliseconds, before jitter.
pub const RECONNECT_MS_MAX: u64 = 30_000;

/// Delays between attempts to reach one peer: doubling, each shortened by up to a half. The jitter is a hash of
/// caller, peer and number of failures, so that many nodes do not call one at the same moment, and a run has the same
/// delays each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    seed: u128,
    attempt: u32,
}

impl Backoff {
    /// The delays by which `node_id` calls `peer` (a node id or an address).
    pub fn new(node_id: &str, peer: &str) -> Self {
        let length = (node_id.len() as u64).to_le_bytes();
        Self {
            seed: hash128(&[&length, node_id.as_bytes(), peer.as_bytes()].concat()),
            attempt: 0,
        }
    }

    /// Counts a failed attempt or a lost connection. Returns the delay until the next attempt, in milliseconds.
    pub fn failed(&mut self) -> u64 {
        let factor = 1_u64.checked_shl(self.attempt).unwrap_or(u64::MAX);
        let longest = RECONNECT_MS_MIN
            .saturating_mul(factor)
            .min(RECONNECT_MS_MAX);
        let hash = hash128_pair(&self.seed.to_le_bytes(), &self.attempt.to_le_bytes());
        self.attempt = self.attempt.saturating_add(1);
        let half = longest / 2;
        let jitter = u64::try_from(hash % (u128::from(half) + 1)).unwrap_or(half);
        longest - jitter
    }

    /// Resets the delays: the peer was reached.
    pub fn reached(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_to_the_limit_and_repeat_exactly() {
        let mut backoff = Backoff::new("a", "b");
        let first: Vec<u64> = (0..80).map(|_| backoff.failed()).collect();
        for (attempt, delay) in first.iter().enumerate() {
            let longest = RECONNECT_MS_MIN
                .saturating_mul(1 << attempt.min(20))
                .min(RECONNECT_MS_MAX);
            assert!(
                (longest / 2..=longest).contains(delay),
                "{attempt}: {delay}"
            );
        }
        backoff.reached();
        let again: Vec<u64> = (0..80).map(|_| backoff.failed()).collect();
        assert_eq!(first, again);
    }

    #[test]
    fn two_callers_of_one_peer_do_not_keep_step() {
        let delays = |node: &str| {
            let mut backoff = Backoff::new(node, "hub");
            (0..8).map(|_| backoff.failed()).collect::<Vec<_>>()
        };
        assert_ne!(delays("a"), delays("b"));
    }
}
