//! A block of rows. The common prefix of its keys is stored once (prefix compression); the tags, one byte of hash per
//! row, lie next to each other, so that a key is found with one look at them and one at its row.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::core::bytes::ByteReader;
use crate::core::checksum::{key_hash, key_tag};

use crate::table::format::CHECKSUM_BYTES;
use crate::table::row::{BodyPlace, Extent, RowRef, cmp_parts};

/// Bytes in front of the tags.
pub(in crate::table) const HEAD_BYTES: usize = 13;

/// Bytes of a row besides its key, number, sum and body: tag, start and shape.
pub(in crate::table) const ROW_BYTES: usize = 5;

/// Bytes of the place of a body that is stored outside of its block.
pub(in crate::table) const EXTENT_BYTES: usize = 16;

const SHAPE_SUFFIX: u16 = 0x07ff;
pub(in crate::table) const SHAPE_STREAM_SHIFT: u32 = 11;
const SHAPE_STREAM: u16 = 3;
pub(in crate::table) const SHAPE_EXTENT: u16 = 0x2000;
pub(in crate::table) const SHAPE_SUM: u16 = 0x4000;
pub(in crate::table) const SHAPE_DEAD: u16 = 0x8000;

/// Length of the common prefix of two keys, in bytes.
pub(in crate::table) fn common_prefix(first: &[u8], second: &[u8]) -> usize {
    let equal = |(a, b): &(&u8, &u8)| a == b;
    first.iter().zip(second).take_while(equal).count()
}

/// Error: the bytes of a block contradict each other, although its checksum is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::table) struct Contradiction;

/// Marks, by its highest bit, each byte that is equal in both. A byte after such a byte can be marked by mistake,
/// which costs a comparison.
fn equal_bytes(first: u64, second: u64) -> u64 {
    // Equal bytes become zero, and only zeros borrow.
    let unequal = first ^ second;
    unequal.wrapping_sub(0x0101_0101_0101_0101) & !unequal & 0x8080_8080_8080_8080
}

/// Bytes of a cache line on nearly all processors.
const CACHE_LINE_BYTES: usize = 64;

/// Prefetches the cache lines after `at`: a block that was not used lately is not in the cache, and the bytes that are
/// read next lie after those that are read first.
#[inline]
fn load_ahead(bytes: &[u8], at: usize, lines: usize) {
    for line in 1..=lines {
        std::hint::black_box(bytes.get(at + line * CACHE_LINE_BYTES).copied());
    }
}

/// A block whose checksum was right.
#[derive(Clone, Copy)]
pub(in crate::table) struct DataBlock<'a> {
    payload: &'a [u8],
    tags: &'a [u8],
    starts: &'a [[u8; 2]],
    prefix: &'a [u8],
    prefix_start: u16,
    width: usize,
    lseq_min: u64,
}

impl<'a> DataBlock<'a> {
    /// Reads the bytes in front of the rows; `None` if they contradict each other.
    #[inline]
    pub(in crate::table) fn parse(block: &'a [u8]) -> Option<Self> {
        let (payload, _) = block.split_last_chunk::<CHECKSUM_BYTES>()?;
        load_ahead(payload, 0, 2);
        let mut reader = ByteReader::new(payload);
        let rows = usize::from(reader.u16().ok()?);
        let prefix_bytes = usize::from(reader.u16().ok()?);
        let width = usize::from(reader.u8().ok()?);
        let lseq_min = reader.u64().ok()?;
        let tags = reader.take(rows).ok()?;
        let (starts, _) = reader.take(rows * 2).ok()?.as_chunks::<2>();
        let prefix_start = u16::try_from(HEAD_BYTES + rows * 3).ok()?;
        let prefix = reader.take(prefix_bytes).ok()?;
        let fine = rows > 0 && width <= 8 && u16::try_from(payload.len()).is_ok();
        fine.then_some(Self {
            payload,
            tags,
            starts,
            prefix,
            prefix_start,
            width,
            lseq_min,
        })
    }

    pub(in crate::table) fn rows(&self) -> usize {
        self.tags.len()
    }

    /// The row at a place in the block; `None` if its bytes contradict each other. It keeps `share`, a share of this
    /// block.
    pub(in crate::table) fn row(&self, index: usize, share: &Arc<[u8]>) -> Option<RowRef> {
        let (start, _) = self.bytes_of(index)?;
        self.row_in(index, Arc::clone(share), self.prefix_start, start)
    }

    /// The row at a place in the block, with a copy of its bytes instead of a share of the block.
    pub(in crate::table) fn row_apart(&self, index: usize) -> Option<RowRef> {
        let (_, bytes) = self.bytes_of(index)?;
        let start = u16::try_from(self.prefix.len()).ok()?;
        self.row_in(index, [self.prefix, bytes].concat().into(), 0, start)
    }

