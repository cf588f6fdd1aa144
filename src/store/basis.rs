//! What a group is planned over: the state, and the group before it if that is written and not installed yet.

use std::sync::Arc;

use super::base::Base;
use super::entry::Entry;
use super::group::Group;
use super::ledger::FeedPosition;
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
}
