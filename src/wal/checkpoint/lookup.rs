//! From a key, or from a row's place in key order, to the row; and what a range sums up to.

use std::ops::Bound;
use std::sync::Arc;

use super::data_block::{Contradiction, DataBlock};
use super::error::CheckpointError;
use super::format::{DATA_BLOCK_BYTES_MAX, INDEX_NODE_BYTES_MAX, what};
use super::index_node::{Child, IndexNode};
use super::open::{Checkpoint, Open};
use super::row::RowRef;
use super::source::{Keep, Place};

/// A block of rows, and what is before it.
pub(super) struct Located {
    pub(super) block: Arc<[u8]>,
    pub(super) place: Place,
    pub(super) rows_before: u32,
    pub(super) rows_end: u32,
    sum_before: u128,
}

impl Checkpoint {
    /// The row with that key. Takes no memory if the blocks that it needs, two at most, are in the cache.
    pub fn find(&self, key: &[u8]) -> Result<Option<RowRef>, CheckpointError> {
        let Some(top) = self.open.top()? else {
            return Ok(None);
        };
        let open = &*self.open;
        let node_at = open.search(&top, key, open.footer.top_offset)?;
        let (number, place) = open.node_place(&top, node_at)?;
        // Little is handed out of the closures, because on this path moving it is a part of the time.
        let child = open.source.look(number, Keep::Cached, place, |node| {
            let node = IndexNode::parse(node)?;
            let index = node.search(key)?;
            let child = node.child(index)?;
            Some((node.number(index)?, child.offset, child.bytes))
        })?;
        let (number, offset, bytes) =
            child.ok_or_else(|| open.source.damaged(place.offset, place.what))?;
        let place = open.data_block(offset, bytes)?;
        let number = number.into();
        let found = open.source.look(number, Keep::Cached, place, |block| {
            let found = DataBlock::parse(block).ok_or(Contradiction)?.find(key)?;
            // Only who finds something takes a share of the block.
            Ok(found.map(|index| (Arc::clone(block), index)))
        })?;
        let damaged = || open.source.damaged(place.offset, place.what);
        match found {
            Ok(None) => Ok(None),
            Ok(Some((block, index))) => {
                match DataBlock::parse(&block).and_then(|view| view.row(index)) {
                    Some(row) => Ok(Some(row)),
                    None => Err(damaged()),
                }
            }
            Err(Contradiction) => Err(damaged()),
        }
    }

    /// How many rows there are in a range of keys, and what they sum up to. Reads the blocks at its two edges.
    pub fn sum_of(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Result<(u32, u128), CheckpointError> {
        let (rows_before, sum_before) = match from {
            Bound::Unbounded => (0, 0),
            Bound::Included(key) => self.open.sum_before(key, false)?,
            Bound::Excluded(key) => self.open.sum_before(key, true)?,
        };
        let (rows, sum) = match to {
            Bound::Unbounded => (self.rows(), self.sum()),
            Bound::Included(key) => self.open.sum_before(key, true)?,
            Bound::Excluded(key) => self.open.sum_before(key, false)?,
        };
        if rows <= rows_before {
            return Ok((0, 0));
        }
        Ok((rows - rows_before, sum.wrapping_sub(sum_before)))
    }
}

impl Open {
    /// The top of the index, unless there is no row.
    #[inline]
    pub(super) fn top(&self) -> Result<Option<IndexNode<'_>>, CheckpointError> {
        if self.footer.rows == 0 {
            return Ok(None);
        }
        let offset = self.footer.top_offset;
        let top = IndexNode::parse(&self.top);
        top.map(Some)
            .ok_or_else(|| self.source.damaged(offset, what::TOP))
    }

    /// Which child of a node at that offset a key is in.
    #[inline]
    pub(super) fn search(
        &self,
        node: &IndexNode<'_>,
        key: &[u8],
        offset: u64,
    ) -> Result<usize, CheckpointError> {
        node.search(key)
            .ok_or_else(|| self.source.damaged(offset, what::INDEX))
    }

    /// Loads a node below the top.
    pub(super) fn node(
        &self,
        top: &IndexNode<'_>,
        index: usize,
        keep: Keep,
    ) -> Result<(Arc<[u8]>, Place), CheckpointError> {
        let (number, place) = self.node_place(top, index)?;
        Ok((self.source.block(number, keep, place)?, place))
    }