    /// The row at a place in the block, whose bytes begin at `start` of `block`, and the prefix at `prefix_start`.
    fn row_in(
        &self,
        index: usize,
        block: Arc<[u8]>,
        prefix_start: u16,
        start: u16,
    ) -> Option<RowRef> {
        let (_, bytes) = self.bytes_of(index)?;
        let mut reader = ByteReader::new(bytes);
        let shape = reader.u16().ok()?;
        let suffix_bytes = shape & SHAPE_SUFFIX;
        reader.take(usize::from(suffix_bytes)).ok()?;
        let mut delta = [0; 8];
        delta
            .get_mut(..self.width)?
            .copy_from_slice(reader.take(self.width).ok()?);
        let sum = if shape & SHAPE_SUM == 0 {
            0
        } else {
            reader.u128().ok()?
        };
        let end = start.checked_add(u16::try_from(bytes.len()).ok()?)?;
        let body = match self.body(index)? {
            Ok(body) => BodyPlace::Inline(end - u16::try_from(body.len()).ok()?..end),
            Err(extent) => BodyPlace::Extent(extent),
        };
        let stream = match shape >> SHAPE_STREAM_SHIFT & SHAPE_STREAM {
            0 => None,
            1 => Some(0),
            2 => Some(1),
            _ => return None,
        };
        Some(RowRef {
            block,
            prefix: prefix_start..prefix_start + u16::try_from(self.prefix.len()).ok()?,
            suffix: start + 2..start + 2 + suffix_bytes,
            stream,
            lseq: self.lseq_min.checked_add(u64::from_le_bytes(delta))?,
            sum,
            body,
            is_dead: shape & SHAPE_DEAD != 0,
            block_of: None,
        })
    }

    /// True if the row at a place is dead (a tombstone); `None` if its bytes contradict each other.
    pub(in crate::table) fn is_dead(&self, index: usize) -> Option<bool> {
        let (_, bytes) = self.bytes_of(index)?;
        let (shape, _) = bytes.split_first_chunk::<2>()?;
        Some(u16::from_le_bytes(*shape) & SHAPE_DEAD != 0)
    }

    /// The body of the row at a place, or the place of a body outside of the block: a part of [`Self::row`], for
    /// callers that need nothing else of the row.
    #[inline]
    pub(in crate::table) fn body(&self, index: usize) -> Option<Result<&'a [u8], Extent>> {
        let (_, bytes) = self.bytes_of(index)?;
        let (shape, rest) = bytes.split_first_chunk::<2>()?;
        let shape = u16::from_le_bytes(*shape);
        let sum_bytes = if shape & SHAPE_SUM == 0 { 0 } else { 16 };
        let before = usize::from(shape & SHAPE_SUFFIX) + self.width + sum_bytes;
        let tail = rest.get(before..)?;
        if shape & SHAPE_EXTENT == 0 {
            Some(Ok(tail))
        } else {
            Extent::decode(tail).map(Err)
        }
    }

    /// The place of the row with a key, of which `hash` is the hash; `None` if the block has no such row.
    #[inline]
    pub(in crate::table) fn find(
        &self,
        key: &[u8],
        hash: u64,
    ) -> Result<Option<usize>, Contradiction> {
        let Some(suffix) = key.strip_prefix(self.prefix) else {
            return Ok(None);
        };
        let tag = u64::from(key_tag(hash)) * 0x0101_0101_0101_0101;
        let (chunks, rest) = self.tags.as_chunks::<8>();
        for (chunk, tags) in chunks.iter().enumerate() {
            let mut marks = equal_bytes(u64::from_le_bytes(*tags), tag);
            while marks != 0 {
                let index = chunk * 8 + marks.trailing_zeros() as usize / 8;
                if self.suffix_of(index).ok_or(Contradiction)? == suffix {
                    return Ok(Some(index));
                }
                marks &= marks - 1;
            }
        }
        for (index, other) in (chunks.len() * 8..).zip(rest) {
            if u64::from(*other) == tag & 0xff
                && self.suffix_of(index).ok_or(Contradiction)? == suffix
            {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// Number of rows whose key is less than this one, or equal to it if `inclusive`.
    pub(in crate::table) fn rows_before(&self, key: &[u8], inclusive: bool) -> Option<usize> {
        let (mut low, mut high) = (0, self.rows());
        while low < high {
            let middle = low.midpoint(high);
            let before = match cmp_parts(self.prefix, self.suffix_of(middle)?, key) {
                Ordering::Less => true,
                Ordering::Equal => inclusive,
                Ordering::Greater => false,
            };
            if before {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Some(low)
    }

    /// True if a row's tag is the tag of this key.
    pub(in crate::table) fn tag_holds(&self, index: usize, key: &[u8]) -> bool {
        self.tags.get(index) == Some(&key_tag(key_hash(key)))
    }

    fn suffix_of(&self, index: usize) -> Option<&'a [u8]> {
        let start = usize::from(u16::from_le_bytes(*self.starts.get(index)?));
        load_ahead(self.payload, start, 2);
        let (shape, rest) = self.payload.get(start..)?.split_first_chunk::<2>()?;
        rest.get(..usize::from(u16::from_le_bytes(*shape) & SHAPE_SUFFIX))
    }

    /// The start of a row, and its bytes.
    fn bytes_of(&self, index: usize) -> Option<(u16, &'a [u8])> {
        let start = u16::from_le_bytes(*self.starts.get(index)?);
        let end = match self.starts.get(index + 1) {
            Some(next) => usize::from(u16::from_le_bytes(*next)),
            None => self.payload.len(),
        };
        Some((start, self.payload.get(usize::from(start)..end)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_met_without_a_panic(
            mut bytes in prop::collection::vec(prop_oneof![Just(0_u8), 0..40_u8, any::<u8>()], 0..400),
            rows in 0..9_u8, key: Vec<u8>,
        ) {
            if let Some(first) = bytes.get_mut(..4) {
                first.copy_from_slice(&[rows, 0, rows % 3, 0]);
            }
            let block: Arc<[u8]> = bytes.into();
            if let Some(view) = DataBlock::parse(&block) {
                let _ = (view.find(&key, key_hash(&key)), view.rows_before(&key, true));
                for index in 0..=view.rows() {
                    for row in [view.row(index, &block), view.row_apart(index)].into_iter().flatten() {
                        let _ = (row.key(), row.body_bytes(), row.inline_body());
                    }
                }
            }
        }
    }
}
