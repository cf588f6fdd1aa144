//! Consistent snapshots of a map that keeps changing (multi-version concurrency control): reads over one undo log that
//! all snapshots share. A replaced entry is kept once, however many snapshots need it, and not for snapshots that began
//! after its replacement.

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering as Atomically};

use super::checkpoint_snapshot::CheckpointSnapshot;
use super::live_rows::{LiveRows, Taken};
use super::map::EntryMap;
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::memtable::held::Held;

/// Number of an open snapshot.
pub type SnapshotId = u64;

/// Number of a state that snapshots show: those that began with no change in between share one.
type Moment = u64;

/// Approximate bytes of a kept entry besides its key and value: its nodes in the trees and the allocator's overhead.
const KEPT_BYTES: usize = 160;

/// Undo log of one moment: entries that were replaced since, until the next moment began. A snapshot sees of each key
/// the entry that the first moment from its own on has kept, and otherwise the map's.
#[derive(Debug, Default)]
struct Undo {
    /// Number of open snapshots of this moment. Without any the undo log is handed on to the moment before.
    snapshots: usize,
    /// Replaced entries with a value.
    shown: BTreeMap<Box<[u8]>, Entry>,
    /// Keys that had no value: they were missing or removed.
    hidden: BTreeSet<Box<[u8]>>,
    /// Approximate bytes of the undo log.
    bytes: usize,
}

impl Undo {
    fn len(&self) -> usize {
        self.shown.len() + self.hidden.len()
    }

    fn holds(&self, key: &[u8]) -> bool {
        self.shown.contains_key(key) || self.hidden.contains(key)
    }

    /// Keeps a key's replaced entry; `None`: it had no value.
    fn put(&mut self, key: Box<[u8]>, kept: Option<Entry>) {
        self.bytes += weight(&key, kept.as_ref());
        match kept {
            Some(entry) => drop(self.shown.insert(key, entry)),
            None => drop(self.hidden.insert(key)),
        }
    }

    fn pop(&mut self) -> Option<(Box<[u8]>, Option<Entry>)> {
        let shown = self.shown.pop_first();
        let shown = shown.map(|(key, entry)| (key, Some(entry)));
        let (key, kept) = shown.or_else(|| self.hidden.pop_first().map(|key| (key, None)))?;
        self.bytes = self.bytes.saturating_sub(weight(&key, kept.as_ref()));
        Some((key, kept))
    }

    fn forget(&mut self, key: &[u8]) {
        let shown = self.shown.remove(key);
        if shown.is_some() || self.hidden.remove(key) {
            self.bytes = self.bytes.saturating_sub(weight(key, shown.as_ref()));
        }
    }
}

fn weight(key: &[u8], kept: Option<&Entry>) -> usize {
    let entry = kept.map_or(0, |entry| entry.key().len() + entry.value_length());
    KEPT_BYTES + key.len() + entry
}

/// The open snapshots of a map, and the entries replaced since they began.
#[derive(Debug, Default)]
pub struct Snapshots {
    last: SnapshotId,
    open: BTreeMap<SnapshotId, Moment>,
    undo: BTreeMap<Moment, Undo>,
    /// Moments without an open snapshot, after one with a snapshot.
    ended: BTreeSet<Moment>,
    changes: BTreeMap<SnapshotId, CheckpointSnapshot>,
    kept_bytes: Arc<AtomicUsize>,
}

/// An ended snapshot. Holds the entries that were kept for it alone, whose memory is best freed without a lock.
#[derive(Debug, Default)]
pub struct ClosedSnapshot {
    _undo: Vec<Undo>,
    _changes: Option<CheckpointSnapshot>,
}

impl Snapshots {
    pub(in crate::store) fn open(&mut self) -> SnapshotId {
        self.last += 1;
        match self.undo.last_entry() {
            // No entry was replaced since: the new snapshot shares the moment.
            Some(mut newest) if newest.get().len() == 0 => {
                newest.get_mut().snapshots += 1;
                self.ended.remove(newest.key());
                self.open.insert(self.last, *newest.key());
            }
            _ => {
                let snapshots = 1;
                let undo = Undo {
                    snapshots,
                    ..Undo::default()
                };
                self.undo.insert(self.last, undo);
                self.open.insert(self.last, self.last);
            }
        }
        self.last
    }

