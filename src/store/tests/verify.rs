//! Every fault of a store is reported with its place, and `verify` changes nothing.

use super::super::error::StoreError;
use super::{NAME, commit, operation, remove_covered, reopen};
use crate::core::error_kind::ErrorKind;
use crate::disk::memory::MemoryStorage;
use crate::disk::storage::Storage;
use crate::store::commit::committer::{Committer, Durability};
use crate::store::commit::operation::{Operation, Request};
use crate::store::maintain::checkpoint::{CheckpointJob, TEMP_SUFFIX};
use crate::store::maintain::recovery::put_in_place;
use crate::store::maintain::verify::{StoreRemark, Verification, verify};
use crate::store::state::map::EntryMap;
use crate::store::state::rebase::Rebase;
use crate::wal::error::WalError;

pub(super) const CHECKPOINT: &str = "a.wal.checkpoint";

pub(super) fn put(committer: &mut Committer, map: &mut EntryMap, key: u8, value: u8) {
    let operation = operation(key, Some(value));
    let request = Request::Write {
        ticket: 1,
        operation,
    };
    commit(committer, map, vec![request]);
}

/// A store of ten keys in two sealed files and the log, as a killed process leaves it.
pub(super) fn sample() -> MemoryStorage {
    let disk = MemoryStorage::new();
    let (mut committer, mut map) = reopen(&disk, Durability::Synced, 1);
    for key in 0..10 {
        put(&mut committer, &mut map, key, key);
        if key == 3 || key == 6 {
            committer.seal(&disk, u64::from(key) + 99).unwrap();
        }
    }
    committer.watermark().unwrap();
    disk
}

/// The files of a disk.
pub(super) fn files(disk: &MemoryStorage) -> Vec<(String, Vec<u8>)> {
    let image = disk.image();
    let mut names = disk.list().unwrap();
    names.sort();
    let file = |name: String| {
        let bytes = image.file(&name).unwrap();
        (name, bytes)
    };
    names.into_iter().map(file).collect()
}

/// The disk with one of its files changed.
pub(super) fn changed(
    disk: &MemoryStorage,
    name: &str,
    change: impl Fn(&mut Vec<u8>),
) -> MemoryStorage {
    let mut files = files(disk);
    let file = files.iter_mut().find(|file| file.0 == name).unwrap();
    change(&mut file.1);
    MemoryStorage::from_files(files)
}

/// The disk without one of its files.
fn without(disk: &MemoryStorage, name: &str) -> MemoryStorage {
    MemoryStorage::from_files(files(disk).into_iter().filter(|file| file.0 != name))
}

fn verified(disk: &MemoryStorage) -> Verification {
    let before = files(disk);
    let verification = verify(disk, NAME).unwrap().unwrap();
    assert_eq!(files(disk), before, "nothing is changed");
    verification
}

fn kinds(verification: &Verification) -> Vec<ErrorKind> {
    let kind = |problem: &StoreError| match problem {
        StoreError::Checkpoint(error) => error.kind(),
        StoreError::Log(error) => error.kind(),
        StoreError::MissingLog { .. } => ErrorKind::WalMissing,
        StoreError::Record { .. } | StoreError::Row { .. } => ErrorKind::RecordMalformed,
        StoreError::OtherCheckpoint { .. } => ErrorKind::CheckpointMismatch,
        other => panic!("{other}"),
    };
    verification.problems.iter().map(kind).collect()
}

#[test]
fn a_whole_store_is_whole_and_counted() {
    let found = verified(&sample());
    assert!(found.is_whole());
    assert_eq!(found.files.len(), 3);
    assert!(found.files.iter().all(|file| file.is_whole));
    // Each opening logs a group too.
    assert_eq!((found.groups, found.entries), (11, 10));
    assert_eq!(found.remarks, []);
    assert_eq!(found.unfinished, None);
    assert!(verify(&MemoryStorage::new(), NAME).unwrap().is_none());
}

