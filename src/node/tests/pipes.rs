//! A network of machines without sockets, threads or disks: messages arrive in order in each pipe, and the seed decides
//! the order of the pipes.

use std::collections::VecDeque;

use crate::core::clock::{MonotonicMs, Now, WallMs};
use crate::core::identity::{Incarnation, Origin};
use crate::node::machine::address_book::TargetId;
use crate::node::machine::conversation::{ConversationId, Opening, PeerEvent, Refusal};
use crate::node::machine::{Machine, Output};
use crate::node::options::Options;
use crate::store::commit::committer::Committer;
use crate::store::commit::install::install_some;
use crate::store::commit::ledger::Epoch;
use crate::store::commit::operation::{Operation, Request};
use crate::store::maintain::recovery::{Opened, Seeds, in_memory};
use crate::store::state::map::EntryMap;
use crate::sync::identity::identity_conflict::IdentityConflict;
use crate::sync::options::ReplicaOptions;
use crate::sync::replica::Replica;
use crate::transport::session::Role;
use crate::transport::session::close::CloseReason;
use crate::transport::wire::message::Message;

pub(super) enum Packet {
    Opened {
        remote: (String, u16),
        instance: u64,
    },
    Said(Message),
    Closed,
}

pub(super) struct End {
    pub(super) node: usize,
    pub(super) id: ConversationId,
    pub(super) arriving: VecDeque<Packet>,
    /// True while this side has the pipe open.
    pub(super) is_open: bool,
}

pub(super) struct Member {
    pub(super) machine: Machine,
    pub(super) map: EntryMap,
    pub(super) committer: Committer,
    pub(super) settled: Vec<(ConversationId, Result<(), Refusal>)>,
    pub(super) dials: Vec<TargetId>,
    pub(super) events: Vec<PeerEvent>,
    pub(super) identity_conflicts: Vec<IdentityConflict>,
    pub(super) opens: u8,
    pub(super) skew_ms: i64,
}

pub(super) struct Pipes {
    pub(super) members: Vec<Member>,
    pub(super) lines: Vec<[End; 2]>,
    pub(super) at: u64,
    pub(super) sent_bytes: Vec<usize>,
    last: ConversationId,
    pub(super) renewals: u8,
    dice: u64,
}

pub(super) const PORT: u16 = 4_000;

/// Pieces of work without time between them: range sums of the largest test.
const PIECES_MAX: u32 = 40;

pub(super) fn name(node: usize) -> String {
    format!("node-{node}")
}

pub(super) fn seeds(origin: u8, incarnation: u8) -> Seeds {
    Seeds {
        salt: 1,
        file_id: [1; 16],
        origin: Origin([origin; 16]),
        lease: [1; 16],
        incarnation: Incarnation([incarnation; 16]),
    }
}

/// A node at its `opens`-th opening, which remembers the epochs of its feed and nothing else.
pub(super) fn member(node: usize, origin: u8, opens: u8) -> Member {
    let drawn = seeds(origin, origin ^ (opens << 4));
    let Opened { committer, map, .. } = in_memory(&name(node), &drawn);
    let options = ReplicaOptions {
        automatic: true,
        ..Options::local(name(node)).replica()
    };
    let mut ledger = committer.ledger().clone();
    let earlier = (1..opens).map(|open| Epoch {
        incarnation: seeds(origin, origin ^ (open << 4)).incarnation,
        began_after: 0,
    });
    ledger.epochs.splice(0..0, earlier);
    let replica = Replica::new(options, &ledger, &map);
    Member {
        machine: Machine::new(replica, &name(node), Vec::new()),
        map,
        committer,
        settled: Vec::new(),
        dials: Vec::new(),
        events: Vec::new(),
        identity_conflicts: Vec::new(),
        opens,
        skew_ms: 0,
    }
}

impl Pipes {
    /// Nodes with these origins.
    pub(super) fn new(seed: u64, origins: &[u8]) -> Self {
        let members = origins.iter().enumerate();
        Self {
            members: members
                .map(|(node, origin)| member(node, *origin, 1))
                .collect(),
            lines: Vec::new(),
            at: 1,
            sent_bytes: vec![0; origins.len()],
            last: 0,
            renewals: 0,
            dice: seed.wrapping_mul(2).wrapping_add(1),
        }
    }

