//! Rows in key order.

use std::ops::Bound;
use std::sync::Arc;

use super::open::{Checkpoint, Open};
use super::source::{Keep, Place};
use crate::table::block::data::DataBlock;
use crate::table::block::gone_rows::{BlockOf, GoneRows};
use crate::table::block::index::IndexNode;
use crate::table::cache::block_cache::BlockNumber;
use crate::table::error::CheckpointError;
use crate::table::format::what;
use crate::table::row::RowRef;

/// Bytes of the first read-ahead; each further one is twice as long. Most ranges are short.
const AHEAD_BYTES_MIN: usize = 16 << 10;

/// Most bytes of a read-ahead: more speeds up no disk.
const AHEAD_BYTES_MAX: usize = 256 << 10;

/// A cursor over rows in ascending key order. Reads ahead into memory of its own, so that a long scan does not evict
/// the blocks that others need; cached blocks are used where nothing was read ahead.
pub struct RangeCursor {
    checkpoint: Checkpoint,
    /// Place in the top of the current node.
    node_at: usize,
    node: Arc<[u8]>,
    child: usize,
    /// Number of the current block.
    number: u32,
    block: Arc<[u8]>,
    block_place: Place,
    row: usize,
    ahead: Ahead,
    ended: bool,
}

impl RangeCursor {
    pub(in crate::table) fn new(
        checkpoint: Checkpoint,
        from: Bound<&[u8]>,
    ) -> Result<Self, CheckpointError> {
        let nowhere = Place {
            offset: 0,
            bytes: 0,
            what: what::DATA,
        };
        let mut cursor = Self {
            checkpoint,
            node_at: 0,
            node: Arc::default(),
            child: 0,
            number: 0,
            block: Arc::default(),
            block_place: nowhere,
            row: 0,
            ahead: Ahead::default(),
            ended: false,
        };
        let (key, inclusive) = match from {
            Bound::Unbounded => (&[][..], false),
            Bound::Included(key) => (key, false),
            Bound::Excluded(key) => (key, true),
        };
        cursor.seek(key, inclusive)?;
        Ok(cursor)
    }

    fn seek(&mut self, key: &[u8], inclusive: bool) -> Result<(), CheckpointError> {
        let open = &*self.checkpoint.open;
        let Some(top) = open.top()? else {
            self.ended = true;
            return Ok(());
        };
        self.node_at = open.search(&top, key, open.footer.top_offset)?;
        let (node, place) = open.node(&top, self.node_at, Keep::Cached)?;
        self.node = node;
        let node = open.parse_node(&self.node, place)?;
        self.child = open.search(&node, key, place.offset)?;
        (self.number, _) = open.data_place(&node, self.child)?;
        (self.block, self.block_place) = open.data(&node, self.child, Keep::Cached)?;
        let before =
            DataBlock::parse(&self.block).and_then(|view| view.rows_before(key, inclusive));
        self.row =
            before.ok_or_else(|| open.source.damaged(self.block_place.offset, what::DATA))?;
        Ok(())
    }

