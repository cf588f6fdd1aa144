//! Consistent views of a map that goes on changing. A view costs nothing until something changes, and then
//! what changed: the first replaced entry of each key is kept for it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::base::BaseEntry;
use super::changes_view::ChangesView;
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
    /// This entry, wherever it was held.
    Entry(Entry),
}

/// What was kept for a view, by key.
type Before = BTreeMap<Box<[u8]>, Kept>;

/// The open views of a map and what was replaced since each began.
#[derive(Debug, Default)]
pub struct Views {
    last: ViewId,
    open: BTreeMap<ViewId, Before>,
    changes: BTreeMap<ViewId, ChangesView>,
}

/// A view that was ended. Holds what was kept for it, whose memory is best given back without a lock.
#[derive(Debug, Default)]
pub struct ClosedView {
    _before: Option<Before>,
    _changes: Option<ChangesView>,
}

impl Views {
    pub(super) fn open(&mut self) -> ViewId {
        self.last += 1;
        self.open.insert(self.last, Before::new());
        self.last
    }

    pub(super) fn open_changes(&mut self, view: ChangesView) -> ViewId {
        self.last += 1;
        self.changes.insert(self.last, view);
        self.last
    }

    pub(super) fn close(&mut self, view: ViewId) -> ClosedView {
        ClosedView {
            _before: self.open.remove(&view),
            _changes: self.changes.remove(&view),
        }
    }

    /// Views of changes end with the map whose slots they name.
    pub(super) fn without_changes(self) -> Self {
        Self {
            changes: BTreeMap::new(),
            ..self
        }
    }

    pub(super) fn keep_replaced(&mut self, slot: u32, replaced: Held) {
        self.keep(replaced.entry.key(), || Kept::Entry(replaced.entry.clone()));
        let lseq = replaced.lseq;
        let mut wanting = self.changes.values_mut().filter(|view| view.wants(lseq));
        if let Some(last) = wanting.next_back() {
            for view in wanting {
                view.keep(slot, replaced.clone());
            }
            last.keep(slot, replaced);
        }
    }

    pub(super) fn keep_row(&mut self, row: &BaseEntry) {
        self.keep(row.entry.key(), || Kept::Entry(row.entry.clone()));
    }

    pub(super) fn keep_absent(&mut self, key: &[u8]) {
        self.keep(key, || Kept::Nothing);
    }

    fn keep(&mut self, key: &[u8], kept: impl Fn() -> Kept) {
        for before in self.open.values_mut() {
            if !before.contains_key(key) {
                before.insert(key.into(), kept());
            }
        }
    }

    fn before(&self, view: ViewId) -> Option<&Before> {
        self.open.get(&view)
    }

    /// Memory of the views of changes, in bytes.
    pub(super) fn changes_bytes(&self) -> usize {
        self.changes.values().map(ChangesView::memory_bytes).sum()
    }

    pub(super) fn changes(&self, view: ViewId) -> Option<&ChangesView> {
        self.changes.get(&view)
    }
}

/// A page that holds this many bytes is full: its values are copied while writers wait, and held twice.
pub(super) const PAGE_BYTES: usize = 1 << 20;

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
                Some((_, Kept::Entry(entry))) => Some(Cow::Borrowed(entry)),
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
