//! A row: as it is written, and as it is read.

use std::cmp::Ordering;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::core::bytes::ByteReader;

use super::block::gone_rows::BlockOf;

/// A row to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// Its key: 1 to [`ROW_KEY_BYTES_MAX`](super::ROW_KEY_BYTES_MAX) bytes.
    pub key: &'a [u8],
    /// The feed that it is in, 0 or 1, if it is in one.
    pub stream: Option<u8>,
    /// Its number; no two rows of a stream have the same.
    pub lseq: u64,
    /// What it adds to the sum, modulo 2^128; 0 if it does not count, which then takes no room.
    pub sum: u128,
    /// Up to [`ROW_BODY_BYTES_MAX`](super::ROW_BODY_BYTES_MAX) bytes.
    pub body: &'a [u8],
    /// It has nothing to show to who goes through what is live; see [`RangeCursor::next_live`](super::RangeCursor::next_live).
    pub is_dead: bool,
}

/// A row that was read: a share of its block, which stays in memory as long as this does, or a copy of its own. Cloned
/// without taking memory.
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
    /// The block that it is in, where who found it was told.
    pub(super) block_of: Option<BlockOf>,
}

/// Where the body of a row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BodyPlace {
    /// In the row's block.
    Inline(Range<u16>),
    /// Elsewhere in the file.
    Extent(Extent),
}

/// A body outside of its row's block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) bytes: u32,
    pub(super) checksum: u32,
}

impl Extent {
    /// Reads what a row holds in place of its body; `None` if it is not as long as it has to be.
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
    /// Its key, in two parts that follow each other: what all keys of the block begin with is stored once.
    pub fn key_parts(&self) -> (&[u8], &[u8]) {
        (self.at(&self.prefix), self.at(&self.suffix))
    }

    /// Its key, copied together.
    pub fn key(&self) -> Vec<u8> {
        let (prefix, suffix) = self.key_parts();
        [prefix, suffix].concat()
    }

    /// How its key compares to another.
    pub fn cmp_key(&self, key: &[u8]) -> Ordering {
        let (prefix, suffix) = self.key_parts();
        cmp_parts(prefix, suffix, key)
    }

    /// Says if its key begins with these bytes.
    pub fn starts_with(&self, wanted: &[u8]) -> bool {
        let (prefix, suffix) = self.key_parts();
        match wanted.split_at_checked(prefix.len()) {
            Some((head, tail)) => prefix == head && suffix.starts_with(tail),
            None => prefix.starts_with(wanted),
        }
    }

    /// The feed that it is in.
    pub fn stream(&self) -> Option<u8> {
        self.stream
    }

    /// Its number.
    pub fn lseq(&self) -> u64 {
        self.lseq
    }

    /// What it adds to the sum.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// Says if it was written as one that has nothing to show; never in a file of an earlier format.
    pub fn is_dead(&self) -> bool {
        self.is_dead
    }

    /// The block that it is in; `None` for a row that was found by its place in a feed.
    pub fn block_of(&self) -> Option<BlockOf> {
        self.block_of
    }

    /// How long its body is, in bytes.
    pub fn body_bytes(&self) -> usize {
        match &self.body {
            BodyPlace::Inline(range) => range.len(),
            BodyPlace::Extent(extent) => extent.bytes as usize,
        }
    }

    /// Its body, unless that is longer than [`INLINE_BYTES_MAX`](super::INLINE_BYTES_MAX): then it lies elsewhere
    /// in the file, and [`Checkpoint::body`](super::Checkpoint::body) reads it.
    pub fn inline_body(&self) -> Option<&[u8]> {
        match &self.body {
            BodyPlace::Inline(range) => Some(self.at(range)),
            BodyPlace::Extent(_) => None,
        }
    }

    fn at(&self, range: &Range<u16>) -> &[u8] {
        // The ranges were checked when the row was found in its block.
        self.block
            .get(usize::from(range.start)..usize::from(range.end))
            .unwrap_or_default()
    }
}

/// How a key in two parts compares to another.
pub(super) fn cmp_parts(prefix: &[u8], suffix: &[u8], key: &[u8]) -> Ordering {
    match key.split_at_checked(prefix.len()) {
        Some((head, tail)) => prefix.cmp(head).then_with(|| suffix.cmp(tail)),
        // The other is shorter than what this one begins with, so its end decides at the latest.
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

/// The body of a row, wherever it lies. Cloned without copying it.
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
