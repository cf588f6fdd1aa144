//! Every call of the disk fails once, and the disk fills up: either the log goes on after the error, or it is
//! poisoned; it never accepts anything after such a failure, and it opens again once the cause is gone.

use std::io;

use super::super::error::WalError;
use super::super::log::Log;
use super::{Bodies, append, body, bytes, open, synced_log};
use crate::core::error_kind::ErrorKind;
use crate::disk::memory::{Fault, MemoryStorage};

/// A run over all operations of a log; stops at the first error that poisons the log. `durable` then holds the
/// acknowledged groups.
fn run(storage: &MemoryStorage, durable: &mut Bodies) -> Result<(), WalError> {
    let mut number = durable.len();
    for sizes in [&[10, 400, 80_000][..], &[66_000, 20, 30]] {
        let (mut log, _, found) = open(storage)?;
        assert!(found.starts_with(durable));
        *durable = found;
        for size in sizes {
            let group = body(number, *size);
            number += 1;
            if let Err(error) = write(&mut log, &group) {
                refuses_all(&mut log, &error);
                return Err(error);
            }
            durable.push(group);
        }
        log.watermark()?;
        log.close()?;
    }
    Ok(())
}

fn write(log: &mut Log, group: &[u8]) -> Result<(), WalError> {
    append(log, group)?;
    log.sync()
}

/// After a failure with an open outcome, every call fails with its cause.
fn refuses_all(log: &mut Log, first: &WalError) {
    if first.is_full() && log.poisoned().is_none() {
        return;
    }
    assert_eq!(log.poisoned(), Some(first));
    for refused in [append(log, b"no").map(|_| ()), log.sync(), log.watermark()] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Poisoned);
        assert_eq!(refused.cause(), first.cause());
        assert!(refused.to_string().contains(&first.to_string()));
    }
}

#[test]
fn any_single_failure_loses_nothing_that_was_acknowledged() {
    let whole = MemoryStorage::new();
    run(&whole, &mut Bodies::new()).unwrap();
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
    let mut failures = 0;
    for call in 1..=whole.calls() {
        for fault in faults {
            let storage = MemoryStorage::new();
            storage.fail_call(call, fault);
            let mut durable = Bodies::new();
            let failed = run(&storage, &mut durable).is_err();
            failures += usize::from(failed);
            storage.heal();
            for survivor in [storage.clone(), storage.image().power_cut(call)] {
                let (log, _, found) = open(&survivor).unwrap();
                assert!(found.starts_with(&durable), "call {call}, {fault:?}");
                assert!(found.len() <= durable.len() + 1);
                log.close().unwrap();
                assert_eq!(open(&survivor).unwrap().2, found);
            }
        }
    }
    assert!(failures > 60, "{failures}");
}

#[test]
fn a_disk_that_is_gone_for_good_loses_nothing_that_was_acknowledged() {
    let whole = MemoryStorage::new();
    run(&whole, &mut Bodies::new()).unwrap();
    for call in 1..=whole.calls() {
        let storage = MemoryStorage::new();
        storage.fail_from(call, io::ErrorKind::Other);
        let mut durable = Bodies::new();
        assert!(run(&storage, &mut durable).is_err());
        storage.heal();
        let found = open(&storage.image().power_cut(call)).unwrap().2;
        assert!(found.starts_with(&durable));
    }
}

#[test]
fn a_write_that_fails_is_told_with_the_documented_words_and_then_remembered() {
    let storage = synced_log(&[body(0, 10)]);
    let (mut log, _, _) = open(&storage).unwrap();
    let fault = Fault::Fail(io::ErrorKind::PermissionDenied);
    storage.fail_call(storage.calls() + 1, fault);
    let error = append(&mut log, b"x").unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to append WAL record: permission denied"
    );
    refuses_all(&mut log, &error);
    assert!(log.close().is_err());
    assert_eq!(open(&storage).unwrap().2.len(), 1);
}

#[test]
fn a_full_disk_during_a_sync_is_remembered_too() {
    let storage = synced_log(&[body(0, 10)]);
    let (mut log, _, _) = open(&storage).unwrap();
    append(&mut log, b"x").unwrap();
    storage.fail_call(storage.calls() + 1, Fault::Fail(io::ErrorKind::StorageFull));
    let error = log.sync().unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to flush WAL: no space left on device"
    );
    assert_eq!(error.kind(), ErrorKind::DiskFull);
    refuses_all(&mut log, &error);
}

