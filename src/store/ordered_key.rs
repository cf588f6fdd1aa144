//! Keys in the ordered index. Most keys are short: held in place they are compared without following a
//! pointer, which is what finding one's way in a large index costs.

use std::borrow::Borrow;
use std::cmp::Ordering;

/// Longest key that is held in place: what fits beside its length in three words.
const INLINE_BYTES: usize = 22;

/// A stored key, ordered by its bytes.
#[derive(Debug, Clone)]
pub(super) enum OrderedKey {
    Inline {
        length: u8,
        bytes: [u8; INLINE_BYTES],
    },
    Heap(Box<[u8]>),
}

impl OrderedKey {
    pub(super) fn new(key: &[u8]) -> Self {
        let mut bytes = [0; INLINE_BYTES];
        match (bytes.get_mut(..key.len()), u8::try_from(key.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(key);
                Self::Inline { length, bytes }
            }
            _ => Self::Heap(key.into()),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { length, bytes } => bytes.split_at(usize::from(*length)).0,
            Self::Heap(bytes) => bytes,
        }
    }
}

impl PartialEq for OrderedKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for OrderedKey {}

impl PartialOrd for OrderedKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OrderedKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Borrow<[u8]> for OrderedKey {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}
