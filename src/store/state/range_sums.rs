//! Range fingerprints: number and fingerprint sum of the replicated entries in any range of keys, for range-based set
//! reconciliation (Meyer, "Range-Based Set Reconciliation", 2022).
//!
//! The checkpoint sums up its own rows at the cost of a range's two edges. The changes since lie here in sorted pieces,
//! each with the difference that it makes: the fingerprints of its entries less those of the rows that they replaced. A
//! piece is summed up when it is needed, and stays so until one of its keys changes again. Writers pay nothing for it:
//! changes since the last refresh are read from the feed.

use std::borrow::Cow;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, Weak};

use super::base::Base;
use super::map::EntryMap;
use crate::store::entry::{Namespace, REPLICATED_END, Summary};
use crate::store::error::StoreError;
use crate::store::memtable::held::Held;

/// Changed keys of a piece: a range has two edges that are summed up each time, and a piece costs some hundred bytes.
const PIECE: usize = 64;

/// Most changed keys that are summed up at once, which bounds the time that others wait.
pub const ADDED_AT_ONCE: usize = 8192;

/// Difference that changed keys make to the sum of the checkpoint. Counts and sums wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Change {
    /// Number of keys.
    keys: usize,
    /// Number of the keys that are not in the checkpoint.
    count: u64,
    sum: u128,
}

impl Change {
    fn with(self, other: Self) -> Self {
        Self {
            keys: self.keys + other.keys,
            count: self.count.wrapping_add(other.count),
            sum: self.sum.wrapping_add(other.sum),
        }
    }

    fn without(self, other: Self) -> Self {
        Self {
            keys: self.keys.saturating_sub(other.keys),
            count: self.count.wrapping_sub(other.count),
            sum: self.sum.wrapping_sub(other.sum),
        }
    }
}

/// A run of neighbouring changed keys.
#[derive(Debug, Clone, Default)]
struct Piece {
    slots: Vec<u32>,
    /// The sum of the piece, until one of its keys changes.
    change: Option<Change>,
}

/// Number and sum of the entries before a key.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    rows: u32,
    keys: usize,
    summary: Summary,
}

/// Sums of ranges of one map. Empty at first; [`Self::refresh`] brings it up to date.
#[derive(Debug, Clone, Default)]
pub struct RangeSums {
    base: Weak<Base>,
    /// Local sequence up to which changes are in the pieces.
    seen: u64,
    pieces: Vec<Piece>,
    /// For each piece the sum of all pieces before it, and at the end the sum of all; only once all are summed up.
    before: Vec<Change>,
}

impl RangeSums {
    /// Takes in the changes since the last call, and sums up about `limit` keys. Returns true once everything is up to
    /// date: only then, and only until the map changes again, may sums be asked for.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be.
    pub fn refresh(&mut self, map: &EntryMap, limit: usize) -> Result<bool, StoreError> {
        let base = map.base().map_or_else(Weak::new, Arc::downgrade);
        let last = map.own.last().max(map.relay.last());
        if !Weak::ptr_eq(&base, &self.base) || (self.pieces.is_empty() && last > self.seen) {
            self.begin(map, base);
        } else if last > self.seen {
            let streams = [&map.own, &map.relay];
            let seen = self.seen;
            let changed = streams
                .into_iter()
                .flat_map(|stream| stream.between(seen, u64::MAX));
            changed.for_each(|(_, slot)| self.change(map, slot));
        }
        self.seen = last;
        let mut added = 0;
        let waiting = self
            .pieces
            .iter_mut()
            .filter(|piece| piece.change.is_none());
        for piece in waiting {
            if added >= limit {
                return Ok(false);
            }
            added += piece.slots.len();
            piece.change = Some(change_of(map, &piece.slots)?);
        }
        if added > 0 || self.before.len() != self.pieces.len() + 1 {
            let mut total = Change::default();
            self.before.clear();
            self.before.push(total);
            for piece in &self.pieces {
                total = total.with(piece.change.unwrap_or_default());
                self.before.push(total);
            }
        }
        Ok(true)
    }

