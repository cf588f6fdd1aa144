//! Nodes that exchange a part of the keys (`docs/internals/replication.md`, rule 5.9): invariants of scoped
//! connections. The final states are compared key by key: nodes between which connections carry a key agree on it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::checks::all_rows;
use super::world::World;
use crate::node::machine::conversation::ConversationId;
use crate::store::entry::Entry;
use crate::sync::outbox::held_back::is_covered;

impl World<'_> {
    /// Rule 9: both ends want every entry that is sent.
    pub(super) fn check_is_carried(&self, node: usize, id: ConversationId, entries: &[Entry]) {
        let (line, _) = self.ends[&id];
        for end in &self.lines[&line].ends {
            let Some(wanted) = &end.seen.wanted else {
                continue;
            };
            let stray = entries.iter().find(|entry| !wanted.contains(entry.key()));
            assert!(
                stray.is_none(),
                "rule 9: {node} sends {stray:?} on {id}, of which {} wants {wanted:?}",
                end.node
            );
        }
    }

    /// Invariant 3: rows that a node takes for acknowledged by another one are there.
    pub(super) fn check_is_held(&self, node: usize, holder: usize) {
        let is_excused = self.excuses.repeats_numbers() || self.excuses.lied;
        if is_excused || [node, holder].iter().any(|node| self.nodes[*node].is_hurt) {
            return;
        }
        let (Some(running), Some(there)) = (
            self.nodes[node].running.as_ref(),
            self.nodes[holder].running.as_ref(),
        ) else {
            return;
        };
        let origin = there.machine.replica.origin();
        if !self.nodes[holder].plan.options.durable {
            return;
        }
        let replica = &running.machine.replica;
        let Some((said, scope)) = replica.recorded_in(origin) else {
            return;
        };
        for (stream, lseq, entry) in all_rows(&running.store.map) {
            let map = &running.store.map;
            let own = map.held_entry(entry.key()).unwrap();
            let is_covered = own.is_some_and(|own| is_covered(&said, &own, stream, map));
            let limit = self.nodes[holder].plan.options.value_bytes_max;
            let is_refused =
                entry.value_length() as u64 > limit || replica.is_rejected(origin, lseq);
            if !is_covered || is_refused || !scope.contains(entry.key()) {
                continue;
            }
            let held = there.store.map.entry(entry.key()).unwrap();
            assert!(
                held.as_ref().is_some_and(|held| held.order(&entry).is_ge()),
                "3: {node} takes {said:?} in {scope:?} for acknowledged by {holder}, which lacks {entry:?} at {lseq}: \
                 it has {held:?}"
            );
        }
    }

    /// Rows of a node that fewer than needed of its connected peers take whose acknowledgement counts.
    pub(super) fn rows_of_nobody(&self, node: usize) -> u64 {
        if !self.has_prefixes {
            return 0;
        }
        let needed = self.needed(node);
        let running = self.nodes[node].up();
        let (replica, map) = (&running.machine.replica, &running.store.map);
        let is_durable = self.nodes[node].plan.options.durable;
        let peers = replica.report(map).unwrap().peers;
        let counting: BTreeSet<_> = peers
            .iter()
            .filter(|peer| peer.durable || !is_durable)
            .map(|peer| peer.origin)
            .collect();
        let others = self.nodes.iter().enumerate();
        let scopes: Vec<_> = others
            .filter(|(place, _)| self.is_near(node, *place))
            .filter_map(|(place, other)| {
                let origin = other.running.as_ref()?.machine.replica.origin();
                let counts = counting.contains(&origin);
                counts.then(|| self.carried(node, place))
            })
            .collect();
        let is_nobodys = |key: &[u8]| {
            let takers = scopes.iter().filter(|scope| scope.contains(key));
            takers.count() < needed
        };
        let rows = map.own_after(0).map(Result::unwrap);
        rows.filter(|held| is_nobodys(held.entry.key())).count() as u64
    }

    /// True if two nodes exchange anything: a peer that a node knows only by a copy that it met does not count.
    pub(super) fn is_near(&self, node: usize, other: usize) -> bool {
        self.edges.contains(&(node.min(other), node.max(other)))
    }

    /// For each node the number of its group: nodes that connections carry a key between are in one group.
    fn groups_of(&self, key: &[u8]) -> Vec<usize> {
        let mut groups: Vec<usize> = (0..self.nodes.len()).collect();
        for (a, b) in &self.edges {
            if self.carried(*a, *b).contains(key) {
                let (from, to) = (groups[*a].max(groups[*b]), groups[*a].min(groups[*b]));
                for group in &mut groups {
                    *group = if *group == from { to } else { *group };
                }
            }
        }
        groups
    }

    /// Checks the final states key by key, as whole states are where connections carry all keys.
    pub(super) fn check_parts(&self) {
        let left: Vec<usize> = (0..self.nodes.len())
            .filter(|node| !self.nodes[*node].is_lost)
            .collect();
        let mut held: BTreeMap<usize, BTreeMap<Vec<u8>, Entry>> = BTreeMap::new();
        let mut keys: BTreeSet<Vec<u8>> = BTreeSet::new();
        for node in &left {
            let map = &self.nodes[*node].up().store.map;
            let entries = map.range_from(Bound::Unbounded);
            let entries = entries.map(|entry| entry.unwrap().into_owned());
            let entries: BTreeMap<_, _> =
                entries.map(|entry| (entry.key().to_vec(), entry)).collect();
            keys.extend(
                self.nodes[*node]
                    .witness
                    .keys()
                    .chain(entries.keys())
                    .cloned(),
            );
            held.insert(*node, entries);
        }
        for key in &keys {
            let groups = self.groups_of(key);
            for group in groups.iter().collect::<BTreeSet<_>>() {
                let members = || left.iter().filter(|node| groups[**node] == *group);
                let known = members().filter_map(|node| self.nodes[*node].witness.get(key));
                let greatest = known.reduce(|a, b| if b.order(a).is_gt() { b } else { a });
                if greatest.is_some_and(|entry| !self.is_taken_by_all(entry)) {
                    continue;
                }
                for node in members() {
                    assert_eq!(
                        held[node].get(key),
                        greatest,
                        "10: {node} differs from what was acknowledged among those who exchange it"
                    );
                }
            }
        }
        for node in &left {
            for entry in held[node].values() {
                self.check_is_written(*node, entry);
            }
            let running = self.nodes[*node].up();
            if running.store.map.base_unknown() == 0 {
                let recounted = running.store.map.recount().unwrap();
                let counted = running.store.map.totals();
                assert_eq!(counted, recounted, "6: the totals of {node} are no recount");
            }
            self.check_outbox(*node, running);
            self.check_kept_rows(*node);
            self.check_open_conflicts(*node, &held[node]);
        }
        if !self.excuses.limited {
            self.check_edges(&held);
            self.check_known();
            self.check_nothing_overruled();
        }
        self.check_assertions();
    }

    /// Checks that the part that a connection carries is equal on both sides.
    fn check_edges(&self, held: &BTreeMap<usize, BTreeMap<Vec<u8>, Entry>>) {
        for (a, b) in &self.edges {
            let scope = self.carried(*a, *b);
            let [mine, theirs] = [a, b].map(|node| {
                let entries = held[node].values();
                let entries = entries.filter(|entry| scope.contains(entry.key()));
                entries.collect::<Vec<_>>()
            });
            assert_eq!(mine, theirs, "10: {a} and {b} differ in {scope:?}");
        }
    }

    /// Invariant 7: rows that no known peer takes stay queued.
    fn check_kept_rows(&self, node: usize) {
        if self.excuses.renewed || self.excuses.lost {
            return;
        }
        let running = self.nodes[node].up();
        let (replica, map) = (&running.machine.replica, &running.store.map);
        let met = replica.peer_status(map).unwrap();
        let rows = map.own_after(0).map(Result::unwrap);
        let is_taken = |key: &[u8]| met.iter().any(|peer| peer.scope.contains(key));
        let kept = rows.filter(|held| !is_taken(held.entry.key())).count() as u64;
        let counts = replica.rows(map);
        assert!(
            counts.queued + counts.in_flight + counts.failed >= kept,
            "7: {kept} rows of {node} are not taken by anybody, and not all of them wait: {counts:?}"
        );
    }
}
