//! Conflicts for users, and their resolution. Their definition is in `store::conflict`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use super::handle::Node;
use crate::core::error_kind::ErrorKind;
use crate::core::identity::{Dot, Origin};
use crate::node::conflict::Conflict;
use crate::node::failure::{ErrorCode, Failure};
use crate::node::machine::Machine;
use crate::node::shared::Shared;
use crate::store::commit::operation::{Operation, Receipt, Request, Resolution};
use crate::store::conflict::open_conflicts::OpenConflict;
use crate::store::conflict::policy::{bare_loser_of, loser_of};
use crate::store::conflict::sibling_limit::{DroppedSibling, SIBLINGS_MAX};
use crate::store::conflict::siblings::open_among;
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::state::map::EntryMap;

/// Most unsorted keys that a visit to siblings tolerates: sorting them costs less than the visit.
const UNSORTED_MAX: usize = 256;

/// Siblings by the user's key.
type SiblingsByKey = BTreeMap<Vec<u8>, Vec<Entry>>;

impl Shared {
    /// Reports the writes that lost in a group that is being installed.
    pub(in crate::node) fn tell_conflicts(&self, losers: &[Entry], machine: &Machine) {
        self.counters.met_conflicts(losers.len() as u64);
        if losers.is_empty() || !self.wants_conflicts.load(Ordering::Relaxed) {
            return;
        }
        let map = self.map.read();
        let reported = losers
            .iter()
            .filter_map(|loser| match map.entry(loser.key()) {
                Ok(current) => Some(Conflict::of(
                    &*current?,
                    std::slice::from_ref(loser),
                    |author| machine.replica.author_label(author, map.lineage()),
                )),
                Err(error) => {
                    tracing::error!(%error, "what a write lost against cannot be read");
                    None
                }
            });
        let reported: Vec<Conflict> = reported.collect();
        drop(map);
        self.events.conflicted(reported);
    }

    /// Reports the siblings that were removed because their keys had too many: once for each key.
    pub(in crate::node) fn tell_dropped(&self, dropped: &[DroppedSibling]) {
        let open = dropped.iter().filter(|version| version.is_open);
        let mut keys: BTreeMap<&[u8], u64> = BTreeMap::new();
        for version in open {
            *keys.entry(&version.key).or_default() += 1;
        }
        self.counters.dropped_versions(keys.values().sum());
        for (key, versions) in keys {
            let key = String::from_utf8_lossy(key);
            let message = format!(
                "the conflict at the key {key} had more than {SIBLINGS_MAX} versions that lost: the {versions} oldest of \
                 them were removed, on all nodes; settle conflicts before there are so many"
            );
            let failure =
                Failure::new(ErrorCode::Sync, ErrorKind::ConflictVersionsDropped, message);
            self.events.failed(failure.about(key));
        }
    }

