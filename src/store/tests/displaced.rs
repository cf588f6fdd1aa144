//! A store whose path leads elsewhere: writes are refused and leave no trace, the end of the log is not reported as
//! fine, and acknowledged writes are in the files, wherever these are.

use super::{NAME, WALL, commit, operation, reopen, seeds};
use crate::core::error_kind::ErrorKind;
use crate::disk::memory::MemoryStorage;
use crate::disk::storage::Storage;
use crate::store::commit::committer::{Committer, Durability};
use crate::store::commit::operation::Request;
use crate::store::maintain::recovery::open;
use crate::store::state::map::EntryMap;
use crate::wal::files::held_storage::HeldStorage;
use crate::wal::log::segment::checkpoint_name;

fn held(disk: &MemoryStorage, durability: Durability) -> (Committer, EntryMap) {
    let storage = HeldStorage::new(disk.clone(), NAME);
    let opened = open(&storage, NAME, "node", durability, 1 << 16, &seeds(0)).unwrap();
    (opened.committer, opened.map)
}

fn write(ticket: u64, key: u8) -> Vec<Request> {
    let operation = operation(key, Some(1));
    vec![Request::Write { ticket, operation }]
}

fn kind_of(committer: &mut Committer, map: &EntryMap, requests: Vec<Request>) -> ErrorKind {
    let refused = committer.commit(requests, map, WALL).unwrap_err();
    match refused.error {
        crate::store::error::StoreError::Log(error) => error.kind(),
        other => panic!("{other}"),
    }
}

#[test]
fn a_write_behind_a_log_that_was_moved_leaves_no_trace_and_the_next_is_taken_once_it_is_back() {
    let disk = MemoryStorage::new();
    let (mut committer, mut map) = held(&disk, Durability::Synced);
    commit(&mut committer, &mut map, write(1, 1));
    disk.rename(NAME, "elsewhere").unwrap();
    let before = committer.ledger().last_sequence;
    for ticket in 2..4 {
        let kind = kind_of(&mut committer, &map, write(ticket, 2));
        assert_eq!(kind, ErrorKind::WalRemoved);
    }
    assert!(committer.poisoned().is_none());
    assert_eq!(committer.ledger().last_sequence, before);
    disk.rename("elsewhere", NAME).unwrap();
    commit(&mut committer, &mut map, write(4, 3));
    let expected = map.summary();
    committer.close().unwrap();
    assert_eq!(reopen(&disk, Durability::Synced, 1).1.summary(), expected);
}

#[test]
fn with_auto_flush_off_it_is_told_at_the_next_sync_and_refused_from_then_on() {
    let disk = MemoryStorage::new();
    let (mut committer, mut map) = held(&disk, Durability::Written);
    commit(&mut committer, &mut map, write(1, 1));
    disk.rename(NAME, "elsewhere").unwrap();
    // Accepted without a sync, so the place was not checked.
    commit(&mut committer, &mut map, write(2, 2));
    committer.sync().unwrap_err();
    assert!(committer.is_behind());
    assert_eq!(
        kind_of(&mut committer, &map, write(3, 3)),
        ErrorKind::WalRemoved
    );
    let flush = vec![Request::Flush { ticket: 4 }];
    assert_eq!(kind_of(&mut committer, &map, flush), ErrorKind::WalRemoved);
    disk.rename("elsewhere", NAME).unwrap();
    committer.sync().unwrap();
    commit(&mut committer, &mut map, write(5, 5));
    committer.close().unwrap();
    assert_eq!(
        reopen(&disk, Durability::Written, 1).1.summary(),
        map.summary()
    );
}

#[test]
fn an_end_elsewhere_is_clean_and_not_told_as_fine() {
    let disk = MemoryStorage::new();
    let (mut committer, mut map) = held(&disk, Durability::Synced);
    commit(&mut committer, &mut map, write(1, 1));
    disk.rename(NAME, "elsewhere").unwrap();
    let reported = committer.close().unwrap_err().to_string();
    assert!(
        reported.contains(NAME) && reported.contains("removed or moved"),
        "{reported}"
    );
    disk.rename("elsewhere", NAME).unwrap();
    let opened = open(&disk, NAME, "node", Durability::Synced, 0, &seeds(1)).unwrap();
    assert!(opened.report.log.unwrap().clean_close);
    assert_eq!(opened.map.summary(), map.summary());
}

#[test]
fn an_end_without_the_checkpoint_that_it_needs_is_not_told_as_fine() {
    let disk = MemoryStorage::new();
    let (mut committer, mut map) = held(&disk, Durability::Synced);
    commit(&mut committer, &mut map, write(1, 1));
    committer.close().unwrap();
    let storage = HeldStorage::new(disk.clone(), NAME);
    let checkpoint = checkpoint_name(NAME);
    disk.create(&checkpoint).unwrap();
    // An opening reads the checkpoint in this way.
    assert!(storage.open(&checkpoint).unwrap().is_some());
    let opened = {
        disk.remove(&checkpoint).unwrap();
        open(&storage, NAME, "node", Durability::Synced, 0, &seeds(1)).unwrap()
    };
    let reported = opened.committer.close().unwrap_err().to_string();
    assert!(reported.contains(&checkpoint), "{reported}");
}

#[test]
fn what_was_written_over_a_log_is_not_ended_with_a_mark() {
    let disk = MemoryStorage::new();
    let (mut committer, mut map) = held(&disk, Durability::Synced);
    commit(&mut committer, &mut map, write(1, 1));
    let file = disk.open(NAME).unwrap().unwrap();
    file.set_len(0).unwrap();
    file.write_at(0, b"a restored backup").unwrap();
    committer.close().unwrap_err();
    let mut bytes = [0; 64];
    let count = file.read_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes[..count], b"a restored backup");
}
