//! Sealed logs without faults: the log goes on in a new file, and covered files can be removed.

use super::super::format::{FORMAT_VERSION, FileHeader, frame_bytes};
use super::{Bodies, NAME, append, body, bytes, open, open_from, seal};
use crate::core::error_kind::ErrorKind;
use crate::disk::file::FileStorage;
use crate::disk::memory::MemoryStorage;
use crate::disk::storage::Storage;
use crate::wal::log::segment::SealedLog;

/// A log of three files with two groups in each, and its bodies.
fn three_files() -> (MemoryStorage, Bodies) {
    let storage = MemoryStorage::new();
    let (mut log, _, _) = open(&storage).unwrap();
    let bodies: Bodies = (0..6).map(|number| body(number, 200)).collect();
    for (number, group) in bodies.iter().enumerate() {
        append(&mut log, group).unwrap();
        if number == 1 || number == 3 {
            seal(&mut log, &storage).unwrap().unwrap();
        }
    }
    log.sync().unwrap();
    (storage, bodies)
}

fn names(storage: &MemoryStorage) -> Vec<String> {
    storage.image().names()
}

#[test]
fn a_sealed_log_and_the_one_behind_it_read_like_one() {
    let (storage, bodies) = three_files();
    let expected = ["a.wal", "a.wal.sealed.1", "a.wal.sealed.4"];
    assert_eq!(names(&storage), expected);
    let (log, recovery, found) = open(&storage).unwrap();
    assert_eq!(found, bodies);
    // Each file has two groups, and each sealed one a mark at its end.
    assert_eq!((recovery.frames, recovery.sealed_logs), (8, 2));
    assert_eq!((recovery.last_frame, recovery.covered_frames), (8, 0));
    assert_eq!(recovery.leftovers, Vec::<String>::new());
    assert!(!recovery.seal_finished && !recovery.created);
    let (group, mark) = (frame_bytes(200) as u64, frame_bytes(0) as u64);
    let sealed = |first_frame, last_frame| SealedLog {
        first_frame,
        last_frame,
        bytes: 64 + 2 * group + mark,
    };
    assert_eq!(log.sealed(), [sealed(1, 3), sealed(4, 6)]);
    assert_eq!(
        log.log_bytes(),
        log.file_bytes() + 2 * (64 + 2 * group + mark)
    );
    assert_eq!(recovery.bytes, 3 * (64 + 2 * group) + 2 * mark);
}

#[test]
fn numbers_go_on_behind_a_seal_and_all_before_it_is_durable() {
    let storage = MemoryStorage::new();
    let (mut log, _, _) = open(&storage).unwrap();
    assert_eq!(append(&mut log, b"a").unwrap(), 1);
    let sealed = seal(&mut log, &storage).unwrap().unwrap();
    assert_eq!((sealed.first_frame, sealed.last_frame), (1, 2));
    assert_eq!((log.appended_frame(), log.synced_frame()), (2, 2));
    for seed in 0..50 {
        let (log, recovery, found) = open(&storage.image().power_cut(seed)).unwrap();
        assert_eq!((found.len(), log.appended_frame()), (1, 2));
        assert_eq!(recovery.rewritten_frames, 0);
    }
    log.watermark().unwrap();
    assert_eq!(append(&mut log, b"b").unwrap(), 3);
    log.close().unwrap();
    let (_, recovery, found) = open(&storage).unwrap();
    assert!(recovery.clean_close);
    assert_eq!(found, [b"a", b"b"]);
}

#[test]
fn a_log_without_frames_is_not_sealed_and_a_closed_one_gets_no_second_mark() {
    let storage = MemoryStorage::new();
    let (mut log, _, _) = open(&storage).unwrap();
    assert_eq!(seal(&mut log, &storage).unwrap(), None);
    append(&mut log, b"a").unwrap();
    log.close().unwrap();
    let (mut log, _, _) = open(&storage).unwrap();
    let sealed = seal(&mut log, &storage).unwrap().unwrap();
    assert_eq!((sealed.first_frame, sealed.last_frame), (1, 2));
    assert_eq!(seal(&mut log, &storage).unwrap(), None);
    drop(log);
    let (mut log, recovery, _) = open(&storage).unwrap();
    assert_eq!((recovery.sealed_logs, recovery.last_frame), (1, 2));
    assert_eq!(seal(&mut log, &storage).unwrap(), None);
    assert_eq!(append(&mut log, b"b").unwrap(), 3);
}

