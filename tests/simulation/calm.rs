//! The calm after the faults: all faults end, and programs call their peers and tick.

use std::collections::BTreeSet;

use super::node::{Node, Running};
use super::schedule::{Action, Schedule, Step, Stop, Write};
use super::world::World;
use crate::store::entry::Entry;
use crate::store::memtable::held::Held;
use crate::sync::report::PeerProgress;

/// Longest duration of the calm, in milliseconds: time for a repair, one more a minute later, and the next.
const CALM_MS: u64 = 900_000;

/// Duration of the calm where states cannot become equal, because not every node takes every value, in milliseconds.
const LIMITED_CALM_MS: u64 = 240_000;

/// Longest duration of the calm while repairs are still due, in milliseconds: the delays between repairs double, and
/// entries that one repair brings may make neighbours compare again.
const REPAIRS_MS: u64 = 7_200_000;

/// Time without a repair due after which no more are expected, in milliseconds.
const SETTLED_MS: u64 = 10_000;

/// Time without ticks at the beginning of the calm in some runs, in milliseconds: long enough for retries and delayed
/// calls.
const UNTICKED_MS: u64 = 240_000;

/// Time that nodes have to meet once faults have ended, in milliseconds.
const MEETING_MS: u64 = 5_000;

/// A key that no schedule writes, the number of its writes, and their interval in milliseconds: shorter than the relay
/// delay.
const HOT_KEY: u64 = 1_000_000;
const HOT_WRITES: usize = 100;
const HOT_EVERY_MS: u64 = 100;

/// Number of keys whose conflicts are settled then.
const SETTLED_KEYS: u64 = 12;

/// Steps outside of the schedule are numbered from here on.
const LAST_STEPS: usize = 1_000_000;

/// Time that the calm goes on once a node has taken another identity, in milliseconds.
const RENEWED_MS: u64 = 60_000;

/// Time for which all has to be well before it is believed, in milliseconds.
const STEADY_MS: u64 = 3_000;

/// Time after which an abandoned connection is given up, in milliseconds.
const IDLE_MS: u64 = 75_000;

/// Time in which no message may be sent once all is well, in milliseconds.
const QUIET_MS: u64 = 300_000;

