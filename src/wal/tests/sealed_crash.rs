//! Crash tests with logs that are sealed, and sealed logs that are removed after checkpoints: the power is cut before
//! every call, during generated histories and during the recovery from an earlier cut.

use std::io::ErrorKind;

use super::super::log::Log;
use super::crash::Dice;
use super::{Bodies, append, body, open_from, seal};
use crate::disk::memory::{CrashPoint, Fault, MemoryStorage};

/// Groups that may and must be there from a number of calls on.
#[derive(Clone, Default)]
struct Promise {
    calls: u64,
    /// Every group whose append was begun, in order.
    begun: Bodies,
    /// Number of groups that were acknowledged as durable.
    durable: usize,
    /// The last frame that a durable checkpoint covers.
    covers_frame: u64,
    /// Number of groups up to that frame.
    covered: usize,
}

struct History {
    storage: MemoryStorage,
    now: Promise,
    promises: Vec<Promise>,
}

impl History {
    /// Records the present promise from this call on.
    fn promise(&mut self) {
        self.now.calls = self.storage.calls();
        self.promises.push(self.now.clone());
    }

    /// Lets one of the next calls fail, now and then.
    fn stumble(&self, dice: &mut Dice, calls: u64) {
        if dice.below(12) == 0 {
            let fault = Fault::Short {
                bytes: 300,
                error: [ErrorKind::Other, ErrorKind::StorageFull][dice.index(2)],
            };
            let call = self.storage.calls() + 1 + dice.below(calls);
            self.storage.fail_call(call, fault);
        }
    }

    /// Appends a group, and syncs it at random. `None` if the log is poisoned.
    fn write(&mut self, log: &mut Log, dice: &mut Dice) -> Option<()> {
        let size = [3, 40, 700, 5_000, 70_000][dice.index(5)];
        let number = usize::try_from(dice.below(1 << 30)).unwrap();
        self.now.begun.push(body(number, size));
        self.promise();
        self.stumble(dice, 3);
        let group = self.now.begun.last().unwrap();
        let is_there = append(log, group).is_ok();
        if is_there && dice.below(2) == 0 && log.sync().is_ok() {
            self.now.durable = self.now.begun.len();
        }
        self.storage.heal();
        if !is_there {
            // The disk was full, or the log is poisoned and the history ends.
            log.poisoned().is_none().then(|| self.now.begun.pop());
        }
        if dice.below(6) == 0 {
            let _ = log.watermark();
        }
        self.promise();
        log.poisoned().is_none().then_some(())
    }

    fn seal(&mut self, log: &mut Log, dice: &mut Dice) -> Option<()> {
        self.stumble(dice, 14);
        let sealed = seal(log, &self.storage);
        self.storage.heal();
        if let Ok(sealed) = sealed {
            assert_eq!(log.synced_frame(), log.appended_frame());
            self.now.durable = self.now.begun.len();
            self.promise();
            if let Some(sealed) = sealed
                && dice.below(2) == 0
            {
                // Pretends that a checkpoint of all sealed groups has become durable.
                (self.now.covers_frame, self.now.covered) =
                    (sealed.last_frame, self.now.begun.len());
                self.promise();
            }
        }
        log.poisoned().is_none().then_some(())
    }

    fn remove(&mut self, log: &mut Log, dice: &mut Dice) {
        self.stumble(dice, 3);
        let _ = log.remove_sealed(&self.storage, self.now.covers_frame);
        self.storage.heal();
    }
}

/// Runs a random history to its end and records it.
fn history(seed: u64) -> (Vec<CrashPoint>, Vec<Promise>) {
    let mut dice = Dice(seed);
    let storage = MemoryStorage::new();
    storage.record_crash_points(true);
    let mut history = History {
        storage: storage.clone(),
        now: Promise::default(),
        promises: Vec::new(),
    };
    for _ in 0..=dice.below(3) {
        let (mut log, _, found) = open_from(&storage, history.now.covers_frame).unwrap();
        let now = &mut history.now;
        let all = [&now.begun[..now.covered], &found].concat();
        assert!(all.len() >= now.durable && now.begun.starts_with(&all));
        // An opening that returns promises all groups that it shows.
        (now.durable, now.begun) = (all.len(), all);
        history.promise();
        for _ in 0..dice.below(10) {
            let went_on = match dice.below(8) {
                0 | 1 => history.seal(&mut log, &mut dice),
                2 => {
                    history.remove(&mut log, &mut dice);
                    Some(())
                }
                _ => history.write(&mut log, &mut dice),
            };
            if went_on.is_none() {
                break;
            }
        }
        if dice.below(3) == 0 && log.poisoned().is_none() {
            log.close().unwrap();
            history.now.durable = history.now.begun.len();
            history.promise();
        }
    }
    (storage.take_crash_points(), history.promises)
}