    /// True if all keys that the map held at the last refresh are known here: then they may be visited, with their
    /// present entries. Newer keys may be skipped.
    pub fn is_over(&self, map: &EntryMap) -> bool {
        let base = map.base().map_or_else(Weak::new, Arc::downgrade);
        Weak::ptr_eq(&base, &self.base)
    }

    /// Forgets everything if count or fingerprint over all keys differ from the map's. Does nothing while the map's own
    /// are not known, because base rows have to be looked up for them.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be.
    pub fn forget_if_wrong(&mut self, map: &EntryMap) -> Result<(), StoreError> {
        if map.untotalled() == 0 && self.before(map, &REPLICATED_END)?.summary != map.summary() {
            *self = Self::default();
        }
        Ok(())
    }

    fn begin(&mut self, map: &EntryMap, base: Weak<Base>) {
        let slots: Vec<u32> = map
            .by_key
            .range_from(Bound::Unbounded, &map.slots)
            .collect();
        let piece = |slots: &[u32]| Piece {
            slots: slots.to_vec(),
            change: None,
        };
        self.base = base;
        self.pieces = slots.chunks(PIECE).map(piece).collect();
        self.before.clear();
    }

    /// Notes that a key has a new entry.
    fn change(&mut self, map: &EntryMap, slot: u32) {
        let key = key_of(map, slot);
        let place = self.piece_of(map, key);
        let Some(piece) = self.pieces.get_mut(place) else {
            return;
        };
        piece.change = None;
        let found = piece
            .slots
            .binary_search_by(|other| key_of(map, *other).cmp(key));
        if let Err(at) = found {
            piece.slots.insert(at, slot);
            if piece.slots.len() > 2 * PIECE {
                let slots = piece.slots.split_off(PIECE);
                let change = None;
                self.pieces.insert(place + 1, Piece { slots, change });
            }
        }
    }

    /// The piece that holds a key, if one does.
    fn piece_of(&self, map: &EntryMap, key: &[u8]) -> usize {
        let is_before = |piece: &Piece| {
            let first = piece.slots.first();
            first.is_some_and(|slot| key_of(map, *slot) <= key)
        };
        self.pieces.partition_point(is_before).saturating_sub(1)
    }

    /// The piece that holds a key, and the number of changed keys below it within the piece.
    fn place_of(&self, map: &EntryMap, key: &[u8]) -> (usize, usize) {
        let place = self.piece_of(map, key);
        let slots = self.pieces.get(place).map(|piece| &piece.slots[..]);
        let below = slots.unwrap_or_default();
        (
            place,
            below.partition_point(|slot| key_of(map, *slot) < key),
        )
    }

    fn before(&self, map: &EntryMap, key: &[u8]) -> Result<Before, StoreError> {
        let (place, below) = self.place_of(map, key);
        let mut change = self.before.get(place).copied().unwrap_or_default();
        if let Some(piece) = self.pieces.get(place) {
            let (head, tail) = piece.slots.split_at(below);
            change = if head.len() <= tail.len() {
                change.with(change_of(map, head)?)
            } else {
                let through = self.before.get(place + 1).copied().unwrap_or_default();
                through.without(change_of(map, tail)?)
            };
        }
        let (rows, sum) = match map.base() {
            Some(base) => base.sum_before(key)?,
            None => (0, 0),
        };
        Ok(Before {
            rows,
            keys: change.keys,
            summary: Summary {
                count: u64::from(rows).wrapping_add(change.count),
                fingerprint: sum.wrapping_add(change.sum),
            },
        })
    }

    /// Count and fingerprint of the entries whose keys lie in `[from, to)`, which must not reach beyond
    /// [`REPLICATED_END`].
    ///
    /// # Errors
    /// If the checkpoint cannot be read at the edges.
    pub fn sum(&self, map: &EntryMap, from: &[u8], to: &[u8]) -> Result<Summary, StoreError> {
        let (before, through) = (self.before(map, from)?, self.before(map, to)?);
        Ok(between(before, through))
    }

