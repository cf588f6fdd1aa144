//! A node of the index, which is a B-tree of two levels: the places of the blocks below it, and the separator before
//! each. Nodes lie above blocks of rows, and one node, held in memory, lies above all nodes.
//!
//! A *separator* between two blocks is the shortest bytes that are above every key before it and not above any key
//! after it. Its head, the first eight bytes after the prefix as a number, decides nearly every comparison.

use std::ops::Range;

use crate::core::bytes::ByteReader;

use super::data::common_prefix;
use crate::table::format::{CHECKSUM_BYTES, INDEX_NODE_BYTES_MAX};

/// Bytes in front of the heads.
const HEAD_BYTES: usize = 32;

/// Bytes of a child besides its separator: its head, its entry, and its number of live rows.
const CHILD_BYTES: usize = 8 + ENTRY_BYTES + LIVE_BYTES;

const LIVE_BYTES: usize = 4;

/// Bit in the count of children: the numbers of live rows stand at the end of the node. Files of format 1 and 2 have no
/// such nodes.
const COUNTS_LIVE: u32 = 1 << 31;

const ENTRY_BYTES: usize = 36;

/// A block or a node below a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::table) struct Child {
    /// Offset in the file.
    pub(in crate::table) offset: u64,
    /// Length in bytes, with the checksum.
    pub(in crate::table) bytes: u32,
    /// Number of rows before the block in the whole file.
    pub(in crate::table) rows_before: u32,
    /// Sum of the rows before the block.
    pub(in crate::table) sum_before: u128,
    /// Number of rows in the block that are not dead.
    pub(in crate::table) live: u32,
}

/// Collects the children of one node.
#[derive(Default)]
pub(in crate::table) struct IndexNodeBuilder {
    children: Vec<Child>,
    first_separator: Vec<u8>,
    /// Separators of all children but the first, in sequence, and the end of each.
    separators: Vec<u8>,
    ends: Vec<usize>,
    prefix_bytes: usize,
}

impl IndexNodeBuilder {
    pub(in crate::table) fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// The separator before the first child, which the node above needs.
    pub(in crate::table) fn take_first_separator(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.first_separator)
    }

    fn prefix_with(&self, separator: &[u8]) -> usize {
        match self.ends.first() {
            None => separator.len(),
            Some(end) => {
                let first = self.separators.get(..*end).unwrap_or_default();
                common_prefix(first, separator).min(self.prefix_bytes)
            }
        }
    }

    /// Length of the node with one more child after this separator, in bytes with the checksum.
    pub(in crate::table) fn bytes_with(&self, separator: &[u8]) -> usize {
        let fixed = HEAD_BYTES + (self.children.len() + 1) * CHILD_BYTES + CHECKSUM_BYTES;
        if self.is_empty() {
            return fixed;
        }
        let prefix = self.prefix_with(separator);
        fixed + self.separators.len() + separator.len() - self.ends.len() * prefix
    }

    /// True if one more child fits into a node that is not the top.
    pub(in crate::table) fn fits(&self, separator: &[u8]) -> bool {
        self.bytes_with(separator) <= INDEX_NODE_BYTES_MAX
    }

    /// Adds a child.
    pub(in crate::table) fn push(&mut self, separator: &[u8], child: Child) {
        if self.is_empty() {
            self.first_separator = separator.to_vec();
        } else {
            self.prefix_bytes = self.prefix_with(separator);
            self.separators.extend_from_slice(separator);
            self.ends.push(self.separators.len());
        }
        self.children.push(child);
    }

    /// The bytes of the node without its checksum. Empties the builder, except for the first separator. `first_number`:
    /// number of the children of all nodes before; `rows_end` and `sum_end`: number and sum of the rows up to the end
    /// of the last child.
    pub(in crate::table) fn finish(
        &mut self,
        first_number: u32,
        rows_end: u32,
        sum_end: u128,
    ) -> Vec<u8> {
        let count = self.children.len();
        let first_end = self.ends.first().copied().unwrap_or(0);
        let prefix = self.separators.get(..self.prefix_bytes.min(first_end));
        let prefix = prefix.unwrap_or_default();
        let mut node = Vec::with_capacity(
            HEAD_BYTES + count * CHILD_BYTES + self.separators.len() + CHECKSUM_BYTES,
        );
        node.extend_from_slice(&(wide(count) | COUNTS_LIVE).to_le_bytes());
        node.extend_from_slice(&wide(prefix.len()).to_le_bytes());
        node.extend_from_slice(&first_number.to_le_bytes());
        node.extend_from_slice(&rows_end.to_le_bytes());
        node.extend_from_slice(&sum_end.to_le_bytes());
        let mut remainders = Vec::with_capacity(self.separators.len());
        let mut ends = Vec::with_capacity(count);
        node.extend_from_slice(&[0; 8]);
        ends.push(0);
        let mut start = 0;
        for end in &self.ends {
            let separator = self.separators.get(start..*end).unwrap_or_default();
            let remainder = separator.get(prefix.len()..).unwrap_or_default();
            node.extend_from_slice(&head_of(remainder).to_le_bytes());
            remainders.extend_from_slice(remainder);
            ends.push(remainders.len());
            start = *end;
        }
        for (child, end) in self.children.iter().zip(&ends) {
            node.extend_from_slice(&child.offset.to_le_bytes());
            node.extend_from_slice(&child.bytes.to_le_bytes());
            node.extend_from_slice(&wide(*end).to_le_bytes());
            node.extend_from_slice(&child.rows_before.to_le_bytes());
            node.extend_from_slice(&child.sum_before.to_le_bytes());
        }
        node.extend_from_slice(prefix);
        node.extend_from_slice(&remainders);
        for child in &self.children {
            node.extend_from_slice(&child.live.to_le_bytes());
        }
        self.children.clear();
        self.separators.clear();
        self.ends.clear();
        self.prefix_bytes = 0;
        node
    }
}

