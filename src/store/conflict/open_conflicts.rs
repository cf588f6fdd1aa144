//! Open conflicts: keys with siblings that their value has not seen.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ops::{Bound, ControlFlow};

use super::policy::{user_key_in, user_key_of};
#[cfg(test)]
use super::siblings::open_among;
use crate::core::identity::Origin;
use crate::core::limits::DOT_BYTES;
use crate::store::entry::{Entry, Namespace};
use crate::store::error::StoreError;
use crate::store::state::live_rows::LiveRows;
use crate::store::state::map::EntryMap;

/// Bytes of values that fill a page: they are copied while writers wait.
const PAGE_BYTES: usize = 1 << 20;

/// Siblings that are visited under one lock.
const PAGE_ROWS: usize = 256;

/// Rows of longer keys that are passed over one by one before the visit seeks the next author: a few rows are sooner
/// read than sought.
const STRAYS_MAX: usize = 8;

/// Most authors whose siblings of one key are sought: each costs some microseconds. Beyond that the rows are visited
/// one by one.
const AUTHORS_SOUGHT_MAX: usize = 4_096;

/// Bytes of the author in the name of a sibling.
const ORIGIN_BYTES: usize = size_of::<Origin>();

/// One page of siblings.
#[derive(Debug, Default)]
pub struct SiblingPage {
    /// The siblings, as the users' writes that they keep.
    pub losers: Vec<Entry>,
    /// The stored key after which the next page begins; `None`: this was the last.
    pub next: Option<Vec<u8>>,
}

/// An open conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenConflict {
    /// The value that the key shows.
    pub current: Entry,
    /// The open siblings, newest first: writes that lost against the current value or against one before it.
    pub losers: Vec<Entry>,
}

/// A visit to the siblings of all keys of users with a prefix, or of one key alone. A sibling lies under its key and
/// its author, so siblings of longer keys lie among those of that one key. From such a row on, the visit seeks the next
/// author that has siblings (a leapfrog join of rows and authors; Veldhuizen, "Leapfrog Triejoin", 2014): it costs one
/// seek per author, however many longer keys there are.
struct Leap<'m> {
    map: &'m EntryMap,
    /// Prefix of the visited stored keys.
    stored: Vec<u8>,
    is_whole: bool,
    /// Rows of longer keys that were met in sequence.
    strays: usize,
    /// The authors, looked up at the first need; see [`EntryMap::sibling_authors`].
    authors: OnceCell<Option<Vec<Origin>>>,
}

/// The decision of a [`Leap`] about a row.
enum Sight {
    /// The row is to be visited.
    Row,
    /// All rows of the visit were met.
    End,
    /// Further rows of the key begin at this stored key at the earliest.
    Beyond(Vec<u8>),
}

impl<'m> Leap<'m> {
    fn new(map: &'m EntryMap, prefix: &[u8], is_whole: bool) -> Self {
        Self {
            map,
            stored: [&[Namespace::Conflict as u8], prefix].concat(),
            is_whole,
            strays: 0,
            authors: OnceCell::new(),
        }
    }

    fn at(&mut self, key: &[u8]) -> Sight {
        let Some(name) = key.strip_prefix(&self.stored[..]) else {
            return Sight::End;
        };
        let is_stray = self.is_whole && name.len() != DOT_BYTES;
        self.strays = if is_stray { self.strays + 1 } else { 0 };
        if self.strays < STRAYS_MAX {
            return Sight::Row;
        }
        let map = self.map;
        let Some(authors) = self.authors.get_or_init(|| map.sibling_authors()) else {
            return Sight::Row;
        };
        let begun = name.get(..ORIGIN_BYTES).unwrap_or(name);
        let at = authors.partition_point(|author| author.0[..] < *begun);
        match authors.get(at) {
            None => Sight::End,
            Some(author) if author.0[..] != *begun => {
                self.strays = 0;
                Sight::Beyond([&self.stored[..], &author.0].concat())
            }
            Some(_) => Sight::Row,
        }
    }
}