    /// The next row; `None` after the last one. After an error the cursor is at its end.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator of results would be easy to end by mistake at its first error"
    )]
    pub fn next(&mut self) -> Result<Option<RowRef>, CheckpointError> {
        self.next_behind(None)
    }

    /// The next row that is not dead, and not in a block whose live rows were all replaced: such blocks are not read.
    /// Rows of other blocks may have been replaced.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged; the cursor is at its end then.
    pub fn next_live(&mut self, gone: &GoneRows) -> Result<Option<RowRef>, CheckpointError> {
        self.next_behind(Some(gone))
    }

    fn next_behind(&mut self, gone: Option<&GoneRows>) -> Result<Option<RowRef>, CheckpointError> {
        if self.ended {
            return Ok(None);
        }
        let next = self.advance(gone);
        self.ended = !matches!(next, Ok(Some(_)));
        next
    }

    fn advance(&mut self, gone: Option<&GoneRows>) -> Result<Option<RowRef>, CheckpointError> {
        loop {
            let damaged = |place: Place| {
                let source = &self.checkpoint.open.source;
                source.damaged(place.offset, place.what)
            };
            let view = DataBlock::parse(&self.block).ok_or_else(|| damaged(self.block_place))?;
            while self.row < view.rows() {
                let index = self.row;
                self.row += 1;
                if gone.is_some() && view.is_dead(index) == Some(true) {
                    continue;
                }
                let row = view
                    .row(index, &self.block)
                    .ok_or_else(|| damaged(self.block_place))?;
                let node = u32::try_from(self.node_at).ok();
                let block = self.number;
                let block_of = node.map(|node| BlockOf { node, block });
                return Ok(Some(RowRef { block_of, ..row }));
            }
            if !self.next_block(gone)? {
                return Ok(None);
            }
        }
    }

    fn next_block(&mut self, gone: Option<&GoneRows>) -> Result<bool, CheckpointError> {
        self.row = 0;
        let mut child = self.child + 1;
        loop {
            let open = &*self.checkpoint.open;
            let damaged = || open.source.damaged(open.footer.top_offset, what::INDEX);
            let node = IndexNode::parse(&self.node).ok_or_else(damaged)?;
            let first = child;
            let hides = |child| gone.is_some_and(|gone| gone.hides_block(&node, child));
            while child < node.len() && hides(child) {
                child += 1;
            }
            if child > first {
                self.ahead.begin_anew();
            }
            if child < node.len() {
                self.child = child;
                (self.number, _) = open.data_place(&node, child)?;
                (self.block, self.block_place) = self.ahead.block(open, &node, child)?;
                return Ok(true);
            }
            let Some(top) = open.top()? else {
                return Ok(false);
            };
            let mut node_at = self.node_at + 1;
            let hides = |node_at| gone.is_some_and(|gone| gone.hides_node(&top, node_at));
            while node_at < top.len() && hides(node_at) {
                node_at += 1;
                self.ahead.begin_anew();
            }
            if node_at >= top.len() {
                return Ok(false);
            }
            self.node_at = node_at;
            (self.node, _) = open.node(&top, node_at, Keep::Temp)?;
            child = 0;
        }
    }
}

/// The bytes that were read ahead.
#[derive(Default)]
struct Ahead {
    bytes: Vec<u8>,
    offset: u64,
    /// Length of the last read, in bytes.
    last_bytes: usize,
}

impl Ahead {
    /// Begins with short reads again: a part of the last one was skipped, and so may be much of the next.
    fn begin_anew(&mut self) {
        self.last_bytes = 0;
    }

    /// A block below a node, verified, from the bytes read ahead or after a new read.
    fn block(
        &mut self,
        open: &Open,
        node: &IndexNode<'_>,
        index: usize,
    ) -> Result<(Arc<[u8]>, Place), CheckpointError> {
        let (number, place) = open.data_place(node, index)?;
        // Cached blocks need not be read, as long as nothing was read ahead.
        if self.last_bytes == 0
            && let Some(block) = open.source.cache.share(BlockNumber::Rows(number))
        {
            return Ok((block, place));
        }
        if self.slice(place).is_none() {
            self.read(open, node, index, place)?;
        }
        let bytes = self.slice(place);
        let bytes = bytes.ok_or_else(|| open.source.damaged(place.offset, place.what))?;
        open.source.verify(place, bytes)?;
        Ok((bytes.into(), place))
    }

    fn slice(&self, place: Place) -> Option<&[u8]> {
        let start = usize::try_from(place.offset.checked_sub(self.offset)?).ok()?;
        self.bytes.get(start..start.checked_add(place.bytes)?)
    }

    /// Reads from a block on, with as many of the following blocks as there is room for.
    fn read(
        &mut self,
        open: &Open,
        node: &IndexNode<'_>,
        index: usize,
        first: Place,
    ) -> Result<(), CheckpointError> {
        let room = (self.last_bytes * 2).clamp(AHEAD_BYTES_MIN, AHEAD_BYTES_MAX);
        let mut end = first.offset.saturating_add(first.bytes as u64);
        for next in index + 1..node.len() {
            let (_, place) = open.data_place(node, next)?;
            let next_end = place.offset.saturating_add(place.bytes as u64);
            if place.offset < end || next_end - first.offset > room as u64 {
                break;
            }
            end = next_end;
        }
        let bytes = usize::try_from(end - first.offset).unwrap_or(first.bytes);
        let place = Place { bytes, ..first };
        open.source.check(place)?;
        self.last_bytes = room;
        self.offset = first.offset;
        self.bytes.clear();
        self.bytes.resize(bytes, 0);
        let read = open.source.fill(place, &mut self.bytes);
        if read.is_err() {
            self.bytes.clear();
        }
        read
    }
}
