//! Writes the feeds after the rows.

use super::feed_sorter::FeedItem;
use super::sink::Sink;
use crate::table::block::feed_block::{FeedPlace, count};
use crate::table::error::CheckpointError;
use crate::table::format::{FEED_BLOCK_ROWS, FEED_INDEX_ENTRIES, STREAMS};

/// Writes the feeds in sequence, each with its index.
pub(in crate::table) struct FeedWriter<'a> {
    sink: &'a mut Sink,
    done: Vec<FeedPlace>,
    now: FeedPlace,
    block: Vec<u8>,
    first_lseqs: Vec<u64>,
}

impl<'a> FeedWriter<'a> {
    pub(in crate::table) fn new(sink: &'a mut Sink) -> Self {
        let now = FeedPlace {
            offset: sink.at(),
            ..FeedPlace::default()
        };
        Self {
            sink,
            done: Vec::new(),
            now,
            block: Vec::new(),
            first_lseqs: Vec::new(),
        }
    }

    pub(in crate::table) fn push(&mut self, item: FeedItem) -> Result<(), CheckpointError> {
        while self.done.len() < usize::from(item.stream) {
            self.end_feed()?;
        }
        if self.now.rows > 0 && item.lseq <= self.now.last_lseq {
            return Err(self.sink.refused("two rows of a feed have the same number"));
        }
        if self.now.rows.is_multiple_of(count(FEED_BLOCK_ROWS)) {
            self.end_block()?;
            self.first_lseqs.push(item.lseq);
        }
        self.block.extend_from_slice(&item.row.to_le_bytes());
        self.now.rows += 1;
        self.now.last_lseq = item.lseq;
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), CheckpointError> {
        if !self.block.is_empty() {
            self.sink.write_block(&self.block)?;
            self.block.clear();
        }
        Ok(())
    }

    fn end_feed(&mut self) -> Result<(), CheckpointError> {
        self.end_block()?;
        self.now.index_offset = self.sink.at();
        for lseqs in self.first_lseqs.chunks(FEED_INDEX_ENTRIES) {
            let lseqs = lseqs.iter().flat_map(|lseq| lseq.to_le_bytes());
            let block: Vec<u8> = lseqs.collect();
            self.sink.write_block(&block)?;
        }
        self.first_lseqs.clear();
        self.done.push(self.now);
        self.now = FeedPlace {
            offset: self.sink.at(),
            ..FeedPlace::default()
        };
        Ok(())
    }

    pub(in crate::table) fn finish(mut self) -> Result<[FeedPlace; STREAMS], CheckpointError> {
        let mut feeds = [FeedPlace::default(); STREAMS];
        while self.done.len() < STREAMS {
            self.end_feed()?;
        }
        feeds.copy_from_slice(&self.done);
        Ok(feeds)
    }
}
