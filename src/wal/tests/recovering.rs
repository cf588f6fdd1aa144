//! Opening of files that are no logs, of unfinished ends, and of frames from newer versions.

use super::super::error::WalError;
use super::super::format::{
    FILE_HEADER_BYTES, FLAG_MAY_BE_IGNORED, FORMAT_VERSION, FileHeader, FrameHeader, FrameKind,
};
use super::super::frame_buffer::FrameBuffer;
use super::super::log::Log;
use super::{NAME, append, body, bytes, open, synced_log, with_bytes};
use crate::core::error_kind::ErrorKind;
use crate::disk::storage::Storage;
use crate::wal::recover::recovery::TornTail;

/// Checks that opening fails with that kind, and changes nothing on the disk.
fn refused(file: &[u8], kind: ErrorKind) -> WalError {
    let storage = with_bytes(file.to_vec());
    let error = open(&storage).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(
        Log::probe(&storage, NAME).is_err(),
        kind != ErrorKind::WalCorrupt || error.offset() == Some(0)
    );
    assert_eq!(bytes(&storage), file);
    assert_eq!(storage.image().names(), [NAME]);
    error
}

#[test]
fn a_file_that_is_not_a_log_is_refused_and_left_as_it_is() {
    refused(&[], ErrorKind::WalForeign);
    refused(b"x", ErrorKind::WalForeign);
    refused(
        &b"{\"name\":\"somebody's\"}".repeat(100),
        ErrorKind::WalForeign,
    );
    refused(&vec![0; 70_000], ErrorKind::WalForeign);
}

#[test]
fn a_damaged_header_and_a_newer_version_are_told_apart() {
    let whole = bytes(&synced_log(&[body(0, 10)]));
    let error = refused(&whole[..40], ErrorKind::WalCorrupt);
    assert_eq!(error.to_string(), "corrupted WAL record at byte offset 0");
    assert_eq!(error.file(), Some(NAME));
    let mut header = FileHeader::decode(&whole).unwrap();
    header.minimum_reader_version = FORMAT_VERSION + 1;
    let mut newer = whole;
    newer[..FILE_HEADER_BYTES].copy_from_slice(&header.encode());
    refused(&newer, ErrorKind::WalNewerVersion);
}

/// The log of `synced_log` with a frame of that kind and with those flags at its end.
fn with_frame(kind: u8, flags: u8) -> Vec<u8> {
    let storage = synced_log(&[body(0, 10)]);
    let (log, _, _) = open(&storage).unwrap();
    let header = FrameHeader {
        body_bytes: 3,
        number: 2,
        known_synced: 1,
        kind,
        flags,
    };
    let mut buffer = FrameBuffer::new();
    buffer.body().extend_from_slice(b"new");
    let frame = buffer.seal(&header, log.header().salt, log.used_bytes());
    let mut file = bytes(&storage);
    let at = usize::try_from(log.used_bytes()).unwrap();
    file[at..at + frame.len()].copy_from_slice(frame);
    file
}

#[test]
fn an_unknown_kind_is_passed_over_only_when_it_says_that_it_may_be() {
    let storage = with_bytes(with_frame(200, FLAG_MAY_BE_IGNORED));
    let (mut log, recovery, bodies) = open(&storage).unwrap();
    assert_eq!((recovery.frames, bodies.len()), (2, 1));
    assert_eq!(append(&mut log, b"next").unwrap(), 3);
    let storage = with_bytes(with_frame(200, 0));
    let before = bytes(&storage);
    assert_eq!(
        open(&storage).unwrap_err().kind(),
        ErrorKind::WalNewerVersion
    );
    assert_eq!(bytes(&storage), before);
}

#[test]
fn an_unfinished_end_is_kept_aside_cut_off_and_told() {
    let storage = synced_log(&[body(0, 10), body(1, 10)]);
    let mut file = bytes(&storage);
    let (mut log, _, _) = open(&storage).unwrap();
    let start = log.used_bytes();
    append(&mut log, &body(2, 300)).unwrap();
    let whole = bytes(&storage);
    let (from, to) = (
        usize::try_from(start).unwrap(),
        usize::try_from(start).unwrap() + 200,
    );
    file[from..to].copy_from_slice(&whole[from..to]);
    let storage = with_bytes(file);
    let (mut log, recovery, bodies) = open(&storage).unwrap();
    assert_eq!(bodies, [body(0, 10), body(1, 10)]);
    assert!(!recovery.clean_close);
    let torn = TornTail {
        offset: start,
        bytes: 200,
        kept_as: "a.wal.torn".to_owned(),
    };
    assert_eq!(recovery.torn, Some(torn));
    let kept = storage.image().file("a.wal.torn").unwrap();
    assert_eq!(kept, whole[from..to]);
    assert_eq!(
        bytes(&storage).len(),
        from,
        "nothing of it is left in the log"
    );
    append(&mut log, &body(3, 10)).unwrap();
    log.close().unwrap();
    let (_, recovery, bodies) = open(&storage).unwrap();
    assert_eq!((recovery.torn, bodies.len()), (None, 3));
    assert_eq!(storage.image().file("a.wal.torn").unwrap(), kept);
    assert_eq!(storage.list().unwrap().len(), 2);
}

#[test]
fn an_unfinished_end_is_in_the_log_or_kept_aside_wherever_the_power_is_cut() {
    let mut file = bytes(&synced_log(&[body(0, 10)]));
    file.truncate(200);
    file[150..].fill(9);
    let end = file[112..].to_vec();
    let storage = with_bytes(file);
    storage.record_crash_points(true);
    open(&storage).unwrap();
    for point in storage.take_crash_points() {
        for seed in 0..20 {
            let left = point.image.power_cut(seed).image();
            let log = left.file(NAME).unwrap();
            let kept = left.file("a.wal.torn");
            assert!(log.get(112..) == Some(&end) || kept.as_ref() == Some(&end));
        }
    }
}

