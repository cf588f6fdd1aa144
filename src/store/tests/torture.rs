//! Torture tests of the whole store: generated lives with commits, checkpoints, received entries and closes, with power
//! cuts, failing calls and damaged bytes everywhere. The tests run few seeds, `npm run torture` runs many.
//!
//! `TORTURE_SEED` is the first seed, `TORTURE_COUNT` the number of seeds (each proof has its own default),
//! `TORTURE_SCALE` multiplies the default. A failure names the variables that repeat it.

mod bursts;
mod checking;
mod crashes;
mod damage;
mod faults;
mod golden;
mod life;
pub(crate) mod making;
mod saboteur;
mod seeded_bugs;
pub(crate) mod state;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A result whose error describes the fault and its place.
pub(crate) type Told<T> = Result<T, String>;

/// A deterministic source of numbers.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Self(seed ^ 0x5eed);
        // The first numbers of neighbouring seeds are similar.
        for _ in 0..4 {
            dice.below(2);
        }
        dice
    }

    /// A number below a bound.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// A random index below a length.
    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    /// True once in `times` calls, on average.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

pub(crate) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs the seeds of a proof on two threads and adds up its results. `count` is the default number of seeds. The first
/// failure ends the run, with the command that repeats it.
fn each_seed(proof: &str, count: u64, prove: impl Fn(u64) -> Told<u64> + Sync) -> u64 {
    each_seed_of("store::tests::torture", proof, count, prove)
}

/// Runs the seeds of a proof as [`each_seed`] does, for a proof in another module.
pub(crate) fn each_seed_of(
    module: &str,
    proof: &str,
    count: u64,
    prove: impl Fn(u64) -> Told<u64> + Sync,
) -> u64 {
    let first = number("TORTURE_SEED").unwrap_or(0);
    let scaled = count * number("TORTURE_SCALE").unwrap_or(1);
    let end = first + number("TORTURE_COUNT").unwrap_or(scaled);
    let (next, sum) = (AtomicU64::new(first), AtomicU64::new(0));
    let has_failed = AtomicBool::new(false);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end || has_failed.load(Ordering::Relaxed) {
                return;
            }
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| prove(seed)));
            let reported = match outcome {
                Ok(Ok(more)) => {
                    sum.fetch_add(more, Ordering::Relaxed);
                    continue;
                }
                Ok(Err(reported)) => reported,
                Err(_) => "it panicked, see above".to_owned(),
            };
            has_failed.store(true, Ordering::Relaxed);
            panic!(
                "{proof}, seed {seed}: {reported}\nagain: TORTURE_SEED={seed} TORTURE_COUNT=1 \
                 cargo test --lib {module}::{proof}"
            );
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    let sum = sum.load(Ordering::Relaxed);
    println!("{proof}: seeds {first} to {end}, {sum} cases");
    sum
}

/// True if the environment changes no numbers of a proof, so that totals may be compared with constants.
fn is_usual() -> bool {
    number("TORTURE_COUNT").is_none()
}
