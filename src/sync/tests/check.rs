//! Invariants that hold at all times (`docs/internals/replication.md`, section 7), checked from outside.

use super::world::World;
use crate::store::conflict::policy::loser_of;
use crate::store::entry::Entry;
use crate::sync::message::{Feed, Stream};
use crate::sync::outbox::held_back::is_covered;

impl World {
    /// Checks a host after each of its steps.
    pub(super) fn check_host(&self, host: usize) {
        let running = self.hosts[host].up();
        let replica = &running.replica;
        assert_eq!(
            replica.counts_of(&running.map).unwrap(),
            replica.recount(&running.map),
            "the counters of {host} are not a recount"
        );
        assert!(replica.durable_lseq <= running.committer.ledger().last_lseq);
        for (wire, side) in self.ends_of(host) {
            let end = &self.wires[wire].ends[side];
            let Some(link) = replica.links.get(&end.link) else {
                continue;
            };
            let other = self.wires[wire].ends[1 - side].host;
            let said = link.sending.acknowledged;
            let cursor = self.hosts[other]
                .up()
                .committer
                .ledger()
                .cursors
                .get(&replica.origin);
            let (own, relay) = cursor.map_or((0, 0), |cursor| (cursor.own, cursor.relay));
            assert!(
                said.own <= own && said.relay <= relay,
                "{host} thinks that {other} holds {said:?}, but it holds {cursor:?}"
            );
        }
    }

    fn ends_of(&self, host: usize) -> impl Iterator<Item = (usize, usize)> {
        self.wires.iter().enumerate().filter_map(move |(at, wire)| {
            let side = wire.ends.iter().position(|end| end.host == host)?;
            Some((at, side))
        })
    }

    /// Checks a message before a host sends it.
    pub(super) fn check_sent(&self, host: usize, feed: &Feed) {
        let volatile = &self.hosts[host].up().volatile;
        let entries: &[Entry] = match feed {
            Feed::Batch(batch) => &batch.entries,
            Feed::Large(large) => std::slice::from_ref(&large.entry),
            _ => return,
        };
        for entry in entries {
            let lost_with_the_power = volatile
                .iter()
                .any(|(_, other)| other.dot == entry.dot && other.key() == entry.key());
            assert!(
                !lost_with_the_power,
                "{host} ships what is not durable: {entry:?}"
            );
        }
    }

    /// Checks that a host holds at least everything up to its cursors. Skipped once a disk went back in time: entries
    /// replaced before a cursor passed them may be back, and a hint may name a dot that was given again. Only the
    /// comparison of states notices that.
    pub(super) fn check_holdings(&self, host: usize) {
        if !self.checks_holdings || self.hosts.iter().any(|host| host.rolled_back) {
            return;
        }
        let holder = self.hosts[host].up();
        for (other, peer) in self.hosts.iter().enumerate() {
            let Some(peer) = peer.running.as_ref().filter(|_| other != host) else {
                continue;
            };
            let origin = peer.replica.origin();
            let Some(cursor) = holder.committer.ledger().cursors.get(&origin) else {
                continue;
            };
            let scope = holder.committer.ledger().scope_of(origin);
            if !peer.committer.ledger().is_reached(cursor) {
                continue;
            }
            let rejected = peer.replica.peers.get(&holder.replica.origin());
            let is_rejected = |lseq| {
                rejected
                    .is_some_and(|record| record.rejected.iter().any(|entry| entry.lseq == lseq))
            };
            let own = peer
                .map
                .own_after(0)
                .map(|held| (Stream::Own, held.unwrap()));
            let relay = peer
                .map
                .relay_after(0)
                .map(|held| (Stream::Relay, held.unwrap()));
            for (stream, held) in own.chain(relay) {
                let limit = self.hosts[host].options.value_bytes_max;
                let is_rejected =
                    is_rejected(held.lseq) || held.entry.value_length() as u64 > limit;
                let is_covered = is_covered(cursor, &held, stream, &peer.map);
                if !is_covered || is_rejected || !scope.contains(held.entry.key()) {
                    continue;
                }
                let mine = holder.map.entry(held.entry.key()).unwrap();
                assert!(
                    mine.as_ref()
                        .is_some_and(|mine| mine.order(&held.entry).is_ge()),
                    "the cursor of {host} on {other} is {cursor:?}, but it lacks {:?} at {}: it has {mine:?}",
                    held.entry,
                    held.lseq
                );
            }
        }
    }

    /// Checks that all hosts are equal, once all faults have ended and everything had its time.
    pub(super) fn check_convergence(&self) {
        let summary = self.hosts[0].up().map.summary();
        for (place, host) in self.hosts.iter().enumerate() {
            let running = host.up();
            assert_eq!(running.map.totals(), running.map.recount().unwrap());
            assert_eq!(running.map.summary(), summary, "{place} differs");
            for other in &self.hosts {
                for (key, durable) in &other.witness {
                    let found = running.map.entry(key).unwrap();
                    assert!(
                        found
                            .as_ref()
                            .is_some_and(|found| found.order(durable).is_ge()),
                        "{place} lacks {durable:?}, which was durable at {}: it has {found:?}",
                        other.name
                    );
                }
            }
            for entry in running.map.range_from(std::ops::Bound::Unbounded) {
                let entry = entry.unwrap();
                let written = loser_of(&entry).unwrap_or_else(|| entry.clone().into_owned());
                let known = self.written.get(&entry.dot);
                assert!(
                    known.is_some_and(|known| known.contains(&written)),
                    "{place} has what nobody wrote: {entry:?}"
                );
            }
            let report = running.report();
            for peer in &report.peers {
                assert!(
                    peer.in_sync,
                    "{place} does not know that it is in sync: {peer:?}"
                );
            }
            assert_eq!(report.counts.failed, 0, "{place}: {:?}", report.counts);
            let has_witness = report.peers.iter().any(|peer| peer.durable) || !host.options.durable;
            if has_witness && !report.peers.is_empty() {
                assert_eq!(
                    (report.counts.queued, report.counts.in_flight),
                    (0, 0),
                    "{place} has work left: {:?}",
                    report.counts
                );
            }
        }
    }

    /// Checks scoped connections for convergence: the part that each connection carries is equal on both sides.
    pub(super) fn check_scoped_convergence(&self) {
        for wire in &self.wires {
            let [a, b] = [0, 1].map(|side| &wire.ends[side]);
            let scope = a.wanted.intersection(&b.wanted);
            let state = |host: usize| -> Vec<Entry> {
                let map = &self.hosts[host].up().map;
                let all = map.range_from(std::ops::Bound::Unbounded);
                all.map(|entry| entry.unwrap().into_owned())
                    .filter(|entry| scope.contains(entry.key()))
                    .collect()
            };
            assert_eq!(
                state(a.host),
                state(b.host),
                "{} and {} differ in {scope:?}",
                a.host,
                b.host
            );
            for (host, other) in [(a.host, b.host), (b.host, a.host)] {
                let is_in_sync = self.peer(host, other).in_sync;
                assert!(
                    is_in_sync || scope.is_nothing(),
                    "{host} is not in sync with {other}"
                );
            }
        }
        for (place, host) in self.hosts.iter().enumerate() {
            let running = host.up();
            assert_eq!(running.map.totals(), running.map.recount().unwrap());
            let counts = running.report().counts;
            assert_eq!(counts.failed, 0, "{place}: {counts:?}");
        }
    }
}
