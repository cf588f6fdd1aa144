//! Collects the rows of a block, and writes them in the layout that `block::data` reads.

use std::ops::Range;

use crate::core::checksum::{key_hash, key_tag};

use super::data::{
    EXTENT_BYTES, HEAD_BYTES, ROW_BYTES, SHAPE_DEAD, SHAPE_EXTENT, SHAPE_STREAM_SHIFT, SHAPE_SUM,
    common_prefix,
};
use crate::table::format::{CHECKSUM_BYTES, DATA_BLOCK_BYTES_MAX};
use crate::table::row::{Extent, Row};

/// A row that waits until its block is complete.
struct Pending {
    key: Range<usize>,
    stream: Option<u8>,
    lseq: u64,
    sum: u128,
    /// Range of the body, or of the place of a body outside of the block.
    tail: Range<usize>,
    elsewhere: bool,
    is_dead: bool,
}

/// Collects the rows of one block.
#[derive(Default)]
pub(in crate::table) struct DataBlockBuilder {
    rows: Vec<Pending>,
    /// Keys, bodies and places of all rows, in sequence.
    bytes: Vec<u8>,
    prefix_bytes: usize,
    key_bytes: usize,
    sums: usize,
    lseq_min: u64,
    lseq_max: u64,
}

impl DataBlockBuilder {
    pub(in crate::table) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn first_key(&self) -> &[u8] {
        let key = self.rows.first().map(|row| row.key.clone());
        key.and_then(|key| self.bytes.get(key)).unwrap_or_default()
    }

    /// True if one more row fits into the block. A first row always does.
    pub(in crate::table) fn fits(&self, row: &Row<'_>, inline: bool) -> bool {
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
            <= DATA_BLOCK_BYTES_MAX
    }

    /// Adds a row. Its body is stored in the block, unless it is `elsewhere` in the file.
    pub(in crate::table) fn push(&mut self, row: &Row<'_>, elsewhere: Option<Extent>) {
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
            stream: row.stream,
            lseq: row.lseq,
            sum: row.sum,
            tail: middle..self.bytes.len(),
            elsewhere: elsewhere.is_some(),
            is_dead: row.is_dead,
        });
    }

    /// The bytes of the block without its checksum. Empties the builder.
    pub(in crate::table) fn finish(&mut self) -> Vec<u8> {
        let at = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        let width = width_of(self.lseq_max - self.lseq_min);
        let prefix = self.first_key().get(..self.prefix_bytes);
        let prefix = prefix.unwrap_or_default();
        let mut block = Vec::with_capacity(DATA_BLOCK_BYTES_MAX);
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
            let stream = row.stream.map_or(0, |stream| u16::from(stream) + 1);
            let shape = narrow(suffix.len())
                | stream << SHAPE_STREAM_SHIFT
                | if row.elsewhere { SHAPE_EXTENT } else { 0 }
                | if row.is_dead { SHAPE_DEAD } else { 0 }
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

/// A length or an offset within a block, which fits 16 bits.
fn narrow(value: usize) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

/// Bytes that the largest difference of local sequences in a block takes.
fn width_of(difference: u64) -> usize {
    8 - difference.leading_zeros() as usize / 8
}