#[test]
fn a_file_that_goes_on_needs_a_reader_that_knows_of_sealed_logs() {
    let (storage, _) = three_files();
    let header = |name: &str| FileHeader::decode(&storage.image().file(name).unwrap()).unwrap();
    assert_eq!(header("a.wal.sealed.1").minimum_reader_version, 1);
    assert_eq!(header("a.wal.sealed.4").minimum_reader_version, 2);
    assert_eq!(header(NAME).minimum_reader_version, FORMAT_VERSION);
    assert_eq!(header(NAME).first_frame, 7);
    assert_eq!(header(NAME).previous_salt, header("a.wal.sealed.4").salt);
}

#[test]
fn what_is_covered_is_removed_and_not_needed_again() {
    let (storage, bodies) = three_files();
    let (mut log, _, _) = open(&storage).unwrap();
    assert_eq!(log.remove_sealed(&storage, 2).unwrap(), 0);
    assert_eq!(log.sealed().len(), 2);
    let bytes = log.sealed()[0].bytes;
    assert_eq!(log.remove_sealed(&storage, 5).unwrap(), bytes);
    assert_eq!(names(&storage), ["a.wal", "a.wal.sealed.4"]);
    for seed in 0..20 {
        let survived = storage.image().power_cut(seed);
        let (_, recovery, found) = open_from(&survived, 5).unwrap();
        // Frames 4 and 5 are groups that the checkpoint covers, 6 is the mark.
        assert_eq!((recovery.covered_frames, recovery.sealed_logs), (2, 1));
        assert_eq!(found, bodies[4..]);
    }
    assert_eq!(log.remove_sealed(&storage, 6).unwrap(), bytes);
    assert!(log.sealed().is_empty());
    drop(log);
    assert_eq!(open_from(&storage, 6).unwrap().2, bodies[4..]);
    assert_eq!(open_from(&storage, 7).unwrap().2, bodies[5..]);
    let error = open_from(&storage, 5).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WalPartMissing);
}

#[test]
fn sealed_logs_that_a_checkpoint_covers_are_leftovers() {
    let (storage, bodies) = three_files();
    storage.create("a.wal.sealing").unwrap();
    let (log, recovery, found) = open_from(&storage, 6).unwrap();
    assert_eq!(found, bodies[4..]);
    let expected = ["a.wal.sealed.1", "a.wal.sealed.4", "a.wal.sealing"];
    assert_eq!(recovery.leftovers, expected);
    assert_eq!((recovery.frames, recovery.sealed_logs), (2, 0));
    assert!(log.sealed().is_empty());
    assert_eq!(names(&storage), [NAME]);
    let (_, recovery, found) = open_from(&storage.image().power_cut(3), 6).unwrap();
    assert_eq!((recovery.leftovers.len(), found), (0, bodies[4..].to_vec()));
}

#[test]
fn a_leftover_that_cannot_be_removed_is_removed_later() {
    use crate::disk::memory::Fault;
    let (storage, _) = three_files();
    let mut kept = 0;
    for call in 1..60 {
        let storage = storage.image().process_killed();
        storage.fail_call(call, Fault::Fail(std::io::ErrorKind::PermissionDenied));
        let Ok((mut log, recovery, _)) = open_from(&storage, 6) else {
            continue;
        };
        kept += log.sealed().len();
        if recovery.leftovers.len() + log.sealed().len() < 2 {
            continue; // It could not be read, and so not be known as a file of this log.
        }
        storage.heal();
        log.remove_sealed(&storage, 6).unwrap();
        assert_eq!(names(&storage), [NAME]);
    }
    assert_eq!(kept, 2, "each of the two removals failed once");
}

