//! Sizes and limits of a checkpoint's parts, drawn in `docs/format.md`.

use crate::core::limits::STORED_KEY_BYTES_MAX;
use crate::wal::format::FRAME_BODY_BYTES_MAX;

/// Longest key of a row, in bytes.
pub const ROW_KEY_BYTES_MAX: usize = STORED_KEY_BYTES_MAX;

/// Longest body of a row, in bytes: the longest that a frame of the log can carry.
pub const ROW_BODY_BYTES_MAX: usize = FRAME_BODY_BYTES_MAX;

/// Longest body that is stored among the rows, in bytes. A longer one lies outside of its block, so that blocks stay
/// near their size and a lookup reads no large value.
pub const INLINE_BYTES_MAX: usize = 2 << 10;

/// Longest meta area, in bytes: the writer and the reader hold it whole in memory.
pub const META_BYTES_MAX: usize = 256 << 20;

/// Number of streams, each with a feed.
pub const STREAMS: usize = 2;

/// Most memory that writing or verifying a checkpoint takes for sorting its feeds, in bytes: enough for four million
/// rows. With less memory, or more rows, they are sorted by parts in a side file, and verified by parts.
pub const WORK_BYTES_MAX: usize = 80 << 20;

/// Length of the checksum after every block, in bytes.
pub(super) const CHECKSUM_BYTES: usize = 4;

/// Longest data block, in bytes with its checksum: one read of a disk, and a page of memory. The largest row alone
/// takes less, because a longer body lies elsewhere.
pub(super) const DATA_BLOCK_BYTES_MAX: usize = 4 << 10;

/// Longest index node below the top, in bytes with its checksum: the index of about a megabyte of rows, so that the top
/// stays small.
pub(super) const INDEX_NODE_BYTES_MAX: usize = 16 << 10;

/// Longest top node, in bytes: it is held in memory while the checkpoint is open. With keys of usual length it has room
/// for more rows than their numbers allow.
pub(super) const TOP_NODE_BYTES_MAX: usize = 256 << 20;

/// Rows that one block of a feed lists.
pub(super) const FEED_BLOCK_ROWS: usize = 1024;

/// Blocks of a feed that one block of its index covers.
pub(super) const FEED_INDEX_ENTRIES: usize = 512;

/// Length of a full block of a feed or of its index, in bytes with its checksum; only the last is shorter.
pub(super) const FEED_BLOCK_BYTES: usize = FEED_BLOCK_ROWS * 4 + CHECKSUM_BYTES;

/// Names of blocks, for errors.
pub(super) mod what {
    /// The first 64 bytes.
    pub(in super::super) const HEADER: &str = "the header";
    /// The end of the file.
    pub(in super::super) const FOOTER: &str = "the footer";
    /// A block of rows.
    pub(in super::super) const DATA: &str = "a block of rows";
    /// A node of the index.
    pub(in super::super) const INDEX: &str = "a block of the index";
    /// The node of the index that is held in memory.
    pub(in super::super) const TOP: &str = "the top of the index";
    /// A body outside of its block.
    pub(in super::super) const BODY: &str = "a large body";
    /// A block of a feed.
    pub(in super::super) const FEED: &str = "a block of a feed";
    /// A block of a feed's index.
    pub(in super::super) const FEED_INDEX: &str = "the index of a feed";
    /// The meta area.
    pub(in super::super) const META: &str = "the meta area";
    /// The side file in which a writer sorts feeds.
    pub(in super::super) const SPILLED: &str = "a sorted part of a feed";
}
