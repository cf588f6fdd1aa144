//! The order of keys. New keys are put aside first, and into the order later, many at once and sorted: who
//! writes does not wait for it, and finding one place after the other is quicker than finding places at random.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::ordered_key::OrderedKey;
use super::slots::Slots;

/// New keys that are sorted and put in order in one go.
const SETTLED_AT_ONCE: usize = 1024;

/// Slots by the order of their keys.
#[derive(Debug, Default)]
pub(super) struct KeyIndex {
    ordered: BTreeMap<OrderedKey, u32>,
    fresh: Vec<u32>,
}

fn key(slots: &Slots, slot: u32) -> &[u8] {
    slots.get(slot).map_or(&[], |held| held.entry.key())
}

impl KeyIndex {
    /// Adds a key that is not there yet.
    pub(super) fn insert(&mut self, slot: u32) {
        self.fresh.push(slot);
    }

    /// How many keys are not in order yet. A scan sorts them each time anew.
    pub(super) fn unsettled(&self) -> usize {
        self.fresh.len()
    }

    /// Puts some more new keys in order.
    pub(super) fn settle_some(&mut self, slots: &Slots) {
        let rest = self.fresh.len().saturating_sub(SETTLED_AT_ONCE);
        let mut some = self.fresh.split_off(rest);
        some.sort_unstable_by(|a, b| key(slots, *a).cmp(key(slots, *b)));
        for slot in some {
            self.ordered.insert(OrderedKey::new(key(slots, slot)), slot);
        }
        if self.fresh.is_empty() {
            self.fresh = Vec::new();
        }
    }

    /// The same without those that are not in order yet.
    pub(super) fn settled_from<'a>(
        &'a self,
        from: Bound<&[u8]>,
    ) -> impl Iterator<Item = u32> + use<'a> {
        self.ordered
            .range((from.map(OrderedKey::new), Bound::Unbounded))
            .map(|(_, slot)| *slot)
    }

    /// Slots whose keys lie in `[from, …)`, in key order.
    pub(super) fn range_from<'a>(
        &'a self,
        from: Bound<&[u8]>,
        slots: &'a Slots,
    ) -> impl Iterator<Item = u32> + use<'a> {
        let is_in = |slot: &u32| match from {
            Bound::Included(from) => key(slots, *slot) >= from,
            Bound::Excluded(from) => key(slots, *slot) > from,
            Bound::Unbounded => true,
        };
        let mut fresh: Vec<u32> = self.fresh.iter().copied().filter(is_in).collect();
        fresh.sort_unstable_by(|a, b| key(slots, *a).cmp(key(slots, *b)));
        let mut fresh = fresh.into_iter().peekable();
        let mut ordered = self
            .ordered
            .range((from.map(OrderedKey::new), Bound::Unbounded))
            .map(|(_, slot)| *slot)
            .peekable();
        std::iter::from_fn(move || match (ordered.peek(), fresh.peek()) {
            (Some(old), Some(new)) if key(slots, *new) < key(slots, *old) => fresh.next(),
            (None, _) => fresh.next(),
            _ => ordered.next(),
        })
    }
}
