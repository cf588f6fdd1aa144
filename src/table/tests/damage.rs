//! Every flipped bit, cut and run of zeros in a small checkpoint is reported, or has no effect on any read.

use crate::core::error_kind::ErrorKind;
use std::ops::Bound;

use proptest::prelude::*;

use super::{CheckpointError, NAME, OwnRow, bytes, open, row, rows, verify, with_bytes, write};
use crate::disk::storage::Storage;
use crate::table::block::gone_rows::GoneRows;
use crate::table::header::{self, HEADER_BYTES};
use crate::table::read::source::Keep;

/// A checkpoint with several blocks, two bodies outside of them, and both feeds.
fn sample() -> (Vec<OwnRow>, Vec<u8>) {
    let mut sample = rows(60, 100);
    sample.push(row(60, "t1".to_owned(), 2_300));
    sample.push(row(61, "t2".to_owned(), 40));
    sample.push(row(62, "t3".to_owned(), 2_100));
    let (storage, _) = write(&sample, 1_000);
    (sample, bytes(&storage))
}

/// Reads everything, in every way; each value read must be right. Returns the first error, if there is one.
fn read_all(file: Vec<u8>, rows: &[OwnRow]) -> Result<(), CheckpointError> {
    let checkpoint = open(&with_bytes(file), 1 << 20)?;
    let mut first = Ok(());
    let mut note = |error: CheckpointError| {
        assert_eq!(error.kind(), ErrorKind::CheckpointDamaged);
        first = Err(error);
    };
    let mut expect = |found: Result<Option<_>, CheckpointError>, row: &OwnRow| {
        let found = found.and_then(|found| {
            let found = found.as_ref();
            found
                .map(|found| OwnRow::read(&checkpoint, found))
                .transpose()
        });
        match found {
            Ok(found) => assert_eq!(found.as_ref(), Some(row)),
            Err(error) => note(error),
        }
    };
    for row in rows {
        expect(checkpoint.find(&row.key), row);
        if let Some(stream) = row.stream {
            expect(checkpoint.feed(stream).at(row.lseq), row);
        }
    }
    match checkpoint.range(Bound::Unbounded) {
        Ok(mut cursor) => {
            for row in rows {
                let next = cursor.next();
                let failed = next.is_err();
                expect(next, row);
                if failed {
                    break;
                }
            }
        }
        Err(error) => note(error),
    }
    match checkpoint.meta() {
        Ok(meta) => assert_eq!(meta, b"meta"),
        Err(error) => note(error),
    }
    first
}

/// True if opening and verifying reports a file that differs from the one written.
fn is_reported(file: Vec<u8>) -> bool {
    open(&with_bytes(file), 1 << 20)
        .and_then(|checkpoint| verify(&checkpoint))
        .is_err()
}

#[test]
fn every_flipped_bit_is_found_and_nothing_wrong_is_read() {
    let (rows, file) = sample();
    assert!(file.len() > 10_000);
    read_all(file.clone(), &rows).unwrap();
    assert!(!is_reported(file.clone()));
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut flipped = file.clone();
            flipped[at] ^= 1 << bit;
            assert!(is_reported(flipped.clone()), "byte {at} bit {bit}");
            // All bits of a byte are under one checksum.
            if bit == at % 8 {
                assert!(
                    at < 8 || read_all(flipped, &rows).is_err(),
                    "byte {at} bit {bit}"
                );
            }
        }
    }
}

#[test]
fn a_file_that_was_cut_or_zeroed_anywhere_is_refused() {
    let (_, file) = sample();
    for at in 0..file.len() {
        let error = open(&with_bytes(file[..at].to_vec()), 0).unwrap_err();
        let expected = if at < 8 {
            ErrorKind::CheckpointForeign
        } else {
            ErrorKind::CheckpointDamaged
        };
        assert_eq!(error.kind(), expected);
        let mut zeroed = file.clone();
        zeroed[at..].fill(0);
        assert!(zeroed == file || open(&with_bytes(zeroed), 0).is_err());
    }
    assert!(open(&with_bytes([&file[..], b"\0"].concat()), 0).is_err());
}

#[test]
fn a_file_that_is_cut_while_it_is_open_is_told() {
    let (rows, file) = sample();
    let storage = with_bytes(file);
    let checkpoint = open(&storage, 1 << 20).unwrap();
    let same = storage.open(NAME).unwrap().unwrap();
    same.set_len(HEADER_BYTES as u64 + 10).unwrap();
    assert_eq!(
        checkpoint.find(&rows[0].key).unwrap_err().kind(),
        ErrorKind::CheckpointDamaged
    );
    assert!(verify(&checkpoint).is_err());
}