impl World<'_> {
    /// Runs a schedule: its faults, and the calm after them.
    pub(super) fn run(&mut self, schedule: &Schedule) {
        for (a, b) in self.edges.clone() {
            if !schedule.begins_apart {
                self.call(a, b, false);
            }
        }
        for step in &schedule.steps {
            self.perform(step);
            self.run_for(step.pause_ms);
            self.check_readable();
            self.check_answered();
        }
        self.end_faults();
        let twins = self.twins();
        let since = self.at;
        if schedule.seed.is_multiple_of(2) {
            self.rest_without_ticks();
        }
        self.calm();
        self.check_convergence();
        self.check_identities(&twins, since);
        self.rewrite_one_key();
        self.run_for(self.put_off_until.saturating_sub(self.at) + IDLE_MS);
        let said = self.feed_messages;
        self.run_for(QUIET_MS);
        assert_eq!(self.feed_messages, said, "10: they go on talking");
        assert!(!self.has_repairs_ahead(), "10: they will go on talking");
        self.check_convergence();
        self.check_clocks();
    }

    fn end_faults(&mut self) {
        self.trace.say(|| "-- calm".to_owned());
        self.blocked.clear();
        self.delays.clear();
        for (from, to) in std::mem::take(&mut self.forged_on) {
            self.cut(from, to);
        }
        for line in self.lines.values_mut() {
            for end in &mut line.ends {
                end.damage = None;
            }
        }
        for node in 0..self.nodes.len() {
            self.nodes[node].disk.heal();
            self.nodes[node].disk.set_capacity_bytes(None);
            self.nodes[node].stalled_until = 0;
            self.nodes[node].crash = None;
            self.nodes[node].copied = None;
            let running = self.nodes[node].running.as_ref();
            if running.is_some_and(|running| running.store.is_poisoned()) {
                self.stop(node, Stop::Killed, 0);
            }
            self.nodes[node].is_hurt = false;
            self.open(node);
        }
        self.join_survivors();
    }

    /// Connects all nodes that are left, also where the node between them is lost.
    fn join_survivors(&mut self) {
        let is_left = |node: &usize| !self.nodes[*node].is_lost;
        let left: Vec<usize> = (0..self.nodes.len()).filter(is_left).collect();
        self.edges = {
            let edges = self.edges.iter().copied();
            edges.filter(|(a, b)| is_left(a) && is_left(b)).collect()
        };
        let mut reached: BTreeSet<usize> = left.iter().take(1).copied().collect();
        while reached.len() < left.len() {
            let next = self.edges.iter().find_map(|(a, b)| {
                match (reached.contains(a), reached.contains(b)) {
                    (true, false) => Some(*b),
                    (false, true) => Some(*a),
                    _ => None,
                }
            });
            if let Some(next) = next {
                reached.insert(next);
                continue;
            }
            let apart = left
                .iter()
                .find(|node| !reached.contains(node))
                .copied()
                .unwrap();
            self.edges.push((left[0].min(apart), left[0].max(apart)));
        }
    }

    /// Rewrites one key again and again; every node has to see it change while that goes on.
    fn rewrite_one_key(&mut self) {
        let is_automatic = |running: &Running<'_>| running.machine.replica.is_automatic();
        let is_one = |node: &Node<'_>| node.running.as_ref().is_some_and(is_automatic);
        let Some(writer) = self
            .nodes
            .iter()
            .position(is_one)
            .filter(|_| !self.is_excused())
        else {
            return;
        };
        let stored = format!("\0key-{HOT_KEY}").into_bytes();
        for number in 0..HOT_WRITES {
            let value_bytes = Some(8);
            let write = Write {
                key: HOT_KEY,
                value_bytes,
            };
            let (seed, pause_ms) = (0, 0);
            self.perform(&Step {
                number: 2 * LAST_STEPS + number,
                action: Action::Write(writer, write),
                seed,
                pause_ms,
            });
            self.run_for(HOT_EVERY_MS);
        }
        for (place, node) in self.nodes.iter().enumerate() {
            let Some(running) = &node.running else {
                continue;
            };
            let held = running.store.map.entry(&stored).unwrap();
            assert!(
                held.is_some(),
                "5: {place} sees nothing of a key that is rewritten all the time"
            );
        }
        self.calm();
    }

    /// Lets time pass without ticks; relayed entries have to travel all the same.
    fn rest_without_ticks(&mut self) {
        for (a, b) in self.edges.clone() {
            self.call(a, b, false);
        }
        self.run_for(MEETING_MS);
        self.settle_without_ticks();
        let until = self.at + UNTICKED_MS;
        while self.at < until {
            for (a, b) in self.edges.clone() {
                self.call(a, b, false);
            }
            self.run_for(1_000);
            let not_passed_on = self.first_not_passed_on();
            if not_passed_on.is_none() || self.is_somebody_in_doubt() || self.is_excused() {
                return;
            }
            assert!(
                self.at < until,
                "8: without a tick it is not passed on: {not_passed_on:?}"
            );
        }
    }

    /// Nodes that wait for ticks settle the conflicts they know of; then the others write, and those writes have to be
    /// relayed.
    fn settle_without_ticks(&mut self) {
        let does_wait = |running: &Running<'_>| !running.machine.replica.is_automatic();
        let waits = |node: &Node<'_>| node.running.as_ref().is_some_and(does_wait);
        let waiting: Vec<bool> = self.nodes.iter().map(waits).collect();
        let mut number = LAST_STEPS;
        let mut act = |world: &mut Self, action: Action| {
            number += 1;
            let (seed, pause_ms) = (0, 0);
            world.perform(&Step {
                number,
                action,
                seed,
                pause_ms,
            });
        };
        for settles in [true, false] {
            for (node, is_waiting) in waiting.iter().enumerate() {
                let is_up = self.nodes[node].running.is_some();
                for key in (0..SETTLED_KEYS).filter(|_| is_up && *is_waiting == settles) {
                    let value_bytes = Some(8);
                    let write = Write { key, value_bytes };
                    if settles {
                        act(self, Action::Resolve(node, write));
                    } else if key == 0 {
                        act(self, Action::Write(node, write));
                    }
                }
            }
            self.run_for(2_000);
        }
    }

    /// True if nodes may have to repair something first, or do not take everything.
    fn is_excused(&self) -> bool {
        let excuses = &self.excuses;
        excuses.limited || excuses.lied || excuses.repeats_numbers() || self.has_prefixes
    }

    /// A relayed entry that a node holds and a node connected to it lacks.
    fn first_not_passed_on(&self) -> Option<(usize, usize, Entry)> {
        let pairs = self.edges.iter().flat_map(|(a, b)| [(*a, *b), (*b, *a)]);
        pairs.into_iter().find_map(|(from, to)| {
            let (from_node, to_node) = (&self.nodes[from], &self.nodes[to]);
            let (from_node, to_node) = (from_node.running.as_ref()?, to_node.running.as_ref()?);
            let map = &from_node.store.map;
            let relayed = map.relay_after(0).map(Result::unwrap);
            let mut relayed = relayed.filter(|held| map.source_of(held.via).is_some());
            let lacks = |held: &Held| {
                let theirs = to_node.store.map.entry(held.entry.key()).unwrap();
                theirs.is_none_or(|theirs| theirs.order(&held.entry).is_lt())
            };
            let found = relayed.find(|held| lacks(held))?;
            Some((from, to, found.entry.clone()))
        })
    }

    fn calm(&mut self) {
        let most = if self.excuses.limited {
            LIMITED_CALM_MS
        } else {
            CALM_MS
        };
        let (mut until, at_last) = (self.at + most, self.at + CALM_MS);
        let latest = self.at + REPAIRS_MS;
        let mut steady_ms = 0;
        while self.at < until && steady_ms < STEADY_MS {
            for (a, b) in self.edges.clone() {
                self.call(a, b, false);
                if self.names_peers() {
                    self.call(b, a, false);
                }
            }
            for node in 0..self.nodes.len() {
                let running = self.nodes[node].running.as_ref();
                let is_behind = running.is_some_and(|running| {
                    let counts = running.machine.replica.rows(&running.store.map);
                    counts.queued > 0
                });
                if is_behind {
                    // A node with nothing to send need not tick, and relays entries all the same.
                    self.tick(node, false);
                }
            }
            self.run_for(1_000);
            self.check_readable();
            let has_identity_conflict = self.is_somebody_in_doubt();
            if has_identity_conflict {
                until = until.max(at_last.min(self.at + RENEWED_MS));
            }
            if self.excuses.limited && self.has_repairs_ahead() {
                assert!(self.at < latest, "10: they go on looking for what differs");
                until = until.max(self.at + SETTLED_MS);
            }
            let is_well = !self.excuses.limited && !has_identity_conflict && self.is_well();
            steady_ms = if is_well { steady_ms + 1_000 } else { 0 };
        }
    }

    /// True if some node has an identity conflict and will take another identity.
    fn is_somebody_in_doubt(&self) -> bool {
        let mut running = self.nodes.iter().filter_map(|node| node.running.as_ref());
        running.any(|running| running.machine.replica.has_identity_conflict())
    }

    /// True if some node has a repair due, once the delay since the last one is over.
    fn has_repairs_ahead(&self) -> bool {
        let mut running = self.nodes.iter().filter_map(|node| node.running.as_ref());
        running.any(|running| running.machine.replica.has_repairs_ahead())
    }

    /// True if every node knows that it is in sync with its peers and has nothing left to send.
    fn is_well(&self) -> bool {
        let mut edges = self.edges.iter();
        edges.all(|(a, b)| {
            let known = [(*a, *b), (*b, *a)].map(|(node, other)| {
                let running = self.nodes[node].up();
                let report = running.machine.replica.report(&running.store.map).unwrap();
                let origin = self.nodes[other].up().machine.replica.origin();
                let work = report.counts.queued + report.counts.in_flight;
                let has_work = work > self.rows_of_nobody(node);
                let mut peers = report.peers.iter();
                let is_met = |peer: &PeerProgress| {
                    peer.origin == origin
                        && (peer.in_sync || self.carried(node, other).is_nothing())
                };
                !has_work && peers.any(is_met)
            });
            known == [true, true]
        }) && self
            .nodes
            .iter()
            .filter(|node| !node.is_lost)
            .all(|node| node.running.is_some())
    }
}
