//! Clocks: the only place that asks the operating system for the time. Drivers also sleep, and set timers on tokio's
//! clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds on a clock that never goes back, from an arbitrary start. For elapsed time, timers and deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MonotonicMs(pub u64);

impl MonotonicMs {
    /// The moment `ms` milliseconds later.
    pub fn after(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`, 0 if that lies ahead.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Milliseconds since 1970 on the wall clock, which may jump. For stamps and times shown to users only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WallMs(pub u64);

/// Both clocks at one moment, as drivers hand them to pure code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// The monotonic clock, for elapsed time.
    pub monotonic: MonotonicMs,
    /// The wall clock, for stamps.
    pub wall: WallMs,
}

/// The clocks of this machine.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic side starts now, at one millisecond: zero means "never".
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that asks for the time"
    )]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Both clocks now.
    pub fn now(&self) -> Now {
        Now {
            monotonic: self.monotonic(),
            wall: self.wall(),
        }
    }

    /// Elapsed time since this clock was made, in whole milliseconds, from 1.
    pub fn monotonic(&self) -> MonotonicMs {
        MonotonicMs(whole_ms(self.start.elapsed()).saturating_add(1))
    }

    /// Elapsed time since this clock was made, in whole microseconds: for waits too short for milliseconds.
    pub fn elapsed_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The wall clock; a clock set before 1970 reads as 0.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that asks for the time"
    )]
    pub fn wall(&self) -> WallMs {
        WallMs(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, whole_ms),
        )
    }

    /// The instant at which the monotonic side shows `at`, for timers of the operating system.
    pub fn instant_of(&self, at: MonotonicMs) -> Instant {
        self.start + Duration::from_millis(at.0.saturating_sub(1))
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
