//! Files that do not make one log: every flipped bit and cut of a sealed log, and files that are missing, swapped,
//! older or another log's. All are refused, and nothing is changed.

use crate::core::error_kind::ErrorKind;
use std::collections::BTreeMap;

use super::super::error::WalError;
use super::super::log::Log;
use super::{NAME, append, body, open, open_from};
use crate::disk::memory::MemoryStorage;
use crate::disk::storage::Storage;

const FIRST: &str = "a.wal.sealed.1";
const SECOND: &str = "a.wal.sealed.4";
const TEMP: &str = "a.wal.sealing";

type Files = BTreeMap<String, Vec<u8>>;

fn files(storage: &MemoryStorage) -> Files {
    let image = storage.image();
    let with_bytes = |name: String| (name.clone(), image.file(&name).unwrap());
    image.names().into_iter().map(with_bytes).collect()
}

fn on_disk(files: &Files) -> MemoryStorage {
    MemoryStorage::from_files(files.clone())
}

/// Frames 1 to 3 and 4 to 6 sealed, 7 in the log; the bodies begin with number `first_body`.
fn chain(first_body: usize) -> Files {
    let storage = MemoryStorage::new();
    let salt = 500 + first_body as u64;
    let opened = Log::open(&storage, NAME, salt, [7; 16], 0, &mut |_| {
        Ok::<_, WalError>(())
    });
    let (mut log, _) = opened.unwrap();
    for number in 0..5 {
        append(&mut log, &body(first_body + number, 150)).unwrap();
        if number == 1 || number == 3 {
            log.seal(&storage, (first_body + 77 * number) as u64)
                .unwrap();
        }
    }
    log.watermark().unwrap();
    log.sync().unwrap();
    drop(log);
    // The file is truncated as at a clean close, so that damage to any byte of it counts.
    open(&storage).unwrap().0.close().unwrap();
    files(&storage)
}

/// Checks that opening is refused with that kind, about that file, and changes nothing.
fn refused(files: &Files, covers_frame: u64, kind: ErrorKind, file: &str) -> WalError {
    let storage = on_disk(files);
    let error = open_from(&storage, covers_frame).unwrap_err();
    assert_eq!((error.kind(), error.file()), (kind, Some(file)), "{error}");
    assert_eq!(&self::files(&storage), files);
    error
}

#[test]
fn every_flipped_bit_of_a_sealed_log_is_refused() {
    let whole = chain(0);
    for name in [FIRST, SECOND] {
        for at in 0..whole[name].len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped.get_mut(name).unwrap()[at] ^= 1 << bit;
                let kind = if at < 8 {
                    ErrorKind::WalForeign
                } else {
                    ErrorKind::WalCorrupt
                };
                let error = refused(&flipped, 0, kind, name);
                assert!(error.offset().is_none_or(|offset| offset <= at as u64));
            }
        }
    }
}

#[test]
fn a_sealed_log_that_is_cut_or_zeros_from_anywhere_on_is_refused() {
    let whole = chain(0);
    for at in 0..whole[FIRST].len() {
        let mut cut = whole.clone();
        cut.get_mut(FIRST).unwrap().truncate(at);
        let kind = if at < 8 {
            ErrorKind::WalForeign
        } else {
            ErrorKind::WalCorrupt
        };
        refused(&cut, 0, kind, FIRST);
        let mut zeroed = whole.clone();
        zeroed.get_mut(FIRST).unwrap()[at..].fill(0);
        if zeroed != whole {
            refused(&zeroed, 0, kind, FIRST);
        }
    }
}

#[test]
fn zeros_behind_a_sealed_log_mean_nothing_and_other_bytes_are_damage() {
    let mut longer = chain(0);
    let used = longer[FIRST].len();
    longer.get_mut(FIRST).unwrap().resize(used + 4_096, 0);
    assert_eq!(open(&on_disk(&longer)).unwrap().2.len(), 5);
    longer.get_mut(FIRST).unwrap()[used + 4_000] = 1;
    let error = refused(&longer, 0, ErrorKind::WalCorrupt, FIRST);
    assert_eq!(error.offset(), Some(used as u64));
}

#[test]
fn a_missing_file_is_named() {
    let whole = chain(0);
    let mut missing = whole.clone();
    missing.remove(FIRST);
    refused(
        &missing,
        0,
        ErrorKind::CheckpointMissing,
        "a.wal.checkpoint",
    );
    refused(&missing, 2, ErrorKind::WalPartMissing, "a.wal.sealed.3");
    assert_eq!(open_from(&on_disk(&missing), 3).unwrap().2.len(), 3);
    let mut missing = whole.clone();
    missing.remove(SECOND);
    refused(&missing, 0, ErrorKind::WalPartMissing, SECOND);
    refused(&missing, 3, ErrorKind::WalPartMissing, SECOND);
    assert_eq!(open_from(&on_disk(&missing), 6).unwrap().2.len(), 1);
    let mut missing = whole;
    missing.remove(NAME);
    refused(&missing, 0, ErrorKind::WalPartMissing, NAME);
    assert!(!Log::probe(&on_disk(&missing), NAME).unwrap());
    missing.clear();
    refused(&missing, 1, ErrorKind::WalPartMissing, NAME);
}

