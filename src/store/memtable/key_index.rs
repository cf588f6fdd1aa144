//! Key order of the memtable. New keys are set aside and sorted into the order later, many at once: a writer does not
//! wait for it, and inserting in sequence is quicker than at random places.
//!
//! Keys with a value and keys without one (tombstones) are in two orders, so that a scan of live keys never meets
//! removed ones, however many there are.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::ordered_key::OrderedKey;
use super::slots::Slots;

/// Most new keys that are sorted into the order at once.
const SETTLED_AT_ONCE: usize = 1024;

/// Slots in the order of their keys.
#[derive(Debug, Default)]
pub(in crate::store) struct KeyIndex {
    /// Keys that had a value when they were sorted in.
    live: BTreeMap<OrderedKey, u32>,
    /// Keys that had no value when they were sorted in. No key is in both orders.
    dead: BTreeMap<OrderedKey, u32>,
    /// Slots that are in neither order, and slots that may be in the wrong one. Some may appear twice.
    fresh: Vec<u32>,
}

fn key(slots: &Slots, slot: u32) -> &[u8] {
    slots.get(slot).map_or(&[], |held| held.entry.key())
}

fn is_live(slots: &Slots, slot: u32) -> bool {
    slots
        .get(slot)
        .is_some_and(|held| !held.entry.is_tombstone())
}

impl KeyIndex {
    /// Adds a key that is not in the index yet.
    pub(in crate::store) fn insert(&mut self, slot: u32) {
        self.fresh.push(slot);
    }

    /// Notes that the entry of a key gained or lost its value.
    pub(in crate::store) fn turn(&mut self, slot: u32) {
        // One place is enough, and a key that is written and removed by turns is often the last one.
        if self.fresh.last() != Some(&slot) {
            self.fresh.push(slot);
        }
    }

    /// Number of keys that are not sorted in yet. Each scan sorts them anew.
    pub(in crate::store) fn unsorted(&self) -> usize {
        self.fresh.len()
    }

    /// Sorts in some more new keys.
    pub(in crate::store) fn sort_some(&mut self, slots: &Slots) {
        let rest = self.fresh.len().saturating_sub(SETTLED_AT_ONCE);
        let some = sorted(self.fresh.split_off(rest), slots);
        for slot in some {
            let key = OrderedKey::new(key(slots, slot));
            let (into, from) = if is_live(slots, slot) {
                (&mut self.live, &mut self.dead)
            } else {
                (&mut self.dead, &mut self.live)
            };
            if !from.is_empty() {
                from.remove(&key);
            }
            into.insert(key, slot);
        }
        if self.fresh.is_empty() {
            self.fresh = Vec::new();
        }
    }

    /// Slots whose keys lie in `[from, …)`, in key order, without the keys that are not sorted in yet.
    pub(in crate::store) fn sorted_from<'a>(
        &'a self,
        from: Bound<&[u8]>,
    ) -> impl Iterator<Item = u32> + use<'a> {
        let range = (from.map(OrderedKey::new), Bound::Unbounded);
        let mut live = self.live.range(range.clone()).peekable();
        let mut dead = self.dead.range(range).peekable();
        std::iter::from_fn(move || {
            let next = match (live.peek(), dead.peek()) {
                (Some((a, _)), Some((b, _))) if b < a => dead.next(),
                (None, _) => dead.next(),
                _ => live.next(),
            };
            next.map(|(_, slot)| *slot)
        })
    }

    /// Slots whose keys lie in `[from, …)`, in key order.
    pub(in crate::store) fn range_from<'a>(
        &'a self,
        from: Bound<&[u8]>,
        slots: &'a Slots,
    ) -> impl Iterator<Item = u32> + use<'a> {
        merged(
            self.sorted_from(from),
            self.fresh_from(from, slots, |_| true),
            slots,
        )
    }

    /// Slots of keys with a value that lie in `[from, …)`, in key order. Meets no other keys, except those that lost
    /// their value since they were sorted in. Of the keys that are not sorted in yet it returns only those that begin
    /// with `prefix`: sorting all of them for a few rows would cost more than the rows.
    pub(in crate::store) fn live_from<'a>(
        &'a self,
        from: Bound<&[u8]>,
        prefix: &[u8],
        slots: &'a Slots,
    ) -> impl Iterator<Item = u32> + use<'a> {
        let range = (from.map(OrderedKey::new), Bound::Unbounded);
        let settled = self.live.range(range).map(|(_, slot)| *slot);
        let fresh = self.fresh_from(from, slots, |slot| {
            key(slots, slot).starts_with(prefix) && is_live(slots, slot)
        });
        merged(settled, fresh, slots).filter(|slot| is_live(slots, *slot))
    }

    fn fresh_from(
        &self,
        from: Bound<&[u8]>,
        slots: &Slots,
        is_wanted: impl Fn(u32) -> bool,
    ) -> Vec<u32> {
        let is_in = |slot: &u32| {
            is_wanted(*slot)
                && match from {
                    Bound::Included(from) => key(slots, *slot) >= from,
                    Bound::Excluded(from) => key(slots, *slot) > from,
                    Bound::Unbounded => true,
                }
        };
        let fresh = self.fresh.iter().copied().filter(is_in).collect();
        sorted(fresh, slots)
    }
}

/// Slots in the order of their keys, each once.
fn sorted(mut some: Vec<u32>, slots: &Slots) -> Vec<u32> {
    some.sort_unstable_by(|a, b| key(slots, *a).cmp(key(slots, *b)));
    some.dedup();
    some
}

/// Merges two sequences of slots in key order, with slots of both once.
fn merged<'a, I: Iterator<Item = u32> + 'a>(
    settled: I,
    fresh: Vec<u32>,
    slots: &'a Slots,
) -> impl Iterator<Item = u32> + use<'a, I> {
    let mut settled = settled.peekable();
    let mut fresh = fresh.into_iter().peekable();
    std::iter::from_fn(move || match (settled.peek(), fresh.peek()) {
        (Some(old), Some(new)) if old == new => {
            fresh.next();
            settled.next()
        }
        (Some(old), Some(new)) if key(slots, *new) < key(slots, *old) => fresh.next(),
        (None, _) => fresh.next(),
        _ => settled.next(),
    })
}
