//! The log without faults: appended groups are there again, and the file grows and shrinks as it should.

use proptest::prelude::*;

use super::super::error::WalError;
use super::super::format::{FILE_HEADER_BYTES, FRAME_BODY_BYTES_MAX, frame_bytes};
use super::super::frame_buffer::FrameBuffer;
use super::super::log::Log;
use super::{NAME, append, append_synced, body, bytes, open, synced_log};
use crate::disk::file::FileStorage;
use crate::disk::memory::{Fault, MemoryStorage};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_was_appended_is_there_again(
        groups in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..2_000), 0..6_u8), 0..40),
    ) {
        let storage = MemoryStorage::new();
        let (mut log, recovery, _) = open(&storage).unwrap();
        prop_assert!(recovery.created && recovery.clean_close);
        let mut expected = Vec::new();
        for (group, then) in groups {
            if then == 4 {
                let number = append_synced(&mut log, &group).unwrap();
                prop_assert_eq!(log.synced_frame(), number);
            } else {
                append(&mut log, &group).unwrap();
            }
            expected.push(group);
            match then {
                0 => log.sync().unwrap(),
                1 => log.watermark().unwrap(),
                2 => {
                    log.close().unwrap();
                    let (reopened, recovery, bodies) = open(&storage).unwrap();
                    prop_assert!(recovery.clean_close && recovery.rewritten_frames == 0);
                    prop_assert_eq!(&bodies, &expected);
                    log = reopened;
                }
                3 => {
                    drop(log);
                    let (reopened, recovery, bodies) = open(&storage).unwrap();
                    prop_assert!(!recovery.clean_close && recovery.torn.is_none());
                    prop_assert_eq!(&bodies, &expected);
                    log = reopened;
                }
                _ => {}
            }
        }
        drop(log);
        prop_assert_eq!(open(&storage).unwrap().2, expected);
    }
}

#[test]
fn a_real_file_holds_small_and_large_groups() {
    // The folder is not the system's temporary one, which may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let storage = FileStorage::new(folder.path(), "data");
    let sizes = [0, 1, 100, 70_000, 5, 3 << 20, 65_000, 9, 300_000, 1 << 20];
    let expected: Vec<_> = sizes.iter().enumerate().map(|(n, s)| body(n, *s)).collect();
    for synced in [true, false] {
        let (mut log, _, _) = open(&storage).unwrap();
        for (number, group) in expected.iter().enumerate() {
            if synced && number % 3 > 0 {
                append_synced(&mut log, group).unwrap();
                continue;
            }
            append(&mut log, group).unwrap();
            if synced {
                log.sync().unwrap();
            }
        }
        if synced {
            drop(log);
        } else {
            log.close().unwrap();
        }
    }
    let (log, recovery, bodies) = open(&storage).unwrap();
    assert!(recovery.clean_close);
    assert_eq!(bodies, [expected.clone(), expected].concat());
    assert_eq!(log.used_bytes(), recovery.bytes);
    assert_eq!(log.file_bytes(), recovery.bytes);
    assert!(Log::probe(&storage, NAME).unwrap());
    assert!(!Log::probe(&storage, "b.wal").unwrap());
}

#[test]
fn numbers_go_on_and_the_synced_one_follows() {
    let storage = MemoryStorage::new();
    let (mut log, recovery, _) = open(&storage).unwrap();
    assert_eq!((recovery.last_frame, log.appended_frame()), (0, 0));
    assert_eq!(append(&mut log, b"a").unwrap(), 1);
    assert_eq!(append(&mut log, b"b").unwrap(), 2);
    assert_eq!((log.appended_frame(), log.synced_frame()), (2, 0));
    log.sync().unwrap();
    assert_eq!(log.synced_frame(), 2);
    log.close().unwrap();
    let (mut log, recovery, _) = open(&storage).unwrap();
    assert_eq!((recovery.last_frame, recovery.known_synced), (3, 3));
    assert_eq!(append(&mut log, b"c").unwrap(), 4);
}