    pub(super) fn now(&self, node: usize) -> Now {
        let wall = 1_700_000_000_000 + self.at;
        Now {
            monotonic: MonotonicMs(self.at),
            wall: WallMs(wall.saturating_add_signed(self.members[node].skew_ms)),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.dice >> 33).unwrap() % bound
    }

    pub(super) fn target(&mut self, from: usize, node_id: &str, to: usize) -> TargetId {
        let port = PORT + u16::try_from(to).unwrap();
        let directory = &mut self.members[from].machine.directory;
        directory.target(node_id, "127.0.0.1", port)
    }

    /// Makes a call that is answered. Returns the caller's conversation.
    pub(super) fn dial(&mut self, from: usize, to: usize) -> ConversationId {
        let target = self.target(from, &name(to), to);
        self.dial_target(from, target, to)
    }

    pub(super) fn dial_target(
        &mut self,
        from: usize,
        target: TargetId,
        to: usize,
    ) -> ConversationId {
        self.last += 2;
        let (mine, theirs) = (self.last, self.last + 1);
        let end = |node, id, is_open| End {
            node,
            id,
            arriving: VecDeque::new(),
            is_open,
        };
        let mut ends = [end(from, mine, true), end(to, theirs, false)];
        let remote = |node| ("127.0.0.1".to_owned(), PORT + u16::try_from(node).unwrap());
        ends[1].arriving.push_back(Packet::Opened {
            remote: remote(from),
            instance: 1_000 + theirs,
        });
        self.lines.push(ends);
        let opening = Opening {
            id: mine,
            role: Role::Dialled,
            target: Some(target),
            remote: remote(to),
            instance: 1_000 + mine,
        };
        self.drive(from, |machine, now, map| machine.opened(opening, now, map));
        mine
    }

    pub(super) fn drive(&mut self, node: usize, input: impl FnOnce(&mut Machine, Now, &EntryMap)) {
        let now = self.now(node);
        let member = &mut self.members[node];
        input(&mut member.machine, now, &member.map);
        self.carry_out(node);
    }

    fn carry_out(&mut self, node: usize) {
        loop {
            let mut some = false;
            while let Some(output) = self.members[node].machine.poll() {
                some = true;
                self.execute(node, output);
            }
            let now = self.now(node);
            let member = &mut self.members[node];
            member.machine.end_broken(now, &member.map);
            if !some && !member.machine.replica.send_more(now, &member.map) {
                return;
            }
        }
    }

    fn execute(&mut self, node: usize, output: Output) {
        match output {
            Output::Send(id, message) => {
                self.sent_bytes[node] += super::reconciling::bytes_of(&message);
                if let Some((pipe, side)) = self.place_of(node, id)
                    && self.lines[pipe][side].is_open
                {
                    let other = &mut self.lines[pipe][1 - side];
                    other.arriving.push_back(Packet::Said(message));
                }
            }
            Output::Close(id) => {
                if let Some((pipe, side)) = self.place_of(node, id) {
                    self.lines[pipe][side].is_open = false;
                    self.lines[pipe][side].arriving.clear();
                    self.lines[pipe][1 - side]
                        .arriving
                        .push_back(Packet::Closed);
                }
            }
            Output::Commit(request) => self.commit(node, request),
            Output::Dial(target) => self.members[node].dials.push(target),
            Output::Settled(id, outcome) => self.members[node].settled.push((id, outcome)),
            Output::Peer(event) => self.members[node].events.push(event),
            Output::Greeted(_) => {}
            Output::Renew(identity_conflict) => self.renew(node, identity_conflict),
        }
    }

    pub(super) fn commit(&mut self, node: usize, request: Request) {
        let now = self.now(node);
        let member = &mut self.members[node];
        let committed = member
            .committer
            .commit(vec![request], &member.map, now.wall);
        let mut committed = committed.unwrap();
        let replica = &mut member.machine.replica;
        loop {
            let some = install_some(&mut committed, &mut member.map);
            if some.is_empty() {
                break;
            }
            replica.installed(&some, now);
        }
        replica.committed(committed.last_lseq, committed.durable_lseq);
        let machine = &mut member.machine;
        for (token, peer, position, scope) in &committed.acknowledge {
            machine
                .replica
                .received_durably(*token, *peer, *position, scope, now);
        }
        machine.replica.send_some(now, &member.map);
    }

    pub(super) fn put(&mut self, node: usize, key: &str) {
        self.put_value(node, key, "value");
    }