    pub(in crate::store) fn open_changes(&mut self, snapshot: CheckpointSnapshot) -> SnapshotId {
        self.last += 1;
        self.changes.insert(self.last, snapshot);
        self.last
    }

    pub(in crate::store) fn close(&mut self, snapshot: SnapshotId) -> ClosedSnapshot {
        let changes = self.changes.remove(&snapshot);
        let mut closed = Vec::new();
        if let Some(moment) = self.open.remove(&snapshot)
            && let Some(undo) = self.undo.get_mut(&moment)
        {
            undo.snapshots -= 1;
            if undo.snapshots == 0 {
                self.ended.insert(moment);
            }
            // No snapshot needs the moments before the first one that has a snapshot.
            while let Some(first) = self.undo.first_entry()
                && first.get().snapshots == 0
            {
                self.ended.remove(first.key());
                closed.push(first.remove());
            }
            self.count();
        }
        ClosedSnapshot {
            _undo: closed,
            _changes: changes,
        }
    }

    /// The snapshots without those of changes, which end with the map whose slots they name.
    pub(in crate::store) fn without_changes(self) -> Self {
        Self {
            changes: BTreeMap::new(),
            ..self
        }
    }

    pub(in crate::store) fn keep_replaced(&mut self, slot: u32, replaced: Held) {
        let lseq = replaced.lseq;
        let is_wanted = self.wants(replaced.entry.key());
        let mut wanting = self
            .changes
            .values_mut()
            .filter(|snapshot| snapshot.wants(lseq));
        let Some(last) = wanting.next_back() else {
            if is_wanted {
                self.keep(replaced.entry);
            }
            return;
        };
        for snapshot in wanting {
            snapshot.keep(slot, replaced.clone());
        }
        let kept = is_wanted.then(|| replaced.entry.clone());
        last.keep(slot, replaced);
        if let Some(entry) = kept {
            self.keep(entry);
        }
    }

    pub(in crate::store) fn keep_row(&mut self, entry: Entry) {
        if self.wants(entry.key()) {
            self.keep(entry);
        }
    }

    pub(in crate::store) fn keep_absent(&mut self, key: &[u8]) {
        if self.wants(key) {
            self.put(key.into(), None);
        }
    }

    /// True if the newest moment has not kept an entry of the key: then its snapshots are the only ones that need it.
    fn wants(&self, key: &[u8]) -> bool {
        let newest = self.undo.last_key_value();
        newest.is_some_and(|(_, undo)| !undo.holds(key))
    }

    fn keep(&mut self, entry: Entry) {
        let key = entry.key().into();
        self.put(key, Some(entry).filter(|entry| !entry.is_tombstone()));
    }

    fn put(&mut self, key: Box<[u8]>, kept: Option<Entry>) {
        if let Some(mut newest) = self.undo.last_entry() {
            let before = newest.get().bytes;
            newest.get_mut().put(key, kept);
            let more = newest.get().bytes - before;
            self.kept_bytes.fetch_add(more, Atomically::Relaxed);
        }
    }

    /// Merges some of the undo logs of moments without snapshots into the moments before, as far as these need the
    /// entries, and frees the rest. The smaller part is always the one that is moved, and at every step each snapshot
    /// sees its own state.
    pub(in crate::store) fn merge_some(&mut self, mut limit: usize) {
        if self.ended.is_empty() {
            return;
        }
        while let Some(ended) = self.ended.first().copied()
            && limit > 0
        {
            let before = self.undo.range(..ended).next_back();
            let Some((moment, mut older)) = before.map(|(moment, _)| *moment).and_then(|moment| {
                let undo = self.undo.remove(&moment)?;
                Some((moment, undo))
            }) else {
                break;
            };
            let mut newer = self.undo.remove(&ended).unwrap_or_default();
            limit = merge(&mut older, &mut newer, limit);
            if newer.len() == 0 {
                self.ended.remove(&ended);
                self.undo.insert(moment, older);
            } else if older.len() == 0 {
                self.ended.remove(&ended);
                let snapshots = older.snapshots;
                self.undo.insert(moment, Undo { snapshots, ..newer });
            } else {
                self.undo.insert(moment, older);
                self.undo.insert(ended, newer);
            }
        }
        self.count();
    }

