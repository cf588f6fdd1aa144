//! A block of rows. What all its keys begin with is stored once; a byte of hash for each row, all next to each
//! other, finds a key with one look at them and one at the row.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use crate::core::bytes::ByteReader;
use crate::core::checksum::{key_hash, key_tag};

use super::format::{CHECKSUM_BYTES, DATA_BLOCK_BYTES};
use super::row::{BodyPlace, Extent, Row, RowRef, cmp_parts};

/// How long what precedes the tags is, in bytes.
const HEAD_BYTES: usize = 13;

/// What a row takes besides its key, its number, its sum and its body, in bytes: tag, start and shape.
const ROW_BYTES: usize = 5;

/// How long the place of a body elsewhere is, in bytes.
const EXTENT_BYTES: usize = 16;

const SHAPE_SUFFIX: u16 = 0x07ff;
const SHAPE_LANE_SHIFT: u32 = 11;
const SHAPE_LANE: u16 = 3;
const SHAPE_EXTENT: u16 = 0x2000;
const SHAPE_SUM: u16 = 0x4000;
const SHAPE_UNUSED: u16 = 0x8000;

/// A row that waits for its block to be complete.
struct Pending {
    key: Range<usize>,
    lane: Option<u8>,
    lseq: u64,
    sum: u128,
    /// Of the body, or of the place where it is.
    tail: Range<usize>,
    elsewhere: bool,
}

/// Collects the rows of one block.
#[derive(Default)]
pub(super) struct DataBlockBuilder {
    rows: Vec<Pending>,
    /// Keys, bodies and places, one behind the other.
    bytes: Vec<u8>,
    prefix_bytes: usize,
    key_bytes: usize,
    sums: usize,
    lseq_min: u64,
    lseq_max: u64,
}

impl DataBlockBuilder {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn first_key(&self) -> &[u8] {
        let key = self.rows.first().map(|row| row.key.clone());
        key.and_then(|key| self.bytes.get(key)).unwrap_or_default()
    }

    /// Whether the row still fits. One row alone always does.
    pub(super) fn fits(&self, row: &Row<'_>, inline: bool) -> bool {
        if self.is_empty() {
            return true;
        }
        let rows = self.rows.len() + 1;
        let prefix = common_prefix(self.first_key(), row.key).min(self.prefix_bytes);
        let width = width_of(self.lseq_max.max(row.lseq) - self.lseq_min.min(row.lseq));
        let tails =
            self.bytes.len() - self.key_bytes + if inline { row.body.len() } else { EXTENT_BYTES };
        let keys = self.key_bytes + row.key.len() - (rows - 1) * prefix;
        let sums = (self.sums + usize::from(row.sum != 0)) * 16;
        HEAD_BYTES + rows * (ROW_BYTES + width) + keys + sums + tails + CHECKSUM_BYTES
            <= DATA_BLOCK_BYTES
    }

    /// Adds a row, whose body is the row's own unless it is elsewhere.
    pub(super) fn push(&mut self, row: &Row<'_>, elsewhere: Option<Extent>) {
        if self.is_empty() {
            self.prefix_bytes = row.key.len();
            self.lseq_min = row.lseq;
            self.lseq_max = row.lseq;
        } else {
            let prefix = common_prefix(self.first_key(), row.key);
            self.prefix_bytes = prefix.min(self.prefix_bytes);
        }
        self.lseq_min = self.lseq_min.min(row.lseq);
        self.lseq_max = self.lseq_max.max(row.lseq);
        self.key_bytes += row.key.len();
        self.sums += usize::from(row.sum != 0);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(row.key);
        let middle = self.bytes.len();
        match elsewhere {
            None => self.bytes.extend_from_slice(row.body),
            Some(extent) => {
                self.bytes.extend_from_slice(&extent.offset.to_le_bytes());
                self.bytes.extend_from_slice(&extent.bytes.to_le_bytes());
                self.bytes.extend_from_slice(&extent.checksum.to_le_bytes());
            }
        }
        self.rows.push(Pending {
            key: start..middle,
            lane: row.lane,
            lseq: row.lseq,
            sum: row.sum,
            tail: middle..self.bytes.len(),
            elsewhere: elsewhere.is_some(),
        });
    }

    /// The bytes of the block without its checksum; the builder is empty afterwards.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let at = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        let width = width_of(self.lseq_max - self.lseq_min);
        let prefix = self.first_key().get(..self.prefix_bytes);
        let prefix = prefix.unwrap_or_default();
        let mut block = Vec::with_capacity(DATA_BLOCK_BYTES);
        block.extend_from_slice(&narrow(self.rows.len()).to_le_bytes());
        block.extend_from_slice(&narrow(prefix.len()).to_le_bytes());
        block.push(u8::try_from(width).unwrap_or(8));
        block.extend_from_slice(&self.lseq_min.to_le_bytes());
        block.extend(self.rows.iter().map(|row| key_tag(key_hash(at(&row.key)))));
        let starts = block.len();
        block.resize(starts + self.rows.len() * 2, 0);
        block.extend_from_slice(prefix);
        for (index, row) in self.rows.iter().enumerate() {
            let start = narrow(block.len()).to_le_bytes();
            if let Some(place) = block.get_mut(starts + index * 2..starts + index * 2 + 2) {
                place.copy_from_slice(&start);
            }
            let suffix = at(&row.key).get(prefix.len()..).unwrap_or_default();
            let lane = row.lane.map_or(0, |lane| u16::from(lane) + 1);
            let shape = narrow(suffix.len())
                | lane << SHAPE_LANE_SHIFT
                | if row.elsewhere { SHAPE_EXTENT } else { 0 }
                | if row.sum == 0 { 0 } else { SHAPE_SUM };
            block.extend_from_slice(&shape.to_le_bytes());
            block.extend_from_slice(suffix);
            let delta = (row.lseq - self.lseq_min).to_le_bytes();
            block.extend_from_slice(delta.get(..width).unwrap_or_default());
            if row.sum != 0 {
                block.extend_from_slice(&row.sum.to_le_bytes());
            }
            block.extend_from_slice(at(&row.tail));
        }
        self.rows.clear();
        self.bytes.clear();
        self.key_bytes = 0;
        self.sums = 0;
        block
    }
}

