//! Lookups of rows by key or by place in key order, and sums of ranges.

use std::ops::{Bound, Range};
use std::sync::{Arc, OnceLock};

use crate::core::checksum::key_hash;

use super::open::{Checkpoint, Open};
use super::source::{Keep, Place};
use crate::table::block::data::{Contradiction, DataBlock};
use crate::table::block::fences::Fences;
use crate::table::block::gone_rows::BlockOf;
use crate::table::block::index::{Child, IndexNode};
use crate::table::cache::block_cache::BlockNumber;
use crate::table::error::CheckpointError;
use crate::table::format::{DATA_BLOCK_BYTES_MAX, INDEX_NODE_BYTES_MAX, what};
use crate::table::row::RowRef;

/// Most blocks of rows for which all heads of separators are kept in memory: 4 MiB for 2 GiB of rows. In a larger file
/// only every eighth is, and the node is searched for a key.
pub(in crate::table) const HEADS_MAX: u32 = if cfg!(test) { 32 } else { 512 << 10 };

/// A block of rows, with the number of rows before it.
pub(in crate::table) struct Located {
    pub(in crate::table) block: Arc<[u8]>,
    pub(in crate::table) place: Place,
    pub(in crate::table) rows_before: u32,
    pub(in crate::table) rows_end: u32,
    sum_before: u128,
}

impl Checkpoint {
    /// The row with a key; `None` if there is none. Takes memory for the row only, if its block is cached.
    pub fn find(&self, key: &[u8]) -> Result<Option<RowRef>, CheckpointError> {
        let found = self.look_up(key, key_hash(key), |block, index| block.row_apart(index))?;
        Ok(found.map(|(row, block_of)| RowRef { block_of, ..row }))
    }

    /// Reads the body of the row with a key in place, without taking a share of its block. `hash` is the key's
    /// [hash](key_hash). `read` must be short, because inserting or evicting a block waits for it.
    #[inline]
    pub fn read<R>(
        &self,
        key: &[u8],
        hash: u64,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>, CheckpointError> {
        let found = self.look_up(key, hash, |block, index| {
            Some(match block.body(index)? {
                Ok(body) => Ok(read(body)),
                Err(extent) => Err((extent, read)),
            })
        })?;
        Ok(match found {
            None => None,
            Some((Ok(read), _)) => Some(read),
            Some((Err((extent, read)), _)) => Some(read(&self.body_at(&extent)?)),
        })
    }

    /// Calls `read` with the block and the place of the row with a key, and returns its result with the block's number.
    /// `read` returns `None` if the row contradicts itself.
    #[inline]
    fn look_up<R>(
        &self,
        key: &[u8],
        hash: u64,
        read: impl FnOnce(DataBlock<'_>, usize) -> Option<R>,
    ) -> Result<Option<(R, Option<BlockOf>)>, CheckpointError> {
        let (open, source) = (&*self.open, &self.open.source);
        let Some(top) = &open.top_fences else {
            // There is no row; or the top contradicts itself, which is an error.
            open.top()?;
            return Ok(None);
        };
        let node_at = match top.window(key).and_then(|window| top.child(&window)) {
            Some(node_at) => node_at,
            None => open.search(&open.parsed_top()?, key, open.footer.top_offset)?,
        };
        let (number, index) = open.child_with(key, node_at)?;
        // The place of a block in the file is read only for a block that is not cached: it lies far from its number,
        // and reading it would take a part of the time.
        let data_place = || {
            let (node, place) = open.node(&open.parsed_top()?, node_at, Keep::Cached)?;
            let (_, place) = open.data_place(&open.parse_node(&node, place)?, index)?;
            Ok(place)
        };
        let found = source.look(
            BlockNumber::Rows(number),
            Keep::Cached,
            data_place,
            |block| {
                let block = DataBlock::parse(block).ok_or(Contradiction)?;
                let found = block.find(key, hash)?;
                let read = found.map(|index| read(block, index).ok_or(Contradiction));
                read.transpose()
            },
        )?;
        match found {
            Ok(found) => Ok(found.map(|read| {
                let node = u32::try_from(node_at).ok();
                let of = node.map(|node| BlockOf {
                    node,
                    block: number,
                });
                (read, of)
            })),
            Err(Contradiction) => Err(source.damaged_at(data_place()?)),
        }
    }

    /// Number and sum of the rows in a range of keys. Reads the blocks at the two edges.
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
    /// The top of the index; `None` if there is no row.
    #[inline]
    pub(in crate::table) fn top(&self) -> Result<Option<IndexNode<'_>>, CheckpointError> {
        if self.footer.rows == 0 {
            return Ok(None);
        }
        self.parsed_top().map(Some)
    }

    /// The top of the index, where there must be one.
    fn parsed_top(&self) -> Result<IndexNode<'_>, CheckpointError> {
        IndexNode::parse(&self.top)
            .ok_or_else(|| self.source.damaged(self.footer.top_offset, what::TOP))
    }

