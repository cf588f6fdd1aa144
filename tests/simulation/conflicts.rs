//! Concurrent writes: the outcomes that each policy allows, checked from outside (`docs/internals/replication.md`,
//! section 3).

use std::collections::{BTreeMap, BTreeSet};

use super::kept::{kept_of, losers_among};
use super::knowledge::Knowledge;
use super::node::Running;
use super::world::World;
use crate::core::identity::{Dot, Origin};
use crate::store::commit::committer::Committed;
use crate::store::commit::operation::{Operation, Request, Resolution};
use crate::store::conflict::policy::{ConflictPolicy, loser_of, sibling_key, user_key_in};
use crate::store::entry::{Entry, EntryFlags, Namespace};
use crate::store::lineage::{Lineage, LineageRecord};
use crate::store::state::totals::is_user;

/// Name that tells an entry from all others: its dot and stamp, and true for a sibling.
pub(super) type Name = (Dot, u64, bool);

pub(super) fn name_of(entry: &Entry) -> Name {
    (entry.dot, entry.stamp.0, !is_user(entry))
}

/// True if an entry of this node stands for other entries, of which it need not hold any.
pub(super) fn is_made_of_others(entry: &Entry) -> bool {
    !is_user(entry) || entry.flags.contains(EntryFlags::REWRITTEN_BY_POLICY)
}

/// A group as its checks see it.
struct Look<'g> {
    running: &'g Running<'g>,
    asked: &'g [Request],
    committed: &'g Committed,
    policy: ConflictPolicy,
    knowledge: &'g Knowledge,
    author: Origin,
}

