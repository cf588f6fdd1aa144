//! Consistent views of a map that goes on changing. A view costs nothing until something changes, and then
//! what changed: the first replaced entry of each key is kept for it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::base::BaseEntry;
use super::entry::Entry;
use super::error::StoreError;
use super::map::{EntryMap, Held};

/// Names an open view.
pub type ViewId = u64;

/// What a key held when the view began.
#[derive(Debug, Clone)]
enum Kept {
    /// Nothing.
    Nothing,
    /// A row of the checkpoint, and nothing above it.
    Row(Entry),
    /// What had changed since the checkpoint.
    Changed(Held),
}

/// What was kept for a view, by key.
type Before = BTreeMap<Box<[u8]>, Kept>;

/// An open view.
#[derive(Debug, Default)]
struct Open {
    before: Before,
    /// Only of what had changed since the checkpoint, up to this local sequence: what is above it, or below the
    /// map, needs no keeping.
    changes_to: Option<u64>,
}

/// The open views of a map and what was replaced since each began.
#[derive(Debug, Default)]
pub struct Views {
    last: ViewId,
    open: BTreeMap<ViewId, Open>,
}

impl Views {
    pub(super) fn open(&mut self) -> ViewId {
        self.last += 1;
        self.open.insert(self.last, Open::default());
        self.last
    }

    /// A view only of what has changed since the checkpoint, up to and with a local sequence.
    pub(super) fn open_changes(&mut self, to: u64) -> ViewId {
        self.last += 1;
        let open = Open {
            before: Before::new(),
            changes_to: Some(to),
        };
        self.open.insert(self.last, open);
        self.last
    }

    pub(super) fn close(&mut self, view: ViewId) {
        self.open.remove(&view);
    }

    pub(super) fn keep_replaced(&mut self, held: &Held) {
        let lseq = held.lseq;
        let key = held.entry.key();
        self.keep(key, |to| to >= lseq, || Kept::Changed(held.clone()));
    }

    pub(super) fn keep_row(&mut self, row: &BaseEntry) {
        self.keep(row.entry.key(), |_| false, || Kept::Row(row.entry.clone()));
    }

    pub(super) fn keep_absent(&mut self, key: &[u8]) {
        self.keep(key, |_| false, || Kept::Nothing);
    }

    /// Keeps something for all whole views, and for those of changes up to what `is_change` holds for.
    fn keep(&mut self, key: &[u8], is_change: impl Fn(u64) -> bool, kept: impl Fn() -> Kept) {
        for open in self.open.values_mut() {
            if open.changes_to.is_none_or(&is_change) && !open.before.contains_key(key) {
                open.before.insert(key.into(), kept());
            }
        }
    }

    fn before(&self, view: ViewId) -> Option<&Before> {
        self.open.get(&view).map(|open| &open.before)
    }

    fn changes_to(&self, view: ViewId) -> u64 {
        let open = self.open.get(&view);
        open.and_then(|open| open.changes_to).unwrap_or(u64::MAX)
    }
}

/// A page that holds this many bytes is full: its values are copied while writers wait, and held twice.
const PAGE_BYTES: usize = 1 << 20;

/// Up to `limit` live entries of a view, at least one and about [`PAGE_BYTES`] at the most, whose stored keys
/// begin with `prefix` and lie behind `after`, in key order. Empty means the end, also for a view that is not
/// open.
///
/// # Errors
/// If the checkpoint cannot be read there.
pub fn page<'a>(
    map: &'a EntryMap,
    view: ViewId,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Cow<'a, Entry>>, StoreError> {
    let Some(before) = map.views().before(view) else {
        return Ok(Vec::new());
    };
    let from = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let is_in = |entry: &Result<Cow<'_, Entry>, StoreError>| {
        entry
            .as_ref()
            .map_or(true, |entry| entry.key().starts_with(prefix))
    };
    let mut now = map.range_from(from).take_while(is_in).peekable();
    let mut then = before
        .range::<[u8], _>((from, Bound::Unbounded))
        .take_while(|(key, _)| key.starts_with(prefix))
        .peekable();
    let mut found: Vec<Cow<'_, Entry>> = Vec::new();
    let mut bytes = 0;
    while found.len() < limit && bytes < PAGE_BYTES {
        let take_now = match (now.peek(), then.peek()) {
            (None, None) => break,
            (Some(_), None) | (Some(Err(_)), _) => true,
            (None, Some(_)) => false,
            (Some(Ok(entry)), Some((key, _))) => entry.key() < key.as_ref(),
        };
        let entry = if take_now {
            now.next().transpose()?
        } else {
            let kept = then.next();
            // The key as it is now is not part of the view: what was kept stands for it.
            if let (Some((key, _)), Some(Ok(entry))) = (kept, now.peek())
                && entry.key() == key.as_ref()
            {
                now.next();
            }
            match kept {
                Some((_, Kept::Row(entry))) => Some(Cow::Borrowed(entry)),
                Some((_, Kept::Changed(held))) => Some(Cow::Borrowed(&held.entry)),
                Some((_, Kept::Nothing)) | None => None,
            }
        };
        if let Some(entry) = entry.filter(|entry| !entry.is_tombstone()) {
            bytes += entry.key().len() + entry.value_length();
            found.push(entry);
        }
    }
    Ok(found)
}

/// Hands to `visit` what had changed since the checkpoint when a view of changes began, at which all keys were in
/// order, tombstones included, in key order
/// behind `after`: about [`PAGE_BYTES`] or `limit` entries. Returns the key to go on behind; `None`: that was all.
pub(super) fn changed_page(
    map: &EntryMap,
    view: ViewId,
    after: Option<&[u8]>,
    limit: usize,
    mut visit: impl FnMut(&Held),
) -> Option<Box<[u8]>> {
    let before = map.views().before(view)?;
    let mut last: Option<&[u8]> = None;
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let to = map.views().changes_to(view);
    let mut now = map.settled_from(from).peekable();
    let mut then = before.range::<[u8], _>((from, Bound::Unbounded)).peekable();
    let (mut count, mut bytes) = (0, 0);
    while count < limit && bytes < PAGE_BYTES {
        let take_now = match (now.peek(), then.peek()) {
            (None, None) => return None,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(held), Some((key, _))) => held.entry.key() < key.as_ref(),
        };
        let held = if take_now {
            let held = now.next();
            last = held.map(|held| held.entry.key());
            held
        } else {
            let kept = then.next();
            last = kept.map(|(key, _)| key.as_ref());
            if let (Some((key, _)), Some(held)) = (kept, now.peek())
                && held.entry.key() == key.as_ref()
            {
                now.next();
            }
            match kept {
                Some((_, Kept::Changed(held))) => Some(held),
                _ => None,
            }
        };
        count += 1;
        if let Some(held) = held.filter(|held| held.lseq <= to) {
            bytes += held.entry.key().len() + held.entry.value_length();
            visit(held);
        }
    }
    last.map(Into::into)
}