    /// The number of the block of rows that can hold a key, and its place below the node.
    #[inline]
    fn child_with(&self, key: &[u8], node_at: usize) -> Result<(u32, usize), CheckpointError> {
        let fences = self.fences.get(node_at).and_then(OnceLock::get);
        let window = fences.and_then(|fences| {
            let window = fences.window(key)?;
            self.source.cache.approach(&fences.numbers(&window)?);
            Some((fences, window))
        });
        let child = window.as_ref().and_then(|(fences, window)| {
            let index = fences.child(window)?;
            Some((fences.number(index)?, index))
        });
        if let Some(child) = child {
            return Ok(child);
        }
        let window = window.map(|(_, window)| window.children());
        self.child_in_node(key, node_at, window)
    }

    /// The child of a node that can hold a key, found in the node itself; `window` narrows it down if it is known.
    fn child_in_node(
        &self,
        key: &[u8],
        node_at: usize,
        window: Option<Range<usize>>,
    ) -> Result<(u32, usize), CheckpointError> {
        let top = self.parsed_top()?;
        let place = || self.node_place(&top, node_at).map(|(_, place)| place);
        let number = self.node_number(&top, node_at)?;
        let child = self.source.look(number, Keep::Cached, place, |node| {
            let node = IndexNode::parse(node)?;
            let index = match window {
                Some(window) => node.search_in(key, window)?,
                None => node.search(key)?,
            };
            if let Some(fences) = self.fences.get(node_at) {
                fences.get_or_init(|| Fences::of(&node, self.keeps_heads()));
            }
            Some((node.number(index)?, index))
        })?;
        match child {
            Some(child) => Ok(child),
            None => Err(self.source.damaged_at(place()?)),
        }
    }

    /// True if the heads between the fences are kept too.
    fn keeps_heads(&self) -> bool {
        self.footer.data_blocks <= HEADS_MAX
    }

    /// The child of a node that can hold a key; `offset` is that of the node, for errors.
    #[inline]
    pub(in crate::table) fn search(
        &self,
        node: &IndexNode<'_>,
        key: &[u8],
        offset: u64,
    ) -> Result<usize, CheckpointError> {
        node.search(key)
            .ok_or_else(|| self.source.damaged(offset, what::INDEX))
    }

    /// Loads a node below the top.
    pub(in crate::table) fn node(
        &self,
        top: &IndexNode<'_>,
        index: usize,
        keep: Keep,
    ) -> Result<(Arc<[u8]>, Place), CheckpointError> {
        let (number, place) = self.node_place(top, index)?;
        Ok((self.source.block(number, keep, place)?, place))
    }

    /// The number and place of a node below the top. Nodes are numbered before the blocks of feeds.
    pub(in crate::table) fn node_place(
        &self,
        top: &IndexNode<'_>,
        index: usize,
    ) -> Result<(BlockNumber, Place), CheckpointError> {
        let (_, child) = self.child(top, index)?;
        let place = Place {
            offset: child.offset,
            bytes: child.bytes as usize,
            what: what::INDEX,
        };
        if place.bytes > INDEX_NODE_BYTES_MAX {
            return Err(self.source.damaged_at(place));
        }
        Ok((self.node_number(top, index)?, place))
    }

    #[inline]
    fn node_number(
        &self,
        top: &IndexNode<'_>,
        index: usize,
    ) -> Result<BlockNumber, CheckpointError> {
        let damaged = || self.source.damaged(self.footer.top_offset, what::INDEX);
        let number = top.number(index).ok_or_else(damaged)?;
        Ok(BlockNumber::Other(number.into()))
    }

    fn child(&self, node: &IndexNode<'_>, index: usize) -> Result<(u32, Child), CheckpointError> {
        let damaged = || self.source.damaged(self.footer.top_offset, what::INDEX);
        let number = node.number(index).ok_or_else(damaged)?;
        Ok((number, node.child(index).ok_or_else(damaged)?))
    }

    pub(in crate::table) fn parse_node<'a>(
        &self,
        node: &'a [u8],
        place: Place,
    ) -> Result<IndexNode<'a>, CheckpointError> {
        IndexNode::parse(node).ok_or_else(|| self.source.damaged(place.offset, place.what))
    }

    /// Loads a block of rows below a node.
    pub(in crate::table) fn data(
        &self,
        node: &IndexNode<'_>,
        index: usize,
        keep: Keep,
    ) -> Result<(Arc<[u8]>, Place), CheckpointError> {
        let (number, place) = self.data_place(node, index)?;
        let number = BlockNumber::Rows(number);
        Ok((self.source.block(number, keep, place)?, place))
    }

    /// The number and place of a block of rows below a node.
    pub(in crate::table) fn data_place(
        &self,
        node: &IndexNode<'_>,
        index: usize,
    ) -> Result<(u32, Place), CheckpointError> {
        let (number, child) = self.child(node, index)?;
        Ok((number, self.data_block(child.offset, child.bytes)?))
    }

    /// The place of a block of rows, as its node gives it.
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

    /// The block of the row with that many rows before it; `None` if there are fewer rows.
    pub(in crate::table) fn locate_row(
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

    /// Number and sum of the rows whose key is below this one, or equal to it if `inclusive`.
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
                sum = sum.wrapping_add(view.row(index, &located.block)?.sum);
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