impl Look<'_> {
    /// True if this node made the write, in this opening or an earlier one.
    fn is_own(&self, dot: Dot) -> bool {
        let lineage = self.running.store.map.lineage();
        lineage.is_own(self.author, dot)
    }

    fn before(&self, key: &[u8]) -> Option<Entry> {
        let held = self.running.store.map.entry(key).ok().flatten();
        held.map(std::borrow::Cow::into_owned)
    }

    /// Entries received from peers and planned in this group, each with the place of its request in the group: without
    /// entries that were left out, and without those left to the next group, which takes all later requests too.
    fn came(&self) -> impl Iterator<Item = (usize, &Entry)> {
        let rest = &self.committed.rest;
        let (whole, left) = (
            self.asked.len() - rest.len(),
            rest.first().map_or(0, Request::entries),
        );
        let requests = self.asked.iter().enumerate().take(whole + 1);
        requests.flat_map(move |(place, request)| {
            let entries = match request {
                Request::Received(received)
                    if !self.committed.refused.contains(&received.token) =>
                {
                    received.entries.as_slice()
                }
                _ => &[],
            };
            let left = if place == whole { left } else { 0 };
            let seen = entries.len().saturating_sub(left);
            entries[..seen].iter().map(move |entry| (place, entry))
        })
    }

    /// All versions of a key in this group: those held before, received and held afterwards.
    fn versions(&self, key: &[u8]) -> Vec<Entry> {
        let received = self.asked.iter().filter_map(|request| match request {
            Request::Received(received) => Some(&received.entries),
            _ => None,
        });
        let planned = self.committed.entries().map(|(entry, _)| entry);
        let all = received.flatten().chain(planned);
        let all = all.filter(|entry| entry.key() == key).cloned();
        self.before(key).into_iter().chain(all).collect()
    }

    fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.asked.iter().flat_map(|request| match request {
            Request::Write { operation, .. } => std::slice::from_ref(operation),
            Request::Batch { operations, .. } => operations,
            Request::Resolve(resolution) => std::slice::from_ref(&resolution.operation),
            _ => &[],
        })
    }

    fn resolutions(&self) -> impl Iterator<Item = (usize, &Resolution)> {
        let requests = self.asked.iter().enumerate();
        requests.filter_map(|(place, request)| match request {
            Request::Resolve(resolution) => Some((place, resolution)),
            _ => None,
        })
    }

    /// Checks a write of this node. One that no program asked for has to be made by a policy, and flagged as such.
    fn check_own(&self, entry: &Entry) {
        if entry.flags.contains(EntryFlags::REWRITTEN_BY_POLICY) {
            return self.check_rewritten_by_policy(entry);
        }
        if let Some(record) = LineageRecord::of(entry) {
            let last = record.authors.last().map(|(author, _)| *author);
            let identity = self.running.store.committer.ledger().origin;
            assert_eq!((record.identity, last), (identity, Some(self.author)));
            return;
        }
        let is_asked = self.operations().any(|operation| {
            operation.key() == entry.key() && operation.value() == entry.value().unwrap_or_default()
        });
        let mut dropped = self.committed.dropped.iter();
        if entry.is_tombstone() && dropped.any(|one| sibling_key(&one.key, one.dot) == entry.key())
        {
            // A resolution's write is checked by itself.
            return;
        }
        let is_resolved = self.resolutions().any(|(_, resolution)| {
            let user_key = &resolution.operation.key()[1..];
            let mut losers = resolution.losers.iter();
            entry.is_tombstone() && losers.any(|loser| sibling_key(user_key, *loser) == entry.key())
        });
        let is_made_again = || {
            let before = self.before(entry.key());
            let is_removed =
                before.is_some_and(|before| before.is_tombstone() && self.is_own(before.dot));
            let mut kept = self.committed.entries().filter_map(|(other, from)| {
                let loser = loser_of(other).filter(|_| from.is_none())?;
                self.is_own(loser.dot).then_some(loser)
            });
            let of = |loser: &Entry| user_key_in(entry.key()) == loser.key().get(1..);
            entry.is_tombstone() && is_removed && kept.any(|loser| of(&loser))
        };
        assert!(
            is_asked || is_resolved || is_made_again(),
            "nobody asked for {entry:?} of this node, and no policy says that it made it"
        );
    }

    /// Checks a write made by a policy: *keepLocal* and *keepRemote* rewrite a version that would lose, only where
    /// this node wrote one of the two, and only once.
    fn check_rewritten_by_policy(&self, entry: &Entry) {
        if !self.knowledge.is_sure(entry.key()) {
            return;
        }
        let versions = self.versions(entry.key());
        let is_due = |winner: &Entry, loser: &Entry| {
            winner.order(loser).is_gt()
                && self.knowledge.is_conflict(winner, loser)
                && self.knowledge.knows(entry, winner)
                && self.knowledge.knows(entry, loser)
                && entry.value() == loser.value()
                && self.speaks(winner, loser)
        };
        let mut pairs = versions
            .iter()
            .flat_map(|winner| versions.iter().map(move |loser| (winner, loser)));
        assert!(
            pairs.any(|(winner, loser)| is_due(winner, loser)),
            "{:?} has no reason to write {entry:?}: there is {versions:?}",
            self.policy
        );
    }

    /// True if this node's policy makes it rewrite a loser.
    fn speaks(&self, winner: &Entry, loser: &Entry) -> bool {
        let own = match self.policy {
            ConflictPolicy::KeepLocal => loser,
            ConflictPolicy::KeepRemote => winner,
            ConflictPolicy::LastWriteWins | ConflictPolicy::Manual => return false,
        };
        self.is_own(own.dot) && !own.flags.contains(EntryFlags::REWRITTEN_BY_POLICY)
    }

    /// The losers of a user's key that are kept once the group is installed, and those that were kept before or came
    /// with it.
    fn siblings(&self, user_key: &[u8]) -> (Vec<Entry>, Vec<Entry>) {
        let mut newest = BTreeMap::new();
        let mut met = Vec::new();
        let held = super::checks::all_rows(&self.running.store.map).map(|(.., entry)| entry);
        let planned = self.committed.entries().map(|(entry, _)| entry.clone());
        for entry in held.chain(planned) {
            if user_key_in(entry.key()) == Some(user_key) {
                met.extend(loser_of(&entry));
                newest.insert(entry.key().to_vec(), entry);
            }
        }
        let kept = newest.values().filter_map(loser_of);
        (kept.filter(|loser| !loser.is_tombstone()).collect(), met)
    }

    /// Checks that no key has more siblings than allowed, and that those removed for it are known to another version
    /// or reported as lost. Returns the latter.
    fn check_dropped(&self, siblings_max: usize) -> Vec<Entry> {
        let brought = self.committed.entries().map(|(entry, _)| entry);
        let brought = brought.filter(|entry| loser_of(entry).is_some());
        for key in brought.filter_map(|entry| user_key_in(entry.key())) {
            let kept = self.siblings(key).0.len();
            assert!(
                kept <= siblings_max,
                "{kept} losers of {key:?} are kept, and not {siblings_max}"
            );
        }
        let mut lost = Vec::new();
        for dropped in &self.committed.dropped {
            let met = self.siblings(&dropped.key).1;
            let stored = [&[Namespace::User as u8], &dropped.key[..]].concat();
            let loser = met.iter().find(|loser| loser.dot == dropped.dot);
            let loser = loser.expect("what is dropped was kept");
            let mut versions = self.versions(&stored);
            versions.extend(met.iter().filter(|other| *other != loser).cloned());
            let is_known = versions
                .iter()
                .any(|other| other != loser && self.knowledge.knows(other, loser));
            assert!(
                dropped.is_open || is_known || !self.knowledge.is_sure(&stored),
                "{loser:?} is dropped as one that is known, and nobody knows it"
            );
            lost.extend(dropped.is_open.then(|| loser.clone()));
        }
        lost
    }

    /// Checks a resolution: its write knows all versions, and their siblings are removed. `place`: of its request in
    /// the group.
    fn check_resolution(&self, place: usize, resolution: &Resolution) {
        let operation = &resolution.operation;
        if !self.knowledge.is_sure(operation.key()) {
            return;
        }
        let planned = || self.committed.entries().map(|(entry, _)| entry);
        // An equal write may be in the group, by a program that knew of no conflict. A write that a policy repeats is
        // no program's operation.
        let made = planned().filter(|entry| {
            entry.dot.origin == self.author
                && !entry.flags.contains(EntryFlags::REWRITTEN_BY_POLICY)
                && entry.key() == operation.key()
                && entry.is_tombstone() == operation.is_removal()
                && entry.value().unwrap_or_default() == operation.value()
        });
        let made: Vec<&Entry> = made.collect();
        let alike = self.operations().filter(|other| *other == operation);
        // The removal of a key that does not exist makes no write, also after another removal in this group.
        let does_nothing = operation.is_removal() && made.len() < alike.count();
        if made.is_empty() || does_nothing {
            return;
        }
        for loser in &resolution.losers {
            let key = sibling_key(&operation.key()[1..], *loser);
            let before = self.before(&key);
            let Some((held, kept)) = before.and_then(|kept| Some((loser_of(&kept)?, kept))) else {
                continue;
            };
            let is_removal = |entry: &Entry| entry.key() == key && entry.is_tombstone();
            let mut came = self.came().filter(|(at, _)| *at < place);
            if came.any(|(_, entry)| is_removal(entry) && entry.order(&kept).is_gt()) {
                // Another node has settled the conflict before, with a write that knows of the loser.
                continue;
            }
            let mut earlier = self.resolutions().filter(|(at, _)| *at < place);
            let mut dropped = self.committed.dropped.iter();
            if dropped.any(|dropped| sibling_key(&dropped.key, dropped.dot) == key) {
                // The sibling was dropped by the limit before the resolution was planned.
                continue;
            }
            if earlier.any(|(_, other)| {
                let is_of_it = other.operation.key() == operation.key();
                is_of_it && other.operation.is_removal() && other.losers.contains(loser)
            }) {
                // This node has settled it before by a removal, which made no write if the key was removed already.
                continue;
            }
            assert!(
                made.iter().any(|made| self.knowledge.knows(made, &held)),
                "{made:?} settles a conflict without knowing {held:?}"
            );
            let is_gone = planned().any(is_removal);
            assert!(is_gone, "{made:?} settles a conflict and leaves {held:?}");
        }
    }
}

