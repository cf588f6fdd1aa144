//! Every call of the disk fails, alone and in pairs: nothing is accepted after a failure with an open outcome, no
//! acknowledged write is lost, and the store opens again.

use std::io::ErrorKind;

use super::checking::Left;
use super::life::{Wrong, live};
use super::{Dice, Told, each_seed, is_usual};
use crate::disk::memory::Fault;

const FAULTS: [Fault; 4] = [
    Fault::Fail(ErrorKind::Other),
    Fault::Fail(ErrorKind::StorageFull),
    Fault::Short {
        bytes: 17,
        error: ErrorKind::Other,
    },
    Fault::Short {
        bytes: 700,
        error: ErrorKind::StorageFull,
    },
];

/// Runs a life with these failures, and stops it at its end.
fn fail(seed: u64, faults: &[(u64, Fault)]) -> Told<u64> {
    let reported = |reported| format!("{faults:?}: {reported}");
    let wrong = Wrong {
        faults: faults.to_vec(),
        ..Wrong::default()
    };
    let (life, disk) = live(seed, &wrong).map_err(reported)?;
    let image = disk.image();
    for (killed, disk) in [
        (true, image.process_killed()),
        (false, image.power_cut(seed)),
    ] {
        let left = Left {
            life: &life,
            wrong: &Wrong::default(),
            promise: life.now.clone(),
            killed,
        };
        left.check(&disk, seed).map_err(reported)?;
    }
    Ok(life.broken)
}

/// Number of disk calls in a life without failures.
fn calls_of(seed: u64) -> Told<u64> {
    let wrong = Wrong {
        faults: vec![(u64::MAX, FAULTS[0])],
        ..Wrong::default()
    };
    Ok(live(seed, &wrong)?.1.calls())
}

#[test]
fn whatever_call_fails_nothing_acknowledged_is_lost() {
    let broken = each_seed("faults::whatever_call", 4, |seed| {
        let mut broken = 0;
        for call in 1..=calls_of(seed)? {
            for fault in FAULTS {
                broken += fail(seed, &[(call, fault)])?;
            }
        }
        Ok(broken)
    });
    assert!(broken > 600 || !is_usual(), "{broken}");
}

#[test]
fn whatever_two_calls_fail_nothing_acknowledged_is_lost() {
    each_seed("faults::whatever_two", 600, |seed| {
        let mut dice = Dice::new(seed);
        let life = dice.below(1_000);
        let calls = calls_of(life)?;
        let mut one = || (1 + dice.below(calls), FAULTS[dice.index(FAULTS.len())]);
        let faults = [one(), one()];
        fail(life, &faults)?;
        Ok(1)
    });
}
