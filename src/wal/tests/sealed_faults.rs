//! Every call of sealing and removing fails once, and the disk fills up: the log goes on as it was, or is poisoned;
//! and it opens again once the cause is gone.

use std::io;

use super::super::error::WalError;
use super::super::log::Log;
use super::{Bodies, append, body, open, open_from, seal};
use crate::core::error_kind::ErrorKind;
use crate::disk::memory::{Fault, MemoryStorage};

/// Groups and checkpoints that a run has acknowledged.
#[derive(Default)]
struct Told {
    durable: Bodies,
    /// The frame that a durable checkpoint covers, and the number of groups up to there.
    covers: (u64, usize),
    /// Number of failures to seal or remove after which the log went on.
    went_on: usize,
}

/// Checks an error against the state of the log: it goes on, or it is poisoned.
fn settled(
    log: &mut Log,
    outcome: Result<(), WalError>,
    reported: &mut Told,
) -> Result<(), WalError> {
    let Err(error) = outcome else { return Ok(()) };
    if log.poisoned().is_none() {
        reported.went_on += 1;
        return Ok(());
    }
    assert_eq!(log.poisoned(), Some(&error));
    assert_eq!(append(log, b"no").unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(log.sync().unwrap_err().kind(), ErrorKind::Poisoned);
    Err(error)
}

fn run(storage: &MemoryStorage, reported: &mut Told) -> Result<(), WalError> {
    for round in 0..2 {
        let (mut log, _, found) = open_from(storage, reported.covers.0)?;
        assert_eq!(reported.durable[reported.covers.1..], found);
        for step in 0..3 {
            let group = body(reported.durable.len(), [40, 9_000, 300][step]);
            append(&mut log, &group)?;
            log.sync()?;
            reported.durable.push(group);
            let sealed = seal(&mut log, storage);
            let last_frame = sealed.as_ref().map_or(None, |sealed| *sealed);
            settled(&mut log, sealed.map(|_| ()), reported)?;
            if step == round
                && let Some(sealed) = last_frame
            {
                reported.covers = (sealed.last_frame, reported.durable.len());
                let removed = log.remove_sealed(storage, sealed.last_frame);
                settled(&mut log, removed.map(|_| ()), reported)?;
            }
        }
        if round == 0 {
            log.close()?;
        }
    }
    Ok(())
}

fn survives(storage: &MemoryStorage, reported: &Told, call: u64) {
    let image = storage.image();
    for survivor in [
        image.process_killed(),
        image.power_cut(call),
        image.power_cut(!call),
    ] {
        let (mut log, _, found) = open_from(&survivor, reported.covers.0)
            .unwrap_or_else(|error| panic!("call {call}: {error}"));
        let durable = &reported.durable[reported.covers.1..];
        assert!(found.starts_with(durable), "call {call}");
        assert!(found.len() <= durable.len() + 1);
        seal(&mut log, &survivor).unwrap();
        append(&mut log, b"after").unwrap();
        log.close().unwrap();
        let again = open_from(&survivor, reported.covers.0).unwrap().2;
        assert_eq!(again.split_last(), Some((&b"after".to_vec(), &found[..])));
    }
}

#[test]
fn any_single_failure_of_a_seal_or_a_removal_loses_nothing() {
    let whole = MemoryStorage::new();
    let mut reported = Told::default();
    run(&whole, &mut reported).unwrap();
    assert_eq!((reported.durable.len(), reported.went_on), (6, 0));
    let faults = [
        Fault::Fail(io::ErrorKind::Other),
        Fault::Fail(io::ErrorKind::StorageFull),
        Fault::Short {
            bytes: 17,
            error: io::ErrorKind::Other,
        },
        Fault::Short {
            bytes: 5_000,
            error: io::ErrorKind::StorageFull,
        },
    ];
    let (mut failed, mut went_on) = (0, 0);
    for call in 1..=whole.calls() {
        for fault in faults {
            let storage = MemoryStorage::new();
            storage.fail_call(call, fault);
            let mut reported = Told::default();
            failed += usize::from(run(&storage, &mut reported).is_err());
            went_on += reported.went_on;
            storage.heal();
            survives(&storage, &reported, call);
        }
    }
    assert!(failed > 50 && went_on > 50, "{failed} {went_on}");
}

#[test]
fn a_disk_that_is_gone_for_good_during_a_seal_loses_nothing() {
    let whole = MemoryStorage::new();
    run(&whole, &mut Told::default()).unwrap();
    for call in 1..=whole.calls() {
        let storage = MemoryStorage::new();
        storage.fail_from(call, io::ErrorKind::Other);
        let mut reported = Told::default();
        let _ = run(&storage, &mut reported);
        storage.heal();
        survives(&storage, &reported, call);
    }
}

#[test]
fn a_full_disk_changes_nothing_and_the_room_that_was_there_stays() {
    let storage = MemoryStorage::new();
    let (mut log, _, _) = open(&storage).unwrap();
    append(&mut log, &body(0, 100)).unwrap();
    log.sync().unwrap();
    let taken = log.file_bytes();
    storage.set_capacity_bytes(Some(taken + 63));
    let error = seal(&mut log, &storage).unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to seal WAL a.wal: no space left on device"
    );
    assert_eq!((error.kind(), log.poisoned()), (ErrorKind::DiskFull, None));
    assert_eq!(log.file_bytes(), taken);
    assert_eq!(storage.image().names(), ["a.wal"]);
    append(&mut log, &body(1, 100)).unwrap();
    log.sync().unwrap();
    // Room for the header alone is enough; the zeros ahead are not needed.
    storage.set_capacity_bytes(Some(taken + 64));
    seal(&mut log, &storage).unwrap().unwrap();
    assert_eq!(log.file_bytes(), 64);
    append(&mut log, &body(2, 100)).unwrap();
    log.close().unwrap();
    assert_eq!(open(&storage).unwrap().2.len(), 3);
}

#[test]
fn a_rename_that_is_refused_leaves_the_log_as_it_was() {
    let storage = MemoryStorage::new();
    let (mut log, _, _) = open(&storage).unwrap();
    append(&mut log, b"a").unwrap();
    let before = storage.calls();
    seal(&mut log, &storage.clone()).unwrap();
    let calls = storage.calls() - before;
    let (mut refused, mut poisoned) = (0, 0);
    for call in 1..=calls {
        let storage = MemoryStorage::new();
        let (mut log, _, _) = open(&storage).unwrap();
        append(&mut log, b"a").unwrap();
        let fault = Fault::Fail(io::ErrorKind::PermissionDenied);
        storage.fail_call(storage.calls() + call, fault);
        let Err(error) = seal(&mut log, &storage) else {
            continue;
        };
        if log.poisoned().is_some() {
            poisoned += 1;
            continue;
        }
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "call {call}");
        refused += 1;
        assert_eq!(storage.image().names(), ["a.wal"]);
        append(&mut log, b"b").unwrap();
        // Once the cause is gone, the same call succeeds.
        let sealed = seal(&mut log, &storage).unwrap().unwrap();
        assert_eq!(sealed.first_frame, 1);
        assert_eq!(open(&storage).unwrap().2, [b"a", b"b"]);
    }
    // Poisoning calls: the syncs and the write of the log itself, the second rename and the last sync of the
    // directory.
    assert_eq!((refused, poisoned), (8, 5), "of {calls}");
}