    fn count(&self) {
        let bytes = self.undo.values().map(|undo| undo.bytes).sum();
        self.kept_bytes.store(bytes, Atomically::Relaxed);
    }

    /// True if anything is kept for moments without snapshots.
    pub fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Counter of the approximate bytes kept for snapshots. It stays with the snapshots when a newer checkpoint comes
    /// under the map.
    pub fn kept_bytes(&self) -> &Arc<AtomicUsize> {
        &self.kept_bytes
    }

    /// Number of entries, and of keys without one, kept for all snapshots together.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.undo.values().map(Undo::len).sum()
    }

    fn since(&self, snapshot: SnapshotId) -> Option<impl Iterator<Item = &Undo>> {
        let moment = self.open.get(&snapshot)?;
        let since = self.undo.range(moment..).map(|(_, undo)| undo);
        Some(since.filter(|undo| undo.len() > 0))
    }

    /// Memory of the snapshots of changes, in bytes.
    pub(in crate::store) fn changes_bytes(&self) -> usize {
        self.changes
            .values()
            .map(CheckpointSnapshot::memory_bytes)
            .sum()
    }

    pub(in crate::store) fn changes(&self, snapshot: SnapshotId) -> Option<&CheckpointSnapshot> {
        self.changes.get(&snapshot)
    }
}

/// Moves up to `limit` entries of the smaller undo log into the larger one. If both have kept a key, the older entry
/// counts.
fn merge(older: &mut Undo, newer: &mut Undo, mut limit: usize) -> usize {
    let moves_newer = newer.len() <= older.len();
    while limit > 0 {
        limit -= 1;
        if moves_newer {
            match newer.pop() {
                Some((key, kept)) if !older.holds(&key) => older.put(key, kept),
                Some(_) => {}
                None => break,
            }
        } else {
            let Some((key, kept)) = older.pop() else {
                break;
            };
            newer.forget(&key);
            newer.put(key, kept);
        }
    }
    limit
}

/// Entries of one undo log in key order.
type Shown<'a> = Peekable<Box<dyn Iterator<Item = (&'a [u8], &'a Entry)> + 'a>>;

/// Keys with a value that were replaced since a snapshot began, in key order: a k-way merge of the undo logs.
struct Kept<'a> {
    undo: Vec<&'a Undo>,
    rows: Vec<Shown<'a>>,
    /// The next key of each undo log, the least first, and of equal keys that of the oldest moment.
    next: BinaryHeap<Reverse<(&'a [u8], usize)>>,
}

impl<'a> Kept<'a> {
    fn new(undo: Vec<&'a Undo>, prefix: &'a [u8], from: Bound<&[u8]>) -> Self {
        let mut rows = Vec::with_capacity(undo.len());
        let mut next = BinaryHeap::with_capacity(undo.len());
        for (place, undo) in undo.iter().enumerate() {
            let shown = undo.shown.range::<[u8], _>((from, Bound::Unbounded));
            let shown = shown.map(|(key, entry)| (key.as_ref(), entry));
            let shown = shown.take_while(move |(key, _)| key.starts_with(prefix));
            let shown: Box<dyn Iterator<Item = (&'a [u8], &'a Entry)> + 'a> = Box::new(shown);
            let mut shown = shown.peekable();
            next.extend(shown.peek().map(|(key, _)| Reverse((*key, place))));
            rows.push(shown);
        }
        Self { undo, rows, next }
    }

