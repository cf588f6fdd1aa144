//! Tests of the log as a whole, over the disk in memory and over a real one.

mod crash;
mod damage;
mod displaced;
mod faults;
mod recovering;
mod running;
mod sealed_crash;
mod sealed_damage;
mod sealed_faults;
mod sealing;

use super::error::WalError;
use super::frame_buffer::FrameBuffer;
use super::log::Log;
use super::log::segment::SealedLog;
use super::recover::recovery::Recovery;
use crate::disk::memory::MemoryStorage;
use crate::disk::storage::Storage;

const NAME: &str = "a.wal";

type Bodies = Vec<Vec<u8>>;

/// Opens the log. Also returns the groups in it.
fn open(storage: &dyn Storage) -> Result<(Log, Recovery, Bodies), WalError> {
    open_from(storage, 0)
}

/// Opens the log after a checkpoint that covers that frame. Also returns the groups that it does not cover.
fn open_from(
    storage: &dyn Storage,
    covers_frame: u64,
) -> Result<(Log, Recovery, Bodies), WalError> {
    let mut bodies = Bodies::new();
    let mut last = 0;
    let (log, recovery) = Log::open(storage, NAME, 0x5a17, [7; 16], covers_frame, &mut |frame| {
        assert!(frame.number > last);
        assert!(frame.first_in_file <= frame.number);
        last = frame.number;
        assert_eq!(frame.is_covered, frame.number <= covers_frame);
        if !frame.is_covered {
            bodies.push(frame.body.to_vec());
        }
        Ok::<_, WalError>(())
    })?;
    Ok((log, recovery, bodies))
}

/// Seals the log; the salt follows from the number of the last frame.
fn seal(log: &mut Log, storage: &dyn Storage) -> Result<Option<SealedLog>, WalError> {
    let salt = 0xf00d + log.appended_frame();
    log.seal(storage, salt)
}

fn append(log: &mut Log, body: &[u8]) -> Result<u64, WalError> {
    let mut buffer = FrameBuffer::new();
    buffer.body().extend_from_slice(body);
    log.append(&mut buffer)
}

fn append_synced(log: &mut Log, body: &[u8]) -> Result<u64, WalError> {
    let mut buffer = FrameBuffer::new();
    buffer.body().extend_from_slice(body);
    log.append_synced(&mut buffer)
}

/// A body that no other number has.
fn body(number: usize, bytes: usize) -> Vec<u8> {
    let text = format!("{number}/{bytes};");
    text.bytes().cycle().take(bytes.max(text.len())).collect()
}

/// A log with these bodies, each synced, as it is after its process was killed.
fn synced_log(bodies: &[Vec<u8>]) -> MemoryStorage {
    let storage = MemoryStorage::new();
    let (mut log, _, _) = open(&storage).unwrap();
    for body in bodies {
        append(&mut log, body).unwrap();
        log.sync().unwrap();
    }
    storage
}

/// The bytes of the log.
fn bytes(storage: &MemoryStorage) -> Vec<u8> {
    storage.image().file(NAME).unwrap()
}

/// A disk on which the log has these bytes.
fn with_bytes(bytes: Vec<u8>) -> MemoryStorage {
    MemoryStorage::from_files([(NAME.to_owned(), bytes)])
}
