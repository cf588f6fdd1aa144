//! The hosts, the connections between them, and the order of events.

use std::collections::BTreeMap;

use super::dice::Dice;
use super::host::{Host, Stop};
use super::wire::{End, Packet, Wire, shown};
use crate::core::clock::{MonotonicMs, Now, WallMs};
use crate::core::identity::Dot;
use crate::store::commit::install::install_some;
use crate::store::commit::operation::{Operation, Request, group_length};
use crate::store::conflict::policy::loser_of;
use crate::store::entry::Entry;
use crate::sync::identity::identity_conflict::{IdentityConflict, IdentityConflictReason};
use crate::sync::message::{Feed, ValueId};
use crate::sync::peer::link::LinkId;
use crate::sync::replica::{Output, PartingReason};
use crate::sync::report::TickReport;

pub(super) const GAVE_UP: &str = "the peer acknowledges nothing";

#[allow(
    clippy::struct_excessive_bools,
    reason = "each says something else of a schedule"
)]
pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) hosts: Vec<Host>,
    pub(super) wires: Vec<Wire>,
    pub(super) at: u64,
    last_link: LinkId,
    /// Longest time that a commit takes, in milliseconds.
    pub(super) commit_ms: u64,
    /// Every write that a host was told of, by dot.
    pub(super) written: BTreeMap<Dot, Vec<Entry>>,
    /// Number of messages, and of entries in them.
    pub(super) messages: u64,
    pub(super) entries: u64,
    /// Every message since the log was last emptied: time, sender, receiver, message.
    pub(super) log: Option<Vec<(u64, usize, usize, Feed)>>,
    /// Reasons of connections that a replica ended.
    pub(super) closes: Vec<&'static str>,
    /// Hosts that took another identity, with the reason.
    pub(super) renewals: Vec<(usize, IdentityConflictReason)>,
    /// True while new identities wait, as they do for a committer that is busy.
    pub(super) holds_renewals: bool,
    held_renewals: Vec<(usize, IdentityConflict)>,
    pub(super) trace: bool,
    /// True if the hosts do not know how to reconcile.
    pub(super) is_old: bool,
    /// True if cursors are checked against the entries held: not while a refusal is under way.
    pub(super) checks_holdings: bool,
    /// Parts of large values that hosts keep of hosts that they are not connected to any more.
    pub(super) begun: BTreeMap<(usize, usize), (ValueId, Vec<u8>)>,
    /// True if no host has named its peers.
    pub(super) are_strangers: bool,
}

impl World {
    pub(super) fn new(seed: u64, hosts: Vec<Host>) -> Self {
        let mut world = Self {
            dice: Dice::new(seed),
            hosts,
            wires: Vec::new(),
            at: 0,
            last_link: 0,
            commit_ms: 5,
            written: BTreeMap::new(),
            messages: 0,
            entries: 0,
            log: None,
            closes: Vec::new(),
            renewals: Vec::new(),
            holds_renewals: false,
            held_renewals: Vec::new(),
            trace: false,
            is_old: false,
            checks_holdings: true,
            begun: BTreeMap::new(),
            are_strangers: false,
        };
        for host in 0..world.hosts.len() {
            world.open(host);
        }
        world
    }

    pub(super) fn now(&self, host: usize) -> Now {
        let wall =
            1_700_000_000_000_i64 + i64::try_from(self.at).unwrap() + self.hosts[host].skew_ms;
        Now {
            monotonic: MonotonicMs(self.at + 1),
            wall: WallMs(u64::try_from(wall).unwrap()),
        }
    }