impl EntryMap {
    /// True if a loser was ever kept in this store: otherwise there is nothing to look for.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn has_siblings(&self) -> Result<bool, StoreError> {
        if self.kept_since > 0 {
            return Ok(true);
        }
        let Some(base) = self.base() else {
            return Ok(false);
        };
        let first = base
            .range(Bound::Included(&[Namespace::Conflict as u8]))?
            .next()?;
        Ok(first.is_some_and(|row| row.cmp_key(&[Namespace::Conflict as u8 + 1]).is_lt()))
    }

    /// A page of siblings after the stored key `after`, of users' keys that begin with `prefix`; with `is_whole` only
    /// of that key. `form` turns each into the returned entry: [`loser_of`](super::policy::loser_of), or the loser
    /// without its value.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn sibling_page(
        &self,
        prefix: &[u8],
        is_whole: bool,
        after: Option<&[u8]>,
        form: impl Fn(&Entry) -> Option<Entry>,
    ) -> Result<SiblingPage, StoreError> {
        let mut page = SiblingPage::default();
        let (mut rows, mut bytes) = (0, 0);
        self.walk_siblings(prefix, is_whole, after, |entry| {
            let is_meant = user_key_of(entry).is_some_and(|key| {
                if is_whole {
                    key == prefix
                } else {
                    key.starts_with(prefix)
                }
            });
            if is_meant && let Some(loser) = form(entry) {
                bytes += loser.value_length();
                page.losers.push(loser);
            }
            rows += 1;
            if rows >= PAGE_ROWS || bytes >= PAGE_BYTES {
                page.next = Some(entry.key().to_vec());
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(page)
    }

    /// Visits rows of the conflict namespace after the stored key `after`, whose users' keys begin with `prefix`: with
    /// `is_whole` all rows of that key, and only some of longer ones; see [`Leap`].
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub(in crate::store) fn walk_siblings(
        &self,
        prefix: &[u8],
        is_whole: bool,
        after: Option<&[u8]>,
        mut visit: impl FnMut(&Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut leap = Leap::new(self, prefix, is_whole);
        let mut from = after.map_or(Bound::Included(leap.stored.clone()), |after| {
            Bound::Excluded(after.to_vec())
        });
        'sought: loop {
            for entry in self.range_from(from.as_ref().map(Vec::as_slice)) {
                let entry = entry?;
                match leap.at(entry.key()) {
                    Sight::Row if visit(&entry).is_continue() => {}
                    Sight::Row | Sight::End => return Ok(()),
                    Sight::Beyond(next) => {
                        from = Bound::Included(next);
                        continue 'sought;
                    }
                }
            }
            return Ok(());
        }
    }

    /// Stored keys of one user's key's siblings that still have a value. Removed siblings are not visited, and no value
    /// is read. In a checkpoint of an earlier format some of the keys may be of removed siblings.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub(in crate::store) fn live_kept_keys(
        &self,
        user_key: &[u8],
    ) -> Result<BTreeSet<Vec<u8>>, StoreError> {
        let mut leap = Leap::new(self, user_key, true);
        let stored = leap.stored.clone();
        let mut from = stored.clone();
        let mut keys = BTreeSet::new();
        'sought: loop {
            let mut rows = LiveRows::new(self, &stored, Bound::Included(&from))?;
            while let Some(key) = rows.take_key()? {
                match leap.at(&key) {
                    Sight::Row if user_key_in(&key) == Some(user_key) => {
                        keys.insert(key.into_owned());
                    }
                    Sight::Row => {}
                    Sight::End => return Ok(keys),
                    Sight::Beyond(next) => {
                        from = next;
                        continue 'sought;
                    }
                }
            }
            return Ok(keys);
        }
    }

    /// Authors that may have siblings, in order; `None` if they are so many that visiting the rows is quicker.
    fn sibling_authors(&self) -> Option<Vec<Origin>> {
        let base_row = self.base().map(|base| base.origins());
        let base_row = base_row.map_or(&[][..], |origins| origins.as_slice());
        if self.sibling_authors.len() + base_row.len() > AUTHORS_SOUGHT_MAX {
            return None;
        }
        let mut authors: Vec<Origin> = self
            .sibling_authors
            .iter()
            .chain(base_row)
            .copied()
            .collect();
        authors.sort_unstable();
        authors.dedup();
        Some(authors)
    }

    /// The open conflict of the key to which the siblings in `kept` belong: those siblings that neither the key's value
    /// nor another sibling has seen. `None` if there are none, or if the write that they lost against is not here yet.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    #[cfg(test)]
    pub fn open_conflict(&self, kept: Vec<Entry>) -> Result<Option<OpenConflict>, StoreError> {
        let current = self.shown_over(&kept)?;
        Ok(current.and_then(|current| open_among(current, kept, &self.lineage)))
    }
}