impl World<'_> {
    /// Checks a group that is written and not installed yet: its conflicts are handled as the policy says, and
    /// reported once.
    pub(super) fn check_conflicts(
        &mut self,
        node: usize,
        asked: &[Request],
        committed: &Committed,
    ) {
        let running = self.nodes[node].up();
        let look = Look {
            running,
            asked,
            committed,
            policy: self.nodes[node].plan.policy,
            knowledge: &self.knowledge,
            author: running.store.committer.ledger().authorship.current,
        };
        let told = self.check_reported(node, &look);
        self.check_planned(node, &look, &told);
        for (_, entry) in look.came().filter(|(_, entry)| is_user(entry)) {
            self.check_met(node, &look, &told, entry);
        }
        for (place, resolution) in look.resolutions() {
            look.check_resolution(place, resolution);
        }
        let lost = look.check_dropped(self.nodes[node].plan.siblings_max);
        self.dropped.extend(lost);
        let running = self.nodes[node].up_mut();
        running.losers = told;
        running.losers_told += committed.losers.len() as u64;
    }

    /// Checks the losers that a group reports: each lost against a concurrent write, and none is reported twice. Returns
    /// all that were reported so far.
    fn check_reported(&self, node: usize, look: &Look<'_>) -> BTreeSet<Dot> {
        let mut told = look.running.losers.clone();
        for loser in &look.committed.losers {
            let is_new = told.insert(loser.dot);
            assert!(is_new, "{node} tells of {loser:?} twice");
            self.check_is_written(node, loser);
            let versions = look.versions(loser.key());
            let is_due = versions
                .iter()
                .any(|other| look.knowledge.is_conflict(other, loser));
            // Copies write their lineage under one key until they are noticed, and one of two records is lost.
            let is_untold = || {
                let surviving = self.surviving_lineage();
                let is_apart = |other: &Entry| other.is_concurrent_with(loser, &surviving);
                self.excuses.repeats_numbers() && versions.iter().any(is_apart)
            };
            assert!(
                is_due || !look.knowledge.is_sure(loser.key()) || is_untold(),
                "{node} tells of {loser:?}, which is no conflict"
            );
        }
        told
    }

    /// Checks that a loser is reported, unless nobody can be sure of it.
    fn check_is_told(&self, node: usize, look: &Look<'_>, told: &BTreeSet<Dot>, loser: &Entry) {
        assert!(
            told.contains(&loser.dot)
                || self.nodes[node].is_hurt
                || !look.knowledge.is_sure(loser.key()),
            "{node} does not tell that {loser:?} is lost"
        );
    }

    /// Checks the entries that a group makes: writes of this node, and the losers that it keeps.
    fn check_planned(&self, node: usize, look: &Look<'_>, told: &BTreeSet<Dot>) {
        for (entry, from) in look.committed.entries() {
            let loser = loser_of(entry);
            match (from, &loser) {
                (None, Some(loser)) => {
                    assert_eq!(
                        look.policy,
                        ConflictPolicy::Manual,
                        "{node} keeps {loser:?}"
                    );
                    self.check_is_told(node, look, told, loser);
                }
                (None, None) => look.check_own(entry),
                (Some(_), _) => {}
            }
            if from.is_none() && entry.key()[0] == Namespace::Conflict as u8 {
                assert!(
                    loser.is_some() || entry.is_tombstone(),
                    "{node} keeps a loser as another write: {entry:?}"
                );
            }
        }
    }

    /// Checks a user's entry that came from a peer and met another one in a conflict: one of the two is reported as
    /// lost, or rewritten by the policy.
    fn check_met(&self, node: usize, look: &Look<'_>, told: &BTreeSet<Dot>, entry: &Entry) {
        let Some(before) = look.before(entry.key()) else {
            return;
        };
        let is_made = |other: &Entry| {
            other.flags.contains(EntryFlags::REWRITTEN_BY_POLICY) && other.dot.origin == look.author
        };
        let mut versions = look.versions(entry.key()).into_iter();
        let has_met_others =
            versions.any(|other| other != before && other != *entry && !is_made(&other));
        let is_unsure = has_met_others || !look.knowledge.is_sure(entry.key());
        if is_unsure || !look.knowledge.is_conflict(&before, entry) {
            // It cannot be seen from here which of them met.
            return;
        }
        let is_overruled = look
            .committed
            .entries()
            .any(|(other, _)| other.key() == entry.key() && is_made(other));
        let winner_is_new = entry.order(&before).is_gt();
        let (winner, loser) = if winner_is_new {
            (entry, &before)
        } else {
            (&before, entry)
        };
        assert!(
            is_overruled || !look.speaks(winner, loser),
            "{node} does not say {loser:?} once more, which would lose against {winner:?}"
        );
        let lost = if winner_is_new == is_overruled {
            entry
        } else {
            &before
        };
        self.check_is_told(node, look, told, lost);
    }

    /// The lineage of all records that were not overwritten.
    fn surviving_lineage(&self) -> Lineage {
        let all = || self.written.values().flatten();
        let mut newest: BTreeMap<&[u8], &Entry> = BTreeMap::new();
        for record in all().filter(|entry| LineageRecord::of(entry).is_some()) {
            let known = newest.entry(record.key()).or_insert(record);
            if record.order(known).is_gt() {
                *known = record;
            }
        }
        let mut lineage = Lineage::default();
        for record in newest.into_values().filter_map(LineageRecord::of) {
            lineage.add(&record);
        }
        lineage
    }

    /// Checks that the conflicts shown equal those found by examining every entry.
    pub(super) fn check_open_conflicts(&self, place: usize, held: &BTreeMap<Vec<u8>, Entry>) {
        let map = &self.nodes[place].up().store.map;
        let kept = losers_among(held.values());
        assert!(
            kept.is_empty() || map.has_siblings().unwrap(),
            "{place} does not know that it keeps losers"
        );
        let is_sure = |key: &[u8]| self.knowledge.is_sure(key);
        for (key, losers) in kept.into_iter().filter(|(key, _)| is_sure(key)) {
            let shown = kept_of(map, &key[1..]).unwrap();
            let shown = map.open_conflict(shown).unwrap();
            let shown = shown.map(|shown| shown.losers).unwrap_or_default();
            let shown: BTreeSet<Dot> = shown.iter().map(|loser| loser.dot).collect();
            let Some(current) = held.get(&key) else {
                assert!(shown.is_empty());
                continue;
            };
            let open: Vec<&Entry> = losers
                .iter()
                .filter(|loser| {
                    !self.knowledge.knows(loser, current) && !self.knowledge.knows(current, loser)
                })
                .collect();
            let is_known = |loser: &Entry| {
                let mut others = open.iter().filter(|other| other.dot != loser.dot);
                others.any(|other| other.order(loser).is_gt() && self.knowledge.knows(other, loser))
            };
            let recounted = open.iter().filter(|loser| !is_known(loser));
            let recounted: BTreeSet<Dot> = recounted.map(|loser| loser.dot).collect();
            // Where a copy's record has replaced another one, a conflict may be shown that is none, but none is
            // missed.
            let is_untold = || {
                let surviving = self.surviving_lineage();
                let mut more = losers
                    .iter()
                    .filter(|loser| shown.contains(&loser.dot) && !recounted.contains(&loser.dot));
                self.excuses.repeats_numbers()
                    && shown.is_superset(&recounted)
                    && more.all(|loser| loser.is_concurrent_with(current, &surviving))
            };
            let is_right = shown == recounted || is_untold();
            assert!(
                is_right,
                "the conflicts of {place} are no recount: {shown:?} and {recounted:?}"
            );
        }
        let running = self.nodes[place].up();
        assert!(
            running.losers_told == running.losers.len() as u64,
            "{place} counts {} losers, and has told of {}",
            running.losers_told,
            running.losers.len()
        );
    }

    /// Checks that where every node keeps losers, each write that some log held is still there, or was replaced
    /// knowingly.
    pub(super) fn check_nothing_overruled(&self) {
        if !self.is_unambiguous {
            return;
        }
        let left = || self.nodes.iter().filter(|node| !node.is_lost);
        if self
            .nodes
            .iter()
            .any(|node| node.plan.policy != ConflictPolicy::Manual)
        {
            return;
        }
        for node in left() {
            let rows = super::checks::all_rows(&node.up().store.map);
            let all: Vec<Entry> = rows.map(|(.., entry)| entry).collect();
            let kept = losers_among(all.iter());
            let writes = node.vouched.values();
            for write in writes.filter(|write| self.knowledge.is_sure(write.key())) {
                let mut dropped = self.dropped.iter();
                if dropped.any(|dropped| self.knowledge.knows(dropped, write)) {
                    // There were too many siblings, and the loss was reported.
                    continue;
                }
                let versions = kept.get(write.key()).into_iter().flatten();
                let mut versions =
                    versions.chain(all.iter().filter(|held| held.key() == write.key()));
                assert!(
                    versions.any(|held| self.knowledge.knows(held, write)),
                    "{write:?} was overruled, and nobody kept it"
                );
            }
        }
    }
}
