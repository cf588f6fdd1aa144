//! Writer of a checkpoint, a row at a time.

use crate::core::entropy::random_bytes;
use crate::disk::storage::Storage;

use super::feed_sorter::{FeedItem, FeedSorter, create_anew, rows_within};
use super::feed_writer::FeedWriter;
use super::sink::Sink;
use crate::table::block::data_builder::DataBlockBuilder;
use crate::table::block::index::{Child, IndexNodeBuilder, separator};
use crate::table::error::CheckpointError;
use crate::table::footer::{Footer, NOTES_MAX};
use crate::table::format::{
    INLINE_BYTES_MAX, META_BYTES_MAX, ROW_BODY_BYTES_MAX, ROW_KEY_BYTES_MAX, STREAMS,
    TOP_NODE_BYTES_MAX, WORK_BYTES_MAX,
};
use crate::table::header;
use crate::table::row::{Extent, Row};

/// Suffix of a checkpoint's name for the side file in which its feeds are sorted.
const SIDE_SUFFIX: &str = ".feed";

/// Totals of a written checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// Number of rows.
    pub rows: u32,
    /// Sum of all rows.
    pub sum: u128,
    /// Length of the file, in bytes.
    pub file_bytes: u64,
}

/// Writes one checkpoint: rows in ascending key order, then [`finish`](Self::finish). Holds up to [`WORK_BYTES_MAX`]
/// for sorting the feeds, and well below 1 MiB besides the top of the index. After an error it refuses everything; its
/// file is void then, and left for the caller to remove.
pub struct CheckpointWriter<'s> {
    sink: Sink,
    sorter: FeedSorter<'s>,
    data: DataBlockBuilder,
    /// Separator before the block that is being gathered.
    separator: Vec<u8>,
    last_key: Vec<u8>,
    nodes: IndexNodeBuilder,
    top: IndexNodeBuilder,
    /// Number and sum of the rows before the block, and before the node, that is being gathered.
    before_block: (u32, u128),
    before_node: (u32, u128),
    blocks_before_node: u32,
    rows: u32,
    sum: u128,
    /// Number of live rows in the block, and below the node, that is being gathered.
    live_in_block: u32,
    live_in_node: u32,
    footer: Footer,
    failed: bool,
}

impl<'s> CheckpointWriter<'s> {
    /// Begins a checkpoint for a test, with as much memory as sorting the feeds can use.
    #[cfg(test)]
    pub fn create(storage: &'s dyn Storage, name: &str) -> Result<Self, CheckpointError> {
        Self::create_within(storage, name, WORK_BYTES_MAX)
    }

    /// Begins a checkpoint in a new file `name`, which replaces a file of that name, so it should be a temporary one.
    /// Sorting the feeds takes up to `work_bytes` of memory, and never more than [`WORK_BYTES_MAX`]. Nothing is durable
    /// before [`finish`](Self::finish) returns.
    pub fn create_within(
        storage: &'s dyn Storage,
        name: &str,
        work_bytes: usize,
    ) -> Result<Self, CheckpointError> {
        let rows_max = rows_within(work_bytes.min(WORK_BYTES_MAX));
        Self::with_sort_limit(storage, name, rows_max)
    }

    /// Begins a checkpoint like [`create_within`](Self::create_within) that sorts up to `sort_rows_max` rows in memory.
    pub(in crate::table) fn with_sort_limit(
        storage: &'s dyn Storage,
        name: &str,
        sort_rows_max: usize,
    ) -> Result<Self, CheckpointError> {
        let file = storage.shown(name);
        let salt = random_bytes().map_err(|error| CheckpointError::Write {
            file: file.clone(),
            cause: error.into(),
        })?;
        let salt = u64::from_le_bytes(salt);
        let mut sink = Sink::new(create_anew(storage, name)?, file, salt);
        sink.write(&header::encode(salt, header::FORMAT_VERSION))?;
        Ok(Self {
            sink,
            sorter: FeedSorter::new(storage, format!("{name}{SIDE_SUFFIX}"), sort_rows_max),
            data: DataBlockBuilder::default(),
            separator: Vec::new(),
            last_key: Vec::new(),
            nodes: IndexNodeBuilder::default(),
            top: IndexNodeBuilder::default(),
            before_block: (0, 0),
            before_node: (0, 0),
            blocks_before_node: 0,
            rows: 0,
            sum: 0,
            live_in_block: 0,
            live_in_node: 0,
            footer: Footer::default(),
            failed: false,
        })
    }

    /// Length of the file so far in bytes, with the bytes that wait to be written.
    pub fn bytes(&self) -> u64 {
        self.sink.at()
    }

    /// Number of rows so far.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Leaves numbers for readers, up to [`NOTES_MAX`], such as counts; further ones are dropped. Opaque here; see
    /// [`Checkpoint::notes`](crate::table::Checkpoint::notes).
    pub fn set_notes(&mut self, notes: &[u64]) {
        self.footer.notes = notes.iter().copied().take(NOTES_MAX).collect();
    }

    /// Adds a row, whose key must be above all before it. Now and then it takes as long as a write to the disk.
    pub fn push(&mut self, row: &Row<'_>) -> Result<(), CheckpointError> {
        if std::mem::replace(&mut self.failed, true) {
            return Err(self.refused("an earlier write failed"));
        }
        self.check(row)?;
        self.add(row)?;
        self.failed = false;
        Ok(())
    }

