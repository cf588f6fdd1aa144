//! Sorts the rows of the feeds by local sequence in bounded memory (external merge sort): rows beyond the memory are
//! sorted and written to a side file as runs, and a k-way merge joins all runs at the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::core::bytes::ByteReader;
use crate::core::checksum::PlacedCrc;
use crate::disk::storage::{Storage, StorageFile, read_full};

use crate::table::error::CheckpointError;
use crate::table::format::what;

/// Memory of a row that is held for sorting, and a quarter as much for the merge, in bytes.
const SORTED_ROW_BYTES: usize = size_of::<FeedItem>() / 4 * 5;

/// Least memory of the merge for buffers of all runs together, in bytes: some reads of a disk for each of a few runs.
const MERGE_BYTES_MIN: usize = 64 << 10;

/// Initial capacity of the rows' vector.
const FIRST_ROWS: usize = 1 << 10;

/// Length of an item in the side file, in bytes.
const ITEM_BYTES: usize = 13;

/// A row of a feed, ordered by stream and local sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::table) struct FeedItem {
    pub(in crate::table) stream: u8,
    pub(in crate::table) lseq: u64,
    /// The row's place in key order.
    pub(in crate::table) row: u32,
}

impl FeedItem {
    fn encode(self, bytes: &mut Vec<u8>) {
        bytes.push(self.stream);
        bytes.extend_from_slice(&self.lseq.to_le_bytes());
        bytes.extend_from_slice(&self.row.to_le_bytes());
    }

    fn decode(reader: &mut ByteReader<'_>) -> Option<Self> {
        let stream = reader.u8().ok()?;
        let lseq = reader.u64().ok()?;
        let row = reader.u32().ok()?;
        Some(Self { stream, lseq, row })
    }
}

/// Number of rows that may be held in that much memory.
pub(in crate::table) fn rows_within(work_bytes: usize) -> usize {
    work_bytes / SORTED_ROW_BYTES
}

/// A sorted run in the side file.
struct Run {
    offset: u64,
    end: u64,
    checksum: u32,
}

/// Sorts items that come in any order.
pub(in crate::table) struct FeedSorter<'s> {
    storage: &'s dyn Storage,
    name: String,
    rows_max: usize,
    /// Memory of the merge for buffers of all runs together, in bytes.
    merge_bytes: usize,
    items: Vec<FeedItem>,
    side: Option<Box<dyn StorageFile>>,
    side_bytes: u64,
    runs: Vec<Run>,
}

impl<'s> FeedSorter<'s> {
    /// A sorter that holds up to `rows_max` items, at least one; further ones go to the side file `name`.
    pub(in crate::table) fn new(storage: &'s dyn Storage, name: String, rows_max: usize) -> Self {
        Self {
            storage,
            name,
            rows_max: rows_max.max(1),
            merge_bytes: (rows_max.saturating_mul(size_of::<FeedItem>()) / 4).max(MERGE_BYTES_MIN),
            items: Vec::new(),
            side: None,
            side_bytes: 0,
            runs: Vec::new(),
        }
    }

    /// Takes an item.
    pub(in crate::table) fn push(&mut self, item: FeedItem) -> Result<(), CheckpointError> {
        if self.items.len() >= self.rows_max {
            self.spill()?;
        }
        if self.items.len() == self.items.capacity() {
            // Doubles the capacity, within the memory limit.
            let more = self.items.len().max(FIRST_ROWS);
            let more = more.min(self.rows_max - self.items.len());
            self.items.reserve_exact(more);
        }
        self.items.push(item);
        Ok(())
    }

    fn spill(&mut self) -> Result<(), CheckpointError> {
        self.items.sort_unstable();
        let side = match self.side.take() {
            Some(side) => side,
            None => create_anew(self.storage, &self.name)?,
        };
        let offset = self.side_bytes;
        let mut checksum = PlacedCrc::new(0, offset);
        let mut bytes = Vec::new();
        for items in self.items.chunks(self.merge_bytes / 64) {
            bytes.clear();
            for item in items {
                item.encode(&mut bytes);
            }
            checksum.update(&bytes);
            side.write_at(self.side_bytes, &bytes)
                .map_err(|error| CheckpointError::Write {
                    file: self.storage.shown(&self.name),
                    cause: error.into(),
                })?;
            self.side_bytes += bytes.len() as u64;
        }
        self.side = Some(side);
        self.runs.push(Run {
            offset,
            end: self.side_bytes,
            checksum: checksum.finish(),
        });
        self.items.clear();
        Ok(())
    }

