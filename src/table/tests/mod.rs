//! Tests of checkpoints as a whole, over the disk in memory.

mod cache;
mod damage;
mod model;
mod writing;

use super::error::CheckpointError;
use super::read::open::Checkpoint;
use super::row::{Row, RowRef};
use super::write::writer::{CheckpointWriter, Finished};
use crate::disk::memory::MemoryStorage;

const NAME: &str = "a.checkpoint";

/// More bytes than the blocks of any test take.
const CACHE_BYTES: usize = 64 << 20;

/// A row that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OwnRow {
    key: Vec<u8>,
    stream: Option<u8>,
    lseq: u64,
    sum: u128,
    body: Vec<u8>,
    is_dead: bool,
}

impl OwnRow {
    fn borrowed(&self) -> Row<'_> {
        Row {
            key: &self.key,
            stream: self.stream,
            lseq: self.lseq,
            sum: self.sum,
            body: &self.body,
            is_dead: self.is_dead,
        }
    }

    /// The row that was read, with its body from any place.
    fn read(checkpoint: &Checkpoint, row: &RowRef) -> Result<Self, CheckpointError> {
        let body = checkpoint.body(row)?;
        assert_eq!(row.body_bytes(), body.len());
        assert!(row.inline_body().is_none_or(|inline| inline == &body[..]));
        Ok(Self {
            key: row.key(),
            stream: row.stream(),
            lseq: row.lseq(),
            sum: row.sum(),
            body: body.to_vec(),
            is_dead: row.is_dead(),
        })
    }
}

/// A plain row with a body that no other number has.
fn row(number: u64, key: String, body_bytes: usize) -> OwnRow {
    let text = format!("{number}/{body_bytes};");
    OwnRow {
        key: key.into_bytes(),
        stream: [Some(0), Some(1), None][(number % 3) as usize],
        lseq: number * 7_919 % 100_003,
        sum: u128::from(number) << 120 | 5,
        body: text.bytes().cycle().take(body_bytes).collect(),
        is_dead: number % 5 == 3,
    }
}

/// Plain rows, in order.
fn rows(count: u64, body_bytes: usize) -> Vec<OwnRow> {
    (0..count)
        .map(|number| row(number, format!("shared/{number:08}"), body_bytes))
        .collect()
}

fn write(rows: &[OwnRow], sort_rows_max: usize) -> (MemoryStorage, Finished) {
    let storage = MemoryStorage::new();
    let mut writer = CheckpointWriter::with_sort_limit(&storage, NAME, sort_rows_max).unwrap();
    for row in rows {
        writer.push(&row.borrowed()).unwrap();
    }
    writer.set_notes(&[3, 4]);
    let finished = writer.finish(b"meta", 77).unwrap();
    assert_eq!(storage.image().names(), [NAME]);
    (storage, finished)
}

fn open(storage: &MemoryStorage, cache_bytes: usize) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::open(storage, NAME, cache_bytes).map(|found| found.expect("there is a file"))
}

/// The bytes of the checkpoint.
fn bytes(storage: &MemoryStorage) -> Vec<u8> {
    storage.image().file(NAME).unwrap()
}

/// A disk on which the checkpoint has these bytes.
fn with_bytes(bytes: Vec<u8>) -> MemoryStorage {
    MemoryStorage::from_files([(NAME.to_owned(), bytes)])
}

/// Verifies all of it.
fn verify(checkpoint: &Checkpoint) -> Result<super::Verified, CheckpointError> {
    checkpoint.verify(&mut |_| std::ops::ControlFlow::Continue(()))
}
