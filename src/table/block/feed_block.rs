//! Layout of a feed. A feed lists the rows of a stream by their place in key order, from the least local sequence to
//! the greatest; its index holds the local sequence of the first row of each of its blocks.

use crate::table::format::{
    CHECKSUM_BYTES, FEED_BLOCK_BYTES, FEED_BLOCK_ROWS, FEED_INDEX_ENTRIES, what,
};
use crate::table::read::source::Place;

/// The place of a feed in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::table) struct FeedPlace {
    pub(in crate::table) rows: u32,
    pub(in crate::table) offset: u64,
    pub(in crate::table) index_offset: u64,
    /// Local sequence of the last row; 0 if there is none.
    pub(in crate::table) last_lseq: u64,
}

impl FeedPlace {
    /// Number of blocks of the feed.
    pub(in crate::table) fn blocks(&self) -> u32 {
        self.rows.div_ceil(count(FEED_BLOCK_ROWS))
    }

    /// Number of blocks of the feed's index.
    pub(in crate::table) fn index_blocks(&self) -> u32 {
        self.blocks().div_ceil(count(FEED_INDEX_ENTRIES))
    }

    /// Offset of the next part of the file; `None` if the index does not lie right after the blocks.
    pub(in crate::table) fn end(&self) -> Option<u64> {
        let blocks = u64::from(self.blocks());
        let rows_bytes = u64::from(self.rows) * 4 + blocks * CHECKSUM_BYTES as u64;
        let index_bytes = blocks * 8 + u64::from(self.index_blocks()) * CHECKSUM_BYTES as u64;
        let index_offset = self.offset.checked_add(rows_bytes)?;
        (index_offset == self.index_offset).then(|| index_offset.checked_add(index_bytes))?
    }

    /// The place of a block of rows.
    pub(in crate::table) fn block(&self, index: u32) -> Place {
        let before = index.saturating_mul(count(FEED_BLOCK_ROWS));
        let rows = self.rows.saturating_sub(before).min(count(FEED_BLOCK_ROWS));
        Place {
            offset: place_of(self.offset, index),
            bytes: rows as usize * 4 + CHECKSUM_BYTES,
            what: what::FEED,
        }
    }

    /// The place of a block of the feed's index.
    pub(in crate::table) fn index_block(&self, index: u32) -> Place {
        let before = index.saturating_mul(count(FEED_INDEX_ENTRIES));
        let entries = self
            .blocks()
            .saturating_sub(before)
            .min(count(FEED_INDEX_ENTRIES));
        Place {
            offset: place_of(self.index_offset, index),
            bytes: entries as usize * 8 + CHECKSUM_BYTES,
            what: what::FEED_INDEX,
        }
    }
}

/// Offset of a block. Full blocks of the feed and of its index have one length.
fn place_of(start: u64, index: u32) -> u64 {
    start.saturating_add(u64::from(index) * FEED_BLOCK_BYTES as u64)
}

/// A small constant count as 32 bits.
pub(in crate::table) const fn count(constant: usize) -> u32 {
    assert!(constant <= 1 << 20);
    #[allow(
        clippy::cast_possible_truncation,
        reason = "checked in the line before"
    )]
    {
        constant as u32
    }
}

const _: () = assert!(FEED_INDEX_ENTRIES * 8 == FEED_BLOCK_ROWS * 4);