#[test]
fn verifying_looks_at_the_disk_and_not_at_what_is_in_memory() {
    let (rows, file) = sample();
    let storage = with_bytes(file.clone());
    let checkpoint = open(&storage, 1 << 20).unwrap();
    for row in &rows {
        checkpoint.find(&row.key).unwrap();
        checkpoint
            .feed(row.stream.unwrap_or(0))
            .at(row.lseq)
            .unwrap();
    }
    let same = storage.open(NAME).unwrap().unwrap();
    for (at, byte) in file.iter().enumerate() {
        same.write_at(at as u64, &[byte ^ 1]).unwrap();
        assert!(verify(&checkpoint).is_err(), "byte {at}");
        same.write_at(at as u64, &[*byte]).unwrap();
    }
    verify(&checkpoint).unwrap();
}

#[test]
fn a_newer_checkpoint_and_another_file_are_told_from_a_damaged_one() {
    let (_, mut file) = sample();
    let newer = header::encode(5, header::FORMAT_VERSION + 1);
    file[..HEADER_BYTES].copy_from_slice(&newer);
    let error = open(&with_bytes(file), 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CheckpointNewerVersion);
    for other in [&b"hello"[..], b"", &[0; 4096]] {
        let error = open(&with_bytes(other.to_vec()), 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CheckpointForeign);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_behind_any_part_of_a_checkpoint_are_met_without_a_panic(noise: Vec<u8>, keep: usize) {
        let (_, file) = sample();
        let keep = keep % file.len();
        let mut garbage = file[..keep].to_vec();
        garbage.extend_from_slice(&noise);
        prop_assert!(is_reported(garbage));
        let mut overwritten = file.clone();
        let end = file.len().min(keep + noise.len());
        overwritten[keep..end].copy_from_slice(&noise[..end - keep]);
        prop_assert!(overwritten == file || is_reported(overwritten));
    }
}

#[test]
fn a_top_that_contradicts_itself_is_an_error_and_no_empty_checkpoint() {
    let rows = rows(900, 100);
    let (storage, _) = write(&rows, 1_000_000);
    let mut checkpoint = open(&storage, super::CACHE_BYTES).unwrap();
    let open = std::sync::Arc::get_mut(&mut checkpoint.open).unwrap();
    (open.top, open.top_fences) = (vec![0; 40].into(), None);
    assert!(matches!(
        checkpoint.find(&rows[0].key),
        Err(CheckpointError::Damaged { .. })
    ));
}

#[test]
fn blocks_in_which_nothing_is_left_are_not_read() {
    let count = 20_000;
    for is_dead in [true, false] {
        let mut sample = rows(count, 100);
        let last = sample.len() - 1;
        for (number, row) in sample.iter_mut().enumerate() {
            row.is_dead = is_dead && number != 0 && number != last;
        }
        let (storage, _) = write(&sample, 1_000_000);
        let whole = open(&storage, 1 << 20).unwrap();
        let mut gone = GoneRows::default();
        let mut file = bytes(&storage);
        for number in 500..u32::try_from(count).unwrap() - 500 {
            let located = whole.open.locate_row(number, Keep::Temp).unwrap();
            // Every reader of this block gets an error.
            let offset = usize::try_from(located.unwrap().place.offset).unwrap();
            file[offset + 20] = 0xff;
        }
        for row in sample.iter().filter(|_| !is_dead).skip(1).take(last - 1) {
            gone.add(whole.find(&row.key).unwrap().unwrap().block_of().unwrap());
        }
        let checkpoint = open(&with_bytes(file), 0).unwrap();
        let mut live = checkpoint.range(Bound::Unbounded).unwrap();
        let mut found = Vec::new();
        while let Some(row) = live.next_live(&gone).unwrap() {
            found.push(row.key());
        }
        assert_eq!(found.first(), Some(&sample[0].key));
        assert_eq!(found.last(), Some(&sample[last].key));
        assert!(found.len() < 200, "{} rows", found.len());
        let mut all = checkpoint.range(Bound::Unbounded).unwrap();
        let reported = std::iter::from_fn(|| all.next().transpose()).find(Result::is_err);
        assert!(reported.is_some());
    }
}
