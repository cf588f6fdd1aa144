//! Where the blocks of a feed are. A feed lists its rows, by their place in key order, from the least number to
//! the greatest; its index tells the number of the first row of each of its blocks.

use crate::table::format::{
    CHECKSUM_BYTES, FEED_BLOCK_BYTES, FEED_BLOCK_ROWS, FEED_INDEX_ENTRIES, what,
};
use crate::table::read::source::Place;

/// A feed in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::table) struct FeedPlace {
    pub(in crate::table) rows: u32,
    pub(in crate::table) offset: u64,
    pub(in crate::table) index_offset: u64,
    /// The number of its last row; 0 if it has none.
    pub(in crate::table) last_lseq: u64,
}

impl FeedPlace {
    /// How many blocks it has.
    pub(in crate::table) fn blocks(&self) -> u32 {
        self.rows.div_ceil(count(FEED_BLOCK_ROWS))
    }

    /// How many blocks its index has.
    pub(in crate::table) fn index_blocks(&self) -> u32 {
        self.blocks().div_ceil(count(FEED_INDEX_ENTRIES))
    }

    /// Where the next part of the file begins; `None` if its own parts do not lie behind each other.
    pub(in crate::table) fn end(&self) -> Option<u64> {
        let blocks = u64::from(self.blocks());
        let rows_bytes = u64::from(self.rows) * 4 + blocks * CHECKSUM_BYTES as u64;
        let index_bytes = blocks * 8 + u64::from(self.index_blocks()) * CHECKSUM_BYTES as u64;
        let index_offset = self.offset.checked_add(rows_bytes)?;
        (index_offset == self.index_offset).then(|| index_offset.checked_add(index_bytes))?
    }

    /// A block of rows.
    pub(in crate::table) fn block(&self, index: u32) -> Place {
        let before = index.saturating_mul(count(FEED_BLOCK_ROWS));
        let rows = self.rows.saturating_sub(before).min(count(FEED_BLOCK_ROWS));
        Place {
            offset: place_of(self.offset, index),
            bytes: rows as usize * 4 + CHECKSUM_BYTES,
            what: what::FEED,
        }
    }

    /// A block of its index.
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

/// Full blocks of both sorts are equally long.
fn place_of(start: u64, index: u32) -> u64 {
    start.saturating_add(u64::from(index) * FEED_BLOCK_BYTES as u64)
}

/// These counts are small constants.
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
