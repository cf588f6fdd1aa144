//! Liveness and clock skew of a peer: pings, silence, and clock samples (Cristian, "Probabilistic clock
//! synchronization", 1989: half a round trip is the best guess, and the shortest round trip the best sample).

use crate::core::clock::{MonotonicMs, Now};

/// Interval at which a new sample is taken even when the connection is never silent, in milliseconds.
pub const CLOCK_SAMPLE_INTERVAL_MS: u64 = 60_000;

/// Age at which a sample gives way to any newer one, in milliseconds: clocks drift and are set.
pub const CLOCK_SAMPLE_KEPT_MS: u64 = 600_000;

/// Sample of a peer's clock skew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSample {
    /// Milliseconds that the peer's clock is ahead, negative when it is behind.
    pub ahead_ms: i64,
    /// The round trip of the sample, in milliseconds: the skew is off by at most half of it.
    pub round_trip_ms: u64,
    /// When the sample was taken.
    pub taken: MonotonicMs,
}

#[derive(Debug, Clone, Copy)]
struct SentPing {
    nonce: u64,
    at: Now,
}

/// Silence and pings of one greeted connection.
#[derive(Debug)]
pub(in crate::transport) struct Liveness {
    keepalive_ms: u64,
    idle_ms: u64,
    heard: MonotonicMs,
    pinged: Option<MonotonicMs>,
    next_nonce: u64,
    waiting: Option<SentPing>,
    best: Option<ClockSample>,
}

impl Liveness {
    /// The liveness of a peer that was heard at `heard`. Nonces count up from `first_nonce`.
    pub(in crate::transport) fn new(
        first_nonce: u64,
        keepalive_ms: u64,
        idle_ms: u64,
        heard: MonotonicMs,
    ) -> Self {
        Self {
            keepalive_ms,
            idle_ms,
            heard,
            pinged: None,
            next_nonce: first_nonce,
            waiting: None,
            best: None,
        }
    }

    pub(in crate::transport) fn on_bytes(&mut self, now: MonotonicMs) {
        self.heard = self.heard.max(now);
    }

    pub(in crate::transport) fn heard(&self) -> MonotonicMs {
        self.heard
    }

    pub(in crate::transport) fn is_idle(&self, now: MonotonicMs) -> bool {
        now >= self.heard.after(self.idle_ms)
    }

    /// When the next ping is due. The first is due at once: it gives the first sample of the clock.
    fn ping_due(&self) -> MonotonicMs {
        match self.pinged {
            None => self.heard,
            Some(pinged) => {
                let silent = self.heard.max(pinged).after(self.keepalive_ms);
                silent.min(pinged.after(CLOCK_SAMPLE_INTERVAL_MS.max(self.keepalive_ms)))
            }
        }
    }

    pub(in crate::transport) fn deadline(&self) -> MonotonicMs {
        self.ping_due().min(self.heard.after(self.idle_ms))
    }

    /// Nonce and wall clock of a ping, if one is due.
    pub(in crate::transport) fn ping(&mut self, now: Now) -> Option<(u64, u64)> {
        (now.monotonic >= self.ping_due()).then(|| self.ping_now(now))
    }

    /// Nonce and wall clock of a ping, due or not.
    pub(in crate::transport) fn ping_now(&mut self, now: Now) -> (u64, u64) {
        let nonce = self.next_nonce;
        self.next_nonce = nonce.wrapping_add(1);
        self.pinged = Some(now.monotonic);
        self.waiting = Some(SentPing { nonce, at: now });
        (nonce, now.wall.0)
    }

    /// Takes in a pong. An answer to an older ping, or to none, says nothing about the clock.
    pub(in crate::transport) fn on_pong(&mut self, nonce: u64, their_wall_ms: u64, now: Now) {
        let Some(ping) = self.waiting.take_if(|ping| ping.nonce == nonce) else {
            return;
        };
        let round_trip_ms = now.monotonic.since(ping.at.monotonic);
        let mine_at_answer = ping.at.wall.0.saturating_add(round_trip_ms / 2);
        let sample = ClockSample {
            ahead_ms: signed_difference(their_wall_ms, mine_at_answer),
            round_trip_ms,
            taken: now.monotonic,
        };
        let keep = self.best.is_some_and(|best| {
            best.round_trip_ms < round_trip_ms
                && now.monotonic.since(best.taken) < CLOCK_SAMPLE_KEPT_MS
        });
        if !keep {
            self.best = Some(sample);
        }
    }

    pub(in crate::transport) fn clock_sample(&self) -> Option<ClockSample> {
        self.best
    }
}

fn signed_difference(theirs: u64, mine: u64) -> i64 {
    i64::try_from(i128::from(theirs) - i128::from(mine)).unwrap_or(if theirs > mine {
        i64::MAX
    } else {
        i64::MIN
    })
}
