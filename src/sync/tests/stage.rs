//! Shared parts of the named schedules: small worlds, and calls to steer and inspect them.

use super::dice::Dice;
use super::host::{Host, options};
use super::world::World;
use crate::store::commit::committer::Durability;
use crate::store::commit::operation::{Operation, Request, Resolution};
use crate::store::conflict::policy::loser_of;
use crate::store::entry::Namespace;
use crate::store::scope::Scope;
use crate::sync::identity::identity_conflict::IdentityConflict;
use crate::sync::message::Feed;
use crate::sync::options::ReplicaOptions;
use crate::sync::outbox::watermarks::OutboxCounts;
use crate::sync::peer::link::LinkId;
use crate::sync::report::PeerProgress;

/// Time in which everything happens that needs no waiting, in milliseconds: well below every timeout.
pub(super) const MOMENT_MS: u64 = 2_000;

pub(super) fn manual() -> ReplicaOptions {
    ReplicaOptions {
        automatic: false,
        ..options()
    }
}

/// Some of the keys of a storm, always including those that begin with `key-1`.
pub(super) fn some_keys(dice: &mut Dice) -> Scope {
    if dice.one_in(4) {
        return Scope::ALL;
    }
    let some = (0..10).filter(|_| dice.one_in(3));
    let some: Vec<String> = some.map(|digit| format!("key-{digit}")).collect();
    Scope::of(
        some.into_iter()
            .chain(["key-1".to_owned()])
            .map(String::into_bytes),
    )
}

/// Hosts with these options, none connected yet.
pub(super) fn stage(options: &[ReplicaOptions]) -> World {
    let hosts = options
        .iter()
        .enumerate()
        .map(|(place, options)| Host::new(&format!("node-{place}"), *options, Durability::Synced))
        .collect();
    let mut world = World::new(7, hosts);
    world.log = Some(Vec::new());
    world
}

impl World {
    /// A host takes another identity, after all its connections are cut.
    pub(super) fn renew(&mut self, host: usize, identity_conflict: &IdentityConflict) {
        while let Some(wire) = self.wires.iter().position(|wire| wire.touches(host)) {
            self.cut_wire(wire);
        }
        self.hosts[host].renew(&mut self.dice);
        self.renewals.push((host, identity_conflict.reason));
        self.say(|| {
            let origin = self.hosts[host].up().replica.origin();
            format!("{host} is {origin} from now on: {identity_conflict:?}")
        });
        self.drain(host);
    }

    pub(super) fn line(&mut self) {
        let renewals = self.renewals.len();
        for host in 1..self.hosts.len() {
            self.connect(host - 1, host, 5);
        }
        self.run_for(MOMENT_MS);
        if self.renewals.len() > renewals {
            // A host that has taken another identity has to be connected again.
            self.line();
        }
    }

    pub(super) fn mesh(&mut self) {
        for a in 0..self.hosts.len() {
            for b in a + 1..self.hosts.len() {
                self.connect(a, b, 5);
            }
        }
        self.run_for(MOMENT_MS);
    }

    pub(super) fn put(&mut self, host: usize, key: &str, value: &str) {
        self.write(host, key.as_bytes(), Some(value.as_bytes()));
    }

    /// Queues a resolution of the conflict of a key, as the host knows it now.
    pub(super) fn resolve(&mut self, host: usize, key: &[u8], value: &[u8]) {
        let running = self.hosts[host].up();
        let page = running.map.sibling_page(key, true, None, loser_of).unwrap();
        let losers = page.losers.iter().map(|loser| loser.dot).collect();
        let resolution = Resolution {
            ticket: 1,
            operation: Operation::put(key, value, false).unwrap(),
            losers,
        };
        self.request(host, Request::Resolve(resolution));
    }

    pub(super) fn put_many(&mut self, host: usize, prefix: &str, count: usize) {
        for number in 0..count {
            self.put(host, &format!("{prefix}-{number:05}"), "value");
        }
    }

    pub(super) fn get(&self, host: usize, key: &str) -> Option<String> {
        let stored = [b"\0", key.as_bytes()].concat();
        let value = self.hosts[host].up().map.entry(&stored).unwrap()?;
        let value = value.value()?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    pub(super) fn counts(&self, host: usize) -> OutboxCounts {
        self.hosts[host].up().report().counts
    }

    pub(super) fn peer(&self, host: usize, other: usize) -> PeerProgress {
        let origin = self.hosts[other].up().replica.origin();
        let report = self.hosts[host].up().report();
        let peers = report.peers.into_iter();
        peers
            .into_iter()
            .find(|peer| peer.origin == origin)
            .expect("they are connected")
    }

    pub(super) fn link(&self, host: usize, other: usize) -> LinkId {
        let wire = &self.wires[self.wire_between(host, other).expect("they are connected")];
        wire.ends.iter().find(|end| end.host == host).unwrap().link
    }

    /// Messages from `from` to `to` since the last call, with their times.
    pub(super) fn said_when(&mut self, from: usize, to: usize) -> Vec<(u64, Feed)> {
        let log = self.log.as_mut().unwrap();
        let mut asked = Vec::new();
        for (at, speaker, listener, feed) in std::mem::take(log) {
            if (speaker, listener) == (from, to) {
                asked.push((at, feed));
            } else {
                log.push((at, speaker, listener, feed));
            }
        }
        asked
    }

    /// Messages from `from` to `to` since the last call.
    pub(super) fn said(&mut self, from: usize, to: usize) -> Vec<Feed> {
        let said = self.said_when(from, to).into_iter();
        said.map(|(_, feed)| feed).collect()
    }

    pub(super) fn forget_what_was_said(&mut self) {
        self.log = Some(Vec::new());
        (self.messages, self.entries) = (0, 0);
    }

    pub(super) fn retry_failed(&mut self, host: usize) -> u64 {
        let now = self.now(host);
        let running = self.hosts[host].up_mut();
        let failed = running.replica.retry_failed(now, &running.map).unwrap();
        self.drain(host);
        failed
    }

    /// Nothing reaches host `to` from `from` until `until`.
    pub(super) fn stall(&mut self, to: usize, from: usize, until: u64) {
        let wire = self.wire_between(to, from).expect("they are connected");
        let ends = &mut self.wires[wire].ends;
        ends.iter_mut()
            .find(|end| end.host == to)
            .unwrap()
            .stalled_until = until;
    }
}

/// Keys of entries in batches and announcements, once for each time that they were sent.
pub(super) fn keys_sent(said: &[Feed]) -> Vec<String> {
    let keys = said.iter().flat_map(|feed| match feed {
        Feed::Batch(batch) => batch
            .entries
            .iter()
            .map(crate::store::entry::Entry::key)
            .collect(),
        Feed::Large(large) => vec![large.entry.key()],
        _ => Vec::new(),
    });
    // Lineage records go ahead of the writes, and are left out.
    keys.filter(|key| key[0] != Namespace::System as u8)
        .map(|key| String::from_utf8_lossy(&key[1..]).into_owned())
        .collect()
}
