//! Change to a newer checkpoint: the changes after it are carried over to a new map, piece by piece, while the old map
//! keeps changing; then the new one takes its place.

use std::sync::Arc;

use super::base::Base;
use super::map::EntryMap;
use crate::core::identity::Origin;
use crate::store::memtable::held::Held;
use crate::store::memtable::stream::Stream;

/// Entries that are copied under one lock. Few in tests, so that much can happen between two pieces.
const CARRIED_AT_ONCE: usize = if cfg!(test) { 2 } else { 64 };

/// Most new keys that wait to be sorted in.
const UNSORTED_MAX: usize = if cfg!(test) { 4 } else { 1024 };

/// The new map over the newer checkpoint, being filled.
#[derive(Debug)]
pub struct Rebase {
    next: EntryMap,
    /// Local sequence up to which the changes of the old map are in the new one.
    reached: u64,
}

/// Copied entries, to be handed to [`Rebase::put`].
#[derive(Debug)]
pub struct Carried {
    entries: Vec<(Held, Option<Origin>)>,
    reached: u64,
}

impl Rebase {
    /// Begins a new map over a checkpoint that holds everything of `map` up to the local sequence `cut`.
    pub fn new(base: Arc<Base>, map: &EntryMap, cut: u64) -> Self {
        let mut next = EntryMap::over(base);
        next.sources.clone_from(&map.sources);
        next.lineage = Arc::clone(&map.lineage);
        next.lineage_places.clone_from(&map.lineage_places);
        Self { next, reached: cut }
    }

    /// Local sequence up to which changes are carried over.
    pub fn reached(&self) -> u64 {
        self.reached
    }

    /// Copies the next piece of later changes, which is all that needs the old map. `None`: there is nothing more.
    pub fn take(&self, map: &EntryMap) -> Option<Carried> {
        let mut later: Vec<(u64, u32)> = Vec::with_capacity(3 * CARRIED_AT_ONCE);
        for stream in [&map.own, &map.relay, &map.local] {
            later.extend(stream.between(self.reached, u64::MAX).take(CARRIED_AT_ONCE));
        }
        later.sort_unstable();
        later.truncate(CARRIED_AT_ONCE);
        let (reached, _) = *later.last()?;
        let entries = later.into_iter().filter_map(|(_, slot)| {
            let held = map.held(slot)?;
            Some((held.clone(), map.source_of(held.via)))
        });
        Some(Carried {
            entries: entries.collect(),
            reached,
        })
    }

    /// Installs a copied piece. An entry that it replaces in the new map was replaced in the old one, too.
    pub fn put(&mut self, carried: Carried) {
        for (held, from) in carried.entries {
            self.next.install(held.entry, held.lseq, from);
        }
        self.reached = carried.reached;
        if self.next.unsorted() > UNSORTED_MAX {
            self.next.sort_some();
        }
    }

    /// Carries over the rest and takes the place of the map, with its snapshots; snapshots of changes end. The base
    /// rows of all entries must be known. Returns the old map, whose memory may be freed later.
    pub fn finish(mut self, map: &mut EntryMap) -> EntryMap {
        while let Some(carried) = self.take(map) {
            self.put(carried);
        }
        let mut next = self.next;
        next.totals = map.totals;
        next.totals_known = true;
        next.lineage = std::mem::take(&mut map.lineage);
        next.lineage_places = std::mem::take(&mut map.lineage_places);
        next.snapshots = std::mem::take(&mut map.snapshots).without_changes();
        std::mem::replace(map, next)
    }
}

impl EntryMap {
    /// Local sequence of the last change since the checkpoint, 0 if there was none.
    pub fn last_change(&self) -> u64 {
        let streams = [&self.own, &self.relay, &self.local];
        streams.map(Stream::last).into_iter().max().unwrap_or(0)
    }
}
