//! A log that exceeds the memory limit is read by pieces, to a state equal to that of reading it at once.

use super::replaying::{fill, large_log, opened, same};
use super::{NAME, commit, seeds};
use crate::disk::memory::{CrashPoint, Fault, MemoryStorage};
use crate::disk::storage::Storage;
use crate::store::commit::committer::Durability;
use crate::store::commit::operation::{Operation, Request};
use crate::store::error::StoreError;
use crate::store::maintain::checkpoint::{CHECKPOINT_SUFFIX, TEMP_SUFFIX};
use crate::store::maintain::recovery::{Opened, OpeningMemory, open, open_within};
use crate::store::maintain::verify::verify;

/// Memory limit in these tests: a fifth of the large log's content.
const CHANGES_BYTES: u64 = 400 << 10;

fn memory(changes_bytes: u64) -> OpeningMemory {
    OpeningMemory {
        cache_bytes: 0,
        changes_bytes,
        work_bytes: 1 << 10,
    }
}

fn by_pieces(disk: &MemoryStorage) -> Result<Opened, StoreError> {
    let memory = memory(CHANGES_BYTES);
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
    opened.map.sort_base_unknown();
    while opened.map.base_unknown() > 0 {
        opened.map.look_up_base().unwrap();
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
    // The checkpoints made on the way are valid beginnings.
    same(&at_once(&large_log()), &at_once(&disk));
}

#[test]
fn a_log_that_fits_is_read_once_and_nothing_is_made_of_it() {
    let disk = large_log();
    let memory = memory(1 << 30);
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
    let memory = memory(CHANGES_BYTES);
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

/// Entries with their local sequences and sources, and their sum: everything ever acknowledged.
fn acknowledged(opened: &Opened) -> impl PartialEq + std::fmt::Debug + use<> {
    let rows = opened.map.range_from(std::ops::Bound::Unbounded);
    let rows = rows.map(|entry| entry.unwrap().into_owned());
    let rows = rows.map(|entry| {
        let held = opened.map.held_entry(entry.key()).unwrap().unwrap();
        (held.lseq, opened.map.source_of(held.via), entry)
    });
    (rows.collect::<Vec<_>>(), opened.map.totals())
}

/// Local sequence up to which a log of [`left_by_a_killed_process`] is certainly synced: that of the last seal.
const SEALED: u64 = 400;

/// A log of several files after a checkpoint, left by a killed process: after the last group there is half of
/// another. Without a sync for each group, nothing is synced since the last seal.
fn left_by_a_killed_process(durability: Durability) -> MemoryStorage {
    let disk = MemoryStorage::new();
    let opened = open(&disk, NAME, "node", durability, 0, &seeds(1)).unwrap();
    let (mut committer, mut map) = (opened.committer, opened.map);
    fill(&mut committer, &mut map, 0..40);
    super::verify::checkpoint(&disk, NAME, &mut committer, &mut map, 71);
    for (salt, groups) in [(72, 40..120), (73, 120..200)] {
        fill(&mut committer, &mut map, groups);
        committer.seal(&disk, salt).unwrap();
    }
    fill(&mut committer, &mut map, 200..300);
    drop((committer, map));
    let file = disk.open(NAME).unwrap().unwrap();
    let end = file.len().unwrap();
    file.set_len(end - end / 5).unwrap();
    let left = disk.image();
    if durability == Durability::Written {
        return left.process_killed();
    }
    // Made durable, because otherwise a power cut may bring the other half back.
    let names = left.names().into_iter();
    MemoryStorage::from_files(names.map(|name| (name.clone(), left.file(&name).unwrap())))
}

/// Opens by pieces, cuts the power or kills the process before every call of the disk, and opens again, with as little
/// memory and with more. Everything must be there where each group was synced (`is_synced`), and wherever a process was
/// killed. A log that was written without a sync for each group promises less: until an opening has synced it, a power
/// cut may take everything after the last seal, whichever way it is read. So only the sealed part is required at
/// first; from the first piece on, which may cover only durable frames, everything is.
fn cut_everywhere(disk: &dyn Fn() -> MemoryStorage, is_synced: bool) {
    let whole = acknowledged(&at_once(&disk()));
    let cut = disk();
    cut.record_crash_points(true);
    assert!(acknowledged(&resolved(by_pieces(&cut).unwrap())) == whole);
    let points = cut.take_crash_points();
    let has = |point: &CrashPoint, suffix| point.image.file(&format!("{NAME}{suffix}"));
    let mut made: Vec<_> = points
        .iter()
        .filter_map(|point| has(point, CHECKPOINT_SUFFIX))
        .collect();
    made.dedup();
    assert!(made.len() > 3, "{} checkpoints on the way", made.len());
    let mut has_piece = false;
    for point in &points {
        has_piece |= has(point, TEMP_SUFFIX).is_some();
        let killed = point.image.process_killed();
        let cuts = (1..4).map(|seed| (point.image.power_cut(seed ^ point.calls), false));
        for (left, is_killed) in cuts.chain([(killed, true)]) {
            let copy = || left.image().process_killed();
            let call = point.calls;
            let opened = resolved(by_pieces(&copy()).unwrap());
            let found = acknowledged(&opened);
            assert!(found == acknowledged(&at_once(&copy())), "call {call}");
            assert!(opened.committer.ledger().last_lseq >= SEALED, "call {call}");
            let is_all = is_synced || is_killed || has_piece;
            assert!(!is_all || found == whole, "call {call}");
            let verified = verify(&left, NAME).unwrap().unwrap();
            assert!(verified.is_whole(), "call {call}: {verified:?}");
        }
    }
}

#[test]
fn wherever_the_power_is_cut_while_pieces_are_read_nothing_acknowledged_is_lost() {
    cut_everywhere(&large_log, true);
}

#[test]
fn wherever_the_power_is_cut_while_many_files_are_read_by_pieces_nothing_acknowledged_is_lost() {
    cut_everywhere(&|| left_by_a_killed_process(Durability::Synced), true);
}

#[test]
fn no_piece_covers_what_a_power_cut_may_still_take_from_the_log() {
    cut_everywhere(&|| left_by_a_killed_process(Durability::Written), false);
}

#[test]
fn a_power_cut_at_an_opening_after_a_power_cut_at_one_loses_nothing() {
    let mut disk = left_by_a_killed_process(Durability::Synced);
    let whole = acknowledged(&at_once(&disk.image().process_killed()));
    for round in 0..40_usize {
        disk.record_crash_points(true);
        let opened = resolved(by_pieces(&disk).unwrap());
        assert!(acknowledged(&opened) == whole, "round {round}");
        let points = disk.take_crash_points();
        let place = round * 7 % points.len();
        disk = points[place].image.power_cut(round as u64);
    }
}

#[test]
fn whatever_call_of_the_disk_fails_while_pieces_are_read_the_next_opening_has_everything() {
    let left = left_by_a_killed_process(Durability::Synced).image();
    let disk = || left.process_killed();
    let whole = acknowledged(&at_once(&disk()));
    let counted = disk();
    drop(by_pieces(&counted).unwrap());
    // Most calls are reads. A prime number of them is skipped each time, so that one of each kind is met.
    let (mut tried, mut failed) = (0, 0);
    for call in (1..=counted.calls()).step_by(if counted.calls() > 2_000 { 37 } else { 7 }) {
        tried += 1;
        let disk = disk();
        disk.fail_call(call, Fault::Fail(std::io::ErrorKind::StorageFull));
        failed += u64::from(by_pieces(&disk).is_err());
        disk.heal();
        let left = disk.image().power_cut(call);
        let opened = resolved(by_pieces(&left).unwrap());
        assert!(acknowledged(&opened) == whole, "call {call}");
    }
    assert!(failed > tried / 2, "{failed} of {tried} openings");
}

#[test]
fn a_node_that_was_opened_by_pieces_goes_on_as_any_other() {
    let disk = large_log();
    let opened = by_pieces(&disk).unwrap();
    let (mut committer, mut map) = (opened.committer, opened.map);
    while map.base_unknown() > 0 {
        map.look_up_base().unwrap();
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
