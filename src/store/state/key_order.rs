//! The map in key order: a merge of the memtable and the checkpoint's rows.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::iter::Peekable;
use std::ops::Bound;

use super::base::BaseEntry;
use super::map::EntryMap;
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::memtable::held::{Held, Via};
use crate::table::{RangeCursor, RowRef};

/// A row of the map.
enum Row<'a> {
    /// A row of the checkpoint.
    BaseRow(BaseEntry),
    /// An entry of the memtable.
    Changed(&'a Held),
}

/// Entries in key order, tombstones included. After an error nothing follows.
pub struct OrderedRows<'a> {
    map: &'a EntryMap,
    base_row: Option<RangeCursor>,
    row: Option<RowRef>,
    changed: Peekable<Box<dyn Iterator<Item = &'a Held> + 'a>>,
    failure: Option<StoreError>,
}

impl<'a> OrderedRows<'a> {
    fn advance(&mut self) -> Result<(), StoreError> {
        self.row = match &mut self.base_row {
            Some(cursor) => cursor.next()?,
            None => None,
        };
        Ok(())
    }

    fn next_row(&mut self) -> Result<Option<Row<'a>>, StoreError> {
        loop {
            let order = match (&self.row, self.changed.peek()) {
                (None, _) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(row), Some(held)) => row.cmp_key(held.entry.key()),
            };
            match (order, &self.row, &self.map.base) {
                (Ordering::Less, Some(row), Some(base)) => {
                    let found = base.decode(row)?;
                    self.advance()?;
                    return Ok(Some(Row::BaseRow(found)));
                }
                // The row was replaced in the memtable.
                (Ordering::Equal, ..) => self.advance()?,
                _ => return Ok(self.changed.next().map(Row::Changed)),
            }
        }
    }

    /// The next row; nothing after an error.
    fn row_or_end(&mut self) -> Option<Result<Row<'a>, StoreError>> {
        let next = match self.failure.take() {
            Some(failure) => Err(failure),
            None => self.next_row(),
        };
        if next.is_err() {
            self.base_row = None;
            self.row = None;
            self.changed = (Box::new(std::iter::empty()) as Box<dyn Iterator<Item = _>>).peekable();
        }
        next.transpose()
    }

    /// The next entry, with the facts about it that only this node has.
    pub(in crate::store) fn next_held(&mut self) -> Option<Result<Cow<'a, Held>, StoreError>> {
        let map = self.map;
        let row = self.row_or_end()?;
        Some(row.map(|row| match row {
            Row::BaseRow(found) => Cow::Owned(map.held_of(found)),
            Row::Changed(held) => Cow::Borrowed(held),
        }))
    }
}

impl<'a> Iterator for OrderedRows<'a> {
    type Item = Result<Cow<'a, Entry>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.row_or_end()?;
        Some(row.map(|row| match row {
            Row::BaseRow(found) => Cow::Owned(found.entry),
            Row::Changed(held) => Cow::Borrowed(&held.entry),
        }))
    }
}

impl EntryMap {
    /// Entries with keys in `[from, …)`, in key order, tombstones included.
    pub fn range_from(&self, from: Bound<&[u8]>) -> OrderedRows<'_> {
        self.rows_from(from, Box::new(self.changed_from(from)))
    }

    /// Entries from the key `from` on, for callers that have the memtable's entries from there on in order already.
    pub(in crate::store) fn rows_from<'a>(
        &'a self,
        from: Bound<&[u8]>,
        changed: Box<dyn Iterator<Item = &'a Held> + 'a>,
    ) -> OrderedRows<'a> {
        let mut rows = OrderedRows {
            map: self,
            base_row: None,
            row: None,
            changed: changed.peekable(),
            failure: None,
        };
        let begun = match self.base.as_ref().map(|base| base.range(from)) {
            None => Ok(()),
            Some(Ok(cursor)) => {
                rows.base_row = Some(cursor);
                rows.advance()
            }
            Some(Err(error)) => Err(error),
        };
        rows.failure = begun.err();
        rows
    }

    /// Entries of the memtable with keys in `[from, …)`, in key order.
    pub(in crate::store) fn changed_from<'a>(
        &'a self,
        from: Bound<&[u8]>,
    ) -> impl Iterator<Item = &'a Held> + use<'a> {
        self.by_key
            .range_from(from, &self.slots)
            .filter_map(|slot| self.held(slot))
    }

    /// Entries of the memtable with a value and with keys in `[from, …)`, in key order; see
    /// [`KeyIndex::live_from`](crate::store::memtable::key_index::KeyIndex::live_from) for `prefix`.
    pub(in crate::store) fn live_changed_from<'a>(
        &'a self,
        from: Bound<&[u8]>,
        prefix: &[u8],
    ) -> impl Iterator<Item = &'a Held> + use<'a> {
        self.by_key
            .live_from(from, prefix, &self.slots)
            .filter_map(|slot| self.held(slot))
    }

    /// Entries of the memtable with keys in `[from, …)`, each with its slot, without the keys that are not sorted in
    /// yet.
    pub(in crate::store) fn sorted_from<'a>(
        &'a self,
        from: Bound<&[u8]>,
    ) -> impl Iterator<Item = (u32, &'a Held)> + use<'a> {
        self.by_key
            .sorted_from(from)
            .filter_map(|slot| Some((slot, self.held(slot)?)))
    }

    /// The entry of a stored key, with the facts about it that only this node has.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn held_entry(&self, key: &[u8]) -> Result<Option<Cow<'_, Held>>, StoreError> {
        if let Some(held) = self.changed_held(key) {
            return Ok(Some(Cow::Borrowed(held)));
        }
        let Some(base) = &self.base else {
            return Ok(None);
        };
        let found = base.entry(key)?;
        Ok(found.map(|found| Cow::Owned(self.held_of(found))))
    }

    /// The in-memory form of an entry of the checkpoint.
    pub(in crate::store) fn held_of(&self, found: BaseEntry) -> Held {
        let via = |source| self.via_of(source).unwrap_or(Via::MAX);
        Held {
            entry: found.entry,
            lseq: found.lseq,
            via: found.source.map_or(0, via),
        }
    }
}
