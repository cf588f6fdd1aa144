//! A log whose path leads elsewhere: nothing of another log is touched, and the writer gets an error.

use super::super::error::WalError;
use super::super::frame_buffer::FrameBuffer;
use super::super::log::Log;
use crate::core::error_kind::ErrorKind;
use crate::disk::memory::MemoryStorage;
use crate::disk::storage::{Storage, replace_file};
use crate::wal::files::held_storage::HeldStorage;
use crate::wal::log::segment::{checkpoint_name, sealed_name, sealing_name};

const NAME: &str = "a.wal";

fn open(disk: &MemoryStorage) -> (HeldStorage<MemoryStorage>, Log) {
    let storage = HeldStorage::new(disk.clone(), NAME);
    let opened = Log::open(
        &storage,
        NAME,
        1,
        [1; 16],
        0,
        &mut |_| Ok::<_, WalError>(()),
    );
    (storage, opened.unwrap().0)
}

fn append(log: &mut Log) {
    let mut buffer = FrameBuffer::new();
    buffer.body().extend_from_slice(b"body");
    log.append_synced(&mut buffer).unwrap();
}

fn put(disk: &MemoryStorage, name: &str, bytes: &[u8]) {
    if disk.open(name).unwrap().is_some() {
        disk.remove(name).unwrap();
    }
    disk.create(name).unwrap().write_at(0, bytes).unwrap();
}

fn content(disk: &MemoryStorage, name: &str) -> Option<Vec<u8>> {
    let file = disk.open(name).unwrap()?;
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
    Some(bytes)
}

