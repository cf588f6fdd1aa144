//! Installing a group that is in the log, piece by piece.

use super::commit::Committed;
use super::map::{EntryMap, Installed};

/// Entries that are installed under one write lock. Readers wait at most for that many.
const INSTALLED_AT_ONCE: usize = 64;

/// The next piece of a committed group, to be installed under one lock: whole requests, about
/// [`INSTALLED_AT_ONCE`] entries. Returns what the installs changed; empty when all is installed.
pub fn install_some(committed: &mut Committed, map: &mut EntryMap) -> Vec<Installed> {
    let left = committed.planned.len();
    let mut changes = Vec::with_capacity(left.min(INSTALLED_AT_ONCE));
    for planned in committed.planned.by_ref() {
        let is_joined = planned.joined;
        changes.push(map.install_hashed(
            planned.entry,
            planned.hash,
            planned.lseq,
            planned.from,
            planned.beneath,
        ));
        if changes.len() >= INSTALLED_AT_ONCE && !is_joined {
            break;
        }
    }
    changes
}
