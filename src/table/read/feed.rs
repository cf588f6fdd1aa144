//! Rows of a stream in the order of their local sequences.

use std::sync::Arc;

use super::lookup::Located;
use super::open::Checkpoint;
use super::source::{Keep, Place};
use crate::table::block::data::DataBlock;
use crate::table::block::feed_block::{FeedPlace, count};
use crate::table::cache::block_cache::BlockNumber;
use crate::table::error::CheckpointError;
use crate::table::format::{FEED_BLOCK_ROWS, FEED_INDEX_ENTRIES, what};
use crate::table::row::RowRef;

/// The feed of one stream of a checkpoint.
#[derive(Clone)]
pub struct Feed {
    checkpoint: Checkpoint,
    stream: u8,
    place: FeedPlace,
}

impl Feed {
    pub(in crate::table) fn new(checkpoint: Checkpoint, stream: u8, place: FeedPlace) -> Self {
        Self {
            checkpoint,
            stream,
            place,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> u32 {
        self.place.rows
    }

    /// Local sequence of the last row; `None` if there is none.
    pub fn last_lseq(&self) -> Option<u64> {
        (self.place.rows > 0).then_some(self.place.last_lseq)
    }

    /// A cursor over the rows with local sequences above this one, in ascending order. Finding the first row is a
    /// binary search that reads a few blocks more than the logarithm of their number.
    pub fn after(&self, lseq: u64) -> Result<FeedCursor, CheckpointError> {
        let next = self.rows_before(|found| found <= lseq)?;
        Ok(FeedCursor {
            feed: self.clone(),
            next,
            block: None,
            last: None,
        })
    }

    /// Number of rows with local sequences up to and with this one. Costs as much as [`after`](Self::after).
    pub fn rows_up_to(&self, lseq: u64) -> Result<u32, CheckpointError> {
        self.rows_before(|found| found <= lseq)
    }

    /// The row at a local sequence.
    pub fn at(&self, lseq: u64) -> Result<Option<RowRef>, CheckpointError> {
        let index = self.rows_before(|found| found < lseq)?;
        if index >= self.place.rows {
            return Ok(None);
        }
        let row = self.row(index)?;
        Ok((row.lseq == lseq).then_some(row))
    }

    /// Number of rows, from the first, for whose local sequence `before` holds.
    fn rows_before(&self, before: impl Fn(u64) -> bool) -> Result<u32, CheckpointError> {
        let (mut low, mut high) = (0, self.place.blocks());
        while low < high {
            let middle = low.midpoint(high);
            if before(self.first_lseq(middle)?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let Some(block) = low.checked_sub(1) else {
            return Ok(0);
        };
        let start = block * count(FEED_BLOCK_ROWS);
        // The first row of the middle block is before: the border is in this block or after it.
        low = start + 1;
        high = self
            .place
            .rows
            .min(start.saturating_add(count(FEED_BLOCK_ROWS)));
        while low < high {
            let middle = low.midpoint(high);
            if before(self.row(middle)?.lseq) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Local sequence of the first row of a block.
    pub(in crate::table) fn first_lseq(&self, block: u32) -> Result<u64, CheckpointError> {
        let open = &*self.checkpoint.open;
        let index = block / count(FEED_INDEX_ENTRIES);
        let place = self.place.index_block(index);
        let number = self.block_number(u64::from(self.place.blocks()) + u64::from(index));
        let bytes = open.source.block(number, Keep::Cached, place)?;
        let (lseqs, _) = bytes.as_chunks::<8>();
        lseqs
            .get((block % count(FEED_INDEX_ENTRIES)) as usize)
            .map(|lseq| u64::from_le_bytes(*lseq))
            .ok_or_else(|| open.source.damaged(place.offset, place.what))
    }

    /// Number of a block of the feed in the cache. Blocks of its index come last; nodes of the index and earlier feeds
    /// come before.
    fn block_number(&self, index: u64) -> BlockNumber {
        let open = &*self.checkpoint.open;
        let before = open.footer.feeds.iter().take(usize::from(self.stream));
        let before = before.fold(u64::from(open.footer.index_nodes), |number, feed| {
            number + u64::from(feed.blocks()) + u64::from(feed.index_blocks())
        });
        BlockNumber::Other(before + index)
    }

    /// A block of the feed: places of rows in key order.
    pub(in crate::table) fn block(
        &self,
        index: u32,
        keep: Keep,
    ) -> Result<Arc<[u8]>, CheckpointError> {
        let number = self.block_number(index.into());
        let place = self.place.block(index);
        self.checkpoint.open.source.block(number, keep, place)
    }

    /// The place in key order of the row number `index` of the feed, which is in `block`.
    pub(in crate::table) fn row_in(
        &self,
        block: &[u8],
        index: u32,
    ) -> Result<u32, CheckpointError> {
        let (rows, _) = block.as_chunks::<4>();
        let within = (index % count(FEED_BLOCK_ROWS)) as usize;
        rows.get(within)
            .map(|row| u32::from_le_bytes(*row))
            .ok_or_else(|| {
                let place = self.place.block(index / count(FEED_BLOCK_ROWS));
                self.checkpoint
                    .open
                    .source
                    .damaged(place.offset, place.what)
            })
    }

    /// The row with that many rows before it in the feed.
    fn row(&self, index: u32) -> Result<RowRef, CheckpointError> {
        let block = self.block(index / count(FEED_BLOCK_ROWS), Keep::Cached)?;
        let wanted = self.row_in(&block, index)?;
        self.row_of(wanted, index, None, Keep::Cached)
            .map(|(row, _)| row)
    }

    /// The row at a place in key order, which is number `index` of the feed, with its block, which may be the one
    /// `at_hand`.
    pub(in crate::table) fn row_of(
        &self,
        wanted: u32,
        index: u32,
        at_hand: Option<Located>,
        keep: Keep,
    ) -> Result<(RowRef, Located), CheckpointError> {
        let open = &*self.checkpoint.open;
        let at_hand = at_hand.filter(|block| (block.rows_before..block.rows_end).contains(&wanted));
        let located = match at_hand {
            Some(located) => Some(located),
            None => open.locate_row(wanted, keep)?,
        };
        let row = located.and_then(|located| {
            let within = wanted.checked_sub(located.rows_before)?;
            let row = DataBlock::parse(&located.block)?.row(within as usize, &located.block)?;
            (row.stream == Some(self.stream)).then_some((row, located))
        });
        row.ok_or_else(|| {
            let place = self.place_of(index / count(FEED_BLOCK_ROWS));
            open.source.damaged(place.offset, what::FEED)
        })
    }

    /// The place of a block of the feed.
    pub(in crate::table) fn place_of(&self, block: u32) -> Place {
        self.place.block(block)
    }

    /// Number of blocks of the feed's index.
    pub(in crate::table) fn index_blocks(&self) -> u32 {
        self.place.index_blocks()
    }

    /// The place of a block of the feed's index.
    pub(in crate::table) fn index_place(&self, index: u32) -> Place {
        self.place.index_block(index)
    }
}

/// A cursor over a feed in ascending order of local sequences. Uses cached blocks and adds none to the cache.
pub struct FeedCursor {
    feed: Feed,
    /// Number of rows of the feed before the next one.
    next: u32,
    /// The block of the feed that holds the next row.
    block: Option<(u32, Arc<[u8]>)>,
    /// The block of the last row: the next row is often in it too.
    last: Option<Located>,
}

impl FeedCursor {
    /// The next row; `None` after the last one. After an error the cursor is at its end.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator of results would be easy to end by mistake at its first error"
    )]
    pub fn next(&mut self) -> Result<Option<RowRef>, CheckpointError> {
        if self.next >= self.feed.place.rows {
            return Ok(None);
        }
        let next = self.advance();
        match &next {
            Ok(_) => self.next += 1,
            Err(_) => self.next = u32::MAX,
        }
        next.map(Some)
    }

    fn advance(&mut self) -> Result<RowRef, CheckpointError> {
        let wanted = self.next / count(FEED_BLOCK_ROWS);
        let block = match self.block.take().filter(|(index, _)| *index == wanted) {
            Some((_, block)) => block,
            None => self.feed.block(wanted, Keep::Temp)?,
        };
        let row = self.feed.row_in(&block, self.next)?;
        let at_hand = self.last.take();
        let (row, located) = self.feed.row_of(row, self.next, at_hand, Keep::Temp)?;
        self.last = Some(located);
        self.block = Some((wanted, block));
        Ok(row)
    }
}