    pub(super) fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:>8} {}", self.at, what());
        }
    }

    pub(super) fn open(&mut self, host: usize) {
        if !self.hosts[host].is_running() {
            self.hosts[host].open(&mut self.dice);
            self.say(|| {
                format!(
                    "{host} opens, origin {}",
                    self.hosts[host].up().replica.origin()
                )
            });
        }
    }

    pub(super) fn stop(&mut self, host: usize, how: Stop) {
        self.say(|| format!("{host} stops: {how:?}"));
        if matches!(how, Stop::Cleanly) && self.hosts[host].is_running() {
            while self.hosts[host].up().commit_at.is_some() {
                self.commit(host);
            }
        }
        while let Some(wire) = self.wires.iter().position(|wire| wire.touches(host)) {
            self.cut_wire(wire);
        }
        self.begun.retain(|(holder, _), _| *holder != host);
        self.hosts[host].stop(how, &mut self.dice);
    }

    pub(super) fn wire_between(&self, a: usize, b: usize) -> Option<usize> {
        self.wires
            .iter()
            .position(|wire| wire.touches(a) && wire.touches(b))
    }

    pub(super) fn connect(&mut self, a: usize, b: usize, delay: u64) {
        if self.wire_between(a, b).is_some()
            || !self.hosts[a].is_running()
            || !self.hosts[b].is_running()
        {
            return;
        }
        self.say(|| format!("{a} and {b} connect, delay {delay}"));
        let left = [(a, b), (b, a)].map(|pair| self.begun.remove(&pair));
        let mut ends = [a, b].map(|host| {
            self.last_link += 1;
            End::new(host, self.last_link, self.hosts[host].scope.clone())
        });
        for (end, begun) in ends.iter_mut().zip(left) {
            end.begun = begun;
        }
        for (from, to) in [(a, 1), (b, 0)] {
            let now = self.now(from);
            let host = &mut self.hosts[from];
            let running = host.running.as_mut().unwrap();
            let replica = &mut running.replica;
            let mut greeting = replica.greeting(&host.scope, now, &running.map);
            greeting.reconciles = !self.is_old;
            greeting.resumes = !self.is_old;
            ends[to].push(self.at + delay, Packet::Greeting(Box::new(greeting)));
        }
        self.wires.push(Wire { ends, delay });
    }

    pub(super) fn cut(&mut self, a: usize, b: usize) {
        if let Some(wire) = self.wire_between(a, b) {
            self.cut_wire(wire);
        }
    }

    pub(super) fn cut_wire(&mut self, wire: usize) {
        let wire = self.wires.remove(wire);
        let [mut a, mut b] = wire.ends;
        self.say(|| format!("{} and {} are cut", a.host, b.host));
        let hosts = [b.host, a.host];
        for (end, other) in [&mut a, &mut b].into_iter().zip(hosts) {
            end.leave_large();
            if let Some(begun) = end.begun.take() {
                self.begun.insert((end.host, other), begun);
            }
        }
        for end in [a, b] {
            if end.greeted
                && let Some(running) = &mut self.hosts[end.host].running
            {
                running.replica.disconnected(end.link, &running.map);
                self.drain(end.host);
            }
        }
    }

    /// Queues a write; `None` removes the key.
    pub(super) fn write(&mut self, host: usize, key: &[u8], value: Option<&[u8]>) {
        let operation = match value {
            Some(value) => Operation::put(key, value, false),
            None => Operation::remove(key),
        };
        let operation = operation.unwrap();
        self.request(
            host,
            Request::Write {
                ticket: 1,
                operation,
            },
        );
    }

    pub(super) fn request(&mut self, host: usize, request: Request) {
        let at = self.at + self.dice.below(self.commit_ms + 1);
        let Some(running) = &mut self.hosts[host].running else {
            return;
        };
        running.queue.push_back(request);
        running.commit_at.get_or_insert(at);
    }

    pub(super) fn tick(&mut self, host: usize, prune: bool) -> TickReport {
        let now = self.now(host);
        let running = self.hosts[host].up_mut();
        let report = running.replica.tick(prune, now, &running.map).unwrap();
        self.say(|| format!("{host} ticks: {report:?}"));
        self.drain(host);
        report
    }

    /// Commits one group of the queue, now.
    pub(super) fn commit(&mut self, host: usize) {
        let now = self.now(host);
        let again = self.at + self.dice.below(self.commit_ms + 1);
        let running = self.hosts[host].up_mut();
        let count = group_length(running.queue.iter()).min(running.queue.len());
        let group: Vec<Request> = running.queue.drain(..count).collect();
        running.commit_at = (!running.queue.is_empty()).then_some(again);
        let plan = running.committer.plan(group, &running.map, now.wall);
        let outcome = running.committer.write(plan);
        match outcome {
            Ok(mut committed) => {
                let entries: Vec<Entry> = committed
                    .entries()
                    .map(|(entry, _)| entry.clone())
                    .collect();
                let first = committed.last_lseq + 1 - entries.len() as u64;
                for (place, entry) in entries.into_iter().enumerate() {
                    self.note(host, first + place as u64, entry);
                }
                let running = self.hosts[host].up_mut();
                loop {
                    let some = install_some(&mut committed, &mut running.map);
                    if some.is_empty() {
                        break;
                    }
                    running.replica.installed(&some, now);
                }
                let (last, durable) = (committed.last_lseq, committed.durable_lseq);
                running.replica.committed(last, durable);
                running
                    .replica
                    .refused_by_store(&std::mem::take(&mut committed.refused_entries));
                for (token, peer, position, scope) in &committed.acknowledge {
                    running
                        .replica
                        .received_durably(*token, *peer, *position, scope, now);
                }
                for token in &committed.refused {
                    running.replica.received_in_vain(*token);
                }
                running.replica.send_some(now, &running.map);
                if !committed.rest.is_empty() {
                    let queued = std::mem::take(&mut running.queue);
                    running.queue = committed.rest.drain(..).chain(queued).collect();
                    running.commit_at = Some(again);
                }
                if running.committer.is_behind() {
                    running.sync_at.get_or_insert(self.at + 1_000);
                }
                self.hosts[host].losers.append(&mut committed.losers);
                self.hosts[host].settle(durable);
                self.say(|| format!("{host} committed to {last}, durable to {durable}"));
            }
            Err(refused) => {
                for token in &refused.tokens {
                    running.replica.received_in_vain(*token);
                }
                self.say(|| format!("{host} could not commit: {}", refused.error));
            }
        }
        self.drain(host);
        self.check_holdings(host);
    }

    /// Records a write that a host was told of.
    fn note(&mut self, host: usize, lseq: u64, entry: Entry) {
        if let Some(loser) = loser_of(&entry) {
            let known = self.written.get(&loser.dot);
            assert!(
                known.is_some_and(|known| known.contains(&loser)),
                "a loser that nobody wrote: {loser:?}"
            );
            self.hosts[host].up_mut().volatile.push((lseq, entry));
            return;
        }
        let is_own = entry.dot.origin == self.hosts[host].up().replica.author();
        let is_new = !self.written.contains_key(&entry.dot);
        let known = self.written.entry(entry.dot).or_default();
        if !known.contains(&entry) {
            assert!(is_own, "an entry that nobody wrote: {entry:?}");
            assert!(
                is_new || self.hosts[host].rolled_back,
                "a sequence was given twice: {known:?} and {entry:?}"
            );
            known.push(entry.clone());
        }
        self.hosts[host].up_mut().volatile.push((lseq, entry));
    }

    pub(super) fn sync(&mut self, host: usize) {
        let now = self.now(host);
        let running = self.hosts[host].up_mut();
        running.sync_at = None;
        let Ok(durable) = running.committer.sync() else {
            return;
        };
        self.say(|| format!("{host} synced to {durable}"));
        let running = self.hosts[host].up_mut();
        running.replica.committed(durable, durable);
        running.replica.send_some(now, &running.map);
        self.hosts[host].settle(durable);
        self.drain(host);
    }

    /// Gives hosts the new identities that waited.
    pub(super) fn release_renewals(&mut self) {
        self.holds_renewals = false;
        for (host, identity_conflict) in std::mem::take(&mut self.held_renewals) {
            self.renew(host, &identity_conflict);
        }
    }

    /// Carries out the replica's outputs.
    pub(super) fn drain(&mut self, host: usize) {
        let mut ended = Vec::new();
        let mut in_conflict = None;
        let now = self.now(host);
        loop {
            let running = self.hosts[host].up_mut();
            let output = running.replica.poll();
            if output.is_none() && running.replica.send_more(now, &running.map) {
                continue;
            }
            let Some(output) = output else { break };
            match output {
                Output::Send(link, feed) => self.send(host, link, feed),
                Output::Commit(request) => self.request(host, request),
                Output::Close(link, PartingReason::Breach(reason)) => ended.push((link, reason)),
                Output::Close(link, PartingReason::Unanswered) => {
                    ended.push((link, "the peer acknowledges nothing"));
                }
                Output::Renew(identity_conflict) => in_conflict = Some(identity_conflict),
                Output::Close(_, PartingReason::Unreadable) => {
                    panic!("{host} cannot read its store")
                }
            }
        }
        self.check_host(host);
        for (link, reason) in ended {
            self.say(|| format!("{host} ends link {link}: {reason}"));
            self.closes.push(reason);
            let with = |wire: &Wire| wire.ends.iter().any(|end| end.link == link);
            if let Some(wire) = self.wires.iter().position(with) {
                self.cut_wire(wire);
            }
        }
        if let Some(identity_conflict) = in_conflict {
            if self.holds_renewals {
                self.held_renewals.push((host, identity_conflict));
            } else {
                self.renew(host, &identity_conflict);
            }
        }
    }

    fn send(&mut self, host: usize, link: LinkId, feed: Feed) {
        self.check_sent(host, &feed);
        let (wire, side) = self
            .place_of(link)
            .unwrap_or_else(|| panic!("{host} speaks on a link that is gone: {feed:?}"));
        let delay = self.wires[wire].delay;
        let at = self.at + delay + self.dice.below(delay / 4 + 1);
        let other = &mut self.wires[wire].ends[1 - side];
        let to = other.host;
        other.push(at, Packet::Feed(feed.clone()));
        self.say(|| format!("{host} -> {to}: {}", shown(&feed)));
        self.messages += 1;
        if let Feed::Batch(batch) = &feed {
            self.entries += batch.entries.len() as u64;
        }
        self.entries += u64::from(matches!(feed, Feed::Large(_)));
        if let Some(log) = &mut self.log {
            log.push((self.at, host, to, feed));
        }
    }

    fn place_of(&self, link: LinkId) -> Option<(usize, usize)> {
        self.wires.iter().enumerate().find_map(|(at, wire)| {
            let side = wire.ends.iter().position(|end| end.link == link)?;
            Some((at, side))
        })
    }

    pub(super) fn arrive(&mut self, wire: usize, side: usize) {
        let end = &mut self.wires[wire].ends[side];
        let (host, link) = (end.host, end.link);
        let (_, packet) = end.arriving.pop_front().unwrap();
        match packet {
            Packet::Greeting(greeting) => {
                end.greeted = true;
                let wanted = end.wanted.clone();
                let begun = end.begun_values();
                let now = self.now(host);
                let running = self.hosts[host].up_mut();
                let replica = &mut running.replica;
                replica.keeps(link, begun);
                replica.connected(link, &greeting, &wanted, now, &running.map);
                if !self.are_strangers {
                    replica.name(greeting.origin, now.monotonic);
                }
            }
            Packet::Feed(feed) => {
                if matches!(feed, Feed::Large(_) | Feed::Chunk(_)) {
                    let now = self.now(host);
                    let replica = &mut self.hosts[host].up_mut().replica;
                    replica.charged(link, feed.cost(), now);
                }
                let whole = self.wires[wire].ends[side].assemble(feed);
                if let Some((feed, charged)) = whole {
                    self.hand_in(host, link, feed, charged);
                }
            }
        }
        self.drain(host);
    }

    /// Hands a message to a replica as if it had arrived.
    pub(super) fn hand_in(&mut self, host: usize, link: LinkId, feed: Feed, charged: bool) {
        let now = self.now(host);
        let running = self.hosts[host].up_mut();
        running
            .replica
            .received(link, feed, charged, now, &running.map);
    }
}