    /// The number and place of a node below the top. Nodes are counted behind the blocks of rows.
    pub(super) fn node_place(
        &self,
        top: &IndexNode<'_>,
        index: usize,
    ) -> Result<(u64, Place), CheckpointError> {
        let (number, child) = self.child(top, index)?;
        let place = Place {
            offset: child.offset,
            bytes: child.bytes as usize,
            what: what::INDEX,
        };
        if place.bytes > INDEX_NODE_BYTES_MAX {
            return Err(self.source.damaged(place.offset, place.what));
        }
        Ok((
            u64::from(self.footer.data_blocks) + u64::from(number),
            place,
        ))
    }

    fn child(&self, node: &IndexNode<'_>, index: usize) -> Result<(u32, Child), CheckpointError> {
        let damaged = || self.source.damaged(self.footer.top_offset, what::INDEX);
        let number = node.number(index).ok_or_else(damaged)?;
        Ok((number, node.child(index).ok_or_else(damaged)?))
    }

    pub(super) fn parse_node<'a>(
        &self,
        node: &'a [u8],
        place: Place,
    ) -> Result<IndexNode<'a>, CheckpointError> {
        IndexNode::parse(node).ok_or_else(|| self.source.damaged(place.offset, place.what))
    }

    /// Loads a block of rows below a node.
    pub(super) fn data(
        &self,
        node: &IndexNode<'_>,
        index: usize,
        keep: Keep,
    ) -> Result<(Arc<[u8]>, Place), CheckpointError> {
        let (number, place) = self.data_place(node, index)?;
        Ok((self.source.block(number, keep, place)?, place))
    }

    /// The number and place of a block of rows below a node.
    pub(super) fn data_place(
        &self,
        node: &IndexNode<'_>,
        index: usize,
    ) -> Result<(u64, Place), CheckpointError> {
        let (number, child) = self.child(node, index)?;
        Ok((number.into(), self.data_block(child.offset, child.bytes)?))
    }

    /// A block of rows at a place that a node tells.
    #[inline]
    fn data_block(&self, offset: u64, bytes: u32) -> Result<Place, CheckpointError> {
        let place = Place {
            offset,
            bytes: bytes as usize,
            what: what::DATA,
        };
        if place.bytes > DATA_BLOCK_BYTES_MAX {
            return Err(self.source.damaged(offset, place.what));
        }
        Ok(place)
    }

    /// The block of the row that has so many before it; `None` if there are not so many.
    pub(super) fn locate_row(
        &self,
        row: u32,
        keep: Keep,
    ) -> Result<Option<Located>, CheckpointError> {
        let Some(top) = self.top()?.filter(|_| row < self.footer.rows) else {
            return Ok(None);
        };
        let (node, place) = self.node(&top, top.search_row(row), Keep::Cached)?;
        let node = self.parse_node(&node, place)?;
        self.located(&node, node.search_row(row), place, keep)
            .map(Some)
    }

    fn located(
        &self,
        node: &IndexNode<'_>,
        index: usize,
        node_place: Place,
        keep: Keep,
    ) -> Result<Located, CheckpointError> {
        let (block, place) = self.data(node, index, keep)?;
        let child = node.child(index);
        let (Some(child), Some(rows_end)) = (child, node.rows_through(index)) else {
            return Err(self.source.damaged(node_place.offset, node_place.what));
        };
        Ok(Located {
            block,
            place,
            rows_before: child.rows_before,
            rows_end,
            sum_before: child.sum_before,
        })
    }

    /// How many rows have a key below this one, or equal to it if `inclusive`, and their sum.
    fn sum_before(&self, key: &[u8], inclusive: bool) -> Result<(u32, u128), CheckpointError> {
        let Some(top) = self.top()? else {
            return Ok((0, 0));
        };
        let node_at = self.search(&top, key, self.footer.top_offset)?;
        let (node, place) = self.node(&top, node_at, Keep::Cached)?;
        let node = self.parse_node(&node, place)?;
        let index = self.search(&node, key, place.offset)?;
        let located = self.located(&node, index, place, Keep::Cached)?;
        let count = || {
            let view = DataBlock::parse(&located.block)?;
            let rows = view.rows_before(key, inclusive)?;
            let mut sum = located.sum_before;
            for index in 0..rows {
                sum = sum.wrapping_add(view.row(index)?.sum);
            }
            let rows = located.rows_before.checked_add(u32::try_from(rows).ok()?)?;
            Some((rows, sum))
        };
        count().ok_or_else(|| {
            self.source
                .damaged(located.place.offset, located.place.what)
        })
    }
}