#[test]
fn a_file_of_another_log_or_another_history_is_refused() {
    let (ours, copy) = (chain(0), chain(40));
    // Both logs have the same id and frame numbers: only the salts differ.
    for name in [FIRST, SECOND, NAME] {
        let mut swapped = ours.clone();
        swapped.insert(name.to_owned(), copy[name].clone());
        let reported = if name == FIRST { SECOND } else { name };
        refused(&swapped, 0, ErrorKind::WalForeign, reported);
    }
    let mut swapped = ours.clone();
    swapped.insert(FIRST.to_owned(), ours[SECOND].clone());
    refused(&swapped, 0, ErrorKind::WalForeign, FIRST);
    let storage = MemoryStorage::new();
    let (mut log, _) = Log::open(
        &storage,
        NAME,
        5,
        [8; 16],
        0,
        &mut |_| Ok::<_, WalError>(()),
    )
    .unwrap();
    append(&mut log, b"other").unwrap();
    log.close().unwrap();
    let other = files(&storage).remove(NAME).unwrap();
    let mut swapped = ours.clone();
    swapped.insert(FIRST.to_owned(), other.clone());
    refused(&swapped, 0, ErrorKind::WalForeign, FIRST);
    // A file that is not needed is not looked at, and left as it is.
    let storage = on_disk(&swapped);
    assert_eq!(open_from(&storage, 3).unwrap().2.len(), 3);
    assert_eq!(files(&storage)[FIRST], other);
    let mut swapped = ours;
    swapped.insert("a.wal.sealed.99".to_owned(), other);
    refused(&swapped, 0, ErrorKind::WalForeign, "a.wal.sealed.99");
}

#[test]
fn an_older_log_in_the_place_of_the_log_is_told() {
    let whole = chain(0);
    let error = refused(&whole, 9, ErrorKind::WalBehind, NAME);
    assert!(
        error.to_string().contains("before frame 9"),
        "{error}: 7 and a mark are there"
    );
    let mut older = whole.clone();
    older.insert(NAME.to_owned(), whole[FIRST].clone());
    refused(&older, 0, ErrorKind::WalBehind, NAME);
    refused(&older, 6, ErrorKind::WalBehind, NAME);
    let only = Files::from([(NAME.to_owned(), whole[FIRST].clone())]);
    refused(&only, 4, ErrorKind::WalBehind, NAME);
    assert_eq!(open_from(&on_disk(&only), 3).unwrap().2.len(), 0);
}

#[test]
fn damage_below_what_a_checkpoint_covers_is_never_a_torn_end() {
    let storage = MemoryStorage::new();
    let (mut log, _, _) = open(&storage).unwrap();
    append(&mut log, &body(0, 300)).unwrap();
    log.sync().unwrap();
    let mut only = files(&storage);
    only.get_mut(NAME).unwrap()[150] ^= 1;
    assert!(open(&on_disk(&only)).unwrap().1.torn.is_some());
    let error = refused(&only, 1, ErrorKind::WalCorrupt, NAME);
    assert_eq!(error.offset(), Some(64));
}

#[test]
fn a_halved_seal_is_finished_only_with_the_file_that_was_made_for_it() {
    let whole = chain(0);
    let mut halved = whole.clone();
    let next = halved.remove(NAME).unwrap();
    halved.insert(TEMP.to_owned(), next.clone());
    let storage = on_disk(&halved);
    assert!(Log::probe(&storage, NAME).unwrap());
    let (log, recovery, found) = open(&storage).unwrap();
    assert!(recovery.seal_finished && recovery.leftovers.is_empty());
    assert_eq!((found.len(), log.sealed().len()), (5, 2));
    drop(log);
    assert_eq!(files(&storage), whole);
    let survived = storage.image().power_cut(1);
    assert_eq!(open(&survived).unwrap().2.len(), 5);

    // The log itself is gone, and the file of the seal was made for an earlier seal.
    let mut stale = whole.clone();
    stale.remove(NAME);
    stale.insert(TEMP.to_owned(), whole[SECOND].clone());
    assert!(!Log::probe(&on_disk(&stale), NAME).unwrap());
    refused(&stale, 0, ErrorKind::WalPartMissing, NAME);
    let alone = Files::from([(TEMP.to_owned(), next)]);
    refused(&alone, 0, ErrorKind::WalPartMissing, NAME);
    // With the log in its place that file is a leftover.
    let mut stale = whole.clone();
    stale.insert(TEMP.to_owned(), whole[SECOND].clone());
    let storage = on_disk(&stale);
    assert_eq!(open(&storage).unwrap().1.leftovers, [TEMP]);
    assert_eq!(storage.list().unwrap().len(), 3);
}

#[test]
fn the_last_bit_of_a_halved_seal_counts_too() {
    let mut halved = chain(0);
    let next = halved.remove(NAME).unwrap();
    halved.insert(TEMP.to_owned(), next);
    let at = halved[SECOND].len() - 10;
    halved.get_mut(SECOND).unwrap()[at] ^= 1;
    refused(&halved, 0, ErrorKind::WalCorrupt, SECOND);
}
