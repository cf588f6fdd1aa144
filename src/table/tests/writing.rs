//! Refusals of a writer, and failures of the disk.

use crate::core::error_kind::ErrorKind;
use std::io;

use crate::core::limits::VALUE_BYTES_MAX;

use super::{
    CACHE_BYTES, CheckpointError, MemoryStorage, NAME, OwnRow, Row, bytes, open, row, rows, verify,
    write,
};
use crate::disk::memory::Fault;
use crate::disk::storage::Storage;
use crate::table::footer::NOTES_MAX;
use crate::table::format::{ROW_BODY_BYTES_MAX, ROW_KEY_BYTES_MAX};
use crate::table::verify::Verified;
use crate::table::write::writer::CheckpointWriter;

fn plain(key: &[u8], lseq: u64) -> Row<'_> {
    Row {
        key,
        stream: Some(0),
        lseq,
        sum: 1,
        body: b"body",
        is_dead: false,
    }
}

fn push_all(writer: &mut CheckpointWriter<'_>, rows: &[OwnRow]) {
    for row in rows {
        writer.push(&row.borrowed()).unwrap();
    }
}

/// Kind of the error of writing these rows, or of finishing; `None` if both succeed.
fn kind_of(rows: &[Row<'_>]) -> Option<ErrorKind> {
    let storage = MemoryStorage::new();
    let mut writer = CheckpointWriter::create(&storage, NAME).unwrap();
    for row in rows {
        if let Err(error) = writer.push(row) {
            let again = writer.push(&plain(b"zzz", 99)).unwrap_err();
            assert_eq!(again.kind(), ErrorKind::CheckpointRefused);
            assert!(writer.finish(b"", 0).is_err());
            return Some(error.kind());
        }
    }
    writer.finish(b"", 0).err().map(|error| error.kind())
}

#[test]
fn rows_that_break_a_rule_are_refused_and_nothing_is_taken_after() {
    let long = vec![b'k'; ROW_KEY_BYTES_MAX + 1];
    let large = vec![0; ROW_BODY_BYTES_MAX + 1];
    assert_eq!(kind_of(&[plain(b"a", 1), plain(b"b", 2)]), None);
    assert_eq!(kind_of(&[plain(&long[1..], 1)]), None);
    assert_eq!(
        kind_of(&[plain(b"", 1)]),
        Some(ErrorKind::CheckpointRefused)
    );
    assert_eq!(
        kind_of(&[plain(b"b", 1), plain(b"a", 2)]),
        Some(ErrorKind::CheckpointRefused)
    );
    assert_eq!(
        kind_of(&[plain(b"a", 1), plain(b"a", 2)]),
        Some(ErrorKind::CheckpointRefused)
    );
    assert_eq!(
        kind_of(&[plain(b"a", 1), plain(b"b", 1)]),
        Some(ErrorKind::CheckpointRefused)
    );
    let stream = Some(2);
    assert_eq!(
        kind_of(&[Row {
            stream,
            ..plain(b"a", 1)
        }]),
        Some(ErrorKind::CheckpointRefused)
    );
    assert_eq!(
        kind_of(&[plain(&long, 1)]),
        Some(ErrorKind::CheckpointTooLarge)
    );
    assert_eq!(
        kind_of(&[Row {
            body: &large,
            ..plain(b"a", 1)
        }]),
        Some(ErrorKind::CheckpointTooLarge)
    );
}

#[test]
fn the_largest_value_and_a_large_meta_area_read_back() {
    let storage = MemoryStorage::new();
    let mut writer = CheckpointWriter::create(&storage, NAME).unwrap();
    let large = vec![7; VALUE_BYTES_MAX + 100];
    let meta = vec![9; 3 << 20];
    writer
        .push(&Row {
            body: &large,
            ..plain(b"a", 1)
        })
        .unwrap();
    assert!(writer.bytes() > large.len() as u64);
    writer.push(&plain(b"b", 2)).unwrap();
    writer.set_notes(&[1; NOTES_MAX + 1]);
    writer.finish(&meta, 1).unwrap();
    let checkpoint = open(&storage, 1 << 20).unwrap();
    let found = checkpoint.find(b"a").unwrap().unwrap();
    assert_eq!(
        (found.body_bytes(), found.inline_body()),
        (large.len(), None)
    );
    assert!(checkpoint.body(&found).unwrap()[..] == large[..]);
    assert!(checkpoint.meta().unwrap() == meta);
    assert_eq!(checkpoint.notes(), [1; NOTES_MAX]);
    assert_eq!(verify(&checkpoint).unwrap(), Verified::Whole);
}

#[test]
fn a_finished_checkpoint_survives_a_power_cut_and_replaces_what_had_its_name() {
    let storage = MemoryStorage::from_files([
        (NAME.to_owned(), b"left by a crash".to_vec()),
        (format!("{NAME}.feed"), b"this too".to_vec()),
    ]);
    let rows = rows(3_000, 300);
    let mut writer = CheckpointWriter::with_sort_limit(&storage, NAME, 100).unwrap();
    push_all(&mut writer, &rows);
    writer.finish(b"", 3).unwrap();
    storage.sync_directory().unwrap();
    let written = bytes(&storage);
    for seed in 0..4 {
        let disk = storage.image().power_cut(seed);
        assert_eq!(disk.image().names(), [NAME]);
        assert!(disk.image().file(NAME).unwrap() == written);
    }
}

#[test]
fn a_writer_that_is_dropped_takes_its_side_file_along() {
    let storage = MemoryStorage::new();
    let mut writer = CheckpointWriter::with_sort_limit(&storage, NAME, 1).unwrap();
    push_all(&mut writer, &rows(9, 10));
    assert_eq!(storage.image().names().len(), 2);
    drop(writer);
    assert_eq!(storage.image().names(), [NAME]);
}

fn write_failing(rows: &[OwnRow], call: u64) -> Result<u64, CheckpointError> {
    let storage = MemoryStorage::new();
    storage.fail_call(
        call,
        Fault::Short {
            bytes: 10,
            error: io::ErrorKind::StorageFull,
        },
    );
    let mut writer = CheckpointWriter::with_sort_limit(&storage, NAME, 10)?;
    for row in rows {
        writer.push(&row.borrowed())?;
    }
    writer.finish(b"", 0)?;
    Ok(storage.calls())
}

#[test]
fn every_call_of_the_disk_that_fails_is_told() {
    let mut rows = rows(60, 100);
    rows.push(row(60, "t".to_owned(), 2 << 20));
    let calls = write_failing(&rows, u64::MAX).unwrap();
    let mut passed = 0;
    for call in 1..=calls {
        match write_failing(&rows, call) {
            Ok(_) => passed += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
                assert!(error.file().starts_with(NAME));
            }
        }
    }
    // Only the removal of the side file may fail in silence.
    assert_eq!(passed, 1);
}

#[test]
fn a_damaged_side_file_is_found_before_anything_comes_of_it() {
    let storage = MemoryStorage::new();
    let mut writer = CheckpointWriter::with_sort_limit(&storage, NAME, 10).unwrap();
    push_all(&mut writer, &rows(60, 10));
    let side = storage.open(&format!("{NAME}.feed")).unwrap().unwrap();
    side.write_at(9, &[1]).unwrap();
    assert_eq!(
        writer.finish(b"", 0).unwrap_err().kind(),
        ErrorKind::CheckpointDamaged
    );
}

#[test]
fn small_rows_take_little_more_than_their_bytes() {
    let rows = rows(20_000, 117);
    let plain: usize = rows.iter().map(|row| row.key.len() + row.body.len()).sum();
    let (storage, finished) = write(&rows, 1_000_000);
    assert!(finished.file_bytes * 100 < plain as u64 * 120);
    assert!(open(&storage, CACHE_BYTES).unwrap().open.top.len() < 1_000);
}