#[test]
fn the_file_is_grown_in_steps_and_cut_at_a_clean_close() {
    let storage = MemoryStorage::new();
    let (mut log, _, _) = open(&storage).unwrap();
    assert_eq!(log.file_bytes(), FILE_HEADER_BYTES as u64);
    append(&mut log, b"a").unwrap();
    log.sync().unwrap();
    let grown = log.file_bytes();
    assert!((64 << 10..72 << 10).contains(&grown));
    let calls = storage.calls();
    append(&mut log, b"b").unwrap();
    log.sync().unwrap();
    assert_eq!(storage.calls() - calls, 2, "one write and one sync");
    assert_eq!(log.file_bytes(), grown);
    log.close().unwrap();
    let expected = FILE_HEADER_BYTES + 2 * frame_bytes(1) + frame_bytes(0);
    assert_eq!(bytes(&storage).len(), expected);
}

#[test]
fn opening_and_closing_again_and_again_leaves_the_file_as_it_is() {
    let storage = synced_log(&[body(0, 10)]);
    open(&storage).unwrap().0.close().unwrap();
    let before = bytes(&storage);
    for _ in 0..3 {
        open(&storage).unwrap().0.close().unwrap();
    }
    assert_eq!(bytes(&storage), before);
}

#[test]
fn a_watermark_is_written_once_and_only_when_it_tells_something() {
    let storage = MemoryStorage::new();
    let (mut log, _, _) = open(&storage).unwrap();
    log.watermark().unwrap();
    append(&mut log, b"a").unwrap();
    log.watermark().unwrap();
    assert_eq!(log.appended_frame(), 1, "nothing is synced yet");
    log.sync().unwrap();
    log.watermark().unwrap();
    assert_eq!((log.appended_frame(), log.synced_frame()), (2, 1));
    log.watermark().unwrap();
    log.sync().unwrap();
    log.watermark().unwrap();
    assert_eq!(log.appended_frame(), 2);
    drop(log);
    let (_, recovery, bodies) = open(&storage).unwrap();
    assert_eq!((recovery.known_synced, recovery.frames), (1, 2));
    assert_eq!(bodies, [b"a"]);
}

#[test]
fn a_body_over_the_limit_is_refused_and_the_log_goes_on() {
    let storage = MemoryStorage::new();
    let (mut log, _, _) = open(&storage).unwrap();
    let mut buffer = FrameBuffer::new();
    buffer.body().resize(32 + FRAME_BODY_BYTES_MAX + 1, 0);
    let refused = log.append(&mut buffer).unwrap_err();
    assert!(matches!(refused, WalError::BodyTooLarge { .. }));
    buffer.truncate(FRAME_BODY_BYTES_MAX);
    log.append(&mut buffer).unwrap();
    assert!(buffer.is_empty());
    log.close().unwrap();
    assert_eq!(open(&storage).unwrap().2[0].len(), FRAME_BODY_BYTES_MAX);
}

/// A frame written through also makes the mark before it durable, wherever that lies, and a power cut loses nothing.
#[test]
fn a_frame_written_through_makes_what_was_before_it_durable_too() {
    let storage = MemoryStorage::new();
    let (mut log, _, _) = open(&storage).unwrap();
    let mut expected = Vec::new();
    for number in 0..300 {
        expected.push(body(number, 60 + number * 7 % 130));
        append_synced(&mut log, &expected[number]).unwrap();
        if number % 3 == 0 {
            log.watermark().unwrap();
        }
        let cut = storage.image().power_cut(number as u64);
        assert_eq!(open(&cut).unwrap().2, expected, "{number}");
    }
    let calls = storage.calls();
    append_synced(&mut log, b"one").unwrap();
    assert_eq!(storage.calls(), calls + 1, "written and synced in one call");
    // Bytes that are not synced are never read back into a block: the disk may have lost them.
    log.watermark().unwrap();
    let calls = storage.calls();
    storage.fail_call(calls + 1, Fault::Fail(std::io::ErrorKind::Other));
    assert!(
        append_synced(&mut log, b"two").is_err(),
        "the first call is the write"
    );
    assert!(log.poisoned().is_some());
}