/// A length within a node, which fits 32 bits.
fn wide(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// The first eight bytes as a big-endian number, in the order of the bytes; missing bytes count as zeros.
pub(in crate::table) fn head_of(remainder: &[u8]) -> u64 {
    match remainder.first_chunk::<8>() {
        Some(head) => u64::from_be_bytes(*head),
        None => remainder
            .iter()
            .zip((0..8).rev())
            .fold(0, |head, (byte, place)| {
                head | u64::from(*byte) << (place * 8)
            }),
    }
}

/// The shortest bytes that are above `before` and not above `after`; `after` must be above `before`.
pub(in crate::table) fn separator<'a>(before: &[u8], after: &'a [u8]) -> &'a [u8] {
    after.get(..=common_prefix(before, after)).unwrap_or(after)
}

/// A node whose checksum was right.
#[derive(Clone, Copy)]
pub(in crate::table) struct IndexNode<'a> {
    heads: &'a [[u8; 8]],
    entries: &'a [[u8; ENTRY_BYTES]],
    prefix: &'a [u8],
    remainders: &'a [u8],
    /// Number of live rows of each child; empty in files of format 1 and 2.
    live: &'a [[u8; LIVE_BYTES]],
    first_number: u32,
    rows_end: u32,
    sum_end: u128,
}

impl<'a> IndexNode<'a> {
    /// Reads the bytes in front of the children; `None` if they contradict each other.
    #[inline]
    pub(in crate::table) fn parse(block: &'a [u8]) -> Option<Self> {
        let (payload, _) = block.split_last_chunk::<CHECKSUM_BYTES>()?;
        let mut reader = ByteReader::new(payload);
        let shape = reader.u32().ok()?;
        let count = (shape & !COUNTS_LIVE) as usize;
        let live_bytes = if shape & COUNTS_LIVE == 0 {
            0
        } else {
            count.checked_mul(LIVE_BYTES)?
        };
        let prefix_bytes = reader.u32().ok()? as usize;
        let first_number = reader.u32().ok()?;
        let rows_end = reader.u32().ok()?;
        let sum_end = reader.u128().ok()?;
        let (heads, _) = reader.take(count.checked_mul(8)?).ok()?.as_chunks();
        let entries = reader.take(count.checked_mul(ENTRY_BYTES)?).ok()?;
        let (entries, _) = entries.as_chunks();
        let prefix = reader.take(prefix_bytes).ok()?;
        let remainders = reader.remaining().checked_sub(live_bytes)?;
        let remainders = reader.take(remainders).ok()?;
        let (live, _) = reader.take(live_bytes).ok()?.as_chunks();
        (count > 0).then_some(Self {
            heads,
            entries,
            prefix,
            remainders,
            live,
            first_number,
            rows_end,
            sum_end,
        })
    }

