//! Keys of the system namespace: which of them this version writes itself, and takes from peers.

use super::entry::Entry;
use super::lineage::LineageRecord;

/// Whether an entry of the system namespace is one that this version has a use for. All others are refused: nobody could
/// see them, or get rid of them.
pub fn is_owned_system_key(entry: &Entry) -> bool {
    LineageRecord::of(entry).is_some()
}