/// Fills the disk with groups of that size; the log must go on once there is room.
fn fill(group_bytes: usize, synced: bool) {
    let storage = MemoryStorage::new();
    let capacity = 300_000;
    storage.set_capacity_bytes(Some(capacity));
    let (mut log, _, _) = open(&storage).unwrap();
    let mut expected = Bodies::new();
    let refused = loop {
        let group = body(expected.len(), group_bytes);
        let before = log.file_bytes();
        match append(&mut log, &group) {
            Ok(_) => expected.push(group),
            Err(error) => {
                assert_eq!(log.file_bytes(), before);
                assert_eq!(
                    bytes(&storage).len() as u64,
                    before,
                    "what was half grown is cut back"
                );
                break error;
            }
        }
        if synced {
            log.sync().unwrap();
        }
    };
    assert_eq!(
        refused.to_string(),
        "failed to append WAL record: no space left on device"
    );
    assert_eq!(log.poisoned(), None);
    assert!(
        capacity - log.used_bytes() < group_bytes as u64 + 100,
        "the exact need was tried"
    );
    log.sync().unwrap();
    let survived = storage.image().power_cut(3);
    survived.set_capacity_bytes(Some(capacity));
    let (full, recovery, found) = open(&survived).unwrap();
    assert_eq!((found, recovery.torn), (expected.clone(), None));
    full.close().unwrap();
    assert_eq!(open(&survived).unwrap().2, expected);

    storage.set_capacity_bytes(None);
    for _ in 0..3 {
        let group = body(expected.len(), group_bytes);
        append(&mut log, &group).unwrap();
        log.sync().unwrap();
        expected.push(group);
    }
    log.close().unwrap();
    assert_eq!(open(&storage).unwrap().2, expected);
}

#[test]
fn a_full_disk_is_an_ordinary_error_that_the_log_goes_on_after() {
    for group_bytes in [1, 500, 9_000, 70_000, 200_000] {
        fill(group_bytes, true);
        fill(group_bytes, false);
    }
}

#[test]
fn a_large_group_that_finds_no_room_leaves_zeros_where_it_would_have_been() {
    let storage = synced_log(&[body(0, 10)]);
    storage.set_capacity_bytes(Some(100_000));
    let (mut log, _, _) = open(&storage).unwrap();
    assert!(append(&mut log, &body(1, 200_000)).unwrap_err().is_full());
    let used = usize::try_from(log.used_bytes()).unwrap();
    let file = bytes(&storage);
    assert!(file.len() > used && file[used..].iter().all(|byte| *byte == 0));
    drop(log);
    assert_eq!(open(&storage).unwrap().1.torn, None);
}

#[test]
fn a_close_that_fails_at_any_step_can_be_gone_on_after() {
    for size in [10, 70_000] {
        for step in 1..=6 {
            let storage = synced_log(&[body(0, size)]);
            let (log, _, _) = open(&storage).unwrap();
            storage.fail_call(storage.calls() + step, Fault::Fail(io::ErrorKind::Other));
            assert_eq!(log.close().is_err(), step <= if size == 10 { 4 } else { 5 });
            storage.heal();
            let (mut log, _, _) = open(&storage).unwrap();
            append(&mut log, &body(1, 10)).unwrap();
            log.sync().unwrap();
            for seed in 0..20 {
                let (_, _, found) = open(&storage.image().power_cut(seed)).unwrap();
                assert_eq!(found, [body(0, size), body(1, 10)]);
            }
        }
    }
}

#[test]
fn a_new_log_on_a_full_disk_leaves_nothing_behind() {
    let storage = MemoryStorage::new();
    storage.set_capacity_bytes(Some(30));
    let error = open(&storage).unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to open WAL path a.wal: no space left on device"
    );
    assert!(storage.image().names().is_empty());
    storage.set_capacity_bytes(None);
    open(&storage).unwrap();
}

#[test]
fn an_unfinished_end_that_cannot_be_kept_aside_is_not_cut_off() {
    let storage = synced_log(&[body(0, 10)]);
    let mut file = bytes(&storage);
    file.truncate(200);
    file[150..].fill(9);
    let storage = super::with_bytes(file.clone());
    storage.set_capacity_bytes(Some(220));
    let error = open(&storage).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DiskFull);
    assert_eq!(bytes(&storage), file);
    assert_eq!(storage.image().names().len(), 1);
}