/// A way in which the log can lose its place: its name, the change, and the expected kind of error.
type Way = (&'static str, fn(&MemoryStorage), ErrorKind);

const WAYS: [Way; 4] = [
    (
        "removed",
        |disk| disk.remove(NAME).unwrap(),
        ErrorKind::WalRemoved,
    ),
    (
        "moved",
        |disk| disk.rename(NAME, "b.wal").unwrap(),
        ErrorKind::WalRemoved,
    ),
    (
        "replaced",
        |disk| put(disk, NAME, b"another store"),
        ErrorKind::WalReplaced,
    ),
    (
        "written over",
        |disk| {
            let file = disk.open(NAME).unwrap().unwrap();
            file.set_len(0).unwrap();
            file.write_at(0, b"a restored backup").unwrap();
        },
        ErrorKind::WalReplaced,
    ),
];

#[test]
fn a_log_that_lost_its_place_is_told_before_anything_is_appended_and_is_not_sealed() {
    for (way, happen, kind) in WAYS {
        let disk = MemoryStorage::new();
        let (storage, mut log) = open(&disk);
        append(&mut log);
        log.check_place().unwrap();
        happen(&disk);
        let names = disk.list().unwrap();
        let there = content(&disk, NAME);
        assert_eq!(log.check_place().unwrap_err().kind(), kind, "{way}");
        assert!(log.is_displaced(), "{way}");
        assert_eq!(log.watermark().unwrap_err().kind(), kind, "{way}");
        assert_eq!(log.seal(&storage, 2).unwrap_err().kind(), kind, "{way}");
        assert!(log.poisoned().is_none(), "{way}");
        assert_eq!(disk.list().unwrap(), names, "{way}");
        assert_eq!(content(&disk, NAME), there, "{way}");
    }
}

#[test]
fn a_log_that_is_back_in_its_place_goes_on() {
    let disk = MemoryStorage::new();
    let (storage, mut log) = open(&disk);
    append(&mut log);
    disk.rename(NAME, "elsewhere").unwrap();
    log.check_place().unwrap_err();
    disk.rename("elsewhere", NAME).unwrap();
    log.check_place().unwrap();
    assert!(!log.is_displaced());
    append(&mut log);
    assert!(log.seal(&storage, 2).unwrap().is_some());
    log.check_parts().unwrap();
}

#[test]
fn what_was_written_over_a_log_is_found_also_where_it_is_as_long() {
    let disk = MemoryStorage::new();
    let (storage, mut log) = open(&disk);
    append(&mut log);
    log.check_content().unwrap();
    let file = disk.open(NAME).unwrap().unwrap();
    file.write_at(0, b"another header").unwrap();
    assert_eq!(
        log.check_content().unwrap_err().kind(),
        ErrorKind::WalReplaced
    );
    assert_eq!(
        log.seal(&storage, 2).unwrap_err().kind(),
        ErrorKind::WalReplaced
    );
}

#[test]
fn a_part_or_a_checkpoint_that_is_not_in_its_place_is_told_by_name() {
    let (sealed, checkpoint) = (sealed_name(NAME, 1), checkpoint_name(NAME));
    for lost in [&sealed, &checkpoint] {
        for is_replaced in [false, true] {
            let disk = MemoryStorage::new();
            let (storage, mut log) = open(&disk);
            append(&mut log);
            log.seal(&storage, 2).unwrap().unwrap();
            replace_file(&storage, &checkpoint, &mut |file| file.write_at(0, b"rows")).unwrap();
            log.check_parts().unwrap();
            disk.remove(lost).unwrap();
            if is_replaced {
                put(&disk, lost, b"another's");
            }
            log.check_place().unwrap();
            let reported = log.check_parts().unwrap_err();
            assert_eq!(reported.file(), Some(lost.as_str()));
            let kind = if is_replaced {
                ErrorKind::WalReplaced
            } else {
                ErrorKind::WalRemoved
            };
            assert_eq!(reported.kind(), kind);
        }
    }
}

#[test]
fn no_file_of_another_store_is_renamed_replaced_or_removed() {
    let (sealed, checkpoint) = (sealed_name(NAME, 1), checkpoint_name(NAME));
    let temp = format!("{checkpoint}.new");
    // Another store takes the place of all files, in the same directory.
    let disk = MemoryStorage::new();
    let (storage, mut log) = open(&disk);
    append(&mut log);
    log.seal(&storage, 2).unwrap().unwrap();
    replace_file(&storage, &checkpoint, &mut |file| file.write_at(0, b"rows")).unwrap();
    drop(storage.create(&temp).unwrap());
    let mut removal = log.covered(u64::MAX).unwrap();
    let all = [NAME, &sealed, &checkpoint, &temp];
    for name in all {
        put(&disk, name, b"another's");
    }
    let before = disk.list().unwrap();
    assert_eq!(
        removal.carry_out(&storage).unwrap_err().kind(),
        ErrorKind::WalReplaced
    );
    assert!(storage.rename(&temp, &checkpoint).is_err());
    assert!(storage.create(&sealing_name(NAME)).is_err());
    for name in all {
        assert!(storage.remove(name).is_err(), "{name}");
        assert!(storage.open(name).is_err(), "{name}");
    }
    assert_eq!(disk.list().unwrap(), before);
    for name in all {
        assert_eq!(content(&disk, name).unwrap(), b"another's");
    }
}

#[test]
fn one_file_that_was_replaced_beside_the_log_is_left_as_it_is() {
    let checkpoint = checkpoint_name(NAME);
    let temp = format!("{checkpoint}.new");
    for is_known in [false, true] {
        let disk = MemoryStorage::new();
        let (storage, _log) = open(&disk);
        if is_known {
            replace_file(&storage, &checkpoint, &mut |file| file.write_at(0, b"rows")).unwrap();
        } else {
            assert!(storage.open(&checkpoint).unwrap().is_none());
        }
        put(&disk, &checkpoint, b"restored");
        drop(storage.create(&temp).unwrap());
        assert!(storage.rename(&temp, &checkpoint).is_err());
        assert_eq!(content(&disk, &checkpoint).unwrap(), b"restored");
        // A missing file is created anew: nobody loses anything by that.
        disk.remove(&checkpoint).unwrap();
        storage.rename(&temp, &checkpoint).unwrap();
    }
}

#[test]
fn a_seal_that_finds_another_log_halfway_leaves_it() {
    let disk = MemoryStorage::new();
    let (storage, mut log) = open(&disk);
    append(&mut log);
    let sealed = sealed_name(NAME, 1);
    drop(storage.create(&sealing_name(NAME)).unwrap());
    storage.rename(NAME, &sealed).unwrap();
    put(&disk, NAME, b"another's");
    assert!(storage.rename(&sealing_name(NAME), NAME).is_err());
    assert_eq!(content(&disk, NAME).unwrap(), b"another's");
}
