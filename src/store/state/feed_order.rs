//! The map in feed order: first the checkpoint's rows that were not replaced, then the later entries.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::base::{Base, OWN, RELAY};
use super::map::EntryMap;
use crate::store::error::StoreError;
use crate::store::memtable::held::Held;
use crate::store::memtable::stream::Stream;
use crate::table::FeedCursor;

/// Replaced rows that are skipped before the search assumes that a later row is still valid.
const LOOKED_AT_MAX: usize = 64;

/// Entries of a stream in feed order. After an error nothing follows.
pub struct FeedRows<'a> {
    map: &'a EntryMap,
    after: u64,
    feed: u8,
    cursor: Option<FeedCursor>,
    has_begun: bool,
    later: Box<dyn Iterator<Item = &'a Held> + 'a>,
    has_failed: bool,
}

impl FeedRows<'_> {
    fn next_of(&mut self, base: &Base) -> Result<Option<Held>, StoreError> {
        if !std::mem::replace(&mut self.has_begun, true) && base.last(self.feed) > self.after {
            self.cursor = Some(base.feed_after(self.feed, self.after)?);
        }
        let Some(cursor) = &mut self.cursor else {
            return Ok(None);
        };
        while let Some(row) = cursor.next()? {
            let found = base.decode(&row)?;
            if !self.map.has_changed(found.entry.key()) {
                return Ok(Some(self.map.held_of(found)));
            }
        }
        Ok(None)
    }
}

impl<'a> Iterator for FeedRows<'a> {
    type Item = Result<Cow<'a, Held>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        if let Some(base) = self.map.base.clone() {
            match self.next_of(&base) {
                Ok(Some(held)) => return Some(Ok(Cow::Owned(held))),
                Ok(None) => {}
                Err(error) => {
                    self.has_failed = true;
                    return Some(Err(error));
                }
            }
        }
        self.later.next().map(|held| Ok(Cow::Borrowed(held)))
    }
}

impl EntryMap {
    fn rows_after<'a>(&'a self, stream: u8, members: &'a Stream, after: u64) -> FeedRows<'a> {
        let later = members
            .between(after, u64::MAX)
            .filter_map(|(_, slot)| self.held(slot));
        FeedRows {
            map: self,
            after,
            feed: stream,
            cursor: None,
            has_begun: false,
            later: Box::new(later),
            has_failed: false,
        }
    }

