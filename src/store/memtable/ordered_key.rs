//! Keys of the ordered index, with a prefix in place. A search in a large index is bound by comparing keys: three
//! numbers in place are compared without following a pointer, and decide for nearly all keys.

use std::cmp::Ordering;

/// Bytes of a key in the head numbers. The last byte of the last number is the key's length.
const HEAD_BYTES: usize = 23;

/// Marks in place of its length a key that is longer than its head.
const LONGER: u8 = u8::MAX;

/// A stored key, ordered by its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct OrderedKey {
    /// The head, padded with zeros, and the length, as big-endian numbers: their order is that of the bytes, and of
    /// keys with equal bytes the shorter comes first.
    head: [u64; 3],
    /// The whole key, if it is longer than its head. Behind two pointers, which keeps short keys small.
    #[allow(
        clippy::box_collection,
        clippy::redundant_allocation,
        reason = "a thin pointer"
    )]
    whole: Option<Box<Box<[u8]>>>,
}

impl OrderedKey {
    pub(in crate::store) fn new(key: &[u8]) -> Self {
        let mut bytes = [0_u8; HEAD_BYTES + 1];
        let length = key.len().min(HEAD_BYTES);
        let (head, _) = key.split_at(length);
        for (place, byte) in bytes.iter_mut().zip(head) {
            *place = *byte;
        }
        let is_longer = key.len() > HEAD_BYTES;
        if let Some(last) = bytes.last_mut() {
            *last = if is_longer {
                LONGER
            } else {
                u8::try_from(length).unwrap_or(LONGER)
            };
        }
        let (words, _) = bytes.as_chunks::<8>();
        let mut numbers = [0_u64; 3];
        for (number, word) in numbers.iter_mut().zip(words) {
            *number = u64::from_be_bytes(*word);
        }
        Self {
            head: numbers,
            whole: is_longer.then(|| Box::new(key.into())),
        }
    }
}

impl PartialOrd for OrderedKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OrderedKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.head
            .cmp(&other.head)
            .then_with(|| self.whole.cmp(&other.whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys() -> impl Strategy<Value = Vec<u8>> {
        let short = proptest::collection::vec(0_u8..3, 0..6);
        let long = (
            proptest::collection::vec(0_u8..2, 20..24),
            proptest::collection::vec(any::<u8>(), 0..4),
        );
        prop_oneof![short, long.prop_map(|(head, tail)| [head, tail].concat())]
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_the_bytes(a in keys(), b in keys()) {
            prop_assert_eq!(OrderedKey::new(&a).cmp(&OrderedKey::new(&b)), a.cmp(&b));
        }
    }
}