fn promise_at(promises: &[Promise], calls: u64) -> Promise {
    let last = promises.iter().rev().find(|promise| promise.calls <= calls);
    last.cloned().unwrap_or_default()
}

/// Opens the log that a power cut left and checks it against the promise. Returns true if a seal had to be finished.
fn check(storage: &MemoryStorage, promise: &Promise, reported: &str) -> bool {
    let Promise {
        begun,
        durable,
        covers_frame,
        covered,
        ..
    } = promise;
    let (mut log, recovery, found) =
        open_from(storage, *covers_frame).unwrap_or_else(|error| panic!("{reported}: {error}"));
    let all = [&begun[..*covered], &found].concat();
    assert!(
        all.len() >= *durable,
        "{reported}: {} of {durable} are left",
        all.len()
    );
    assert!(begun.starts_with(&all), "{reported}: not a prefix");
    let sealing = storage.image().file("a.wal.sealing");
    assert_eq!(sealing, None, "{reported}");
    // The log goes on, and the groups that it shows are durable.
    append(&mut log, b"after").unwrap();
    if storage.calls().is_multiple_of(2) {
        // A seal syncs the directory, so it is made only sometimes.
        seal(&mut log, storage).unwrap();
    }
    append(&mut log, b"seal").unwrap();
    log.sync().unwrap();
    drop(log);
    let cut = storage.image().power_cut(storage.calls());
    let (_, _, again) =
        open_from(&cut, *covers_frame).unwrap_or_else(|error| panic!("{reported}: {error}"));
    assert_eq!(again.len(), found.len() + 2, "{reported}");
    assert!(again.starts_with(&found), "{reported}");
    assert_eq!(again[found.len()..], [&b"after"[..], b"seal"], "{reported}");
    recovery.seal_finished
}

#[test]
fn a_log_is_as_it_was_or_sealed_wherever_the_power_is_cut() {
    let (mut images, mut finished) = (0, 0);
    for seed in 0..90 {
        let (points, promises) = history(seed);
        for (index, point) in points.iter().enumerate() {
            let promise = promise_at(&promises, point.calls);
            for cut in 0..2 {
                let reported =
                    format!("history {seed}, cut before call {}: {cut}", point.calls + 1);
                let outcome = seed ^ (cut << 40) ^ ((index as u64) << 20);
                let storage = point.image.power_cut(outcome);
                images += 1;
                if !outcome.is_multiple_of(4) {
                    finished += usize::from(check(&storage, &promise, &reported));
                    continue;
                }
                // The power fails again at each step of the recovery.
                storage.record_crash_points(true);
                open_from(&storage, promise.covers_frame)
                    .unwrap_or_else(|error| panic!("{reported}: {error}"));
                for second in storage.take_crash_points() {
                    images += 2;
                    let reported = format!("{reported}, then before call {}", second.calls + 1);
                    let cut = second.image.power_cut(outcome ^ second.calls);
                    finished += usize::from(check(&cut, &promise, &reported));
                    check(&second.image.process_killed(), &promise, &reported);
                }
            }
        }
    }
    assert!(images > 8_000 && finished > 50, "{images} {finished}");
}

#[test]
fn a_process_killed_anywhere_loses_nothing_that_was_appended_before_or_behind_a_seal() {
    for seed in 100..150 {
        let (points, promises) = history(seed);
        for point in &points {
            let promise = promise_at(&promises, point.calls);
            let storage = point.image.process_killed();
            let reported = format!("history {seed}, call {}", point.calls);
            let at_least = promise.begun.len().saturating_sub(1);
            let durable = promise.durable.max(at_least);
            let promise = Promise { durable, ..promise };
            check(&storage, &promise, &reported);
        }
    }
}
