//! What a group is planned over: the state, and the group before it if that is written and not installed yet.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::base::Base;
use super::conflict::user_key_in;
use super::entry::Entry;
use super::error::StoreError;
use super::group::Group;
use super::ledger::FeedPosition;
use super::lineage::Lineage;
use super::map::EntryMap;
use super::scope::Scope;
use crate::core::identity::{Dot, Origin};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Basis<'a> {
    map: &'a EntryMap,
    before: Option<&'a Group>,
}

impl<'a> Basis<'a> {
    pub(super) fn new(map: &'a EntryMap, before: Option<&'a Group>) -> Self {
        Self { map, before }
    }

    /// The checkpoint.
    pub(super) fn base(&self) -> Option<&'a Arc<Base>> {
        self.map.base()
    }

    /// The lineage of authors.
    pub(super) fn lineage(&self) -> &'a Lineage {
        let before = self.before.and_then(|before| before.lineage.as_ref());
        before.unwrap_or_else(|| self.map.lineage())
    }

    /// The newest entry of a key that has changed since the checkpoint.
    pub(super) fn changed_entry(&self, key: &[u8], hash: u64) -> Option<&'a Entry> {
        self.before
            .and_then(|before| before.newest_of(key, hash))
            .or_else(|| self.map.changed_entry(key, hash))
    }

    /// Looks at where keys with these hashes belong, before the first of them has to be waited for; see
    /// [`EntryMap::touch`].
    pub(super) fn touch(&self, hashes: &[u64]) {
        let seen = hashes
            .iter()
            .fold(0, |seen, hash| seen ^ self.map.touch(*hash));
        std::hint::black_box(seen);
    }

    /// Where the group before says that a peer's feed is held, and about which keys, if it does.
    pub(super) fn cursor(&self, peer: Origin) -> Option<(FeedPosition, Scope)> {
        let cursors = &self.before?.cursors;
        let found = cursors.iter().rev().find(|(held, ..)| *held == peer);
        found.map(|(_, position, scope)| (*position, scope.clone()))
    }

    /// Whether the group before tells of a loser.
    pub(super) fn tells(&self, loser: Dot) -> bool {
        self.before
            .is_some_and(|before| before.told.contains(&loser))
    }

    /// Whether a loser was ever kept here.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub(super) fn has_kept(&self) -> Result<bool, StoreError> {
        let is_removed = self.before.is_some_and(|before| !before.removed.is_empty());
        Ok(is_removed || self.map.has_kept()?)
    }

    /// Stored keys of losers of a user's key, also of those that were removed, with their places in the feed; `None` for
    /// those that the group before removes.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub(super) fn kept_places(
        &self,
        user_key: &[u8],
    ) -> Result<BTreeMap<Vec<u8>, Option<u64>>, StoreError> {
        let mut places = BTreeMap::new();
        let mut keys = Vec::new();
        self.map.walk_kept(user_key, true, None, |entry| {
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
