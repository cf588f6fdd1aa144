//! The hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014), bumped per key and not per node: a peer
//! with a fast clock wins only the keys that it wrote (`docs/internals/replication.md`, section 3).

use super::clock::WallMs;
use super::rules::{Rule, is_broken, unless};

/// Bits of the counter below the milliseconds.
const COUNTER_BITS: u32 = 16;

/// The first millisecond of the year 10000: no clock gives a stamp from there on. The room above is for writes over
/// the last stamps of clocks, each one more than the stamp that it replaces.
pub const STAMP_MS_END: u64 = 253_402_300_800_000;

/// The greatest stamp that a clock gives.
const CLOCK_LAST: Stamp = Stamp((STAMP_MS_END << COUNTER_BITS) - 1);

/// Credible places above [`CLOCK_LAST`] for each millisecond since 1970, as a power of two: more than any key is
/// written in that time, so that a forger of today's last place is overwritten a moment later; and few enough that
/// even the last day of a clock leaves 2^59 places for writes of this node.
const PLACES_BITS_PER_MS: u32 = 12;

/// The beginning of 2025: a clock that shows less is wrong, and no stamp is refused because of it.
const PLACES_SINCE_MS: u64 = 1_735_689_600_000;

/// A stamp: 48 bits of milliseconds since 1970 above 16 bits of counter.
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

    /// True if the stamp may come from a clock, or from writes over the last stamps of clocks by the time `now`. The
    /// limit grows with time, and is the same on all nodes whose clocks agree: no key can be taken for good.
    pub fn is_credible(self, now: WallMs) -> bool {
        let places = self.0.saturating_sub(CLOCK_LAST.0);
        let since_ms = now.0.clamp(PLACES_SINCE_MS, STAMP_MS_END - 1);
        places <= since_ms << PLACES_BITS_PER_MS || is_broken(Rule::StampUnbounded)
    }

    /// The stamp of these milliseconds and this counter; `None` if the milliseconds do not fit.
    pub fn from_parts(wall_ms: u64, counter: u16) -> Option<Self> {
        let is_in_reach = wall_ms >> (u64::BITS - COUNTER_BITS) == 0;
        let stamp = Self(wall_ms << COUNTER_BITS | u64::from(counter));
        is_in_reach.then_some(stamp)
    }

    /// The next stamp.
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
    /// A clock that goes on after `high_water`, the greatest stamp it ever gave.
    pub fn resume(high_water: Stamp) -> Self {
        Self { last: high_water }
    }

    /// The greatest stamp that the node's own clock gave, apart from bumps for a key.
    pub fn high_water(self) -> Stamp {
        self.last
    }

    /// The stamp of a write: the greater of the clock's next stamp and the one after the replaced entry's. The clock
    /// itself does not follow the entry.
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
    fn over_the_last_stamp_of_a_clock_a_key_is_written_on_and_on() {
        let now = WallMs(1_790_000_000_000);
        let mut clock = HybridClock::default();
        let mut held = CLOCK_LAST;
        for _ in 0..100_000 {
            let next = clock.stamp(now, Some(held));
            assert!(next > held && next.is_credible(now));
            held = next;
        }
    }

    #[test]
    fn the_last_stamp_that_is_believed_is_overwritten_a_millisecond_later() {
        for now in [0, 1_790_000_000_000, STAMP_MS_END, u64::MAX] {
            let places = now.clamp(PLACES_SINCE_MS, STAMP_MS_END - 1) << PLACES_BITS_PER_MS;
            let last = Stamp(CLOCK_LAST.0 + places);
            assert!(last.is_credible(WallMs(now)));
            assert!(!last.next().is_credible(WallMs(now)));
            let written = HybridClock::default().stamp(WallMs(now), Some(last));
            assert_eq!(written, last.next());
            assert!(u64::MAX - written.0 > 1 << 59);
            let later = WallMs(now.saturating_add(1));
            let is_believed = written.is_credible(later);
            assert!(is_believed || !(PLACES_SINCE_MS..STAMP_MS_END - 1).contains(&now));
        }
    }

    #[test]
    fn a_clock_beyond_the_year_9999_gives_stamps_that_everybody_believes() {
        let mut clock = HybridClock::default();
        for _ in 0..70_000 {
            let stamp = clock.stamp(WallMs(STAMP_MS_END + 5), None);
            assert!(stamp.is_credible(WallMs(0)));
        }
    }

    #[test]
    fn a_wall_clock_that_goes_back_does_not_take_stamps_back() {
        let mut clock = HybridClock::default();
        let first = clock.stamp(WallMs(5_000), None);
        assert!(clock.stamp(WallMs(1), None) > first);
    }
}