#[test]
fn the_new_file_is_grown_as_far_as_the_one_before_was() {
    let storage = MemoryStorage::new();
    let (mut log, _, _) = open(&storage).unwrap();
    append(&mut log, &body(0, 2 << 20)).unwrap();
    seal(&mut log, &storage).unwrap();
    let calls = storage.calls();
    append(&mut log, &body(1, 60_000)).unwrap();
    log.sync().unwrap();
    assert_eq!(storage.calls() - calls, 2, "room was made while sealing");
    append(&mut log, &body(2, 60_000)).unwrap();
    assert!(log.file_bytes() - log.used_bytes() > 200 << 10);
    assert!((bytes(&storage).len() as u64) < 500 << 10);
}

#[test]
fn another_log_beside_that_looks_like_a_passing_name_is_left_alone() {
    let storage = MemoryStorage::new();
    let other = FileHeader::new(1, [9; 16], 1).encode();
    let file = storage.create("a.wal.sealing").unwrap();
    file.write_at(0, &other).unwrap();
    let error = open(&storage).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WalPartMissing);
    storage.rename("a.wal.sealing", "kept").unwrap();
    let (mut log, _, _) = open(&storage).unwrap();
    storage.rename("kept", "a.wal.sealing").unwrap();
    append(&mut log, b"a").unwrap();
    assert_eq!(
        seal(&mut log, &storage).unwrap_err().kind(),
        ErrorKind::WalSeal
    );
    append(&mut log, b"b").unwrap();
    log.close().unwrap();
    let (_, recovery, found) = open(&storage).unwrap();
    assert_eq!((recovery.leftovers.len(), found.len()), (0, 2));
    assert_eq!(storage.image().file("a.wal.sealing").unwrap(), other);
}

#[test]
fn real_files_are_sealed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let storage = FileStorage::new(folder.path(), "data");
    let (mut log, _, _) = open(&storage).unwrap();
    append(&mut log, &body(0, 5_000)).unwrap();
    let sealed = seal(&mut log, &storage).unwrap().unwrap();
    let path = folder.path().join("a.wal.sealed.1");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), sealed.bytes);
    append(&mut log, &body(1, 100_000)).unwrap();
    log.close().unwrap();
    let (mut log, _, found) = open(&storage).unwrap();
    assert_eq!(found, [body(0, 5_000), body(1, 100_000)]);
    log.remove_sealed(&storage, sealed.last_frame).unwrap();
    assert!(!path.exists());
    drop(log);
    let (_, _, found) = open_from(&storage, sealed.last_frame).unwrap();
    assert_eq!(found, [body(1, 100_000)]);
}

#[test]
fn sealed_logs_are_removed_by_an_opening_only_once_the_name_of_the_checkpoint_is_durable() {
    let storage = MemoryStorage::new();
    let (mut log, _, _) = open(&storage).unwrap();
    append(&mut log, b"covered").unwrap();
    let sealed = seal(&mut log, &storage).unwrap().unwrap();
    append(&mut log, b"later").unwrap();
    log.sync().unwrap();
    drop(log);
    // The process is killed between the rename and the sync of the directory.
    storage.create("a.wal.checkpoint.new").unwrap();
    storage.sync_directory().unwrap();
    storage
        .rename("a.wal.checkpoint.new", "a.wal.checkpoint")
        .unwrap();
    storage.record_crash_points(true);
    open_from(&storage, sealed.last_frame).unwrap();
    let mut gone = 0;
    for point in storage.take_crash_points() {
        for seed in 0..40 {
            let names = point.image.power_cut(seed).list().unwrap();
            let has = |name: &str| names.iter().any(|found| found == name);
            assert!(
                has("a.wal.sealed.1") || has("a.wal.checkpoint"),
                "{names:?}"
            );
            gone += usize::from(!has("a.wal.sealed.1"));
        }
    }
    assert!(gone > 0);
}
