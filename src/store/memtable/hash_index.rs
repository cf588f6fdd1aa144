//! Hash index: slots by the hashes of their keys. Nothing is ever taken out, and a find or an insert reads one cache
//! line in nearly all cases: with a million keys, waiting for memory is most of the cost of an insert.
//!
//! Open addressing with linear probing (Knuth, The Art of Computer Programming, volume 3, 6.4, algorithm L).

/// Places of the smallest table.
const PLACES_MIN: usize = 16;

/// Load limit of a table, in quarters: beyond it, runs of taken places grow long.
const QUARTERS_MAX: usize = 3;

/// A hash table from key hashes to slots. Several slots may have equal hashes.
#[derive(Debug, Default)]
pub(in crate::store) struct HashIndex {
    /// The short hash above the slot, plus one; 0 in an empty place. Their number is a power of two, or zero.
    places: Vec<u64>,
    taken: usize,
}

/// The part of a hash that is kept: enough to skip nearly all wrong keys without reading them, and to grow the table
/// without reading any.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the lower half of a hash is a hash"
)]
const fn short(hash: u64) -> u32 {
    hash as u32
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the two halves of a place are taken apart"
)]
const fn parts(place: u64) -> (u32, u32) {
    let place = place - 1;
    ((place >> 32) as u32, place as u32)
}

impl HashIndex {
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// The slot with this hash that `is_meant` accepts.
    pub(in crate::store) fn find(
        &self,
        hash: u64,
        mut is_meant: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let mut at = self.start(hash);
        loop {
            let place = *self.places.get(at)?;
            if place == 0 {
                return None;
            }
            let (found, slot) = parts(place);
            if found == short(hash) && is_meant(slot) {
                return Some(slot);
            }
            at = self.after(at);
        }
    }

    /// Puts in a slot, which must be below `u32::MAX`, and must not be there under the same hash.
    pub(in crate::store) fn insert(&mut self, hash: u64, slot: u32) {
        if self.taken >= self.places.len() / 4 * QUARTERS_MAX {
            self.grow();
        }
        self.put((u64::from(short(hash)) << 32 | u64::from(slot)) + 1);
        self.taken += 1;
    }

    /// Reads the place of a hash and returns its content, so that the read is not optimized away. Reading many places
    /// in sequence overlaps their cache misses (software prefetching), and afterwards all are in the cache.
    pub(in crate::store) fn touch(&self, hash: u64) -> u64 {
        self.places.get(self.start(hash)).copied().unwrap_or(0)
    }

    fn start(&self, hash: u64) -> usize {
        short(hash) as usize & self.places.len().wrapping_sub(1)
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.places.len() - 1)
    }

    fn put(&mut self, place: u64) {
        let mut at = self.start(u64::from(parts(place).0));
        while let Some(found) = self.places.get_mut(at) {
            if *found == 0 {
                *found = place;
                return;
            }
            at = self.after(at);
        }
    }

    fn grow(&mut self) {
        let places = (self.places.len() * 2).max(PLACES_MIN);
        let before = std::mem::replace(&mut self.places, vec![0; places]);
        for place in before {
            if place != 0 {
                self.put(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::checksum::key_hash;

    #[test]
    fn every_slot_is_found_under_its_hash_and_no_other() {
        let mut index = HashIndex::default();
        assert!(index.is_empty());
        assert_eq!((index.find(7, |_| true), index.touch(7)), (None, 0));
        let hash = |slot: u32| key_hash(&slot.to_le_bytes());
        for slot in 0..10_000 {
            assert_eq!(index.find(hash(slot), |found| found == slot), None);
            index.insert(hash(slot), slot);
        }
        assert!(!index.is_empty());
        for slot in 0..10_000 {
            assert_eq!(index.find(hash(slot), |found| found == slot), Some(slot));
            assert_ne!(index.touch(hash(slot)), 0);
            assert_eq!(index.find(hash(slot), |_| false), None);
        }
        assert!(index.places.len() <= 4 * 10_000);
    }

    #[test]
    fn hashes_that_are_alike_or_lie_at_the_end_lie_beside_each_other() {
        let mut index = HashIndex::default();
        let hashes = [
            u64::MAX,
            u64::MAX,
            0,
            u64::MAX - 1,
            1 << 40,
            u64::MAX,
            3 << 40,
        ];
        for (slot, hash) in (0..).zip(hashes) {
            index.insert(hash, slot);
        }
        index.insert(u64::MAX, u32::MAX - 1);
        for (slot, hash) in (0..).zip(hashes) {
            assert_eq!(index.find(hash, |found| found == slot), Some(slot));
        }
        let last = index.find(u64::MAX, |found| found > 100);
        assert_eq!(last, Some(u32::MAX - 1));
        // Only the lower half of a hash is kept: the caller compares the key.
        assert_eq!(index.find(5 << 40, |found| found == 4), Some(4));
    }
}
