//! The state over which a group is planned: the map, and the group before it if that is written and not installed yet.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::group::Group;
use super::ledger::FeedPosition;
use crate::core::identity::{Dot, Origin};
use crate::store::conflict::policy::user_key_in;
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::lineage::Lineage;
use crate::store::scope::Scope;
use crate::store::state::base::Base;
use crate::store::state::map::EntryMap;

/// The map, and the group before it if that is written and not installed yet.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct PlanBase<'a> {
    map: &'a EntryMap,
    before: Option<&'a Group>,
}

impl<'a> PlanBase<'a> {
    pub(in crate::store) fn new(map: &'a EntryMap, before: Option<&'a Group>) -> Self {
        Self { map, before }
    }

    /// The checkpoint under the map.
    pub(in crate::store) fn base(&self) -> Option<&'a Arc<Base>> {
        self.map.base()
    }

    /// The lineage of authors, the group before included.
    pub(in crate::store) fn lineage(&self) -> &'a Lineage {
        let before = self.before.and_then(|before| before.lineage.as_ref());
        before.unwrap_or_else(|| self.map.lineage())
    }

    /// The newest entry of a key, if it is newer than the checkpoint.
    pub(in crate::store) fn changed_entry(&self, key: &[u8], hash: u64) -> Option<&'a Entry> {
        self.before
            .and_then(|before| before.newest_of(key, hash))
            .or_else(|| self.map.changed_entry(key, hash))
    }

    /// Prefetches the index places of keys with these hashes, so that the cache misses overlap; see
    /// [`EntryMap::touch`].
    pub(in crate::store) fn touch(&self, hashes: &[u64]) {
        let seen = hashes
            .iter()
            .fold(0, |seen, hash| seen ^ self.map.touch(*hash));
        std::hint::black_box(seen);
    }

    /// The cursor on a peer's feed that the group before sets, with its scope; `None` if it sets none.
    pub(in crate::store) fn cursor(&self, peer: Origin) -> Option<(FeedPosition, Scope)> {
        let cursors = &self.before?.cursors;
        let found = cursors.iter().rev().find(|(held, ..)| *held == peer);
        found.map(|(_, position, scope)| (*position, scope.clone()))
    }

    /// True if the group before reports a loser.
    pub(in crate::store) fn tells(&self, loser: Dot) -> bool {
        self.before
            .is_some_and(|before| before.reported.contains(&loser))
    }

    /// True if a loser was ever kept in this store.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub(in crate::store) fn has_siblings(&self) -> Result<bool, StoreError> {
        let is_removed = self.before.is_some_and(|before| !before.removed.is_empty());
        Ok(is_removed || self.map.has_siblings()?)
    }

    /// Stored keys of a user's key's siblings that still have a value; see [`EntryMap::live_kept_keys`].
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub(in crate::store) fn live_kept_keys(
        &self,
        user_key: &[u8],
    ) -> Result<BTreeSet<Vec<u8>>, StoreError> {
        let mut keys = self.map.live_kept_keys(user_key)?;
        let before = self.before.into_iter();
        for (stored, kept) in before.flat_map(|before| before.siblings.of(user_key)) {
            if kept.is_some() {
                keys.insert(stored.clone());
            } else {
                keys.remove(stored);
            }
        }
        Ok(keys)
    }

    /// Stored keys of all siblings of a user's key, removed ones included, with their places in the feed; `None` for
    /// those that the group before removes.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub(in crate::store) fn kept_places(
        &self,
        user_key: &[u8],
    ) -> Result<BTreeMap<Vec<u8>, Option<u64>>, StoreError> {
        let mut places = BTreeMap::new();
        let mut keys = Vec::new();
        self.map.walk_siblings(user_key, true, None, |entry| {
            let key = entry.key();
            keys.extend((user_key_in(key) == Some(user_key)).then(|| key.to_vec()));
            ControlFlow::Continue(())
        })?;
        for key in keys {
            let lseq = self.map.held_entry(&key)?.map(|held| held.lseq);
            places.insert(key, lseq);
        }
        let before = self.before.into_iter();
        let removed = before.flat_map(|before| before.removed_of(user_key));
        places.extend(removed.map(|key| (key.clone(), None)));
        Ok(places)
    }
}
