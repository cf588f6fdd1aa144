//! The slowest pace at which a frame may come.

use crate::core::clock::MonotonicMs;

/// Slowest pace within a frame, in bytes a second: a slower peer holds memory and a slot for nothing.
pub const FRAME_BYTES_PER_SECOND_MIN: u64 = 1024;

/// Time that every frame has in addition, in milliseconds: networks pause.
pub const FRAME_GRACE_MS: u64 = 5_000;

/// Pace that frames must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Slowest pace, at least 1, see [`FRAME_BYTES_PER_SECOND_MIN`].
    pub bytes_per_second_min: u64,
    /// Additional time, see [`FRAME_GRACE_MS`].
    pub grace_ms: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            bytes_per_second_min: FRAME_BYTES_PER_SECOND_MIN,
            grace_ms: FRAME_GRACE_MS,
        }
    }
}

impl Pace {
    /// When more bytes must have come of a frame that began at `began` and has `received` bytes so far.
    pub fn deadline(self, began: MonotonicMs, received: usize) -> MonotonicMs {
        let earned_ms = (received as u64).saturating_mul(1000) / self.bytes_per_second_min.max(1);
        began.after(self.grace_ms).after(earned_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_a_second_is_too_slow_and_two_kilobytes_are_not() {
        let survives = |bytes_per_second: usize| {
            (1..600_usize).all(|second| {
                let deadline = Pace::default().deadline(MonotonicMs(0), second * bytes_per_second);
                deadline > MonotonicMs((second as u64 + 1) * 1000)
            })
        };
        assert!(!survives(1));
        assert!(!survives(1000));
        assert!(survives(2048));
    }
}
