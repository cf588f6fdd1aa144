//! Every cut, every stretch of zeros and every flipped bit of a small log is found, except the one case that no log
//! can tell; a wrong body is never served.

use super::super::error::WalError;
use super::super::format::{FILE_HEADER_BYTES, frame_bytes};
use super::{Bodies, NAME, append, body, bytes, open, with_bytes};
use crate::core::error_kind::ErrorKind;
use crate::disk::memory::MemoryStorage;
use crate::wal::recover::recovery::Recovery;

/// Groups of different lengths; every third sync is left out, so that frames tell different things.
fn history(count: usize, group_bytes: usize, close: bool) -> (Bodies, Vec<u8>) {
    let storage = MemoryStorage::new();
    let (mut log, _, _) = open(&storage).unwrap();
    let bodies: Bodies = (0..count)
        .map(|number| body(number, group_bytes + number * 13))
        .collect();
    for (number, group) in bodies.iter().enumerate() {
        append(&mut log, group).unwrap();
        if number % 3 != 1 {
            log.sync().unwrap();
        }
    }
    log.sync().unwrap();
    let used = usize::try_from(log.used_bytes()).unwrap();
    if close {
        log.close().unwrap();
        return (bodies, bytes(&storage));
    }
    let mut file = bytes(&storage);
    file.truncate(used + 200);
    (bodies, file)
}

/// Opens a damaged file; a refusal must change nothing.
fn open_damaged(file: &[u8]) -> Result<(Recovery, Bodies), WalError> {
    let storage = with_bytes(file.to_vec());
    match open(&storage) {
        Ok((_, recovery, bodies)) => {
            assert_eq!(
                recovery.torn.is_some(),
                storage.image().file("a.wal.torn").is_some()
            );
            // A second opening gives the same result.
            Ok((recovery, bodies))
        }
        Err(error) => {
            assert_eq!(storage.image().file(NAME).unwrap(), file);
            assert_eq!(storage.image().names(), [NAME]);
            Err(error)
        }
    }
}

/// Number of groups that end at or before `at`.
fn groups_before(bodies: &Bodies, at: usize) -> usize {
    let mut end = FILE_HEADER_BYTES;
    let ends = bodies.iter().map(|body| {
        end += frame_bytes(body.len());
        end
    });
    ends.take_while(|end| *end <= at).count()
}

#[test]
fn a_log_that_is_cut_anywhere_gives_the_groups_before_the_cut() {
    for close in [false, true] {
        let (bodies, file) = history(7, 120, close);
        for at in 0..file.len() {
            match open_damaged(&file[..at]) {
                Ok((_, found)) => assert_eq!(found, bodies[..groups_before(&bodies, at)]),
                Err(error) => {
                    assert!(at < FILE_HEADER_BYTES, "{at}: {error}");
                    let expected = if at < 8 {
                        ErrorKind::WalForeign
                    } else {
                        ErrorKind::WalCorrupt
                    };
                    assert_eq!(error.kind(), expected);
                }
            }
        }
    }
}

#[test]
fn a_log_that_is_zeros_from_anywhere_on_gives_the_groups_before() {
    for close in [false, true] {
        let (bodies, file) = history(7, 120, close);
        for at in 0..file.len() {
            let mut zeroed = file.clone();
            zeroed[at..].fill(0);
            match open_damaged(&zeroed) {
                // A last byte that was zero anyway makes no difference, so one more group may survive the cut.
                Ok((_, found)) => {
                    let least = groups_before(&bodies, at);
                    assert!(found.len() >= least && found.len() <= least + 1);
                    assert_eq!(found, bodies[..found.len()]);
                }
                Err(error) => assert!(at < FILE_HEADER_BYTES, "{at}: {error}"),
            }
        }
    }
}

#[test]
fn zeros_in_the_middle_of_what_was_synced_are_refused() {
    let (bodies, file) = history(7, 120, true);
    let last_start = FILE_HEADER_BYTES
        + bodies
            .iter()
            .map(|body| frame_bytes(body.len()))
            .sum::<usize>();
    for at in (FILE_HEADER_BYTES..last_start - 8).step_by(8) {
        let mut zeroed = file.clone();
        zeroed[at..at + 8].fill(0);
        if zeroed != file {
            assert_eq!(
                open_damaged(&zeroed).unwrap_err().kind(),
                ErrorKind::WalCorrupt
            );
        }
    }
}

/// Flips every bit. Returns how often the last group was taken for unfinished.
fn flip_every_bit(bodies: &Bodies, file: &[u8], close: bool) -> usize {
    let frames_start = FILE_HEADER_BYTES;
    let last_group = bodies[..bodies.len() - 1]
        .iter()
        .fold(frames_start, |at, body| at + frame_bytes(body.len()));
    let last_end = last_group + frame_bytes(bodies.last().unwrap().len());
    let mut taken_for_torn = 0;
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut flipped = file.to_vec();
            flipped[at] ^= 1 << bit;
            match open_damaged(&flipped) {
                Err(error) => {
                    let expected = if at < 8 {
                        ErrorKind::WalForeign
                    } else {
                        ErrorKind::WalCorrupt
                    };
                    assert_eq!(error.kind(), expected, "byte {at} bit {bit}");
                    assert!(close || at < last_group);
                }
                Ok((recovery, found)) => {
                    assert!(recovery.torn.is_some(), "byte {at} bit {bit}");
                    if !close && (last_group..last_end).contains(&at) {
                        taken_for_torn += 1;
                        assert_eq!(found, bodies[..bodies.len() - 1]);
                    } else {
                        assert!(at >= last_end);
                        assert_eq!(&found, bodies);
                    }
                }
            }
        }
    }
    taken_for_torn
}

#[test]
fn every_flipped_bit_of_a_closed_log_is_found() {
    let (bodies, file) = history(9, 780, true);
    assert!(file.len() > 7_800);
    assert_eq!(flip_every_bit(&bodies, &file, true), 0);
}

#[test]
fn every_flipped_bit_of_a_log_that_was_not_closed_is_found_or_in_the_last_group() {
    let (bodies, file) = history(4, 300, false);
    let last = frame_bytes(bodies.last().unwrap().len());
    assert_eq!(flip_every_bit(&bodies, &file, false), last * 8);
}

#[test]
fn any_bytes_behind_a_header_open_or_are_refused_without_a_panic() {
    use proptest::prelude::*;
    let (_, file) = history(1, 10, false);
    proptest!(ProptestConfig::with_cases(300), |(noise: Vec<u8>, keep in 0..200_usize)| {
        let mut garbage = file[..keep.min(file.len())].to_vec();
        garbage.extend_from_slice(&noise);
        let _ = open_damaged(&garbage);
    });
}