    fn peek(&self) -> Option<&'a [u8]> {
        self.next.peek().map(|Reverse((key, _))| *key)
    }

    /// Takes the next key with the entry of the first moment that has kept it; `None` if an older moment has kept that
    /// it had no value.
    fn take(&mut self) -> Option<&'a Entry> {
        let Reverse((key, place)) = self.next.pop()?;
        let found = self.step(place);
        while let Some(Reverse((_, later))) = self.next.peek().filter(|next| next.0.0 == key) {
            let later = *later;
            self.next.pop();
            self.step(later);
        }
        let older = self.undo.get(..place).unwrap_or_default();
        found.filter(|_| !older.iter().any(|undo| undo.hidden.contains(key)))
    }

    fn step(&mut self, place: usize) -> Option<&'a Entry> {
        let rows = self.rows.get_mut(place)?;
        let (_, found) = rows.next()?;
        let next = rows.peek().map(|(key, _)| Reverse((*key, place)));
        self.next.extend(next);
        Some(found)
    }

    /// True if a key that has a value in the map had none.
    fn hides(&self, key: &[u8]) -> bool {
        self.undo.iter().any(|undo| undo.hidden.contains(key))
    }
}

/// One page of a snapshot.
#[derive(Debug, Default)]
pub struct Page<'a> {
    /// The entries, in key order.
    pub entries: Vec<Cow<'a, Entry>>,
    /// The key after which the next page begins; `None` at the end.
    pub next: Option<Vec<u8>>,
    /// Number of entries visited, returned ones included.
    pub looked_at: usize,
}

/// Most entries that a page visits without returning them, mostly entries that are newer than the snapshot. Writers
/// wait for the page.
const PASSED_OVER_MAX: usize = if cfg!(test) { 8 } else { 4096 };

/// Bytes of values that fill a page: they are copied while writers wait, and held twice.
pub(in crate::store) const PAGE_BYTES: usize = 1 << 20;

/// Up to `limit` live entries of a snapshot, about [`PAGE_BYTES`] at most, whose stored keys begin with `prefix` and
/// lie after the key `after`, in key order. A page may be empty although more follow, see [`Page::next`], so that no
/// page takes long. At the end at once for a snapshot that is not open.
///
/// # Errors
/// If the checkpoint cannot be read there.
pub fn page<'a>(
    map: &'a EntryMap,
    snapshot: SnapshotId,
    prefix: &'a [u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Page<'a>, StoreError> {
    let Some(undo) = map.snapshots().since(snapshot) else {
        return Ok(Page::default());
    };
    let from = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let mut then = Kept::new(undo.collect(), prefix, from);
    let mut now = LiveRows::new(map, prefix, from)?;
    let mut page = Page::default();
    let mut bytes = 0;
    let mut passed = None;
    loop {
        let next_kept = then.peek();
        if next_kept.is_none() && now.is_at_end() {
            return Ok(page);
        }
        let is_full = page.entries.len() >= limit.max(1) || bytes >= PAGE_BYTES;
        if is_full || page.looked_at - page.entries.len() >= PASSED_OVER_MAX {
            let last = page.entries.last().map(|entry| entry.key().to_vec());
            page.next = passed.or(last);
            return Ok(page);
        }
        let is_now = next_kept.is_none_or(|key| now.cmp_next(key).is_some_and(Ordering::is_lt));
        let found = if is_now {
            match now.take()? {
                Some(Taken::Live(entry)) if !then.hides(entry.key()) => Ok(entry),
                Some(Taken::Live(entry)) => Err(entry.key().to_vec()),
                Some(Taken::PassedOver(key)) => Err(key),
                None => return Ok(page),
            }
        } else {
            let key = next_kept.unwrap_or_default();
            if now.cmp_next(key).is_some_and(Ordering::is_eq) {
                // The key's present entry is not part of the snapshot: the kept one replaces it.
                now.take()?;
            }
            then.take().map(Cow::Borrowed).ok_or_else(|| key.to_vec())
        };
        page.looked_at += 1;
        passed = found.as_ref().err().cloned();
        if let Ok(entry) = found {
            bytes += entry.key().len() + entry.value_length();
            page.entries.push(entry);
        }
    }
}