/// Nothing in a block is longer than the block.
fn narrow(value: usize) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

/// How many bytes the largest difference of numbers in a block takes.
fn width_of(difference: u64) -> usize {
    8 - difference.leading_zeros() as usize / 8
}

/// How many bytes two keys have in common at their beginning.
pub(super) fn common_prefix(first: &[u8], second: &[u8]) -> usize {
    let equal = |(a, b): &(&u8, &u8)| a == b;
    first.iter().zip(second).take_while(equal).count()
}

/// The bytes of a block contradict each other, although their checksum holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contradiction;

/// Marks, by its highest bit, each byte that is the same in both. A byte behind one can be marked by mistake, which
/// costs a comparison.
fn equal_bytes(first: u64, second: u64) -> u64 {
    // Equal bytes become zero, and only zeros borrow.
    let unequal = first ^ second;
    unequal.wrapping_sub(0x0101_0101_0101_0101) & !unequal & 0x8080_8080_8080_8080
}

/// How long a line of the processor's cache is, in bytes, on nearly all processors.
const CACHE_LINE_BYTES: usize = 64;

/// Has the lines behind `at` loaded while others are waited for: a block that was not used lately is far away,
/// and what is looked at next lies next to what is looked at first.
#[inline]
fn load_ahead(bytes: &[u8], at: usize, lines: usize) {
    for line in 1..=lines {
        std::hint::black_box(bytes.get(at + line * CACHE_LINE_BYTES).copied());
    }
}

/// A block whose checksum held.
#[derive(Clone, Copy)]
pub(super) struct DataBlock<'a> {
    block: &'a Arc<[u8]>,
    payload: &'a [u8],
    tags: &'a [u8],
    starts: &'a [[u8; 2]],
    prefix: &'a [u8],
    prefix_start: u16,
    width: usize,
    lseq_min: u64,
}

impl<'a> DataBlock<'a> {
    /// Reads what precedes the rows; `None` if it contradicts itself.
    #[inline]
    pub(super) fn parse(block: &'a Arc<[u8]>) -> Option<Self> {
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
            block,
            payload,
            tags,
            starts,
            prefix,
            prefix_start,
            width,
            lseq_min,
        })
    }

    pub(super) fn rows(&self) -> usize {
        self.tags.len()
    }

    /// The row with that place in the block; `None` if its bytes contradict themselves.
    #[inline]
    pub(super) fn row(&self, index: usize) -> Option<RowRef> {
        let (start, bytes) = self.bytes_of(index)?;
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
        let lane = match shape >> SHAPE_LANE_SHIFT & SHAPE_LANE {
            0 => None,
            1 => Some(0),
            2 => Some(1),
            _ => return None,
        };
        Some(RowRef {
            block: Arc::clone(self.block),
            prefix: self.prefix_start..self.prefix_start + u16::try_from(self.prefix.len()).ok()?,
            suffix: start + 2..start + 2 + suffix_bytes,
            lane,
            lseq: self.lseq_min.checked_add(u64::from_le_bytes(delta))?,
            sum,
            body,
        })
    }

    /// The body of the row with that place, or where it is: the same as [`Self::row`] tells, for who wants nothing
    /// else of the row.
    #[inline]
    pub(super) fn body(&self, index: usize) -> Option<Result<&'a [u8], Extent>> {
        let (_, bytes) = self.bytes_of(index)?;
        let (shape, rest) = bytes.split_first_chunk::<2>()?;
        let shape = u16::from_le_bytes(*shape);
        let sum_bytes = if shape & SHAPE_SUM == 0 { 0 } else { 16 };
        let before = usize::from(shape & SHAPE_SUFFIX) + self.width + sum_bytes;
        let tail = rest.get(before..)?;
        if shape & SHAPE_UNUSED != 0 {
            None
        } else if shape & SHAPE_EXTENT == 0 {
            Some(Ok(tail))
        } else {
            Extent::decode(tail).map(Err)
        }
    }

    /// The place in the block of the row with that key, of which `hash` is the hash, if it is there.
    #[inline]
    pub(super) fn find(&self, key: &[u8], hash: u64) -> Result<Option<usize>, Contradiction> {
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

    /// How many rows have a key that is less than this one, or equal to it if `inclusive`.
    pub(super) fn rows_before(&self, key: &[u8], inclusive: bool) -> Option<usize> {
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

    /// Whether the row's byte of hash is that of its key.
    pub(super) fn tag_holds(&self, index: usize, key: &[u8]) -> bool {
        self.tags.get(index) == Some(&key_tag(key_hash(key)))
    }

    fn suffix_of(&self, index: usize) -> Option<&'a [u8]> {
        let start = usize::from(u16::from_le_bytes(*self.starts.get(index)?));
        load_ahead(self.payload, start, 2);
        let (shape, rest) = self.payload.get(start..)?.split_first_chunk::<2>()?;
        rest.get(..usize::from(u16::from_le_bytes(*shape) & SHAPE_SUFFIX))
    }

    /// Where a row starts, and its bytes.
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
                    if let Some(row) = view.row(index) {
                        let _ = (row.key(), row.body_bytes(), row.inline_body());
                    }
                }
            }
        }
    }
}
