//! A row: to be written, and as read.

use std::cmp::Ordering;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::core::bytes::ByteReader;

use super::block::gone_rows::BlockOf;

/// A row to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// Key of the row: 1 to [`ROW_KEY_BYTES_MAX`](super::format::ROW_KEY_BYTES_MAX) bytes.
    pub key: &'a [u8],
    /// The stream whose feed lists the row, 0 or 1; `None`: neither does.
    pub stream: Option<u8>,
    /// Local sequence of the row; unique within a stream.
    pub lseq: u64,
    /// The row's share of the sum, modulo 2^128; 0, which takes no room, for a row that does not count.
    pub sum: u128,
    /// Body of the row: up to [`ROW_BODY_BYTES_MAX`](super::format::ROW_BODY_BYTES_MAX) bytes.
    pub body: &'a [u8],
    /// True for a tombstone, which scans of live rows skip; see
    /// [`RangeCursor::next_live`](super::RangeCursor::next_live).
    pub is_dead: bool,
}

/// A row that was read: a share of its block, which keeps the block in memory, or a copy of its bytes. Cloned without
/// taking memory.
#[derive(Clone)]
pub struct RowRef {
    pub(super) block: Arc<[u8]>,
    pub(super) prefix: Range<u16>,
    pub(super) suffix: Range<u16>,
    pub(super) stream: Option<u8>,
    pub(super) lseq: u64,
    pub(super) sum: u128,
    pub(super) body: BodyPlace,
    pub(super) is_dead: bool,
    /// The block that holds the row, if the lookup reported it.
    pub(super) block_of: Option<BlockOf>,
}

/// The place of a row's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BodyPlace {
    /// A range of the row's block.
    Inline(Range<u16>),
    /// A place elsewhere in the file.
    Extent(Extent),
}

/// The place of a body outside of its row's block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) bytes: u32,
    pub(super) checksum: u32,
}

impl Extent {
    /// Decodes the place from a row's bytes; `None` if their length is wrong.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = ByteReader::new(bytes);
        let extent = Self {
            offset: reader.u64().ok()?,
            bytes: reader.u32().ok()?,
            checksum: reader.u32().ok()?,
        };
        reader.is_empty().then_some(extent)
    }
}

impl RowRef {
    /// The key in two parts, the second after the first: the common prefix of the block's keys is stored once.
    pub fn key_parts(&self) -> (&[u8], &[u8]) {
        (self.at(&self.prefix), self.at(&self.suffix))
    }

    /// A copy of the key.
    pub fn key(&self) -> Vec<u8> {
        let (prefix, suffix) = self.key_parts();
        [prefix, suffix].concat()
    }

    /// Compares the row's key to another.
    pub fn cmp_key(&self, key: &[u8]) -> Ordering {
        let (prefix, suffix) = self.key_parts();
        cmp_parts(prefix, suffix, key)
    }

    /// True if the row's key begins with these bytes.
    pub fn starts_with(&self, wanted: &[u8]) -> bool {
        let (prefix, suffix) = self.key_parts();
        match wanted.split_at_checked(prefix.len()) {
            Some((head, tail)) => prefix == head && suffix.starts_with(tail),
            None => prefix.starts_with(wanted),
        }
    }

    /// The stream whose feed lists the row.
    pub fn stream(&self) -> Option<u8> {
        self.stream
    }

    /// Local sequence of the row.
    pub fn lseq(&self) -> u64 {
        self.lseq
    }

    /// The row's share of the sum.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// True if the row was written as dead (a tombstone); never true in a file of an earlier format.
    pub fn is_dead(&self) -> bool {
        self.is_dead
    }

    /// The block that holds the row; `None` for a row that was found by its place in a feed.
    pub fn block_of(&self) -> Option<BlockOf> {
        self.block_of
    }

    /// Length of the body, in bytes.
    pub fn body_bytes(&self) -> usize {
        match &self.body {
            BodyPlace::Inline(range) => range.len(),
            BodyPlace::Extent(extent) => extent.bytes as usize,
        }
    }

    /// The body, unless it is longer than [`INLINE_BYTES_MAX`](super::INLINE_BYTES_MAX): then it lies elsewhere in the
    /// file, and [`Checkpoint::body`](super::Checkpoint::body) reads it.
    #[cfg(test)]
    pub fn inline_body(&self) -> Option<&[u8]> {
        match &self.body {
            BodyPlace::Inline(range) => Some(self.at(range)),
            BodyPlace::Extent(_) => None,
        }
    }

    fn at(&self, range: &Range<u16>) -> &[u8] {
        // The ranges were checked when the row was decoded from its block.
        self.block
            .get(usize::from(range.start)..usize::from(range.end))
            .unwrap_or_default()
    }
}

/// Compares a key in two parts to another key.
pub(super) fn cmp_parts(prefix: &[u8], suffix: &[u8], key: &[u8]) -> Ordering {
    match key.split_at_checked(prefix.len()) {
        Some((head, tail)) => prefix.cmp(head).then_with(|| suffix.cmp(tail)),
        // The other key is shorter than the prefix, so the comparison is decided at its end at the latest.
        None => prefix.cmp(key),
    }
}

impl std::fmt::Debug for RowRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowRef")
            .field("key", &self.key())
            .field("lane", &self.stream)
            .field("lseq", &self.lseq)
            .field("body_bytes", &self.body_bytes())
            .finish_non_exhaustive()
    }
}

/// The body of a row, from any place. Cloned without copying.
#[derive(Debug, Clone)]
pub struct Body {
    bytes: Arc<[u8]>,
    range: Range<usize>,
}

impl Body {
    pub(super) fn inline(block: &Arc<[u8]>, range: &Range<u16>) -> Self {
        Self {
            bytes: Arc::clone(block),
            range: usize::from(range.start)..usize::from(range.end),
        }
    }

    pub(super) fn whole(bytes: Arc<[u8]>) -> Self {
        let range = 0..bytes.len();
        Self { bytes, range }
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.range.clone()).unwrap_or_default()
    }
}
