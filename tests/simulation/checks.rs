//! Invariants of nodes at all times, checked from outside. The numbers are those of `docs/internals/replication.md`,
//! section 7.

use std::ops::Bound;

use super::conflicts::{is_made_of_others, name_of};
use super::forgeries::is_sound;
use super::world::World;
use crate::core::identity::Origin;
use crate::store::commit::committer::Committed;
use crate::store::commit::ledger::FeedPosition;
use crate::store::conflict::policy::{loser_of, user_key_in};
use crate::store::entry::{Entry, Namespace};
use crate::store::lineage::identity_in;
use crate::store::state::map::EntryMap;
use crate::sync::message::Stream;
use crate::sync::options::AckPolicy;
use crate::sync::outbox::held_back::is_covered;

impl World<'_> {
    /// Checks a store that was opened. `goes_on`: as if it had never been closed.
    pub(super) fn check_opened(&mut self, node: usize, goes_on: bool) {
        self.check_is_not_lost(node);
        self.check_cursors_of_opened(node);
        let ledger = self.nodes[node].up().store.committer.ledger();
        let author = ledger.authorship.current;
        if self.nodes[node].plan.options.durable {
            for (peer, held) in &ledger.cursors {
                let most = self.held.entry(*peer).or_default();
                let most = most.entry(node).or_default();
                *most = held.own.max(*most);
            }
        }
        let rows = self.check_epoch_of_opened(node, goes_on);
        let lineage = self.nodes[node].up().store.map.lineage().clone();
        let is_own = |dot| lineage.is_own(author, dot);
        for (_, entry) in rows {
            self.check_is_written(node, &entry);
            if is_own(entry.dot) && loser_of(&entry).is_none() {
                // The entry may have been written by a commit that failed.
                self.told.entry(entry.dot).or_insert_with(|| entry.clone());
            }
            if self.nodes[node].plan.options.durable {
                self.nodes[node].remember(entry);
            }
        }
        self.check_totals(node);
        for holder in 0..self.nodes.len() {
            self.check_holdings(holder);
        }
    }

    /// Invariant 1: a store that was opened holds everything that was durable in it.
    fn check_is_not_lost(&self, node: usize) {
        let map = &self.nodes[node].up().store.map;
        for (key, durable) in &self.nodes[node].witness {
            let found = map.entry(key).unwrap();
            assert!(
                found
                    .as_ref()
                    .is_some_and(|found| found.order(durable).is_ge()),
                "1: {node} lost what was acknowledged: {durable:?}, found {found:?}"
            );
        }
    }

    /// Invariant 3: a store that was opened holds as much of each peer's feed as the peer takes for acknowledged.
    fn check_cursors_of_opened(&self, node: usize) {
        let ledger = self.nodes[node].up().store.committer.ledger();
        let origin = ledger.origin;
        for (other, peer) in self.nodes.iter().enumerate() {
            let Some(peer) = peer.running.as_ref().filter(|_| other != node) else {
                continue;
            };
            let said = peer.machine.replica.recorded_of(origin).unwrap_or_default();
            let held = ledger.cursors.get(&peer.machine.replica.origin());
            let held = held.copied().unwrap_or_default();
            if self.has_prefixes {
                // The cursor may have begun anew, for more keys than were acknowledged before.
                self.check_is_held(other, node);
                continue;
            }
            let is_same = held.incarnation == said.incarnation;
            assert!(
                self.excuses.repeats_numbers()
                    || self
                        .overlapped
                        .contains(&(node.min(other), node.max(other)))
                    || !self.nodes[node].plan.options.durable
                    || said == FeedPosition::default()
                    || self.held_before(peer.machine.replica.origin(), node) >= Some(said.own)
                    || (!is_same && peer.store.committer.ledger().is_reached(&held))
                    || (said.own <= held.own && said.relay <= held.relay),
                "3: {other} takes {said:?} for acknowledged by {node}, which holds {held:?}"
            );
        }
    }

    /// Invariant 5: a store opens with a new epoch of its feed, in which each place names one entry. Returns its rows.
    fn check_epoch_of_opened(&mut self, node: usize, goes_on: bool) -> Vec<(u64, Entry)> {
        let opened = self.nodes[node].up();
        let (map, ledger) = (&opened.store.map, opened.store.committer.ledger());
        let incarnation = ledger.incarnation();
        let last = ledger.last_lseq;
        let chain = &ledger.epochs;
        let begins_anew = chain
            .iter()
            .filter(|link| link.incarnation == incarnation)
            .count();
        assert_eq!(
            begins_anew, 1,
            "5: {node} goes on in the stretch of an earlier opening"
        );
        let rows: Vec<(u64, Entry)> = all_rows(map)
            .map(|(_, lseq, entry)| (lseq, entry))
            .collect();
        assert!(
            goes_on || !self.feeds.contains_key(&incarnation),
            "5: {node} opens with a stretch that there was"
        );
        let feed = self.feeds.entry(incarnation).or_default();
        for (lseq, entry) in &rows {
            assert!(
                *lseq <= last,
                "5: {node} has an entry at {lseq} behind {last}"
            );
            feed.entry(*lseq).or_default().insert(name_of(entry));
        }
        rows
    }

    /// Furthest position to which a node was ever known to hold the own writes of an identity that replaced another
    /// one.
    fn held_before(&self, identity: Origin, node: usize) -> Option<u64> {
        let held = self.held.get(&identity);
        let held = held.filter(|_| self.successors.contains(&identity));
        held.and_then(|held| held.get(&node).copied())
    }

    /// Checks that some node wrote the entry, or the write that it keeps as a sibling.
    pub(super) fn check_is_written(&self, node: usize, entry: &Entry) {
        let known = self.written.get(&entry.dot);
        let loser = loser_of(entry);
        let write = loser.as_ref().unwrap_or(entry);
        assert!(
            known.is_some_and(|known| known.contains(write)),
            "{node} has what nobody wrote: {entry:?}, of that number are {known:?}"
        );
    }

    /// Invariant 6: the totals equal a recount.
    pub(super) fn check_totals(&self, node: usize) {
        let map = &self.nodes[node].up().store.map;
        if map.base_unknown() == 0 && !self.nodes[node].is_hurt {
            let recounted = map.recount().unwrap();
            assert_eq!(
                map.totals(),
                recounted,
                "6: the totals of {node} are no recount"
            );
            self.check_user_keys(node);
        }
    }

    /// Section 3: only keys of users are counted, and are rows.
    fn check_user_keys(&self, node: usize) {
        let running = self.nodes[node].up();
        let map = &running.store.map;
        let (mut live, mut own) = (0, 0);
        for entry in map.range_from(Bound::Unbounded).map(Result::unwrap) {
            if entry.key().first() == Some(&(Namespace::User as u8)) {
                live += u64::from(!entry.is_tombstone());
                let held = map.held_entry(entry.key()).unwrap();
                own += u64::from(held.is_some_and(|held| held.via == 0));
            }
        }
        let totals = map.totals();
        assert_eq!(
            (totals.live, totals.own),
            (live, own),
            "{node} counts other keys than those of users"
        );
    }

    /// Checks a group that is written and not installed yet.
    pub(super) fn check_committed(&mut self, node: usize, committed: &Committed) {
        let running = self.nodes[node].up();
        let is_unsynced = self.nodes[node].plan.options.durable && !running.store.is_synced();
        let entries: Vec<(Entry, Option<Origin>)> = committed
            .entries()
            .map(|(entry, from)| (entry.clone(), from))
            .collect();
        let first = committed.last_lseq + 1 - entries.len() as u64;
        let others: Vec<u64> = running.machine.acquaintances().map(|(id, ..)| id).collect();
        for (entry, before) in self.check_versions(node, &entries) {
            self.check_own_write(node, &entry, before.as_ref());
        }
        for (place, (entry, from)) in entries.into_iter().enumerate() {
            let lseq = first + place as u64;
            self.check_place(node, lseq, &entry);
            let is_kept_here = from.is_none() && loser_of(&entry).is_some();
            if is_kept_here {
                self.check_is_written(node, &entry);
            } else if from.is_none() {
                self.check_made(node, &entry);
            } else {
                self.check_received(node, &entry, &others);
            }
            self.nodes[node].up_mut().volatile.push((lseq, entry));
        }
        self.note_cursors(node, committed, is_unsynced);
    }

    /// Invariant 6: each entry of a group replaces a smaller one, and the versions of a key count on. Returns the
    /// entries made here, each with the one that it replaces.
    fn check_versions(
        &self,
        node: usize,
        entries: &[(Entry, Option<Origin>)],
    ) -> Vec<(Entry, Option<Entry>)> {
        let map = &self.nodes[node].up().store.map;
        let mut newest: std::collections::BTreeMap<Vec<u8>, Entry> =
            std::collections::BTreeMap::new();
        let mut own: Vec<(Entry, Option<Entry>)> = Vec::new();
        for (entry, from) in entries {
            let before = newest.get(entry.key()).cloned();
            let before = before.or_else(|| {
                map.entry(entry.key())
                    .ok()
                    .flatten()
                    .map(std::borrow::Cow::into_owned)
            });
            if from.is_none() {
                own.push((entry.clone(), before.clone()));
            }
            if let Some(before) = before {
                assert!(
                    entry.order(&before).is_gt(),
                    "6: {node} replaces {before:?} with {entry:?}, which is not greater"
                );
                let is_next = entry.version == before.version + 1
                    || entry.version > before.version && is_made_of_others(entry);
                // Two contents under one number would both be kept in one place.
                let user_key = user_key_in(entry.key()).map(|key| [&[0], key].concat());
                let is_sure = user_key.is_none_or(|key| self.knowledge.is_sure(&key));
                assert!(
                    from.is_some() || is_next || !is_sure,
                    "the version of a key does not count on at {node}: {before:?} and {entry:?}"
                );
            }
            newest.insert(entry.key().to_vec(), entry.clone());
        }
        own
    }

    /// Invariant 5: a place of a feed names one entry, of which all parts fit together.
    fn check_place(&mut self, node: usize, lseq: u64, entry: &Entry) {
        let incarnation = self.nodes[node].up().store.committer.ledger().incarnation();
        let named = self
            .feeds
            .entry(incarnation)
            .or_default()
            .entry(lseq)
            .or_default();
        assert!(
            named.is_empty() || self.excuses.went_back_unnoticed,
            "5: place {lseq} of one stretch names {named:?} and {entry:?}"
        );
        named.insert(name_of(entry));
        assert!(
            is_sound(entry),
            "{node} takes in what nobody can have written: {entry:?}"
        );
    }

    /// Checks a write of this node, whose number was never given before, and takes it in as written.
    fn check_made(&mut self, node: usize, entry: &Entry) {
        let ledger = self.nodes[node].up().store.committer.ledger();
        assert_eq!(entry.dot.origin, ledger.authorship.current);
        let told = self.told.insert(entry.dot, entry.clone());
        assert!(
            told.is_none(),
            "1: {node} gave a number twice: {told:?} and {entry:?}"
        );
        self.written
            .entry(entry.dot)
            .or_default()
            .push(entry.clone());
    }

    /// Checks an entry that came from a peer, and notes whether it shows that this node's identity has another user.
    fn check_received(&mut self, node: usize, entry: &Entry, others: &[u64]) {
        let running = self.nodes[node].up();
        let ledger = running.store.committer.ledger();
        let (origin, author) = (ledger.origin, ledger.authorship.current);
        let lineage = running.store.map.lineage();
        self.check_is_written(node, entry);
        assert!(
            running.machine.scope.contains(entry.key()),
            "rule 9: {node} takes in {entry:?}, which is not within its prefixes"
        );
        let is_identity = lineage.identity_of(entry.dot.origin) == origin;
        let is_by_own = lineage.is_own(author, entry.dot);
        let is_own = is_identity && is_by_own && loser_of(entry).is_none();
        // Another node has written under this node's identity from which of its writes it goes on.
        let is_of_twin = identity_in(entry.key()) == Some(origin) && !is_by_own;
        if is_own || is_of_twin {
            self.nodes[node].up_mut().disowned = Some(origin);
        }
        let came = &mut self.nodes[node].up_mut().came;
        came.insert(name_of(entry), (self.at, others.to_vec()));
    }

    /// Records up to which positions peers' feeds are held with a group.
    fn note_cursors(&mut self, node: usize, committed: &Committed, is_unsynced: bool) {
        let is_durable = self.nodes[node].plan.options.durable;
        let running = self.nodes[node].up_mut();
        for (_, peer, position, _) in &committed.acknowledge {
            if is_unsynced {
                running.volatile_cursors.push((*peer, *position));
            }
            if is_durable {
                let held = self.held.entry(*peer).or_default();
                let held = held.entry(node).or_default();
                *held = position.own.max(*held);
            }
        }
    }

    /// Checks a node after each of its steps.
    pub(super) fn check_node(&self, node: usize) {
        let running = self.nodes[node].up();
        let (replica, map) = (&running.machine.replica, &running.store.map);
        if map.base_unknown() == 0 && !self.nodes[node].is_hurt {
            let recounted = replica.recount(map);
            assert_eq!(
                replica.rows(map),
                recounted,
                "7: the counters of {node} are no recount"
            );
        }
        let ledger = running.store.committer.ledger();
        assert!(replica.durable() <= ledger.last_lseq);
        let watermarks = replica.watermarks();
        let mut held: Vec<u64> = self
            .held
            .get(&replica.origin())
            .into_iter()
            .flatten()
            .map(|(_, held)| *held)
            .collect();
        held.sort_unstable_by(|a, b| b.cmp(a));
        let needed = match self.nodes[node].plan.options.ack_policy {
            AckPolicy::Count(needed) if !self.has_prefixes => needed,
            _ => 1,
        };
        let most = held.get(needed - 1).copied().unwrap_or(0);
        assert!(
            watermarks.acknowledged <= most || !self.nodes[node].plan.options.durable,
            "7: {node} counts rows up to {} as acknowledged, but not {needed} logs ever held more than {most}: {held:?}",
            watermarks.acknowledged
        );
        for (id, peer, said) in replica.acknowledged_links() {
            self.check_acknowledged(node, id, peer, (said.own, said.relay));
        }
    }

    fn check_acknowledged(&self, node: usize, id: u64, peer: Origin, said: (u64, u64)) {
        let Some((line, side)) = self.ends.get(&id) else {
            return;
        };
        let place = self.lines[line].ends[1 - side].node;
        if self
            .overlapped
            .contains(&(node.min(place), node.max(place)))
        {
            return;
        }
        let other = &self.nodes[place];
        let Some(other) = other.running.as_ref() else {
            return;
        };
        if other.machine.replica.origin() != peer || self.excuses.repeats_numbers() {
            return;
        }
        let cursors = &other.store.committer.ledger().cursors;
        let cursor = cursors.get(&self.nodes[node].up().machine.replica.origin());
        let (own, relay) = cursor.map_or((0, 0), |cursor| (cursor.own, cursor.relay));
        assert!(
            said.0 <= own && said.1 <= relay,
            "3: {node} thinks that its peer on {id} holds {said:?}, but it holds {cursor:?}"
        );
    }

    /// Invariant 2: a node holds at least everything up to its cursors. Skipped where a disk went back in time or has
    /// a twin: entries replaced before a cursor passed them may be back, a hint may name a number that was given
    /// again, and a cursor may be one on the twin's feed. Only the comparison of states notices that, as it does wrong
    /// hints.
    pub(super) fn check_holdings(&self, node: usize) {
        if self.excuses.repeats_numbers() || self.excuses.lied || self.nodes[node].is_hurt {
            return;
        }
        let Some(holder) = &self.nodes[node].running else {
            return;
        };
        let ledger = holder.store.committer.ledger();
        for (other, peer) in self.nodes.iter().enumerate() {
            let is_hurt = peer.is_hurt;
            let Some(peer) = peer.running.as_ref().filter(|_| other != node && !is_hurt) else {
                continue;
            };
            let Some(cursor) = ledger.cursors.get(&peer.machine.replica.origin()) else {
                continue;
            };
            if !peer.store.committer.ledger().is_reached(cursor) {
                continue;
            }
            let scope = ledger.scope_of(peer.machine.replica.origin());
            for (stream, lseq, entry) in all_rows(&peer.store.map) {
                let held = peer.store.map.at(lseq).unwrap();
                let is_covered =
                    held.is_some_and(|held| is_covered(cursor, &held, stream, &peer.store.map));
                let limit = self.nodes[node].plan.options.value_bytes_max;
                let is_refused = entry.value_length() as u64 > limit
                    || peer.machine.replica.is_rejected(ledger.origin, lseq);
                if !is_covered || is_refused || !scope.contains(entry.key()) {
                    continue;
                }
                let mine = holder.store.map.entry(entry.key()).unwrap();
                assert!(
                    mine.as_ref().is_some_and(|mine| mine.order(&entry).is_ge()),
                    "2: the cursor of {node} on {other} is {cursor:?}, but it lacks {entry:?} at {lseq}: it has {mine:?}"
                );
            }
        }
    }

    /// Invariant 9: an accepted write can be read, whatever became of its delivery.
    pub(super) fn check_readable(&self) {
        for (place, node) in self.nodes.iter().enumerate() {
            let Some(running) = node.running.as_ref().filter(|_| !node.is_hurt) else {
                continue;
            };
            let volatile = running.volatile.iter().map(|(_, entry)| entry);
            for entry in node.witness.values().chain(volatile) {
                let found = running.store.map.entry(entry.key()).unwrap();
                assert!(
                    found
                        .as_ref()
                        .is_some_and(|found| found.order(entry).is_ge()),
                    "9: {place} had accepted {entry:?}, and has {found:?}"
                );
            }
        }
    }
}

/// All rows of both streams, with their places.
pub(super) fn all_rows(map: &EntryMap) -> impl Iterator<Item = (Stream, u64, Entry)> {
    let own = map.own_after(0).map(|held| (Stream::Own, held.unwrap()));
    let relay = map
        .relay_after(0)
        .map(|held| (Stream::Relay, held.unwrap()));
    own.chain(relay)
        .map(|(stream, held)| (stream, held.lseq, held.entry.clone()))
}
