//! Verification: reads a whole checkpoint and recounts all its counts and sums.

use std::ops::ControlFlow;

use crate::core::checksum::PlacedCrc;

use super::block::data::DataBlock;
use super::block::feed_block::count;
use super::block::index::IndexNode;
use super::error::CheckpointError;
use super::format::{FEED_BLOCK_ROWS, ROW_BODY_BYTES_MAX, STREAMS, WORK_BYTES_MAX, what};
use super::header::HEADER_BYTES;
use super::read::feed::Feed;
use super::read::open::{Checkpoint, read_footer, read_header};
use super::read::source::{Keep, Place, Source};
use super::row::{BodyPlace, Extent, RowRef, cmp_parts};

/// Bytes that are read at once of a body outside of its block.
const PIECE_BYTES: usize = 256 << 10;

/// Memory of a row of a feed that is verified, in bytes: its place in both orders and its local sequence, and as much
/// again, because verifying must take less than writing.
const FEED_ROW_BYTES: usize = 40;

/// Fewest rows of a feed that are verified at once, however little memory there is: each time the whole file may be
/// read.
const FEED_ROWS_MIN: u32 = 1 << 12;

/// End of a verification that found no damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// Every byte of the file is as it was written.
    Whole,
    /// The caller stopped it before the end.
    Stopped,
}

enum Stop {
    Asked,
    Failed(CheckpointError),
}

impl From<CheckpointError> for Stop {
    fn from(error: CheckpointError) -> Self {
        Self::Failed(error)
    }
}

impl Checkpoint {
    /// Reads every byte from the disk, and checks all checksums, the order of keys and of feeds, and all counts and
    /// sums. `progress` is called now and then with the bytes read so far, where rows of feeds count each time that
    /// they are read; when it breaks, the verification stops. Takes up to half of [`WORK_BYTES_MAX`] of memory for the
    /// feeds, and adds little to the cache.
    ///
    /// # Errors
    /// If damage was met, or the disk fails: the first error.
    pub fn verify(
        &self,
        progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Verified, CheckpointError> {
        self.verify_within(WORK_BYTES_MAX, progress)
    }

    /// Verifies as [`verify`](Self::verify) does, with at most `work_bytes` of memory for the feeds.
    ///
    /// # Errors
    /// If damage was met, or the disk fails: the first error.
    pub fn verify_within(
        &self,
        work_bytes: usize,
        progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Verified, CheckpointError> {
        let feed_rows = work_bytes.min(WORK_BYTES_MAX) / FEED_ROW_BYTES;
        let walk = Walk {
            feed_rows: u32::try_from(feed_rows)
                .unwrap_or(u32::MAX)
                .max(FEED_ROWS_MIN),
            checkpoint: self,
            progress,
            read_bytes: 0,
            end: HEADER_BYTES as u64,
            rows: 0,
            sum: 0,
            live: 0,
            blocks: 0,
            streams: [0; STREAMS],
            last_key: Vec::new(),
        };
        match walk.run() {
            Ok(()) => Ok(Verified::Whole),
            Err(Stop::Asked) => Ok(Verified::Stopped),
            Err(Stop::Failed(error)) => Err(error),
        }
    }
}

/// State of a verification.
struct Walk<'a> {
    checkpoint: &'a Checkpoint,
    progress: &'a mut dyn FnMut(u64) -> ControlFlow<()>,
    /// Most rows of a feed that are verified at once.
    feed_rows: u32,
    read_bytes: u64,
    /// End of the part that was read last; the next one must begin there.
    end: u64,
    rows: u32,
    sum: u128,
    /// Number of rows that are not dead.
    live: u32,
    blocks: u32,
    streams: [u32; STREAMS],
    last_key: Vec<u8>,
}

impl<'a> Walk<'a> {
    fn source(&self) -> &'a Source {
        &self.checkpoint.open.source
    }

