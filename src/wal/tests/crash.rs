//! Power cuts before every call that changes the disk, during generated histories and during the recovery from an
//! earlier cut. Everything acknowledged as durable is there, the rest is a prefix, and there is nothing else.

use std::io::ErrorKind;

use super::{Bodies, append, append_synced, body, open};
use crate::disk::memory::{CrashPoint, Fault, MemoryStorage};

/// Deterministic numbers below a bound.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// An index below `length`.
    pub(super) fn index(&mut self, length: u64) -> usize {
        usize::try_from(self.below(length)).unwrap()
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Groups that may and must be there from a number of calls on.
struct Promise {
    calls: u64,
    /// Every group whose append was begun, in order.
    begun: Bodies,
    /// Number of groups that were acknowledged as durable.
    durable: usize,
}

struct History {
    points: Vec<CrashPoint>,
    promises: Vec<Promise>,
}

/// Runs a random history to its end and records it.
fn history(seed: u64) -> History {
    let mut dice = Dice(seed);
    let storage = MemoryStorage::new();
    storage.record_crash_points(true);
    let mut promises = Vec::new();
    let mut begun = Bodies::new();
    let mut durable = 0;
    let mut number = 0;
    for _ in 0..=dice.below(3) {
        let (mut log, _, found) = open(&storage).unwrap();
        assert!(found.len() >= durable && begun.starts_with(&found));
        begun = found;
        // An opening that returns promises all groups that it shows.
        durable = begun.len();
        promises.push(Promise {
            calls: storage.calls(),
            begun: begun.clone(),
            durable,
        });
        let synced_each = dice.below(2) == 0;
        for _ in 0..dice.below(8) {
            number += 1;
            let size = [3, 40, 700, 5_000, 70_000][dice.index(5)];
            begun.push(body(number, size));
            promises.push(Promise {
                calls: storage.calls(),
                begun: begun.clone(),
                durable,
            });
            if dice.below(20) == 0 {
                let fault = Fault::Short {
                    bytes: size / 2,
                    error: ErrorKind::Other,
                };
                storage.fail_call(storage.calls() + 1 + dice.below(3), fault);
            }
            let in_one = synced_each && dice.below(2) == 0;
            let body = begun.last().unwrap();
            let mut outcome = if in_one {
                append_synced(&mut log, body).map(|_| ())
            } else {
                append(&mut log, body).map(|_| ())
            };
            if outcome.is_ok() && (synced_each || dice.below(4) == 0) {
                outcome = log.sync();
                if outcome.is_ok() {
                    durable = begun.len();
                }
            }
            if outcome.is_ok() && dice.below(6) == 0 {
                outcome = log.watermark();
            }
            storage.heal();
            promises.push(Promise {
                calls: storage.calls(),
                begun: begun.clone(),
                durable,
            });
            if outcome.is_err() {
                break;
            }
        }
        if dice.below(3) == 0 && log.poisoned().is_none() {
            log.close().unwrap();
            durable = begun.len();
            promises.push(Promise {
                calls: storage.calls(),
                begun: begun.clone(),
                durable,
            });
        }
    }
    History {
        points: storage.take_crash_points(),
        promises,
    }
}

fn promise_at(promises: &[Promise], calls: u64) -> Option<&Promise> {
    promises.iter().rev().find(|promise| promise.calls <= calls)
}

/// Opens the log that a power cut left and checks it against the promise. Returns the groups found.
fn check(storage: &MemoryStorage, promise: Option<&Promise>, reported: &str) -> Bodies {
    let (mut log, recovery, found) =
        open(storage).unwrap_or_else(|error| panic!("{reported}: {error}"));
    let (begun, durable) = promise.map_or((&[][..], 0), |promise| {
        (&promise.begun[..], promise.durable)
    });
    assert!(
        found.len() >= durable,
        "{reported}: {} of {durable} are left",
        found.len()
    );
    assert!(begun.starts_with(&found), "{reported}: not a prefix");
    assert!(recovery.torn.is_none() || recovery.known_synced <= recovery.last_frame);
    // The log goes on, and the groups that it shows are durable.
    append(&mut log, b"after").unwrap();
    log.sync().unwrap();
    drop(log);
    let (_, _, again) =
        open(&storage.image().power_cut(1)).unwrap_or_else(|error| panic!("{reported}: {error}"));
    assert_eq!(
        again.split_last(),
        Some((&b"after".to_vec(), &found[..])),
        "{reported}"
    );
    found
}

/// Runs `histories` with `cuts` outcomes of each cut. Returns the number of images tried.
fn crash_everywhere(histories: std::ops::Range<u64>, cuts: u64) -> usize {
    let mut images = 0;
    for seed in histories {
        let History { points, promises } = history(seed);
        for (index, point) in points.iter().enumerate() {
            let promise = promise_at(&promises, point.calls);
            for cut in 0..cuts {
                let reported = format!(
                    "history {seed}, cut before call {}, outcome {cut}",
                    point.calls + 1
                );
                let outcome = seed ^ (cut << 40) ^ ((index as u64) << 20);
                let storage = point.image.power_cut(outcome);
                images += 1;
                if !outcome.is_multiple_of(4) {
                    check(&storage, promise, &reported);
                    continue;
                }
                // The power fails again at each step of the recovery.
                storage.record_crash_points(true);
                open(&storage).unwrap_or_else(|error| panic!("{reported}: {error}"));
                for second in storage.take_crash_points() {
                    images += 1;
                    let reported = format!("{reported}, then before call {}", second.calls + 1);
                    check(
                        &second.image.power_cut(outcome ^ second.calls),
                        promise,
                        &reported,
                    );
                    check(&second.image.process_killed(), promise, &reported);
                }
            }
        }
    }
    images
}

#[test]
fn nothing_durable_is_lost_and_the_rest_is_a_prefix_wherever_the_power_is_cut() {
    let images = crash_everywhere(0..60, 3);
    assert!(images > 5_000, "{images}");
}

#[test]
fn a_process_killed_anywhere_loses_nothing_that_was_appended() {
    for seed in 0..40 {
        let History { points, promises } = history(seed);
        for point in &points {
            let promise = promise_at(&promises, point.calls);
            let storage = point.image.process_killed();
            let found = check(
                &storage,
                promise,
                &format!("history {seed}, call {}", point.calls),
            );
            let begun = promise.map_or(0, |promise| promise.begun.len());
            assert!(found.len() + 1 >= begun);
        }
    }
}
