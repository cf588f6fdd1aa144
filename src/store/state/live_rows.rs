//! Entries with a value in key order. Removed keys are not visited: changed keys without a value are in an order of
//! their own, and blocks of the checkpoint without a live row are skipped unread.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::iter::Peekable;
use std::ops::Bound;

use super::map::EntryMap;
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::memtable::held::Held;
use crate::table::{RangeCursor, RowRef};

/// Entries with a value whose keys begin with a prefix, in key order. Must not be used after an error.
pub(in crate::store) struct LiveRows<'a> {
    map: &'a EntryMap,
    prefix: &'a [u8],
    base_row: Option<RangeCursor>,
    row: Option<RowRef>,
    changed: Peekable<Box<dyn Iterator<Item = &'a Held> + 'a>>,
}

impl<'a> LiveRows<'a> {
    /// The entries with keys in `[from, …)`; `from` must not lie before the prefix.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub(in crate::store) fn new(
        map: &'a EntryMap,
        prefix: &'a [u8],
        from: Bound<&[u8]>,
    ) -> Result<Self, StoreError> {
        let changed: Box<dyn Iterator<Item = &'a Held> + 'a> =
            Box::new(map.live_changed_from(from, prefix));
        let mut rows = Self {
            map,
            prefix,
            base_row: match &map.base {
                Some(base) => Some(base.range(from)?),
                None => None,
            },
            row: None,
            changed: changed.peekable(),
        };
        rows.advance()?;
        Ok(rows)
    }

    /// Moves to the next row that may be the newest of its key and has the prefix.
    fn advance(&mut self) -> Result<(), StoreError> {
        self.row = match &mut self.base_row {
            Some(cursor) => cursor.next_live(&self.map.gone)?,
            None => None,
        };
        if self
            .row
            .as_ref()
            .is_some_and(|row| !row.starts_with(self.prefix))
        {
            (self.row, self.base_row) = (None, None);
        }
        Ok(())
    }

    fn next_changed(&mut self) -> Option<&'a Held> {
        let held = self.changed.peek().copied();
        held.filter(|held| held.entry.key().starts_with(self.prefix))
    }

    /// Compares the key of the next row to another; `None` at the end.
    pub(in crate::store) fn cmp_next(&mut self, key: &[u8]) -> Option<Ordering> {
        let changed = self.next_changed().map(|held| held.entry.key().cmp(key));
        let row = self.row.as_ref().map(|row| row.cmp_key(key));
        match (row, changed) {
            (Some(row), Some(changed)) => Some(row.min(changed)),
            (row, changed) => row.or(changed),
        }
    }

    /// True if no row is left.
    pub(in crate::store) fn is_at_end(&mut self) -> bool {
        self.row.is_none() && self.next_changed().is_none()
    }

    /// Takes the key of the next row, without reading its value; `None` at the end. The row may be a removal in a
    /// checkpoint of an earlier format.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub(in crate::store) fn take_key(&mut self) -> Result<Option<Cow<'a, [u8]>>, StoreError> {
        loop {
            let changed = self.next_changed();
            let Some(row) = &self.row else {
                self.changed.next();
                return Ok(changed.map(|held| Cow::Borrowed(held.entry.key())));
            };
            let order = changed.map_or(Ordering::Less, |held| row.cmp_key(held.entry.key()));
            let base_row = (order.is_lt() && !row.is_dead() && !self.map.has_changed_row(row))
                .then(|| row.key());
            if order.is_ge() {
                self.changed.next();
            }
            if order.is_le() {
                self.advance()?;
            }
            let changed = changed.filter(|_| order.is_ge());
            let changed = changed.map(|held| Cow::Borrowed(held.entry.key()));
            if let Some(key) = base_row.map(Cow::Owned).or(changed) {
                return Ok(Some(key));
            }
        }
    }

    /// Takes the next row; `None` at the end.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub(in crate::store) fn take(&mut self) -> Result<Option<Taken<'a>>, StoreError> {
        let changed = self.next_changed();
        let order = match (&self.row, changed) {
            (None, _) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(row), Some(held)) => row.cmp_key(held.entry.key()),
        };
        let found = match (order, &self.row, &self.map.base) {
            (Ordering::Less, Some(row), Some(base)) => {
                // A changed key with a value would come before this row or equal it.
                let entry = if self.map.has_changed_row(row) {
                    None
                } else {
                    Some(base.decode(row)?.entry).filter(|entry| !entry.is_tombstone())
                };
                let taken = entry.map(|entry| Taken::Live(Cow::Owned(entry)));
                Some(taken.unwrap_or_else(|| Taken::PassedOver(row.key())))
            }
            _ => changed.map(|held| Taken::Live(Cow::Borrowed(&held.entry))),
        };
        if order != Ordering::Less {
            self.changed.next();
        }
        if order != Ordering::Greater {
            self.advance()?;
        }
        Ok(found)
    }
}

/// A row that was visited.
pub(in crate::store) enum Taken<'a> {
    /// The newest entry of its key, with a value.
    Live(Cow<'a, Entry>),
    /// A row of this key was replaced.
    PassedOver(Vec<u8>),
}