    fn run(mut self) -> Result<(), Stop> {
        let open = &*self.checkpoint.open;
        let source = self.source();
        let header = read_header(&*source.file, &source.name)?;
        self.expect(header.salt == source.salt, 0, what::HEADER)?;
        let footer = read_footer(source)?;
        self.expect(footer == open.footer, footer.top_offset, what::FOOTER)?;
        if let Some(top) = open.top()? {
            source.load(Place {
                offset: footer.top_offset,
                bytes: open.top.len(),
                what: what::TOP,
            })?;
            for index in 0..top.len() {
                self.node(&top, index)?;
            }
            let whole = top.rows_end() == footer.rows
                && top.sum_end() == footer.sum
                && top.len() == footer.index_nodes as usize;
            self.expect(whole, footer.top_offset, what::TOP)?;
        }
        let whole = self.rows == footer.rows
            && self.sum == footer.sum
            && self.blocks == footer.data_blocks
            && footer.feeds.iter().map(|feed| feed.rows).eq(self.streams)
            && footer
                .feeds
                .first()
                .is_some_and(|feed| feed.offset == self.end);
        self.expect(whole, self.end, what::FOOTER)?;
        for stream in 0..footer.feeds.len() {
            self.feed(
                &self
                    .checkpoint
                    .feed(u8::try_from(stream).unwrap_or(u8::MAX)),
            )?;
        }
        self.checkpoint.meta()?;
        self.tell(footer.meta_bytes)
    }

    fn expect(&self, holds: bool, offset: u64, what: &'static str) -> Result<(), Stop> {
        if holds {
            Ok(())
        } else {
            Err(Stop::Failed(self.source().damaged(offset, what)))
        }
    }

