//! The conflicts that are open: which kept losers their key's value does not know of.

use std::ops::Bound;

use super::conflict::user_key_of;
use super::entry::{Entry, Namespace};
use super::error::StoreError;
use super::map::EntryMap;
use super::siblings::open_among;

/// A page that holds this many bytes is full: its values are copied while writers wait.
const PAGE_BYTES: usize = 1 << 20;

/// Kept losers that are looked at under one lock.
const PAGE_ROWS: usize = 256;

/// Some kept losers.
#[derive(Debug, Default)]
pub struct KeptPage {
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
    pub fn has_kept(&self) -> Result<bool, StoreError> {
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
    /// `is_whole`. `form` makes of each what is wanted: [`loser_of`](super::conflict::loser_of), or it without its
    /// value.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn kept_page(
        &self,
        prefix: &[u8],
        is_whole: bool,
        after: Option<&[u8]>,
        form: impl Fn(&Entry) -> Option<Entry>,
    ) -> Result<KeptPage, StoreError> {
        let mut stored = vec![Namespace::Conflict as u8];
        stored.extend_from_slice(prefix);
        let from = after.map_or(Bound::Included(stored.as_slice()), Bound::Excluded);
        let mut page = KeptPage::default();
        let (mut rows, mut bytes) = (0, 0);
        for entry in self.range_from(from) {
            let entry = entry?;
            if !entry.key().starts_with(&stored) {
                return Ok(page);
            }
            let is_meant = user_key_of(&entry).is_some_and(|key| {
                if is_whole {
                    key == prefix
                } else {
                    key.starts_with(prefix)
                }
            });
            if is_meant && let Some(loser) = form(&entry) {
                bytes += loser.value_length();
                page.losers.push(loser);
            }
            rows += 1;
            if rows >= PAGE_ROWS || bytes >= PAGE_BYTES {
                page.next = Some(entry.key().to_vec());
                return Ok(page);
            }
        }
        Ok(page)
    }

    /// The conflict of a key whose kept losers these are: with those of them that neither its value nor another of
    /// them knows of. `None` if there are none, or the write that they lost against is not here yet.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn open_conflict(&self, kept: Vec<Entry>) -> Result<Option<OpenConflict>, StoreError> {
        let current = self.shown_over(&kept)?;
        Ok(current.and_then(|current| open_among(current, kept, &self.lineage)))
    }
}
