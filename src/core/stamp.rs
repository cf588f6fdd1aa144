//! The hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014), bumped per key and not per
//! node: a peer that is dated ahead wins only the keys that it wrote (PROTOCOL section 3).

use super::clock::WallMs;
use super::rules::{Rule, is_broken, unless};

/// Bits of the counter below the milliseconds.
const COUNTER_BITS: u32 = 16;

/// The first millisecond of the year 10000. A stamp from there on is malformed: no clock means it, and
/// leaving it in would leave nothing above it to overwrite it with.
pub const STAMP_MS_END: u64 = 253_402_300_800_000;

/// 48 bits of milliseconds since 1970 above 16 bits of counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp(pub u64);

impl Stamp {
    /// The first stamp of a millisecond.
    pub fn at(wall: WallMs) -> Self {
        Self(wall.0.min(STAMP_MS_END - 1) << COUNTER_BITS)
    }

    /// The milliseconds since 1970.
    pub fn wall(self) -> WallMs {
        WallMs(self.0 >> COUNTER_BITS)
    }

    /// Whether any clock may have given it.
    pub fn is_well_formed(self) -> bool {
        self.wall().0 < STAMP_MS_END || is_broken(Rule::StampUnbounded)
    }

    /// The stamp of that many milliseconds and that counter; `None` if no clock may have given it.
    pub fn from_parts(wall_ms: u64, counter: u16) -> Option<Self> {
        let is_in_reach = wall_ms >> (u64::BITS - COUNTER_BITS) == 0;
        let stamp = Self(wall_ms << COUNTER_BITS | u64::from(counter));
        (is_in_reach && stamp.is_well_formed()).then_some(stamp)
    }

    /// The next one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Gives the stamps of a node's own writes. Its state is one number, so that it can be persisted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HybridClock {
    last: Stamp,
}

impl HybridClock {
    /// A clock that goes on behind `high_water`, the greatest stamp it ever gave.
    pub fn resume(high_water: Stamp) -> Self {
        Self { last: high_water }
    }

    /// The greatest stamp the node's own clock gave, apart from bumps for a key.
    pub fn high_water(self) -> Stamp {
        self.last
    }

    /// The stamp of a write: the greater of the clock's next and the replaced entry's next. The clock itself
    /// does not follow the entry.
    pub fn stamp(&mut self, wall: WallMs, replaced: Option<Stamp>) -> Stamp {
        self.last = Stamp::at(wall).max(self.last.next());
        let given = replaced.map_or(self.last, |stamp| self.last.max(stamp.next()));
        self.last = unless(Rule::ClockDragged, self.last, given);
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_from_the_future_bumps_itself_and_not_the_clock() {
        let mut clock = HybridClock::default();
        let future = Stamp::at(WallMs(9_000_000));
        assert_eq!(clock.stamp(WallMs(1_000), Some(future)), future.next());
        assert_eq!(
            clock.stamp(WallMs(1_000), None),
            Stamp::at(WallMs(1_000)).next()
        );
    }

    #[test]
    fn a_wall_clock_that_goes_back_does_not_take_stamps_back() {
        let mut clock = HybridClock::default();
        let first = clock.stamp(WallMs(5_000), None);
        assert!(clock.stamp(WallMs(1), None) > first);
    }
}