    /// Number of children, at least one.
    pub(in crate::table) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Number of rows in all blocks up to the last child.
    pub(in crate::table) fn rows_end(&self) -> u32 {
        self.rows_end
    }

    /// Sum of the rows in all blocks up to the last child.
    pub(in crate::table) fn sum_end(&self) -> u128 {
        self.sum_end
    }

    /// The number of a child among all blocks of its level.
    pub(in crate::table) fn number(&self, index: usize) -> Option<u32> {
        self.first_number.checked_add(u32::try_from(index).ok()?)
    }

    /// The child at a place.
    #[inline]
    pub(in crate::table) fn child(&self, index: usize) -> Option<Child> {
        let mut reader = ByteReader::new(self.entries.get(index)?);
        let offset = reader.u64().ok()?;
        let bytes = reader.u32().ok()?;
        reader.u32().ok()?;
        Some(Child {
            offset,
            bytes,
            rows_before: reader.u32().ok()?,
            sum_before: reader.u128().ok()?,
            live: self.live(index).unwrap_or(0),
        })
    }

    /// Number of rows below a child that are not dead; `None` in files of format 1 and 2.
    pub(in crate::table) fn live(&self, index: usize) -> Option<u32> {
        self.live.get(index).map(|live| u32::from_le_bytes(*live))
    }

    /// Number of rows below a child.
    pub(in crate::table) fn rows_of(&self, index: usize) -> Option<u32> {
        let before = self.child(index)?.rows_before;
        self.rows_through(index)?.checked_sub(before)
    }

    /// Number of rows in the blocks up to and with a child.
    pub(in crate::table) fn rows_through(&self, index: usize) -> Option<u32> {
        match self.child(index + 1) {
            Some(next) => Some(next.rows_before),
            None => (index < self.len()).then_some(self.rows_end),
        }
    }

    /// Sum of the rows in the blocks up to and with a child.
    pub(in crate::table) fn sum_through(&self, index: usize) -> Option<u128> {
        match self.child(index + 1) {
            Some(next) => Some(next.sum_before),
            None => (index < self.len()).then_some(self.sum_end),
        }
    }

    /// Heads of the separators before each child; see [`head_of`].
    pub(in crate::table) fn heads(&self) -> impl Iterator<Item = u64> {
        self.heads.iter().map(|head| u64::from_le_bytes(*head))
    }