    pub(super) fn put_value(&mut self, node: usize, key: &str, value: &str) {
        let operation = Operation::put(key.as_bytes(), value.as_bytes(), true).unwrap();
        let request = Request::Write {
            ticket: 1,
            operation,
        };
        self.commit(node, request);
        self.carry_out(node);
    }

    pub(super) fn place_of(&self, node: usize, id: ConversationId) -> Option<(usize, usize)> {
        self.lines.iter().enumerate().find_map(|(at, ends)| {
            let side = ends
                .iter()
                .position(|end| (end.node, end.id) == (node, id))?;
            Some((at, side))
        })
    }

    fn arrive(&mut self, pipe: usize, side: usize) {
        let end = &mut self.lines[pipe][side];
        let (node, id) = (end.node, end.id);
        match end.arriving.pop_front().unwrap() {
            Packet::Opened { remote, instance } => {
                end.is_open = true;
                let opening = Opening {
                    id,
                    role: Role::Accepted,
                    target: None,
                    remote,
                    instance,
                };
                self.drive(node, |machine, now, map| machine.opened(opening, now, map));
            }
            Packet::Said(message) => self.drive(node, |machine, now, map| {
                machine.received(id, message, false, now, map);
            }),
            Packet::Closed => {
                let was_open = std::mem::replace(&mut end.is_open, false);
                if was_open {
                    self.drive(node, |machine, now, map| {
                        machine.closed(id, CloseReason::PeerClosed, now, map);
                    });
                }
            }
        }
    }

    /// Delivers everything under way, in an order that the seed decides.
    pub(super) fn settle(&mut self) {
        for _ in 0..100_000 {
            let waiting: Vec<(usize, usize)> = (0..self.lines.len())
                .flat_map(|pipe| [(pipe, 0), (pipe, 1)])
                .filter(|(pipe, side)| !self.lines[*pipe][*side].arriving.is_empty())
                .collect();
            if waiting.is_empty() {
                return;
            }
            let (pipe, side) = waiting[self.below(waiting.len())];
            self.arrive(pipe, side);
        }
        panic!("they never stop talking");
    }

    /// Lets time pass, with everything done when it is due.
    pub(super) fn wait(&mut self, ms: u64) {
        let until = self.at + ms;
        let mut pieces = 0;
        self.settle();
        for _ in 0..100_000 {
            let due = (0..self.members.len())
                .filter_map(|node| {
                    let member = &self.members[node];
                    Some((member.machine.deadline(&member.map)?, node))
                })
                .min();
            let Some((at, node)) = due.filter(|(at, _)| at.0 <= until) else {
                self.at = until;
                return;
            };
            self.at = self.at.max(at.0);
            self.drive(node, Machine::on_time);
            let member = &self.members[node];
            let next = member.machine.deadline(&member.map);
            let is_later = next.is_none_or(|next| next.0 > self.at);
            pieces = if is_later { 0 } else { pieces + 1 };
            assert!(pieces < PIECES_MAX, "{node} would spin: {next:?}");
            self.settle();
        }
        panic!("they never come to rest");
    }

    /// Restarts a machine with an empty memory and the old author; its pipes stay silent, and only timeouts tell the
    /// others.
    pub(super) fn restart_silently(&mut self, node: usize) {
        let opens = self.members[node].opens + 1;
        let origin = self.members[node].machine.replica.origin().0[0];
        self.members[node] = member(node, origin, opens);
        for end in self.lines.iter_mut().flatten() {
            if end.node == node {
                (end.node, end.is_open) = (usize::MAX, false);
            }
        }
        self.lines.retain(|ends| ends.iter().any(|end| end.is_open));
        for ends in &mut self.lines {
            for end in ends {
                if end.node == usize::MAX {
                    // Nothing reads the messages that still arrive there.
                    end.node = node;
                    end.id = 0;
                    end.arriving.clear();
                }
            }
        }
    }

    /// Breaks the pipe of a conversation: both ends notice.
    pub(super) fn cut(&mut self, node: usize, id: ConversationId) {
        let (pipe, _) = self.place_of(node, id).unwrap();
        for end in &mut self.lines[pipe] {
            end.arriving.clear();
            end.arriving.push_back(Packet::Closed);
        }
        self.settle();
    }

    /// The conversations of a node whose peer has greeted.
    pub(super) fn conversations(&self, node: usize) -> Vec<ConversationId> {
        let machine = &self.members[node].machine;
        machine.acquaintances().map(|(id, ..)| id).collect()
    }
}
