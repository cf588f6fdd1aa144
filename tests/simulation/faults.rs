//! Execution of the steps of a schedule.

use super::kept::kept_of;
use super::schedule::{Action, Step, Write};
use super::stream::{Packet, State};
use super::world::World;
use crate::core::identity::Origin;
use crate::disk::memory::Fault;
use crate::store::commit::operation::{Operation, Request, Resolution};
use crate::sync::message::{DotRange, Feed, Have};
use crate::sync::tests::dice::Dice;
use crate::transport::wire::codec::encode;
use crate::transport::wire::message::Message;

impl World<'_> {
    pub(super) fn perform(&mut self, step: &Step) {
        let seed = step.seed;
        self.trace
            .say(|| format!("-- {} {:?}", step.number, step.action));
        match &step.action {
            Action::Write(node, write) => {
                let operation = self.operation(*node, *write, step.number, 0);
                self.request(
                    *node,
                    Request::Write {
                        ticket: 1,
                        operation,
                    },
                );
            }
            Action::Batch(node, writes) => {
                let operations = writes.iter().enumerate();
                let operations = operations
                    .map(|(place, write)| self.operation(*node, *write, step.number, place))
                    .collect();
                self.request(
                    *node,
                    Request::Batch {
                        ticket: 1,
                        operations,
                    },
                );
            }
            Action::Resolve(node, write) => {
                let operation = self.operation(*node, *write, step.number, 0);
                self.resolve(*node, operation);
            }
            Action::Tick(node, prune) => self.tick(*node, *prune),
            Action::SetAutomatic(node, automatic) => self.set_automatic(*node, *automatic),
            Action::RetryFailed(node) => {
                self.wants_again(*node);
                let retried = self.drive(*node, |machine, now, map| {
                    machine.replica.retry_failed(now, map)
                });
                let is_hurt = self.nodes[*node].is_hurt;
                assert!(
                    is_hurt || matches!(retried, Some(Ok(_)) | None),
                    "{node}: {retried:?}"
                );
            }
            Action::Call(from, to, again) => self.call(*from, *to, *again),
            Action::Cut(a, b) => self.cut(*a, *b),
            Action::Block(from, to, ms) => self.block(*from, *to, self.at, *ms),
            Action::Flap(a, b, times, period) => {
                for round in 0..*times {
                    let begin = self.at + 2 * round * period;
                    self.block(*a, *b, begin, *period);
                    self.block(*b, *a, begin, *period);
                }
            }
            Action::Delay(a, b, ms) => {
                self.delays.insert((*a.min(b), *a.max(b)), *ms);
            }
            Action::Stall(node, ms) => self.nodes[*node].stalled_until = self.at + ms,
            Action::Corrupt(from, to) => self.corrupt(*from, *to, seed),
            Action::Lie(from, to) => self.lie(*from, *to, seed),
            Action::Forge(from, to) => self.forge(*from, *to, seed),
            Action::Stop(node, how) => self.stop(*node, *how, seed),
            Action::Start(node) => self.open(*node),
            Action::CrashInCommit(node) => self.nodes[*node].crash = Some(seed),
            Action::FullDisk(node) => {
                self.nodes[*node].disk.set_capacity_bytes(Some(0));
                self.hurt(*node);
            }
            Action::FailingDisk(node) => {
                let disk = self.nodes[*node].disk;
                let fault = Fault::Fail(std::io::ErrorKind::Other);
                disk.fail_call(disk.calls() + 1 + seed % 6, fault);
                self.hurt(*node);
            }
            Action::HealDisk(node) => {
                self.nodes[*node].disk.heal();
                self.nodes[*node].disk.set_capacity_bytes(None);
            }
            Action::Checkpoint(node) => {
                let at = self.at;
                let node = &mut self.nodes[*node];
                if let Some(running) = node.running.as_mut().filter(|_| node.plan.options.durable) {
                    running.checkpoint_at.get_or_insert(at);
                }
            }
            Action::Keep(node) => self.keep(*node),
            Action::Restore(node) => self.go_back(*node, false, false, seed),
            Action::RollBack(node) => self.go_back(*node, true, false, seed),
            Action::GoBack(node) => self.go_back(*node, true, true, seed),
            Action::Clone(from, to) => {
                self.copy_folder(*from, *to, seed.is_multiple_of(2), seed);
            }
            Action::CloneRunning(from, to, how) => self.copy_running(*from, *to, *how, seed),
            Action::Lose(node, comes_back) => self.lose(*node, *comes_back, seed),
            Action::Clock(node, ms) => self.set_clock(*node, *ms),
            Action::Rescope(node, scope) => self.rescope(*node, scope, seed),
            Action::Name(node, peer, scope) => self.name_scope(*node, *peer, scope),
        }
    }

    fn operation(&self, node: usize, write: Write, number: usize, place: usize) -> Operation {
        let key = format!("key-{}", write.key);
        let Some(bytes) = write.value_bytes else {
            return Operation::remove(key.as_bytes()).unwrap();
        };
        let limit = usize::try_from(self.nodes[node].plan.options.value_bytes_max).unwrap();
        let mut value = format!("{number}.{place}").into_bytes();
        value.resize(bytes.min(limit), b'.');
        Operation::put(key.as_bytes(), &value, false).unwrap()
    }

    /// Settles the conflict of a key as a program would, if there is one.
    fn resolve(&mut self, node: usize, operation: Operation) {
        let Some(running) = &self.nodes[node].running else {
            return;
        };
        let map = &running.store.map;
        let key = &operation.key()[1..];
        let Ok(kept) = kept_of(map, key) else {
            assert!(self.nodes[node].is_hurt, "{node} cannot read what it kept");
            return;
        };
        let losers = kept.iter().map(|loser| loser.dot).collect();
        if matches!(map.open_conflict(kept), Ok(Some(_))) {
            let resolution = Resolution {
                ticket: 1,
                operation,
                losers,
            };
            self.request(node, Request::Resolve(resolution));
        }
    }

    /// Lets the node's disk fail from now on; only while the node runs, because an opening that fails is none.
    fn hurt(&mut self, node: usize) {
        if self.nodes[node].running.is_some() {
            self.nodes[node].is_hurt = true;
            self.excuses.hurt = true;
        } else {
            self.nodes[node].disk.heal();
            self.nodes[node].disk.set_capacity_bytes(None);
        }
    }

    pub(super) fn tick(&mut self, node: usize, prune: bool) {
        let Some(running) = &mut self.nodes[node].running else {
            return;
        };
        // Rows are resolved first, as `node::shared` does before it counts them.
        let map = &mut running.store.map;
        while map.base_unknown() > 0 && map.look_up_base().is_ok() {}
        running.ticked = running
            .ticked
            .max(running.store.committer.ledger().last_lseq);
        let before = running.store.map.summary();
        let pruned = running.machine.replica.watermarks().pruned;
        let replica = &running.machine.replica;
        let released = replica.released().max(replica.watermarks().sent);
        let report = self.drive(node, |machine, now, map| {
            machine.replica.tick(prune, now, map)
        });
        let is_hurt = self.nodes[node].is_hurt;
        assert!(
            is_hurt || matches!(report, Some(Ok(_)) | None),
            "{node} cannot tick: {report:?}"
        );
        self.trace.say(|| format!("{node} ticks: {report:?}"));
        if let Some(running) = &self.nodes[node].running {
            assert_eq!(
                before,
                running.store.map.summary(),
                "8: a tick changed the state of {node}"
            );
            let watermarks = running.machine.replica.watermarks();
            assert!(
                watermarks.pruned == pruned || watermarks.pruned <= watermarks.acknowledged,
                "8: {node} prunes what is not acknowledged: {watermarks:?}"
            );
            self.check_released(node, released);
        }
    }

    fn set_automatic(&mut self, node: usize, automatic: bool) {
        let Some(running) = &mut self.nodes[node].running else {
            return;
        };
        running.ticked = if automatic {
            u64::MAX
        } else {
            running.store.committer.ledger().last_lseq
        };
        self.drive(node, |machine, now, map| {
            machine.replica.set_automatic(automatic, now, map);
        });
    }

    fn block(&mut self, from: usize, to: usize, begin: u64, ms: u64) {
        let ways = self.blocked.entry((from, to)).or_default();
        ways.push((begin, begin + ms));
        ways.sort_unstable();
    }

    /// Loses the connections between two nodes; each end learns of it on its own, or by its own silence.
    pub(super) fn cut(&mut self, a: usize, b: usize) {
        let lines: Vec<u64> = self.lines.keys().copied().collect();
        for line in lines {
            let ends = &self.lines[&line].ends;
            if ![(a, b), (b, a)].contains(&(ends[0].node, ends[1].node)) {
                continue;
            }
            for side in 0..2 {
                let late = [0, 3, 400, 100_000][self.dice.index(4)];
                let at = self.at + late;
                let end = &mut self.lines.get_mut(&line).unwrap().ends[side];
                if end.state == State::Open {
                    end.arriving.clear();
                    end.arriving_bytes = 0;
                    end.push(at, Packet::Closed("the connection was reset"));
                } else {
                    end.shut();
                }
            }
            self.clear_line(line);
        }
    }

    /// Ends of open connections on which `to` hears `from`, once `from` has greeted.
    pub(super) fn hearing(&self, from: usize, to: usize) -> Vec<(u64, usize)> {
        let sides = self.lines.iter().flat_map(|(line, both)| {
            (0..2).filter_map(move |side| {
                let (end, other) = (&both.ends[side], &both.ends[1 - side]);
                let is_so = end.node == to && other.node == from && end.is_greeted;
                (is_so && end.state == State::Open).then_some((*line, side))
            })
        });
        sides.collect()
    }

    fn corrupt(&mut self, from: usize, to: usize, seed: u64) {
        for (line, side) in self.hearing(from, to) {
            self.lines.get_mut(&line).unwrap().ends[side].damage = Some(seed);
            self.excuses.damaged = true;
        }
    }

    /// One node sends hints for writes that it may not have, of all nodes, before and after the newest.
    fn lie(&mut self, from: usize, to: usize, seed: u64) {
        let mut dice = Dice::new(seed);
        let known: Vec<(Origin, u64)> = self
            .nodes
            .iter()
            .filter_map(|node| node.running.as_ref())
            .map(|running| {
                let ledger = running.store.committer.ledger();
                (ledger.origin, ledger.last_sequence)
            })
            .collect();
        let ranges = known.into_iter().map(|(origin, last)| {
            let first = last.saturating_sub(dice.below(6)).max(1);
            let last = first + dice.below(8);
            DotRange {
                origin,
                first,
                last,
            }
        });
        let have = Message::Feed(Feed::Have(Have {
            ranges: ranges.collect(),
        }));
        for (line, side) in self.hearing(from, to) {
            let mut frame = Vec::new();
            encode(&have, &mut frame).unwrap();
            let at = self.at;
            self.excuses.lied = true;
            self.lines.get_mut(&line).unwrap().ends[side].push(at, Packet::Bytes(frame));
        }
    }
}
