//! Invariants at the end, when all faults have ended and everything had its time. The numbers are those of
//! `docs/internals/replication.md`, section 7.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::checks::all_rows;
use super::node::{Node, Running};
use super::stream::State;
use super::world::{Excuses, World};
use crate::store::entry::Entry;
use crate::sync::message::Stream;
use crate::sync::options::AckPolicy;

impl World<'_> {
    pub(super) fn check_convergence(&self) {
        if self.has_prefixes {
            return self.check_parts();
        }
        let up = || {
            let nodes = self.nodes.iter().enumerate();
            nodes.filter_map(|(place, node)| Some((place, node.running.as_ref()?)))
        };
        // The least that every key must hold: the greatest entry that a log which was spared, or a memory which lives,
        // has acknowledged.
        let mut greatest: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
        for node in self.nodes.iter().filter(|node| !node.is_lost) {
            for (key, entry) in &node.witness {
                let known = greatest.get(key);
                if known.is_none_or(|known| entry.order(known).is_gt()) {
                    greatest.insert(key.clone(), entry.clone());
                }
            }
        }
        for (place, running) in up() {
            let map = &running.store.map;
            let mut held: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
            for entry in map.range_from(Bound::Unbounded) {
                let entry = entry.unwrap().into_owned();
                self.check_is_written(place, &entry);
                held.insert(entry.key().to_vec(), entry);
            }
            for (key, entry) in &greatest {
                if self.is_taken_by_all(entry) {
                    assert_eq!(
                        held.get(key),
                        Some(entry),
                        "10: {place} differs from what was acknowledged"
                    );
                }
            }
            let more = held.keys().find(|key| !greatest.contains_key(*key));
            assert!(more.is_none(), "10: {place} alone has {more:?}");
            if map.base_unknown() == 0 {
                let recounted = map.recount().unwrap();
                assert_eq!(
                    map.totals(),
                    recounted,
                    "6: the totals of {place} are no recount"
                );
            }
            self.check_outbox(place, running);
            self.check_open_conflicts(place, &held);
        }
        if !self.excuses.limited {
            let summaries: Vec<_> = up()
                .map(|(_, running)| running.store.map.summary())
                .collect();
            assert!(
                summaries.iter().all(|summary| *summary == summaries[0]),
                "10: fingerprints differ: {summaries:?}"
            );
            self.check_known();
            self.check_nothing_overruled();
        }
        self.check_assertions();
    }

    /// Pairs of nodes that have one identity, and that meet or have a neighbour in common: no other node can know.
    /// With each, true if only these two have the identity and only they can tell each other.
    pub(super) fn twins(&self) -> Vec<(usize, usize, bool)> {
        let origin = |node: usize| {
            let running = self.nodes[node].running.as_ref();
            running.map(|running| running.machine.replica.origin())
        };
        let nodes = 0..self.nodes.len();
        let pairs = nodes.clone().flat_map(|b| (0..b).map(move |a| (a, b)));
        let twins = pairs.filter_map(|(a, b)| {
            let is_between = |node: usize| self.is_near(a, node) && self.is_near(node, b);
            let has_others = nodes.clone().any(is_between);
            let is_same = origin(a).is_some() && origin(a) == origin(b);
            // A third twin may have told one of these two before.
            let has_third = nodes
                .clone()
                .filter(|node| origin(*node) == origin(a))
                .count()
                > 2;
            let meets = self.is_near(a, b) || has_others;
            // A node that still hears the other's former life gives way, and the other does not learn of it.
            let has_remains = self.lines.values().any(|line| {
                let ends = line.ends.each_ref().map(|end| end.node);
                let is_left = line.ends.iter().any(|end| end.state == State::Shut);
                is_left && [[a, b], [b, a]].contains(&ends)
            });
            let is_theirs = !has_others && !has_third && !has_remains;
            (is_same && meets).then_some((a, b, is_theirs))
        });
        twins.collect()
    }

    /// Section 2: no two nodes have one identity. Both twins are told when they meet; where others know both, these
    /// may find that one of the two has forgotten the other's writes, and that one is told first.
    pub(super) fn check_identities(&self, twins: &[(usize, usize, bool)], since: u64) {
        let left = self.twins();
        assert!(left.is_empty(), "2: {left:?} still have one identity");
        for (place, node) in self.nodes.iter().enumerate() {
            let Some(running) = &node.running else {
                continue;
            };
            // The author of that write is a copy of this node, or this node was itself that once; whether the two ever
            // met or not.
            let origin = running.machine.replica.origin();
            assert!(
                running.disowned != Some(origin),
                "2: {place} was brought what it never wrote as {origin}, and was not told"
            );
        }
        for (a, b, is_theirs) in twins {
            let told = [a, b].map(|node| self.nodes[*node].up().doubted_at);
            // A node that was told of another copy lately is not told again at once: then the other one gives way.
            let is_well = told.iter().flatten().any(|told| *told >= since)
                && (!is_theirs || told.iter().all(Option::is_some));
            assert!(is_well, "2: of the twins {a} and {b} were told: {told:?}");
        }
    }

    pub(super) fn is_taken_by_all(&self, entry: &Entry) -> bool {
        let length = entry.value_length() as u64;
        let mut nodes = self.nodes.iter().filter(|node| !node.is_lost);
        nodes.all(|node| length <= node.plan.options.value_bytes_max)
    }

    /// Checks that every node knows that it is in sync with every node it is connected to.
    pub(super) fn check_known(&self) {
        for (a, b) in &self.edges {
            for (node, other) in [(a, b), (b, a)] {
                let running = self.nodes[*node].up();
                let report = running.machine.replica.report(&running.store.map).unwrap();
                let origin = self.nodes[*other].up().machine.replica.origin();
                let known = report.peers.iter().find(|peer| peer.origin == origin);
                let is_apart = self.carried(*node, *other).is_nothing();
                assert!(
                    known.is_some_and(|peer| peer.in_sync || is_apart),
                    "10: {node} does not know that it is in sync with {other}: {known:?}"
                );
            }
        }
    }

    /// Invariant 7: no row waits that a peer could acknowledge; rule 6: refused entries are on a list.
    pub(super) fn check_outbox(&self, place: usize, running: &Running<'_>) {
        let replica = &running.machine.replica;
        let report = replica.report(&running.store.map).unwrap();
        let (mut refused, mut listed) = (0, 0);
        for (stream, lseq, entry) in all_rows(&running.store.map) {
            let others = self.nodes.iter().enumerate();
            let others = others.filter(|(other, _)| self.is_near(place, *other));
            let limits = others.filter_map(|(other, node)| {
                let peer = node.running.as_ref()?;
                let origin = peer.machine.replica.origin();
                let is_peer = report.peers.iter().any(|other| other.origin == origin);
                let held = peer.store.map.entry(entry.key()).unwrap();
                let is_there = held.is_some_and(|held| held.order(&entry).is_ge());
                let is_too_large = node.plan.options.value_bytes_max < entry.value_length() as u64;
                let is_carried = self.carried(place, other).contains(entry.key());
                (is_peer && is_carried && is_too_large && !is_there).then_some(origin)
            });
            for peer in limits.filter(|_| stream == Stream::Own) {
                refused += 1;
                listed += u64::from(replica.is_rejected(peer, lseq));
            }
        }
        assert!(
            refused == listed && (self.excuses.limited || report.counts.failed == 0),
            "rule 6: {listed} of {refused} writes that somebody does not take are listed at {place}: {:?}",
            report.counts
        );
        let is_plain = |node: &Node| node.plan.options.durable && !node.is_lost;
        let Excuses {
            lost,
            renewed,
            hurt,
            ..
        } = self.excuses;
        if !(lost || renewed || hurt) && self.nodes.iter().all(is_plain) {
            let held = all_rows(&running.store.map).filter(|(stream, _, entry)| {
                *stream == Stream::Own && self.is_held_elsewhere(place, entry)
            });
            assert!(
                report.counts.acknowledged <= held.count() as u64,
                "rule 7: {place} counts as acknowledged what nobody else holds: {:?}",
                report.counts
            );
        }
        let options = self.nodes[place].plan.options;
        let counting = report
            .peers
            .iter()
            .filter(|peer| peer.durable || !options.durable);
        if counting.count() >= self.needed(place) {
            let left = self.rows_of_nobody(place);
            assert!(
                report.counts.queued + report.counts.in_flight <= left,
                "7: {place} has work left, although only {left} rows are nobody's: {:?}",
                report.counts
            );
        }
    }

    /// Least number of peers that have to acknowledge a row.
    pub(super) fn needed(&self, place: usize) -> usize {
        match self.nodes[place].plan.options.ack_policy {
            AckPolicy::All if self.excuses.renewed => usize::MAX,
            AckPolicy::Any | AckPolicy::All => 1,
            AckPolicy::Count(count) => count,
        }
    }

    fn is_held_elsewhere(&self, place: usize, entry: &Entry) -> bool {
        let mut nodes = self.nodes.iter().enumerate();
        nodes.any(|(other, node)| {
            let held = node.running.as_ref().filter(|_| other != place);
            let held = held.and_then(|node| node.store.map.entry(entry.key()).unwrap());
            held.is_some_and(|held| held.order(entry).is_ge())
        })
    }
}