#[test]
fn an_unfinished_end_is_told_and_is_no_damage() {
    let torn = changed(&sample(), NAME, |bytes| {
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        let end = (end + 1).next_multiple_of(8);
        bytes[end] = 7;
    });
    let found = verified(&torn);
    assert!(found.is_whole());
    let end = found.unfinished.unwrap();
    assert_eq!((end.file.as_str(), end.bytes), (NAME, 1));
    let (_, map) = reopen(&torn, Durability::Synced, 2);
    assert_eq!(map.len(), 10);
}

#[test]
fn every_flipped_bit_is_told_or_harmless() {
    let disk = sample();
    for (name, bytes) in files(&disk) {
        for at in (0..bytes.len()).step_by(if bytes.len() > 4096 { 257 } else { 3 }) {
            let damaged = changed(&disk, &name, |bytes| bytes[at] ^= 1 << (at % 8));
            let found = verified(&damaged);
            // Faults that an opening would refuse are reported, and nothing else.
            let opened = super::open(
                &damaged,
                NAME,
                "node",
                Durability::Synced,
                1 << 20,
                &super::seeds(9),
            );
            assert_eq!(
                opened.is_ok(),
                found.is_whole(),
                "{name} {at}: {:?}, {:?}",
                found.problems,
                opened.err()
            );
            if let Some(StoreError::Log(WalError::Corrupt { file, offset })) =
                found.problems.first()
            {
                assert_eq!(*file, name);
                assert!(*offset <= at as u64, "{name} {at}");
            }
        }
    }
}

#[test]
fn damage_in_several_files_is_told_for_each() {
    let disk = sample();
    let twice = changed(&disk, "a.wal.sealed.1", |bytes| bytes[100] ^= 1);
    let twice = changed(&twice, NAME, |bytes| bytes[70] ^= 1);
    assert_eq!(
        kinds(&verified(&twice)),
        [ErrorKind::WalCorrupt, ErrorKind::WalCorrupt]
    );
}

#[test]
fn what_is_missing_foreign_or_newer_is_told_by_its_name() {
    let disk = sample();
    let names: Vec<String> = files(&disk).into_iter().map(|file| file.0).collect();
    let second = names
        .iter()
        .find(|name| name.contains("sealed") && !name.ends_with(".1"))
        .unwrap();
    let cases = [
        (without(&disk, second), vec![ErrorKind::WalPartMissing]),
        (
            without(&disk, "a.wal.sealed.1"),
            vec![ErrorKind::CheckpointMissing],
        ),
        (without(&disk, NAME), vec![ErrorKind::WalMissing]),
        (
            changed(&disk, NAME, |bytes| bytes[..8].fill(b'x')),
            vec![ErrorKind::WalForeign],
        ),
        (
            changed(&disk, second, |bytes| bytes.fill(b'x')),
            vec![ErrorKind::WalForeign, ErrorKind::WalPartMissing],
        ),
    ];
    for (disk, expected) in cases {
        let found = verified(&disk);
        assert_eq!(kinds(&found), expected, "{:?}", found.problems);
    }
}

#[test]
fn a_lost_lease_is_a_remark() {
    let found = verified(&without(&sample(), "a.wal.lease"));
    assert!(found.is_whole());
    let expected = [StoreRemark::LeaseLost("a.wal.lease".to_owned())];
    assert_eq!(found.remarks, expected);
}

/// A store with a checkpoint of all but the last ten of its 300 keys; some values are stored outside of blocks.
pub(super) fn with_checkpoint() -> MemoryStorage {
    let disk = MemoryStorage::new();
    let (mut committer, mut map) = reopen(&disk, Durability::Synced, 1);
    let put = |committer: &mut Committer, map: &mut EntryMap, number: u64| {
        let key = format!("key {number:04}");
        let value = vec![7; if number.is_multiple_of(50) { 4000 } else { 30 }];
        let operation = Operation::put(key.as_bytes(), &value, false).unwrap();
        let request = Request::Write {
            ticket: 1,
            operation,
        };
        commit(committer, map, vec![request]);
    };
    for number in 0..290 {
        put(&mut committer, &mut map, number);
    }
    checkpoint(&disk, NAME, &mut committer, &mut map, 77);
    for number in 290..300 {
        put(&mut committer, &mut map, number);
    }
    committer.watermark().unwrap();
    disk
}