    fn tell(&mut self, bytes: u64) -> Result<(), Stop> {
        self.read_bytes += bytes;
        match (self.progress)(self.read_bytes) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::Asked),
        }
    }

    fn node(&mut self, top: &IndexNode<'_>, index: usize) -> Result<(), Stop> {
        let open = &*self.checkpoint.open;
        let place = open.node_place(top, index)?.1;
        let block = self.source().load(place)?;
        let node = open.parse_node(&block, place)?;
        self.stands_between(top, index, place)?;
        let fits = top
            .child(index)
            .map(|child| (child.rows_before, child.sum_before))
            == Some((self.rows, self.sum));
        self.expect(fits, place.offset, place.what)?;
        let live_before = self.live;
        for child in 0..node.len() {
            self.data(&node, child)?;
        }
        let whole = node.rows_end() == self.rows
            && node.sum_end() == self.sum
            && self.counts(top, index, live_before)
            && place.offset == self.end;
        self.expect(whole, place.offset, place.what)?;
        self.end += place.bytes as u64;
        self.tell(place.bytes as u64)
    }

    /// Checks that the separator before a child is above the last key that was read.
    fn stands_between(&self, node: &IndexNode<'_>, index: usize, place: Place) -> Result<(), Stop> {
        let holds = node
            .separator(index)
            .is_none_or(|(prefix, rest)| cmp_parts(prefix, rest, &self.last_key).is_gt());
        self.expect(holds, place.offset, place.what)
    }

    fn data(&mut self, node: &IndexNode<'_>, index: usize) -> Result<(), Stop> {
        let (number, place) = self.checkpoint.open.data_place(node, index)?;
        let live_before = self.live;
        let block = self.source().load(place)?;
        let fits = node
            .child(index)
            .map(|child| (child.rows_before, child.sum_before))
            == Some((self.rows, self.sum));
        self.expect(fits && number == self.blocks, place.offset, place.what)?;
        self.stands_between(node, index, place)?;
        let damaged = || self.source().damaged(place.offset, place.what);
        let view = DataBlock::parse(&block).ok_or_else(damaged)?;
        for within in 0..view.rows() {
            let source = self.source();
            let row = view.row(within, &block);
            let row = row.ok_or_else(|| source.damaged(place.offset, place.what))?;
            let key = row.key();
            let holds = key > self.last_key && view.tag_holds(within, &key);
            self.expect(holds, place.offset, place.what)?;
            let finds = within > 0
                || node
                    .separator(index)
                    .is_none_or(|(prefix, rest)| cmp_parts(prefix, rest, &key).is_le());
            self.expect(finds, place.offset, place.what)?;
            self.last_key = key;
            self.row(&row, place)?;
        }
        self.expect(place.offset == self.end, place.offset, place.what)?;
        self.end += place.bytes as u64;
        self.blocks += 1;
        let through = (node.rows_through(index), node.sum_through(index));
        let whole =
            through == (Some(self.rows), Some(self.sum)) && self.counts(node, index, live_before);
        self.expect(whole, place.offset, place.what)?;
        self.tell(place.bytes as u64)
    }

    /// True if a child has as many live rows as its node states, or the node states none.
    fn counts(&self, node: &IndexNode<'_>, index: usize, live_before: u32) -> bool {
        let live = self.live.wrapping_sub(live_before);
        node.live(index).is_none_or(|reported| reported == live)
    }

    fn row(&mut self, row: &RowRef, place: Place) -> Result<(), Stop> {
        let rows = self.rows.checked_add(1);
        self.expect(rows.is_some(), place.offset, place.what)?;
        self.rows = rows.unwrap_or(u32::MAX);
        self.sum = self.sum.wrapping_add(row.sum);
        self.live = self.live.saturating_add(u32::from(!row.is_dead));
        if let Some(count) = row
            .stream
            .and_then(|stream| self.streams.get_mut(usize::from(stream)))
        {
            *count += 1;
        }
        match row.body {
            BodyPlace::Inline(_) => Ok(()),
            BodyPlace::Extent(extent) => self.extent(extent),
        }
    }

    /// Reads a body outside of its block, in pieces.
    fn extent(&mut self, extent: Extent) -> Result<(), Stop> {
        let source = self.source();
        let bytes = extent.bytes as usize;
        let fits = extent.offset == self.end && bytes <= ROW_BODY_BYTES_MAX;
        self.expect(fits, extent.offset, what::BODY)?;
        let mut checksum = PlacedCrc::new(source.salt, extent.offset);
        let mut room = vec![0; bytes.min(PIECE_BYTES)];
        let mut done = 0;
        while done < bytes {
            let piece = room.len().min(bytes - done);
            let place = Place {
                offset: extent.offset + done as u64,
                bytes: piece,
                what: what::BODY,
            };
            source.check(place)?;
            let piece = room.get_mut(..piece).unwrap_or_default();
            source.fill(place, piece)?;
            checksum.update(piece);
            done += piece.len();
            self.tell(piece.len() as u64)?;
        }
        self.expect(
            checksum.finish() == extent.checksum,
            extent.offset,
            what::BODY,
        )?;
        self.end += u64::from(extent.bytes);
        Ok(())
    }

    /// Checks a feed in parts: reads its list of rows, visits these in file order, and then checks that their local
    /// sequences ascend.
    fn feed(&mut self, feed: &Feed) -> Result<(), Stop> {
        let mut last = None;
        let mut start = 0;
        while start < feed.rows() {
            let end = feed.rows().min(start.saturating_add(self.feed_rows));
            let lseqs = self.lseqs(feed, start, end)?;
            for (index, lseq) in (start..end).zip(lseqs) {
                let block = index / count(FEED_BLOCK_ROWS);
                let begins = index.is_multiple_of(count(FEED_BLOCK_ROWS));
                let holds = last.is_none_or(|last| last < lseq)
                    && (!begins || feed.first_lseq(block)? == lseq);
                self.expect(holds, feed.place_of(block).offset, what::FEED)?;
                last = Some(lseq);
            }
            start = end;
        }
        for index in 0..feed.index_blocks() {
            let place = feed.index_place(index);
            self.source().load(place)?;
            self.tell(place.bytes as u64)?;
        }
        let holds = feed.last_lseq() == last;
        self.expect(holds, feed.place_of(0).offset, what::FEED)
    }

    /// Local sequences of some rows of a feed, in feed order.
    fn lseqs(&mut self, feed: &Feed, start: u32, end: u32) -> Result<Vec<u64>, Stop> {
        let mut rows = Vec::with_capacity((end - start) as usize);
        let blocks = start / count(FEED_BLOCK_ROWS)..end.div_ceil(count(FEED_BLOCK_ROWS));
        for block in blocks {
            let place = feed.place_of(block);
            let bytes = self.source().load(place)?;
            self.tell(place.bytes as u64)?;
            let first = block * count(FEED_BLOCK_ROWS);
            for index in first..end.min(first.saturating_add(count(FEED_BLOCK_ROWS))) {
                rows.push((feed.row_in(&bytes, index)?, index - start));
            }
        }
        rows.sort_unstable();
        let mut lseqs = vec![0; rows.len()];
        let mut at_hand = None;
        for (wanted, index) in rows {
            let (row, located) = feed.row_of(wanted, index + start, at_hand.take(), Keep::Temp)?;
            at_hand = Some(located);
            if let Some(place) = lseqs.get_mut(index as usize) {
                *place = row.lseq;
            }
        }
        self.tell(0)?;
        Ok(lseqs)
    }
}
