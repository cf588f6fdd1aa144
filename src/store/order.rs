//! The map in the order of its keys: what changed since the checkpoint, merged into the checkpoint's rows.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::iter::Peekable;
use std::ops::Bound;

use super::base::BaseEntry;
use super::entry::Entry;
use super::error::StoreError;
use super::map::{EntryMap, Held};
use crate::wal::checkpoint::{RangeCursor, RowRef};

/// Entries in key order, tombstones included. After an error nothing follows.
pub struct OrderedRows<'a> {
    map: &'a EntryMap,
    beneath: Option<RangeCursor>,
    row: Option<RowRef>,
    changed: Peekable<Box<dyn Iterator<Item = &'a Held> + 'a>>,
    failure: Option<StoreError>,
}

impl<'a> OrderedRows<'a> {
    fn advance(&mut self) -> Result<(), StoreError> {
        self.row = match &mut self.beneath {
            Some(cursor) => cursor.next()?,
            None => None,
        };
        Ok(())
    }

    fn next_row(&mut self) -> Result<Option<Cow<'a, Entry>>, StoreError> {
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
                    return Ok(Some(Cow::Owned(found.entry)));
                }
                // Replaced since.
                (Ordering::Equal, ..) => self.advance()?,
                _ => return Ok(self.changed.next().map(|held| Cow::Borrowed(&held.entry))),
            }
        }
    }
}

impl<'a> Iterator for OrderedRows<'a> {
    type Item = Result<Cow<'a, Entry>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(failure) = self.failure.take() {
            self.beneath = None;
            self.row = None;
            self.changed = (Box::new(std::iter::empty()) as Box<dyn Iterator<Item = _>>).peekable();
            return Some(Err(failure));
        }
        match self.next_row() {
            Ok(entry) => entry.map(Ok),
            Err(failure) => {
                self.failure = Some(failure);
                self.next()
            }
        }
    }
}

impl EntryMap {
    /// Entries with keys in `[from, …)`, in key order, tombstones included.
    pub fn range_from(&self, from: Bound<&[u8]>) -> OrderedRows<'_> {
        let changed: Box<dyn Iterator<Item = &Held>> = Box::new(self.changed_from(from));
        let mut rows = OrderedRows {
            map: self,
            beneath: None,
            row: None,
            changed: changed.peekable(),
            failure: None,
        };
        let begun = match self.base.as_ref().map(|base| base.range(from)) {
            None => Ok(()),
            Some(Ok(cursor)) => {
                rows.beneath = Some(cursor);
                rows.advance()
            }
            Some(Err(error)) => Err(error),
        };
        rows.failure = begun.err();
        rows
    }

    /// What changed since the checkpoint, with keys in `[from, …)`, in key order.
    pub(super) fn changed_from<'a>(
        &'a self,
        from: Bound<&[u8]>,
    ) -> impl Iterator<Item = &'a Held> + use<'a> {
        self.by_key
            .range_from(from, &self.slots)
            .filter_map(|slot| self.held(slot))
    }

    /// The same with the slot of each, without the keys that are not in order yet.
    pub(super) fn settled_from<'a>(
        &'a self,
        from: Bound<&[u8]>,
    ) -> impl Iterator<Item = (u32, &'a Held)> + use<'a> {
        self.by_key
            .settled_from(from)
            .filter_map(|slot| Some((slot, self.held(slot)?)))
    }

    /// An entry of the checkpoint as this process holds it.
    pub(super) fn held_of(&self, found: BaseEntry) -> Held {
        let via = found.source.and_then(|source| self.via_of(source));
        Held {
            entry: found.entry,
            lseq: found.lseq,
            via: via.unwrap_or(0),
        }
    }
}
