//! Where the blocks of a feed are. A feed lists its rows, by their place in key order, from the least number to
//! the greatest; its index tells the number of the first row of each of its blocks.

use super::format::{CHECKSUM_BYTES, FEED_BLOCK_BYTES, FEED_BLOCK_ROWS, FEED_INDEX_ENTRIES, what};
use super::source::Place;

/// A feed in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FeedPlace {
    pub(super) rows: u32,
    pub(super) offset: u64,
    pub(super) index_offset: u64,
    /// The number of its last row; 0 if it has none.
    pub(super) last_lseq: u64,
}

impl FeedPlace {
    /// How many blocks it has.
    pub(super) fn blocks(&self) -> u32 {
        self.rows.div_ceil(count(FEED_BLOCK_ROWS))
    }

    /// How many blocks its index has.
    pub(super) fn index_blocks(&self) -> u32 {
        self.blocks().div_ceil(count(FEED_INDEX_ENTRIES))
    }

    /// Where the next part of the file begins; `None` if its own parts do not lie behind each other.
    pub(super) fn end(&self) -> Option<u64> {
        let blocks = u64::from(self.blocks());
        let rows_bytes = u64::from(self.rows) * 4 + blocks * CHECKSUM_BYTES as u64;
        let index_bytes = blocks * 8 + u64::from(self.index_blocks()) * CHECKSUM_BYTES as u64;
        let index_offset = self.offset.checked_add(rows_bytes)?;
        (index_offset == self.index_offset).then(|| index_offset.checked_add(index_bytes))?
    }

    /// A block of rows.
    pub(super) fn block(&self, index: u32) -> Place {
        let before = index.saturating_mul(count(FEED_BLOCK_ROWS));
        let rows = self.rows.saturating_sub(before).min(count(FEED_BLOCK_ROWS));
        Place {
            offset: place_of(self.offset, index),
            bytes: rows as usize * 4 + CHECKSUM_BYTES,
            what: what::FEED,
        }
    }

    /// A block of its index.
    pub(super) fn index_block(&self, index: u32) -> Place {
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
pub(super) const fn count(constant: usize) -> u32 {
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