    /// Splits `[from, to)` into about `pieces` ranges with about equal numbers of entries: for each the key that it
    /// ends before, and its sum. The last one ends before `to`.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be.
    pub fn split(
        &self,
        map: &EntryMap,
        from: &[u8],
        to: &[u8],
        pieces: usize,
    ) -> Result<Vec<(Vec<u8>, Summary)>, StoreError> {
        let (mut before, through) = (self.before(map, from)?, self.before(map, to)?);
        let rows = (through.rows.saturating_sub(before.rows)) as usize;
        let keys = through.keys.saturating_sub(before.keys);
        let of_rows = (pieces * rows).div_ceil((rows + keys).max(1)).max(1);
        let mut ends: Vec<Vec<u8>> = Vec::with_capacity(pieces + 1);
        if let Some(base) = map.base() {
            for number in 1..of_rows {
                let row = before.rows as usize + number * rows / of_rows;
                let row = u32::try_from(row).unwrap_or(u32::MAX);
                ends.extend(base.file().split_at(row)?);
            }
        }
        // Where the checkpoint's rows take all the shares, changed keys get none.
        let of_keys = (pieces.saturating_sub(of_rows) + 1).min(keys);
        for number in 1..of_keys {
            ends.extend(self.split_at(map, before.keys + number * keys / of_keys));
        }
        ends.sort_unstable();
        ends.dedup();
        ends.retain(|end| &end[..] > from && &end[..] < to);
        ends.push(to.to_vec());
        let mut parts = Vec::with_capacity(ends.len());
        for end in ends {
            let through = self.before(map, &end)?;
            parts.push((end, between(before, through)));
            before = through;
        }
        Ok(parts)
    }

    /// The shortest bytes above that many changed keys, and not above any other.
    fn split_at(&self, map: &EntryMap, keys: usize) -> Option<Vec<u8>> {
        let slot = |number: usize| {
            let place = self.before.partition_point(|before| before.keys <= number);
            let place = place.checked_sub(1)?;
            let at = number.checked_sub(self.before.get(place)?.keys)?;
            self.pieces.get(place)?.slots.get(at).copied()
        };
        let behind = key_of(map, slot(keys)?);
        let before = key_of(map, slot(keys.checked_sub(1)?)?);
        let common = before.iter().zip(behind).take_while(|(a, b)| a == b);
        let end = behind.get(..=common.count());
        Some(end.unwrap_or(behind).to_vec())
    }

    /// Visits the entries whose keys lie in `[from, to)`, in key order, tombstones included, until the visitor stops
    /// it.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn walk(
        &self,
        map: &EntryMap,
        from: &[u8],
        to: &[u8],
        mut visit: impl FnMut(Cow<'_, Held>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let (place, below) = self.place_of(map, from);
        let pieces = self.pieces.get(place..).unwrap_or_default();
        let slots = pieces.iter().flat_map(|piece| &piece.slots).skip(below);
        let changed = slots.filter_map(|slot| map.held(*slot));
        let mut rows = map.rows_from(Bound::Included(from), Box::new(changed));
        while let Some(held) = rows.next_held().transpose()? {
            if held.entry.key() >= to || visit(held).is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn key_of(map: &EntryMap, slot: u32) -> &[u8] {
    map.held(slot).map_or(&[], |held| held.entry.key())
}

fn change_of(map: &EntryMap, slots: &[u32]) -> Result<Change, StoreError> {
    let mut change = Change::default();
    for held in slots.iter().filter_map(|slot| map.held(*slot)) {
        let entry = &held.entry;
        change.keys += 1;
        if !Namespace::of(entry.key()).is_some_and(Namespace::is_replicated) {
            continue;
        }
        let base_row = match map.base() {
            Some(base) => base.sum_of(entry.key())?,
            None => None,
        };
        change.count += u64::from(base_row.is_none());
        let sum = entry.fingerprint().wrapping_sub(base_row.unwrap_or(0));
        change.sum = change.sum.wrapping_add(sum);
    }
    Ok(change)
}

fn between(before: Before, through: Before) -> Summary {
    let (before, through) = (before.summary, through.summary);
    Summary {
        count: through.count.wrapping_sub(before.count),
        fingerprint: through.fingerprint.wrapping_sub(before.fingerprint),
    }
}
