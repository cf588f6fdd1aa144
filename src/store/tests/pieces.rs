//! A log that tells more than may be in memory is read by pieces, to the same state as at once.

use super::replaying::{large_log, opened, same};
use super::{NAME, commit, seeds};
use crate::store::checkpoint::CHECKPOINT_SUFFIX;
use crate::store::commit::Durability;
use crate::store::error::StoreError;
use crate::store::operation::{Operation, Request};
use crate::store::recovery::{Opened, open, open_within};
use crate::wal::storage_memory::MemoryStorage;

/// A fifth of what the large log tells.
const CHANGES_BYTES: u64 = 400 << 10;

fn by_pieces(disk: &MemoryStorage) -> Result<Opened, StoreError> {
    let memory = (0, CHANGES_BYTES);
    open_within(
        disk,
        NAME,
        "node",
        Durability::Synced,
        memory,
        &seeds(2),
        None,
    )
}

fn resolved(mut opened: Opened) -> Opened {
    opened.map.sort_unresolved();
    while opened.map.unresolved() > 0 {
        opened.map.resolve_some().unwrap();
    }
    opened
}

fn at_once(disk: &MemoryStorage) -> Opened {
    resolved(opened(disk, None))
}

#[test]
fn a_long_log_is_read_by_pieces_to_the_same_state() {
    let whole = at_once(&large_log());
    let disk = large_log();
    let opened = resolved(by_pieces(&disk).unwrap());
    same(&whole, &opened);
    let group_bytes = 16 << 10;
    let memory_bytes = opened.map.memory_bytes();
    assert!(
        memory_bytes <= CHANGES_BYTES + group_bytes,
        "{memory_bytes} bytes"
    );
    assert!(whole.map.memory_bytes() > 4 * CHANGES_BYTES);
    drop(opened);
    // What was made on the way is as good a beginning as any.
    same(&at_once(&large_log()), &at_once(&disk));
}

#[test]
fn a_log_that_fits_is_read_once_and_nothing_is_made_of_it() {
    let disk = large_log();
    let memory = (0, 1 << 30);
    let opened = open_within(
        &disk,
        NAME,
        "node",
        Durability::Synced,
        memory,
        &seeds(2),
        None,
    );
    same(&at_once(&large_log()), &resolved(opened.unwrap()));
    assert!(
        disk.image()
            .file(&format!("{NAME}{CHECKPOINT_SUFFIX}"))
            .is_none()
    );
}

#[test]
fn another_thread_that_helps_is_told_of_the_budget_too() {
    let disk = large_log();
    let beside = |work: Box<dyn FnOnce() + Send>| {
        std::thread::Builder::new().spawn(work).unwrap();
        true
    };
    let memory = (0, CHANGES_BYTES);
    let opened = open_within(
        &disk,
        NAME,
        "node",
        Durability::Synced,
        memory,
        &seeds(2),
        Some(&beside),
    );
    same(&at_once(&large_log()), &resolved(opened.unwrap()));
}

#[test]
fn wherever_the_power_is_cut_while_pieces_are_read_the_log_opens_to_the_same_entries() {
    let disk = large_log();
    disk.record_crash_points(true);
    drop(by_pieces(&disk).unwrap());
    let points = disk.take_crash_points();
    assert!(points.len() > 10, "{} calls", points.len());
    let whole = at_once(&large_log());
    for (number, point) in points
        .iter()
        .enumerate()
        .step_by((points.len() / 40).max(1))
    {
        let left = point.image.power_cut(number as u64);
        let opened = resolved(by_pieces(&left).unwrap());
        let rows = |opened: &Opened| {
            let rows = opened.map.range_from(std::ops::Bound::Unbounded);
            rows.map(|entry| entry.unwrap().into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(rows(&opened), rows(&whole), "cut at call {number}");
        assert_eq!(opened.map.totals(), whole.map.totals());
    }
}

#[test]
fn a_node_that_was_opened_by_pieces_goes_on_as_any_other() {
    let disk = large_log();
    let opened = by_pieces(&disk).unwrap();
    let (mut committer, mut map) = (opened.committer, opened.map);
    while map.unresolved() > 0 {
        map.resolve_some().unwrap();
    }
    let operation = Operation::put(b"later", b"value", false).unwrap();
    commit(
        &mut committer,
        &mut map,
        vec![Request::Write {
            ticket: 1,
            operation,
        }],
    );
    committer.close().unwrap();
    let again = open(&disk, NAME, "node", Durability::Synced, 0, &seeds(3)).unwrap();
    let entry = again.map.entry(b"\0later").unwrap().unwrap();
    assert_eq!(entry.value(), Some(&b"value"[..]));
    assert_eq!(
        again.map.entry(b"\0key-1").unwrap().is_some(),
        map.entry(b"\0key-1").unwrap().is_some()
    );
}
