//! Keys of the system namespace that this version writes and accepts from peers.

use super::entry::Entry;
use super::lineage::LineageRecord;

/// True if this version has a use for an entry of the system namespace. All others are refused: nobody could see them,
/// or remove them.
pub fn is_owned_system_key(entry: &Entry) -> bool {
    LineageRecord::of(entry).is_some()
}