    /// Common prefix of the node's separators.
    pub(in crate::table) fn prefix(&self) -> &'a [u8] {
        self.prefix
    }

    /// The child that holds a key, if any does.
    #[inline]
    pub(in crate::table) fn search(&self, key: &[u8]) -> Option<usize> {
        self.search_in(key, 0..self.len())
    }

    /// The child that holds a key, for callers that know a window: the head of the key is above the first head of the
    /// window, and not above the one after it.
    #[inline]
    pub(in crate::table) fn search_in(&self, key: &[u8], window: Range<usize>) -> Option<usize> {
        let rest = match key.split_at_checked(self.prefix.len()) {
            Some((head, rest)) if head == self.prefix => rest,
            _ if key < self.prefix => return Some(0),
            _ => return Some(self.len() - 1),
        };
        let wanted = head_of(rest);
        // Finds the first child whose separator is above the key. The first child of a node has no separator; its head
        // is 0.
        let head = |head: &[u8; 8]| u64::from_le_bytes(*head);
        let start = window.start;
        let heads = self.heads.get(start..window.end.min(self.len()))?;
        let below = heads.partition_point(|found| head(found) < wanted);
        let mut low = (start + below).max(1);
        if self
            .heads
            .get(low)
            .is_some_and(|found| head(found) == wanted)
        {
            // The heads alone do not decide, which is rare, so this may be slower.
            let mut high = self.heads.partition_point(|found| head(found) <= wanted);
            while low < high {
                let middle = low.midpoint(high);
                if self.remainder(middle)? <= rest {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
        }
        Some(low - 1)
    }

    /// The child that holds the row with that many rows before it.
    pub(in crate::table) fn search_row(&self, row: u32) -> usize {
        let rows_before = |entry: &[u8; ENTRY_BYTES]| {
            let (_, rest) = entry.split_at(16);
            rest.first_chunk()
                .map_or(0, |bytes| u32::from_le_bytes(*bytes))
        };
        self.entries
            .partition_point(|entry| rows_before(entry) <= row)
            .saturating_sub(1)
    }

    /// The separator before a child, in two parts; `None` for the first child of a node.
    pub(in crate::table) fn separator(&self, index: usize) -> Option<(&'a [u8], &'a [u8])> {
        Some((self.prefix, self.remainder(index)?))
    }

    fn remainder(&self, index: usize) -> Option<&'a [u8]> {
        let start = index.checked_sub(1)?;
        self.remainders.get(self.end(start)?..self.end(index)?)
    }

    fn end(&self, index: usize) -> Option<usize> {
        let (_, rest) = self.entries.get(index)?.split_at(12);
        rest.first_chunk()
            .map(|bytes| u32::from_le_bytes(*bytes) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn keys() -> impl Strategy<Value = BTreeSet<Vec<u8>>> {
        let byte = prop_oneof![Just(0_u8), Just(b'a'), Just(255), any::<u8>()];
        let key = prop::collection::vec(byte, 1..14);
        let shared = prop_oneof![Just(Vec::new()), Just(b"shared".to_vec())];
        (shared, prop::collection::btree_set(key, 1..30)).prop_map(|(shared, keys)| {
            keys.into_iter()
                .map(|key| [shared.clone(), key].concat())
                .collect()
        })
    }

    proptest! {
        #[test]
        fn a_key_is_looked_for_behind_the_last_separator_that_is_not_above_it(
            keys in keys(), others in keys(),
        ) {
            let mut builder = IndexNodeBuilder::default();
            let mut before: &[u8] = &[];
            let mut separators = Vec::new();
            for (number, key) in (0..).zip(&keys) {
                let stands = separator(before, key);
                prop_assert!(stands > before && stands <= &key[..]);
                separators.push(stands);
                let expected = builder.bytes_with(stands);
                builder.push(stands, Child { rows_before: number, live: number * 2, ..Child::default() });
                before = key;
                prop_assert!(expected > HEAD_BYTES);
            }
            let expected = builder.bytes_with(&[]);
            let mut node = builder.finish(3, 1000, 5);
            prop_assert!(node.len() < expected);
            node.extend_from_slice(&[0; CHECKSUM_BYTES]);
            let view = IndexNode::parse(&node).unwrap();
            prop_assert_eq!(view.len(), keys.len());
            for key in keys.iter().chain(&others) {
                let found = separators[1..].partition_point(|stands| *stands <= &key[..]);
                prop_assert_eq!(view.search(key), Some(found));
            }
            for index in 0..keys.len() {
                let number = u32::try_from(index).unwrap();
                prop_assert_eq!(view.search_row(number), index);
                prop_assert_eq!(view.number(index), Some(3 + number));
                prop_assert_eq!(view.live(index), Some(number * 2));
            }
        }

        #[test]
        fn any_bytes_are_met_without_a_panic(
            mut bytes: Vec<u8>, count in 0..4_u8, tells in any::<bool>(), key: Vec<u8>, row: u32,
        ) {
            if let Some(first) = bytes.get_mut(..8) {
                first.copy_from_slice(&[count, 0, 0, u8::from(tells) << 7, count, 0, 0, 0]);
            }
            if let Some(view) = IndexNode::parse(&bytes) {
                let _ = (view.search(&key), view.search_row(row), view.separator(1));
                let _ = (view.rows_through(0), view.sum_through(3), view.live(0), view.rows_of(2));
            }
        }
    }
}