    /// Passes all items in order to `take`.
    pub(in crate::table) fn merge(
        &mut self,
        take: &mut dyn FnMut(FeedItem) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        self.items.sort_unstable();
        let Some(side) = &self.side else {
            return self.items.iter().try_for_each(|item| take(*item));
        };
        let each = self.merge_bytes / (self.runs.len() + 1) / ITEM_BYTES;
        let file = self.storage.shown(&self.name);
        let mut sources: Vec<RunReader<'_>> = self
            .runs
            .iter()
            .map(|run| RunReader::new(&**side, run, &file, each.max(1) * ITEM_BYTES))
            .collect();
        let mut rest = self.items.iter().copied();
        // The next item of each source; the items that are still in memory are the last source.
        let mut next = BinaryHeap::new();
        for (number, source) in sources.iter_mut().enumerate() {
            next.extend(source.next()?.map(|item| Reverse((item, number))));
        }
        let in_memory = sources.len();
        next.extend(rest.next().map(|item| Reverse((item, in_memory))));
        while let Some(Reverse((item, number))) = next.pop() {
            take(item)?;
            let following = match sources.get_mut(number) {
                Some(source) => source.next()?,
                None => rest.next(),
            };
            next.extend(following.map(|item| Reverse((item, number))));
        }
        Ok(())
    }
}

impl Drop for FeedSorter<'_> {
    fn drop(&mut self) {
        if self.side.take().is_some() {
            // Best effort: nothing reads the file again, and the next writer replaces it.
            let _ = self.storage.remove(&self.name);
        }
    }
}

/// Creates a file, and replaces one that a crash may have left.
pub(in crate::table) fn create_anew(
    storage: &dyn Storage,
    name: &str,
) -> Result<Box<dyn StorageFile>, CheckpointError> {
    let create = || {
        if storage.open(name)?.is_some() {
            storage.remove(name)?;
        }
        storage.create(name)
    };
    create().map_err(|error| CheckpointError::Open {
        file: storage.shown(name),
        cause: error.into(),
    })
}

/// Reads a run, a buffer at a time, and checks at its end that it is as it was written.
struct RunReader<'a> {
    side: &'a dyn StorageFile,
    run: &'a Run,
    file: &'a str,
    at: u64,
    checksum: PlacedCrc,
    buffer: Vec<u8>,
    used: usize,
    buffer_bytes: usize,
}

impl<'a> RunReader<'a> {
    fn new(side: &'a dyn StorageFile, run: &'a Run, file: &'a str, buffer_bytes: usize) -> Self {
        Self {
            side,
            run,
            file,
            at: run.offset,
            checksum: PlacedCrc::new(0, run.offset),
            buffer: Vec::new(),
            used: 0,
            buffer_bytes,
        }
    }

    fn next(&mut self) -> Result<Option<FeedItem>, CheckpointError> {
        if self.used == self.buffer.len() {
            if self.at == self.run.end {
                return Ok(None);
            }
            self.refill()?;
        }
        let rest = self.buffer.get(self.used..).unwrap_or_default();
        let item = FeedItem::decode(&mut ByteReader::new(rest));
        self.used += ITEM_BYTES;
        item.map(Some).ok_or_else(|| self.damaged())
    }

    fn refill(&mut self) -> Result<(), CheckpointError> {
        let left = usize::try_from(self.run.end - self.at).unwrap_or(usize::MAX);
        self.buffer.resize(left.min(self.buffer_bytes), 0);
        self.used = 0;
        let read = read_full(self.side, self.at, &mut self.buffer);
        let read = read.map_err(|error| CheckpointError::Read {
            file: self.file.to_owned(),
            offset: self.at,
            cause: error.into(),
        })?;
        self.checksum.update(&self.buffer);
        self.at += self.buffer.len() as u64;
        let ended = self.at == self.run.end;
        if read < self.buffer.len() || ended && self.checksum.clone().finish() != self.run.checksum
        {
            return Err(self.damaged());
        }
        Ok(())
    }

    fn damaged(&self) -> CheckpointError {
        CheckpointError::Damaged {
            file: self.file.to_owned(),
            offset: self.run.offset,
            what: what::SPILLED,
        }
    }
}