    /// This node's own writes after the local sequence `after`, in feed order.
    pub fn own_after(&self, after: u64) -> FeedRows<'_> {
        self.rows_after(OWN, &self.own, after)
    }

    /// All relayed entries after the local sequence `after`, in feed order.
    pub fn relay_after(&self, after: u64) -> FeedRows<'_> {
        self.rows_after(RELAY, &self.relay, after)
    }

    /// True if an entry follows `after` in the stream of own writes. May be true also if every later row was replaced,
    /// because the search is short.
    pub fn has_own_after(&self, after: u64) -> bool {
        self.has_after(OWN, &self.own, after)
    }

    /// True if an entry follows `after` in the relayed stream, with the exception of [`Self::has_own_after`].
    pub fn has_relay_after(&self, after: u64) -> bool {
        self.has_after(RELAY, &self.relay, after)
    }

    fn has_after(&self, stream: u8, members: &Stream, after: u64) -> bool {
        if members.between(after, u64::MAX).next().is_some() {
            return true;
        }
        let Some(base) = &self.base else {
            return false;
        };
        base.last(stream) > after && self.is_any_current(base, stream, after).unwrap_or(true)
    }

    fn is_any_current(&self, base: &Base, feed: u8, after: u64) -> Result<bool, StoreError> {
        let mut cursor = base.feed_after(feed, after)?;
        for _ in 0..LOOKED_AT_MAX {
            let Some(row) = cursor.next()? else {
                return Ok(false);
            };
            if !self.has_changed(&row.key()) {
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// The entry at a local sequence, if it was not replaced since.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn at(&self, lseq: u64) -> Result<Option<Cow<'_, Held>>, StoreError> {
        let slot = self.own.get(lseq).or_else(|| self.relay.get(lseq));
        if let Some(held) = slot.and_then(|slot| self.held(slot)) {
            return Ok(Some(Cow::Borrowed(held)));
        }
        let Some(base) = &self.base else {
            return Ok(None);
        };
        let found = base.at(lseq)?;
        let current = found.filter(|found| !self.has_changed(found.entry.key()));
        Ok(current.map(|found| Cow::Owned(self.held_of(found))))
    }

    /// True if there is an entry at a local sequence: the answer of [`Self::at`] without its value.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn is_at(&self, lseq: u64) -> Result<bool, StoreError> {
        if self.own.get(lseq).is_some() || self.relay.get(lseq).is_some() {
            return Ok(true);
        }
        let Some(base) = &self.base else {
            return Ok(false);
        };
        Ok(base
            .row_at(lseq)?
            .is_some_and(|row| !self.has_changed(&row.key())))
    }

    /// Number of rows of the outbox with a local sequence in `(after, to]`. No [`Self::base_unknown`] entries may be
    /// left.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be.
    pub fn own_rows(&self, after: u64, to: u64) -> Result<u64, StoreError> {
        if after >= to {
            return Ok(0);
        }
        if to == u64::MAX {
            return Ok(self.totals.own.saturating_sub(self.own_rows(0, after)?));
        }
        let later = self.own.count_up_to(to) - self.own.count_up_to(after);
        let base_row = match &self.base {
            Some(base) => {
                let rows = base.rows_between(OWN, after, to)?;
                rows - self.shadowed.range(after + 1..=to).count() as u64
            }
            None => 0,
        };
        Ok(later + base_row)
    }

    /// The local sequence of the `count`-th row of the outbox after the place `after`, or of the last one if there are
    /// fewer; `None` if there is none.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn own_row_after(&self, after: u64, count: usize) -> Result<Option<u64>, StoreError> {
        let mut last = None;
        for held in self.own_after(after).take(count) {
            last = Some(held?.lseq);
        }
        Ok(last)
    }

    /// Upper bound of the local sequences in the stream of own writes: the last of them, unless it lies in the checkpoint
    /// and was replaced since.
    pub fn last_own(&self) -> u64 {
        self.last_of(OWN, &self.own)
    }

    /// Upper bound of the local sequences in the relayed stream, with the exception of [`Self::last_own`].
    pub fn last_relay(&self) -> u64 {
        self.last_of(RELAY, &self.relay)
    }

    fn last_of(&self, stream: u8, members: &Stream) -> u64 {
        let last = members.between(0, u64::MAX).next_back();
        let base_row = self.base.as_ref().map_or(0, |base| base.last(stream));
        last.map_or(0, |(lseq, _)| lseq).max(base_row)
    }

    /// The local sequence of this node's write `sequence`, unless another has replaced it. A binary search that reads
    /// some dozen rows, however many there are: rows are in the order in which they were written.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn own_row_of(&self, sequence: u64) -> Result<Option<u64>, StoreError> {
        let (mut low, mut high) = (0, self.last_own());
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(held) = self.own_after(middle).next().transpose()? else {
                high = middle;
                continue;
            };
            match held.entry.dot.sequence.cmp(&sequence) {
                Ordering::Equal => return Ok(Some(held.lseq)),
                Ordering::Less if held.lseq <= high => low = held.lseq,
                _ => high = middle,
            }
        }
        Ok(None)
    }

    /// True if the entry at a local sequence is a row of the outbox.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn is_own_row(&self, lseq: u64) -> Result<bool, StoreError> {
        let held = self.at(lseq)?;
        Ok(held.is_some_and(|held| held.is_row()))
    }
}