/// Makes a checkpoint of everything in a store.
pub(super) fn checkpoint(
    disk: &MemoryStorage,
    name: &str,
    committer: &mut Committer,
    map: &mut EntryMap,
    salt: u64,
) {
    while map.unsorted() > 0 {
        map.sort_some();
    }
    committer.seal(disk, salt).unwrap();
    let covers_frame = committer.sealed_frame().unwrap();
    let cut = committer.cut(covers_frame, map).unwrap();
    let (temp, last_lseq) = (format!("{name}{TEMP_SUFFIX}"), cut.ledger.last_lseq);
    let mut job = CheckpointJob::begin(disk, &temp, cut).unwrap();
    loop {
        if job.has_more() {
            job.take_page(map);
        }
        if !job.write_page().unwrap() {
            break;
        }
    }
    map.close_snapshot(job.snapshot());
    job.finish().unwrap();
    let base = put_in_place(disk, &temp, name, 1 << 16, &mut || {
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    drop(Rebase::new(base, map, last_lseq).finish(map));
    remove_covered(committer, disk, covers_frame).unwrap();
}

#[test]
fn a_checkpoint_is_verified_and_compared_to_the_log() {
    let disk = with_checkpoint();
    let found = verified(&disk);
    assert!(found.is_whole(), "{:?}", found.problems);
    assert_eq!(found.remarks, []);
    assert_eq!(found.checkpoint.unwrap().rows, 290);
    let cases = [
        (
            changed(&disk, CHECKPOINT, |bytes| bytes[4000] ^= 1),
            vec![ErrorKind::CheckpointDamaged],
        ),
        (
            changed(&disk, CHECKPOINT, |bytes| bytes[1] ^= 1),
            vec![ErrorKind::CheckpointForeign],
        ),
        (
            without(&disk, CHECKPOINT),
            vec![ErrorKind::CheckpointMissing],
        ),
        (without(&disk, NAME), vec![ErrorKind::WalMissing]),
    ];
    for (disk, expected) in cases {
        let found = verified(&disk);
        assert_eq!(kinds(&found), expected, "{:?}", found.problems);
    }
    // Beside the log of another store, and beside an older log of its own.
    for (round, expected) in [
        (5, ErrorKind::CheckpointMismatch),
        (1, ErrorKind::WalBehind),
    ] {
        let other = MemoryStorage::new();
        drop(reopen(&other, Durability::Synced, round));
        let mut swapped = files(&disk);
        swapped.retain(|file| file.0 != NAME);
        swapped.extend(files(&other).into_iter().find(|file| file.0 == NAME));
        let found = verified(&MemoryStorage::from_files(swapped));
        assert!(kinds(&found).contains(&expected), "{:?}", found.problems);
    }
}

#[test]
fn every_part_of_a_checkpoint_is_looked_at() {
    let disk = with_checkpoint();
    let bytes = disk.image().file(CHECKPOINT).unwrap().len();
    for at in (0..bytes).step_by(97) {
        let damaged = changed(&disk, CHECKPOINT, |bytes| bytes[at] ^= 1 << (at % 8));
        let found = verified(&damaged);
        assert!(!found.is_whole(), "{at} of {bytes}");
        let opened = super::open(
            &damaged,
            NAME,
            "node",
            Durability::Synced,
            1 << 20,
            &super::seeds(9),
        );
        assert!(opened.is_ok() || !found.is_whole());
    }
}
