//! A token bucket: limits the work that one party may cause, with time as an argument. Pure.

use super::clock::MonotonicMs;

/// A bucket of tokens that fills up with time, and may be overdrawn: a party that has spent more than it held waits
/// until the debt is paid back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenBucket {
    /// Tokens in the bucket; below 0: overdrawn.
    level: i64,
    filled_at: MonotonicMs,
    tokens_max: i64,
}

impl TokenBucket {
    /// A full bucket of `tokens_max` tokens.
    pub fn full(tokens_max: u32, now: MonotonicMs) -> Self {
        Self {
            level: i64::from(tokens_max),
            filled_at: now,
            tokens_max: i64::from(tokens_max),
        }
    }

    /// Adds the tokens of the time since the last call, at `tokens_per_ms`.
    pub fn fill(&mut self, tokens_per_ms: u32, now: MonotonicMs) {
        let passed_ms = i64::try_from(now.since(self.filled_at)).unwrap_or(i64::MAX);
        let tokens = passed_ms.saturating_mul(i64::from(tokens_per_ms));
        self.level = self.level.saturating_add(tokens).min(self.tokens_max);
        self.filled_at = self.filled_at.max(now);
    }

    /// Takes out tokens, even beyond those in the bucket.
    pub fn spend(&mut self, tokens: u64) {
        let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
        self.level = self.level.saturating_sub(tokens);
    }

    /// Tokens in the bucket; below 0: tokens owed.
    pub fn level(&self) -> i64 {
        self.level
    }

    /// Tokens in the bucket, 0 if it is overdrawn.
    pub fn available(&self) -> u64 {
        u64::try_from(self.level).unwrap_or(0)
    }

    /// Milliseconds until the bucket is not overdrawn any more, at `tokens_per_ms`.
    pub fn debt_ms(&self, tokens_per_ms: u32) -> u64 {
        let debt = u64::try_from(self.level.saturating_neg()).unwrap_or(0);
        debt.div_ceil(u64::from(tokens_per_ms.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_full_bucket_gives_all_it_holds_at_once_and_then_what_comes() {
        let mut bucket = TokenBucket::full(100, MonotonicMs(5));
        assert_eq!(bucket.available(), 100);
        bucket.spend(130);
        assert_eq!((bucket.available(), bucket.debt_ms(10)), (0, 3));
        bucket.fill(10, MonotonicMs(8));
        assert_eq!((bucket.available(), bucket.debt_ms(10)), (0, 0));
        bucket.fill(10, MonotonicMs(1_000));
        assert_eq!(bucket.available(), 100, "no more than it holds");
    }

    #[test]
    fn a_clock_that_stands_or_goes_back_fills_nothing() {
        let mut bucket = TokenBucket::full(100, MonotonicMs(50));
        bucket.spend(100);
        bucket.fill(10, MonotonicMs(50));
        bucket.fill(10, MonotonicMs(3));
        assert_eq!(bucket.available(), 0);
        bucket.fill(10, MonotonicMs(51));
        assert_eq!(
            bucket.available(),
            10,
            "what lies behind is not filled in twice"
        );
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_the_bucket_and_its_rate(
            steps in proptest::collection::vec((0u64..50, 0u64..5_000), 1..200),
            rate in 1u32..200,
        ) {
            let mut bucket = TokenBucket::full(1_000, MonotonicMs(0));
            let (mut now, mut spent, mut last) = (0, 0, 0);
            for (passed, wanted) in steps {
                now += passed;
                bucket.fill(rate, MonotonicMs(now));
                if bucket.debt_ms(rate) == 0 {
                    bucket.spend(wanted);
                    spent += wanted;
                    last = wanted;
                }
            }
            prop_assert!(spent <= 1_000 + now * u64::from(rate) + last);
        }
    }
}
