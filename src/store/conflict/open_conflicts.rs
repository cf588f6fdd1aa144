//! The conflicts that are open: which siblings their key's value does not know of.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ops::{Bound, ControlFlow};

use super::policy::{user_key_in, user_key_of};
use super::siblings::open_among;
use crate::core::identity::Origin;
use crate::core::limits::DOT_BYTES;
use crate::store::entry::{Entry, Namespace};
use crate::store::error::StoreError;
use crate::store::state::live_rows::LiveRows;
use crate::store::state::map::EntryMap;

/// A page that holds this many bytes is full: its values are copied while writers wait.
const PAGE_BYTES: usize = 1 << 20;

/// Kept losers that are looked at under one lock.
const PAGE_ROWS: usize = 256;

/// Rows of longer keys that are passed over one by one before it is looked where the next author's begin: a few are
/// sooner read than sought.
const STRAYS_MAX: usize = 8;

/// Authors whose losers of one key are sought: each costs some microseconds. Beyond that rows are gone through one by one.
const AUTHORS_SOUGHT_MAX: usize = 4_096;

/// An author's bytes in what names a sibling.
const ORIGIN_BYTES: usize = size_of::<Origin>();

/// Some siblings.
#[derive(Debug, Default)]
pub struct SiblingPage {
    /// They, as the writes of users that they are.
    pub losers: Vec<Entry>,
    /// The stored key to go on behind; `None`: that was all.
    pub next: Option<Vec<u8>>,
}

/// An open conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenConflict {
    /// What is shown.
    pub current: Entry,
    /// What lost against it or against what it followed, newest first.
    pub losers: Vec<Entry>,
}

/// A visit to the siblings of keys of users that begin with some bytes, or of one key alone. Losers of longer keys lie
/// among those of that one, since a sibling is found under its key and its author. So from one of theirs on it is looked
/// where the next author's begin that has losers (a leapfrog join of rows and authors): the visit costs as many looks as
/// there are such authors, and not as many as longer keys.
struct Leap<'m> {
    map: &'m EntryMap,
    /// What the stored keys begin with.
    stored: Vec<u8>,
    is_whole: bool,
    /// Rows of longer keys that were met in a row.
    strays: usize,
    /// The authors, once they are needed; see [`EntryMap::sibling_authors`].
    authors: OnceCell<Option<Vec<Origin>>>,
}

/// A row as [`Leap`] sees it.
enum Sight {
    /// It is to be visited.
    Row,
    /// All of them were met.
    End,
    /// Rows of the key can only be from here on.
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
    /// Whether any loser was ever kept here: otherwise nobody need look.
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

    /// Kept losers behind the stored key `after`, of keys of users that begin with `prefix`; only of that key if it
    /// `is_whole`. `form` makes of each what is wanted: [`loser_of`](super::policy::loser_of), or it without its
    /// value.
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

    /// Visits rows of the conflict namespace behind the stored key `after`, whose keys of users begin with `prefix`: with
    /// `is_whole` all of that key, and of longer ones only some; see [`Leap`].
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

    /// The stored keys of losers of one user's key that are kept with a value. What was removed is not gone through, and no
    /// value is read. In a checkpoint of an earlier format some of them may be removed.
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

    /// The authors of which losers may be kept, in order; `None` if there are so many that rows are sooner gone through.
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

    /// The conflict of a key whose siblings these are: with those of them that neither its value nor another of
    /// them knows of. `None` if there are none, or the write that they lost against is not here yet.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn open_conflict(&self, kept: Vec<Entry>) -> Result<Option<OpenConflict>, StoreError> {
        let current = self.shown_over(&kept)?;
        Ok(current.and_then(|current| open_among(current, kept, &self.lineage)))
    }
}
