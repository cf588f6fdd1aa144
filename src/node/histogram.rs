//! Histogram of sizes with percentiles, in constant memory. Logarithmic buckets with linear parts (as in HdrHistogram).

use std::sync::atomic::{AtomicU64, Ordering};

/// Equal parts of each doubling. A percentile is the middle of its part, so it is off by at most a sixteenth of itself;
/// numbers below this are exact.
const PARTS: usize = 8;

/// Bits of a number that give its part within a doubling.
const PART_BITS: u32 = PARTS.ilog2();

/// One place for each number below [`PARTS`], and [`PARTS`] for each doubling from there to 2^64.
const PLACES: usize = PARTS + (u64::BITS - PART_BITS) as usize * PARTS;

/// Counts of numbers. One thread records, any thread may read; a reader may see a number counted a moment late.
#[derive(Debug)]
pub struct Histogram {
    counts: Box<[AtomicU64; PLACES]>,
    greatest: AtomicU64,
}

/// Percentiles of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Percentiles {
    /// Count of recorded numbers.
    pub count: u64,
    /// The median: half of the numbers are at most this, within a sixteenth.
    pub p50: u64,
    /// The 99th percentile: all but one in a hundred are at most this, within a sixteenth.
    pub p99: u64,
    /// The greatest number, exactly.
    pub max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: Box::new([const { AtomicU64::new(0) }; PLACES]),
            greatest: AtomicU64::new(0),
        }
    }
}

impl Histogram {
    /// Counts a number, in a few nanoseconds, without a lock or an allocation. For one thread.
    pub fn record(&self, number: u64) {
        if let Some(count) = self.counts.get(place_of(number)) {
            // No other thread writes, so this need not be atomic.
            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        if number > self.greatest.load(Ordering::Relaxed) {
            self.greatest.store(number, Ordering::Relaxed);
        }
    }

    /// Percentiles of the numbers recorded so far.
    pub fn percentiles(&self) -> Percentiles {
        let counts: Vec<u64> = self
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        let count = counts.iter().sum();
        let max = self.greatest.load(Ordering::Relaxed);
        Percentiles {
            count,
            p50: percentile(&counts, count, 50).min(max),
            p99: percentile(&counts, count, 99).min(max),
            max,
        }
    }
}

/// The middle of the place that holds the percentile.
fn percentile(counts: &[u64], count: u64, percent: u64) -> u64 {
    // The smallest count that is at least that share of all numbers.
    let wanted = (u128::from(count) * u128::from(percent)).div_ceil(100);
    let mut sum = 0_u128;
    for (place, count) in counts.iter().enumerate() {
        sum += u128::from(*count);
        if sum >= wanted && sum > 0 {
            return middle_of(place);
        }
    }
    0
}

fn place_of(number: u64) -> usize {
    let Some(doubling) = number.checked_ilog2().filter(|bits| *bits >= PART_BITS) else {
        return usize::try_from(number).unwrap_or(0);
    };
    let part = number >> (doubling - PART_BITS) & (PARTS as u64 - 1);
    let doublings = (doubling - PART_BITS) as usize;
    PARTS + doublings * PARTS + usize::try_from(part).unwrap_or(0)
}

fn middle_of(place: usize) -> u64 {
    let Some(behind) = place.checked_sub(PARTS) else {
        return place as u64;
    };
    let (doublings, part) = (behind / PARTS, behind % PARTS);
    let lowest = ((PARTS + part) as u64) << doublings;
    lowest + ((1_u64 << doublings) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn percentiles_are_off_by_a_sixteenth_at_most(
            numbers in prop::collection::vec((0_u32..64, any::<u64>()), 1..300),
        ) {
            let histogram = Histogram::default();
            let mut numbers: Vec<u64> = numbers.iter().map(|(shift, number)| number >> shift).collect();
            for number in &numbers {
                histogram.record(*number);
            }
            numbers.sort_unstable();
            let reported = histogram.percentiles();
            prop_assert_eq!(reported.count, numbers.len() as u64);
            prop_assert_eq!(reported.max, numbers[numbers.len() - 1]);
            for (percent, reported) in [(50, reported.p50), (99, reported.p99)] {
                let real = numbers[(numbers.len() * percent).div_ceil(100) - 1];
                prop_assert!(reported.abs_diff(real) <= real / 16 + u64::from(real > 8), "{reported} for {real}");
            }
        }
    }

    #[test]
    fn the_ends_are_told() {
        let histogram = Histogram::default();
        assert_eq!(histogram.percentiles(), Percentiles::default());
        histogram.record(0);
        assert_eq!(histogram.percentiles().count, 1);
        histogram.record(u64::MAX);
        let reported = histogram.percentiles();
        assert_eq!((reported.p50, reported.max), (0, u64::MAX));
        assert!(reported.p99 > u64::MAX / 16 * 15);
    }
}