#[test]
fn damage_below_a_known_sync_is_refused_with_its_offset() {
    let storage = synced_log(&[body(0, 100), body(1, 100), body(2, 100)]);
    let mut file = bytes(&storage);
    file[FILE_HEADER_BYTES + 40] ^= 1;
    let error = refused(&file, ErrorKind::WalCorrupt);
    assert_eq!(error.to_string(), "corrupted WAL record at byte offset 64");
}

#[test]
fn damage_to_the_last_group_is_told_by_a_watermark_or_a_clean_close() {
    for close in [false, true] {
        let storage = synced_log(&[body(0, 100)]);
        let (mut log, _, _) = open(&storage).unwrap();
        if close {
            log.close().unwrap();
        } else {
            log.watermark().unwrap();
        }
        let mut file = bytes(&storage);
        file[FILE_HEADER_BYTES + 40] ^= 1;
        refused(&file, ErrorKind::WalCorrupt);
    }
}

#[test]
fn frames_that_nothing_tells_to_be_synced_are_written_anew() {
    let storage = synced_log(&[body(0, 10), body(1, 10)]);
    let (mut log, _, _) = open(&storage).unwrap();
    // The frames are so many that the reader has to look for the first of them, from a mark before it.
    for number in 2..900 {
        append(&mut log, &body(number, 300)).unwrap();
        if number == 600 {
            log.sync().unwrap();
        }
    }
    drop(log);
    let before = bytes(&storage);
    let (_, recovery, bodies) = open(&storage).unwrap();
    assert_eq!(bodies.len(), 900);
    assert_eq!(recovery.known_synced, 601);
    assert_eq!(recovery.rewritten_frames, 900 - 601);
    assert_eq!(bytes(&storage), before);
    let survived = storage.image().power_cut(1);
    assert_eq!(open(&survived).unwrap().2, bodies);
}

#[test]
fn what_a_failed_sync_lost_is_durable_after_the_next_opening() {
    let storage = synced_log(&[body(0, 10)]);
    let (mut log, _, _) = open(&storage).unwrap();
    append(&mut log, &body(1, 10)).unwrap();
    storage.fail_call(
        storage.calls() + 1,
        crate::disk::memory::Fault::Fail(std::io::ErrorKind::Other),
    );
    assert!(log.sync().is_err());
    drop(log);
    let (_, _, bodies) = open(&storage).unwrap();
    assert_eq!(bodies.len(), 2, "the system still shows it");
    for seed in 0..50 {
        let survived = storage.image().power_cut(seed);
        assert_eq!(open(&survived).unwrap().2, bodies);
    }
}

#[test]
fn a_visitor_ends_the_opening_with_its_own_error() {
    #[derive(Debug, PartialEq)]
    enum Refusal {
        Mine(u64),
        Log(WalError),
    }
    impl From<WalError> for Refusal {
        fn from(error: WalError) -> Self {
            Self::Log(error)
        }
    }
    let storage = synced_log(&[body(0, 10), body(1, 10)]);
    let before = bytes(&storage);
    let outcome = Log::open(&storage, NAME, 1, [0; 16], 0, &mut |frame| {
        if frame.number == 2 {
            return Err(Refusal::Mine(frame.offset));
        }
        Ok(())
    });
    assert!(matches!(outcome, Err(Refusal::Mine(at)) if at > 64));
    assert_eq!(bytes(&storage), before);
    let foreign = with_bytes(Vec::new());
    let outcome = Log::open(&foreign, NAME, 1, [0; 16], 0, &mut |_| Ok(()));
    assert!(matches!(outcome, Err(Refusal::Log(_))));
}

#[test]
fn a_close_mark_is_only_believed_to_be_durable_when_the_file_ends_with_it() {
    let storage = synced_log(&[body(0, 10)]);
    let (log, _, _) = open(&storage).unwrap();
    log.close().unwrap();
    let mut file = bytes(&storage);
    file.resize(file.len() + 4096, 0);
    let (_, recovery, _) = open(&with_bytes(file)).unwrap();
    assert!(recovery.clean_close);
    assert_eq!((recovery.known_synced, recovery.rewritten_frames), (1, 1));
    let storage = synced_log(&[]);
    let (log, _, _) = open(&storage).unwrap();
    log.close().unwrap();
    let closed = [FrameKind::Close as u8];
    let file = bytes(&storage);
    let header = FrameHeader::decode(&file[FILE_HEADER_BYTES..], 0x5a17, 64).unwrap();
    assert_eq!([header.kind], closed);
}

#[test]
fn a_log_that_version_1_wrote_is_read_and_still_written_the_same() {
    const WRITTEN: &str = "\
        89534157414c0d0a0100010000000000175a0000000000000100000000000000\
        07070707070707070707070707070707000000000000000000000000194756d0\
        fa534146030000000100000000000000000000000000000001000000e249ddb0\
        6f6e659d80411800\
        fa53414600000000020000000000000001000000000000000300000033\
        5a951f1cdf442100000000";
    let byte = |at| u8::from_str_radix(&WRITTEN[at..at + 2], 16).unwrap();
    let written: Vec<u8> = (0..WRITTEN.len()).step_by(2).map(byte).collect();
    let storage = with_bytes(written.clone());
    let (_, recovery, bodies) = open(&storage).unwrap();
    assert!(recovery.clean_close);
    assert_eq!(bodies, [b"one"]);
    let storage = synced_log(&bodies);
    open(&storage).unwrap().0.close().unwrap();
    assert_eq!(bytes(&storage), written);
}
