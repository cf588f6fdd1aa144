//! Power cuts before every call that changes the disk, during generated histories and during the recovery from an
//! earlier cut. Everything acknowledged as durable is there, the rest is a prefix, and there is nothing else.

use std::io::ErrorKind;

use super::{Bodies, append, append_synced, body, open};
use crate::disk::memory::{CrashPoint, Fault, MemoryStorage};
use crate::wal::error::WalError;
use crate::wal::log::Log;

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

/// A random history while it runs.
struct Recording {
    dice: Dice,
    storage: MemoryStorage,
    promises: Vec<Promise>,
    begun: Bodies,
    durable: usize,
    /// Number of the last body.
    number: usize,
}

impl Recording {
    /// A history of an empty disk, without a call yet.
    fn new(seed: u64) -> Self {
        Self {
            dice: Dice(seed),
            storage: MemoryStorage::new(),
            promises: Vec::new(),
            begun: Bodies::new(),
            durable: 0,
            number: 0,
        }
    }

    /// Records the groups that may and must be there from now on.
    fn promise(&mut self) {
        self.promises.push(Promise {
            calls: self.storage.calls(),
            begun: self.begun.clone(),
            durable: self.durable,
        });
    }

    /// Opens the log. An opening that returns promises all groups that it shows.
    fn open(&mut self) -> Log {
        let (log, _, found) = open(&self.storage).unwrap();
        assert!(found.len() >= self.durable && self.begun.starts_with(&found));
        self.begun = found;
        self.durable = self.begun.len();
        self.promise();
        log
    }

    /// Begins a group, with a fault of the disk at times.
    fn begin(&mut self) {
        self.number += 1;
        let size = [3, 40, 700, 5_000, 70_000][self.dice.index(5)];
        self.begun.push(body(self.number, size));
        self.promise();
        if self.dice.below(20) == 0 {
            let fault = Fault::Short {
                bytes: size / 2,
                error: ErrorKind::Other,
            };
            let call = self.storage.calls() + 1 + self.dice.below(3);
            self.storage.fail_call(call, fault);
        }
    }

    /// Appends the group that was begun last, and syncs it or marks the log at times.
    fn append(&mut self, log: &mut Log, synced_each: bool) -> Result<(), WalError> {
        let in_one = synced_each && self.dice.below(2) == 0;
        let body = self.begun.last().unwrap();
        if in_one {
            append_synced(log, body)?;
        } else {
            append(log, body)?;
        }
        if synced_each || self.dice.below(4) == 0 {
            log.sync()?;
            self.durable = self.begun.len();
        }
        if self.dice.below(6) == 0 {
            log.watermark()?;
        }
        Ok(())
    }
}

/// Runs a random history to its end and records it.
fn history(seed: u64) -> History {
    let mut recording = Recording::new(seed);
    recording.storage.record_crash_points(true);
    for _ in 0..=recording.dice.below(3) {
        let mut log = recording.open();
        let synced_each = recording.dice.below(2) == 0;
        for _ in 0..recording.dice.below(8) {
            recording.begin();
            let outcome = recording.append(&mut log, synced_each);
            recording.storage.heal();
            recording.promise();
            if outcome.is_err() {
                break;
            }
        }
        if recording.dice.below(3) == 0 && log.poisoned().is_none() {
            log.close().unwrap();
            recording.durable = recording.begun.len();
            recording.promise();
        }
    }
    History {
        points: recording.storage.take_crash_points(),
        promises: recording.promises,
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
