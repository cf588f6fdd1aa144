//! The conflicts that are open: which siblings their key's value does not know of.

use std::ops::{Bound, ControlFlow};

use super::policy::user_key_of;
use super::siblings::open_among;
use crate::core::identity::Origin;
use crate::core::limits::DOT_BYTES;
use crate::store::entry::{Entry, Namespace};
use crate::store::error::StoreError;
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
    /// `is_whole` all of that key, and of longer ones only some. Theirs lie in between, since a sibling is found under
    /// its key and its author. So from one of theirs on it is looked where the next author's begins that has losers
    /// (a leapfrog join of rows and authors): the visit costs as many looks as there are such authors, and not as many as
    /// longer keys.
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
        let mut stored = vec![Namespace::Conflict as u8];
        stored.extend_from_slice(prefix);
        let authors = if is_whole {
            self.sibling_authors()
        } else {
            None
        };
        let mut from = after.map_or(Bound::Included(stored.clone()), |after| {
            Bound::Excluded(after.to_vec())
        });
        loop {
            let mut strays = 0;
            let mut next = None;
            for entry in self.range_from(from.as_ref().map(Vec::as_slice)) {
                let entry = entry?;
                let Some(name) = entry.key().strip_prefix(&stored[..]) else {
                    return Ok(());
                };
                let is_stray = is_whole && name.len() != DOT_BYTES;
                strays = if is_stray { strays + 1 } else { 0 };
                if strays >= STRAYS_MAX
                    && let Some(authors) = &authors
                {
                    let begun = name.get(..ORIGIN_BYTES).unwrap_or(name);
                    let at = authors.partition_point(|author| author.0[..] < *begun);
                    let Some(author) = authors.get(at) else {
                        return Ok(());
                    };
                    if author.0[..] != *begun {
                        // Only rows from there on can be of this key.
                        next = Some([&stored[..], &author.0].concat());
                        break;
                    }
                }
                if visit(&entry).is_break() {
                    return Ok(());
                }
            }
            match next {
                Some(next) => from = Bound::Included(next),
                None => return Ok(()),
            }
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