    fn kept(
        &self,
        prefix: &[u8],
        is_whole: bool,
        form: impl Fn(&Entry) -> Option<Entry>,
    ) -> Result<SiblingsByKey, StoreError> {
        let mut found = SiblingsByKey::new();
        self.walk_siblings(prefix, is_whole, form, |_, losers| {
            for loser in losers {
                found.entry(loser.key().to_vec()).or_default().push(loser);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Visits siblings page by page, each under a lock of its own.
    fn walk_siblings(
        &self,
        prefix: &[u8],
        is_whole: bool,
        form: impl Fn(&Entry) -> Option<Entry>,
        mut visit: impl FnMut(&EntryMap, Vec<Entry>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if !self.map.read().has_siblings()? {
            return Ok(());
        }
        let mut after = None;
        loop {
            self.sort_keys(UNSORTED_MAX);
            let map = self.map.read();
            let page = map.sibling_page(prefix, is_whole, after.as_deref(), &form)?;
            visit(&map, page.losers)?;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    fn open_conflicts(&self, kept: SiblingsByKey) -> Result<Vec<OpenConflict>, StoreError> {
        let mut open = Vec::new();
        let lineage = self.map.read().shared_lineage();
        for siblings in kept.into_values() {
            // The map is not locked while the siblings are compared.
            let current = self.map.read().shown_over(&siblings)?;
            open.extend(current.and_then(|current| open_among(current, siblings, &lineage)));
        }
        Ok(open)
    }
}

impl Node {
    /// The open conflicts of keys that begin with `prefix`, in the order of the keys: those with siblings, which a node
    /// with the policy *manual* has kept, that the current value has not seen.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be.
    pub fn conflicts(&self, prefix: &[u8]) -> Result<Vec<Conflict>, Failure> {
        let kept = self.shared.kept(prefix, false, loser_of)?;
        let open = self.shared.open_conflicts(kept)?;
        let shown = open
            .iter()
            .map(|open| Conflict::of(&open.current, &open.losers, |origin| self.label_of(origin)));
        Ok(shown.collect())
    }

    /// The open conflict of a key.
    ///
    /// # Errors
    /// If there is none, or the checkpoint cannot be read where it has to be.
    pub fn conflict(&self, key: &[u8]) -> Result<Conflict, Failure> {
        let kept = self.shared.kept(key, true, loser_of)?;
        let open = self.shared.open_conflicts(kept)?;
        let open = open.first().ok_or_else(|| none_at(key))?;
        Ok(Conflict::of(&open.current, &open.losers, |origin| {
            self.label_of(origin)
        }))
    }

    /// The label of an author. The machine is locked for one label only, and not while values are copied: a key may
    /// have thousands of versions.
    fn label_of(&self, author: Origin) -> String {
        let machine = self.shared.machine.lock();
        let map = self.shared.map.read();
        machine.replica.author_label(author, map.lineage())
    }

    /// Number of keys with an open conflict.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be.
    pub fn conflict_count(&self) -> Result<u64, Failure> {
        let mut open = BTreeSet::new();
        self.shared
            .walk_siblings(&[], false, bare_loser_of, |map, losers| {
                map.note_open(&losers, &mut open)
            })?;
        Ok(open.len() as u64)
    }

    /// Number of writes that lost against a concurrent write since the node was opened, as far as it saw both.
    pub fn conflicts_seen(&self) -> u64 {
        self.shared.counters.conflicts_met()
    }

    /// Number of versions of conflicts that this node has removed since it was opened, because their keys had too many.
    pub fn versions_dropped(&self) -> u64 {
        self.shared.counters.versions_dropped()
    }

    /// Resolves the conflict of a key with a value that has seen all its versions, and removes the siblings, in one
    /// step. A write that loses later is another conflict.
    ///
    /// # Errors
    /// If there is no conflict, or the write is malformed or was refused: then nothing of it is visible in this opening,
    /// as of [`Node::write`].
    ///
    /// # Cancel safety
    /// Dropping the future gives up the answer; a resolution that is queued commits all the same.
    pub async fn resolve(&self, operation: Operation) -> Result<Receipt, Failure> {
        self.check_value(operation.value().len())?;
        let key = operation.key().get(1..).unwrap_or_default();
        let kept = self.shared.kept(key, true, bare_loser_of)?;
        let losers = kept.values().flatten().map(|loser| loser.dot);
        let losers: Vec<Dot> = losers.collect();
        if self.shared.open_conflicts(kept)?.is_empty() {
            return Err(none_at(key));
        }
        self.request_apart(operation.bytes(), |ticket| {
            Request::Resolve(Resolution {
                ticket,
                operation,
                losers,
            })
        })
        .await
    }

    /// Turns `conflicted` events on or off. Off at first, because each event copies the versions.
    pub fn tell_conflicts(&self, wanted: bool) {
        self.shared.wants_conflicts.store(wanted, Ordering::Relaxed);
    }
}

fn none_at(key: &[u8]) -> Failure {
    let key = String::from_utf8_lossy(key);
    let message = format!("conflict not found: there is none at the key {key}");
    Failure::new(ErrorCode::NotFound, ErrorKind::ConflictNotFound, message).about(key)
}
