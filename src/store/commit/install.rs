//! Installing of a group that is in the log, piece by piece.

use super::committer::Committed;
use super::group::Planned;
use crate::store::memtable::held::Installed;
use crate::store::state::map::EntryMap;

/// Entries that are installed under one write lock, which bounds the time that readers wait.
const INSTALLED_AT_ONCE: usize = 64;

/// Entries whose memory is prefetched before the first of them is installed: their cache lines fit into the nearest
/// cache.
const LOOKED_AHEAD: usize = 32;

/// Installs the next piece of a committed group under the caller's lock: whole requests, about [`INSTALLED_AT_ONCE`]
/// entries. Returns the changes; empty once everything is installed.
pub fn install_some(committed: &mut Committed, map: &mut EntryMap) -> Vec<Installed> {
    if let Some(lineage) = committed.lineage.take() {
        map.lineage = lineage.into();
    }
    let left = committed.planned.len();
    let mut changes = Vec::with_capacity(left.min(INSTALLED_AT_ONCE));
    loop {
        if changes.len() % LOOKED_AHEAD == 0 {
            look_ahead(committed.planned.as_slice(), map);
        }
        let Some(planned) = committed.planned.next() else {
            break;
        };
        let is_joined = planned.joined;
        changes.push(map.install_hashed(
            planned.entry,
            planned.hash,
            planned.lseq,
            planned.from,
            planned.base_row,
        ));
        if changes.len() >= INSTALLED_AT_ONCE && !is_joined {
            break;
        }
    }
    changes
}

/// Prefetches the memory that installing the next entries needs, which lies scattered, so that the cache misses
/// overlap; see [`EntryMap::touch`].
fn look_ahead(planned: &[Planned], map: &EntryMap) {
    let seen = planned.iter().take(LOOKED_AHEAD).fold(0, |seen, planned| {
        let key = planned.entry.key().first().copied().unwrap_or(0);
        seen ^ map.touch(planned.hash) ^ planned.lseq ^ u64::from(key)
    });
    std::hint::black_box(seen);
}