    fn check(&self, row: &Row<'_>) -> Result<(), CheckpointError> {
        if row.key.is_empty() {
            return Err(self.refused("a key is empty"));
        }
        if row.key <= &self.last_key[..] {
            return Err(self.refused("keys are not in ascending order"));
        }
        if row
            .stream
            .is_some_and(|stream| usize::from(stream) >= STREAMS)
        {
            return Err(self.refused("a row is in a feed that does not exist"));
        }
        let limits = [
            ("a key", row.key.len(), ROW_KEY_BYTES_MAX),
            ("a body", row.body.len(), ROW_BODY_BYTES_MAX),
        ];
        for (what, bytes, limit) in limits {
            if bytes > limit {
                return Err(self.too_large(what, limit as u64));
            }
        }
        if self.rows == u32::MAX {
            return Err(self.too_large("the number of rows", u32::MAX.into()));
        }
        Ok(())
    }

    fn add(&mut self, row: &Row<'_>) -> Result<(), CheckpointError> {
        let inline = row.body.len() <= INLINE_BYTES_MAX;
        if !self.data.fits(row, inline) {
            self.end_block()?;
        }
        if self.data.is_empty() {
            // A node is ended here, and not when the block is complete: so all parts of a block lie right before it.
            let stands = separator(&self.last_key, row.key).to_vec();
            if !self.nodes.is_empty() && !self.nodes.fits(&stands) {
                self.end_node()?;
            }
            self.separator = stands;
            self.before_block = (self.rows, self.sum);
        }
        let elsewhere = if inline {
            None
        } else {
            let extent = Extent {
                offset: self.sink.at(),
                bytes: u32::try_from(row.body.len()).unwrap_or(u32::MAX),
                checksum: self.sink.checksum(&[row.body]),
            };
            self.sink.write(row.body)?;
            Some(extent)
        };
        self.data.push(row, elsewhere);
        if let Some(stream) = row.stream {
            self.sorter.push(FeedItem {
                stream,
                lseq: row.lseq,
                row: self.rows,
            })?;
        }
        self.rows += 1;
        self.live_in_block += u32::from(!row.is_dead);
        self.sum = self.sum.wrapping_add(row.sum);
        self.last_key.clear();
        self.last_key.extend_from_slice(row.key);
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), CheckpointError> {
        let (offset, bytes) = self.sink.write_block(&self.data.finish())?;
        let (rows_before, sum_before) = self.before_block;
        if self.nodes.is_empty() {
            self.before_node = self.before_block;
        }
        let child = Child {
            offset,
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            rows_before,
            sum_before,
            live: self.live_in_block,
        };
        self.live_in_node += std::mem::take(&mut self.live_in_block);
        self.nodes.push(&self.separator, child);
        self.footer.data_blocks += 1;
        Ok(())
    }

    fn end_node(&mut self) -> Result<(), CheckpointError> {
        let stands = self.nodes.take_first_separator();
        if self.top.bytes_with(&stands) > TOP_NODE_BYTES_MAX {
            return Err(self.too_large("the index", TOP_NODE_BYTES_MAX as u64));
        }
        let node = self
            .nodes
            .finish(self.blocks_before_node, self.rows, self.sum);
        let (offset, bytes) = self.sink.write_block(&node)?;
        let (rows_before, sum_before) = self.before_node;
        let child = Child {
            offset,
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            rows_before,
            sum_before,
            live: std::mem::take(&mut self.live_in_node),
        };
        self.top.push(&stands, child);
        self.blocks_before_node = self.footer.data_blocks;
        self.footer.index_nodes += 1;
        Ok(())
    }

    /// Writes the index, the feeds, `meta` (opaque, up to [`META_BYTES_MAX`]) and the number of the log's frame up to
    /// which the state is complete. When it returns, the bytes of the file survive a power cut; the caller must make
    /// its name durable.
    pub fn finish(mut self, meta: &[u8], covers_frame: u64) -> Result<Finished, CheckpointError> {
        if self.failed {
            return Err(self.refused("an earlier write failed"));
        }
        if meta.len() > META_BYTES_MAX {
            return Err(self.too_large("the meta area", META_BYTES_MAX as u64));
        }
        if !self.data.is_empty() {
            self.end_block()?;
            self.end_node()?;
        }
        self.write_feeds()?;
        let (meta_offset, meta_bytes) = self.sink.write_block(meta)?;
        self.footer.meta_offset = meta_offset;
        self.footer.meta_bytes = meta_bytes as u64;
        self.footer.top_offset = self.sink.at();
        if self.rows > 0 {
            let top = self.top.finish(0, self.rows, self.sum);
            self.footer.top_bytes = self.sink.write_block(&top)?.1 as u64;
        }
        self.footer.rows = self.rows;
        self.footer.sum = self.sum;
        self.footer.covers_frame = covers_frame;
        let offset = self.sink.at();
        let footer = self.footer.encode(self.sink.salt(), offset);
        self.sink.write(&footer)?;
        Ok(Finished {
            rows: self.rows,
            sum: self.sum,
            file_bytes: self.sink.finish()?,
        })
    }

    fn write_feeds(&mut self) -> Result<(), CheckpointError> {
        let mut feed = FeedWriter::new(&mut self.sink);
        self.sorter.merge(&mut |item| feed.push(item))?;
        self.footer.feeds = feed.finish()?;
        Ok(())
    }

    fn refused(&self, reason: &'static str) -> CheckpointError {
        self.sink.refused(reason)
    }

    fn too_large(&self, what: &'static str, limit: u64) -> CheckpointError {
        CheckpointError::TooLarge {
            file: self.sink.name().to_owned(),
            what,
            limit,
        }
    }
}
