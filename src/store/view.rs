//! Consistent views of a map that goes on changing. A view costs nothing until something changes, and then
//! what changed: the first replaced entry of each key is kept for it.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::entry::Entry;
use super::map::EntryMap;

/// Names an open view.
pub type ViewId = u64;

/// What a key held when the view began; `None`: nothing.
type Before = BTreeMap<Box<[u8]>, Option<Entry>>;

/// The open views of a map and what was replaced since each began.
#[derive(Debug, Default)]
pub struct Views {
    last: ViewId,
    open: BTreeMap<ViewId, Before>,
}

impl Views {
    pub(super) fn open(&mut self) -> ViewId {
        self.last += 1;
        self.open.insert(self.last, Before::new());
        self.last
    }

    pub(super) fn close(&mut self, view: ViewId) {
        self.open.remove(&view);
    }

    pub(super) fn keep_replaced(&mut self, entry: Entry) {
        let Some(most) = self.open.len().checked_sub(1) else {
            return;
        };
        for before in self.open.values_mut().take(most) {
            if !before.contains_key(entry.key()) {
                before.insert(entry.key().into(), Some(entry.clone()));
            }
        }
        if let Some(mut before) = self.open.last_entry()
            && !before.get().contains_key(entry.key())
        {
            before.get_mut().insert(entry.key().into(), Some(entry));
        }
    }

    pub(super) fn keep_absent(&mut self, key: &[u8]) {
        for before in self.open.values_mut() {
            if !before.contains_key(key) {
                before.insert(key.into(), None);
            }
        }
    }

    fn before(&self, view: ViewId) -> Option<&Before> {
        self.open.get(&view)
    }
}

/// A page that holds this many bytes is full: its values are copied while writers wait, and held twice.
const PAGE_BYTES: usize = 1 << 20;

/// Up to `limit` live entries of a view, at least one and about [`PAGE_BYTES`] at the most, whose stored keys
/// begin with `prefix` and lie behind `after`, in key order. Empty means the end, also for a view that is not
/// open.
pub fn page<'a>(
    map: &'a EntryMap,
    view: ViewId,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Vec<&'a Entry> {
    let Some(before) = map.views().before(view) else {
        return Vec::new();
    };
    let from = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let mut now = map
        .range_from(from)
        .take_while(|entry| entry.key().starts_with(prefix))
        .peekable();
    let mut then = before
        .range::<[u8], _>((from, Bound::Unbounded))
        .take_while(|(key, _)| key.starts_with(prefix))
        .peekable();
    let mut found: Vec<&Entry> = Vec::new();
    let mut bytes = 0;
    while found.len() < limit && bytes < PAGE_BYTES {
        let take_now = match (now.peek(), then.peek()) {
            (None, None) => break,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(entry), Some((key, _))) => entry.key() < key.as_ref(),
        };
        let entry = if take_now {
            now.next()
        } else {
            let kept = then.next();
            // The key as it is now is not part of the view: what was kept stands for it.
            if let (Some((key, _)), Some(entry)) = (kept, now.peek())
                && entry.key() == key.as_ref()
            {
                now.next();
            }
            kept.and_then(|(_, entry)| entry.as_ref())
        };
        if let Some(entry) = entry.filter(|entry| !entry.is_tombstone()) {
            bytes += entry.key().len() + entry.value_length();
            found.push(entry);
        }
    }
    found
}
