//! A conflict as users see it: the versions of a key that nodes wrote without knowing of each other's write.

use crate::core::clock::WallMs;
use crate::core::identity::Origin;
use crate::store::entry::{Entry, EntryFlags};

/// One of the values that a key in conflict has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Label of the node that wrote the value if this node has met it, else its author id.
    pub node_id: String,
    /// The value; `None` for a removal.
    pub value: Option<Vec<u8>>,
    /// True if the value is text and ASCII.
    pub ascii: bool,
    /// Time of the write by its author's clock.
    pub at: WallMs,
    /// True for the version that reads of the key return.
    pub is_current: bool,
}

impl Version {
    fn of(entry: &Entry, is_current: bool, label_of: impl Fn(Origin) -> String) -> Self {
        Self {
            node_id: label_of(entry.dot.origin),
            value: entry.value().map(<[u8]>::to_vec),
            ascii: entry.flags.contains(EntryFlags::ASCII),
            at: entry.stamp.wall(),
            is_current,
        }
    }
}

/// A key with concurrent writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The key.
    pub key: Vec<u8>,
    /// The version that is current, then the siblings, newest first.
    pub versions: Vec<Version>,
}

impl Conflict {
    /// The conflict of `current` with `siblings`. `label_of` names an author.
    pub(super) fn of(
        current: &Entry,
        siblings: &[Entry],
        label_of: impl Fn(Origin) -> String,
    ) -> Self {
        let current_version = Version::of(current, true, &label_of);
        let others = siblings
            .iter()
            .map(|sibling| Version::of(sibling, false, &label_of));
        Self {
            key: current.key().get(1..).unwrap_or_default().to_vec(),
            versions: std::iter::once(current_version).chain(others).collect(),
        }
    }
}
