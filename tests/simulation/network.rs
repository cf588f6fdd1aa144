//! The simulated work of `node::net::network`, `node::shared` and `transport::tcp`, with bytes that take time: calling,
//! sending, arriving, closing, and faults on the way.

use super::stream::{End, Line, LineId, Packet, State};
use super::world::{Dial, World};
use crate::core::clock::Now;
use crate::node::machine::address_book::{TargetId, UNREADABLE_MS};
use crate::node::machine::conversation::{ConversationId, Opening};
use crate::node::machine::{Machine, Output};
use crate::store::state::map::EntryMap;
use crate::transport::session::Role;
use crate::transport::tcp::CONNECT_TIMEOUT_MS;
use crate::transport::tcp::settings::OUTGOING_BYTES_MAX;
use crate::transport::wire::codec::encode;
use crate::transport::wire::message::Message;

const PORT: u16 = 4_000;

/// Time that a program waits for a call, as in `node::net::network`, in milliseconds.
const SETTLE_TIMEOUT_MS: u64 = 10_000;

/// Text of the GOODBYE of a node that cannot read an entry to send.
const UNREADABLE: &str = "the store cannot be read here";

fn remote(node: usize) -> (String, u16) {
    ("127.0.0.1".to_owned(), PORT + u16::try_from(node).unwrap())
}

impl World<'_> {
    /// Hands an input to a machine, and carries out its outputs.
    pub(super) fn drive<R>(
        &mut self,
        node: usize,
        input: impl FnOnce(&mut Machine, Now, &EntryMap) -> R,
    ) -> Option<R> {
        let now = self.now(node);
        let running = self.nodes[node].running.as_mut()?;
        let result = input(&mut running.machine, now, &running.store.map);
        self.carry_out(node);
        Some(result)
    }

    pub(super) fn carry_out(&mut self, node: usize) {
        let now = self.now(node);
        loop {
            let mut some = false;
            while let Some(output) = self.nodes[node].up_mut().machine.poll() {
                some = true;
                self.execute(node, output);
            }
            let running = self.nodes[node].up_mut();
            running.machine.end_broken(now, &running.store.map);
            if !some && !running.machine.replica.send_more(now, &running.store.map) {
                break;
            }
        }
        let running = self.nodes[node].up_mut();
        let deadline = running.machine.deadline(&running.store.map);
        running.timer_at = deadline.map(|at| at.0.saturating_sub(1));
        running.see_released();
        self.check_given_up(node);
        self.check_node(node);
        self.renew_on_identity_conflict(node);
    }

    fn execute(&mut self, node: usize, output: Output) {
        match output {
            Output::Send(id, message) => self.send(node, id, &message),
            Output::Greeted(id) => {
                if let Some(end) = self.end_mut(id) {
                    end.is_greeted = true;
                    end.decoder.raise_limit();
                }
            }
            Output::Close(id) => self.hang_up(id, "the peer closed it"),
            Output::Commit(request) => self.request(node, request),
            Output::Dial(target) => self.dial(node, target, false),
            Output::Settled(id, outcome) => {
                self.trace
                    .say(|| format!("{node}: call {id} came to {outcome:?}"));
                self.nodes[node].up_mut().calls.remove(&id);
            }
            Output::Renew(identity_conflict) => {
                let at = self.at;
                let running = self.nodes[node].up();
                let origin = running.machine.replica.origin();
                assert!(
                    self.repeated.contains(&origin),
                    "2: {node} doubts that it is {origin}, which nobody else ever was: {identity_conflict:?}"
                );
                let running = self.nodes[node].up_mut();
                (running.identity_conflict, running.doubted_at) =
                    (Some(identity_conflict), Some(at));
            }
            Output::Peer(event) => {
                self.trace
                    .say(|| format!("{node}: {} is {}", event.node_id, event.state.as_str()));
                self.see_peer_event(node, &event);
            }
        }
    }

    pub(super) fn end_mut(&mut self, id: ConversationId) -> Option<&mut End> {
        let (line, side) = *self.ends.get(&id)?;
        Some(&mut self.lines.get_mut(&line)?.ends[side])
    }

    /// When the next packet arrives at an end.
    pub(super) fn due(&self, line: &Line, side: usize) -> Option<u64> {
        let end = &line.ends[side];
        let at = end.arriving.front()?.0;
        if end.state == State::Failed {
            return Some(at);
        }
        let at = at.max(self.nodes[end.node].stalled_until);
        Some(self.passes_at(line.ends[1 - side].node, end.node, at))
    }

    /// When a packet that arrives at `at` gets through blocks of the way.
    fn passes_at(&self, from: usize, to: usize, mut at: u64) -> u64 {
        for (begin, end) in self.blocked.get(&(from, to)).into_iter().flatten() {
            if (*begin..*end).contains(&at) {
                at = *end;
            }
        }
        at
    }

    fn delay(&mut self, a: usize, b: usize) -> u64 {
        let delay = self.delays.get(&(a.min(b), a.max(b))).copied().unwrap_or(5);
        delay + self.dice.below(delay / 4 + 1)
    }

    /// Calls a peer, as a program does by `connect`.
    pub(super) fn call(&mut self, node: usize, to: usize, again: bool) {
        if self.nodes[node].running.is_none() {
            return;
        }
        let target = self.target(node, to);
        let is_met = if self.has_prefixes {
            self.is_met(node, to)
        } else {
            let name = &self.nodes[to].name;
            let machine = &self.nodes[node].up().machine;
            machine.conversation_with(name).is_some()
        };
        if again || !is_met {
            self.dial(node, target, true);
        }
    }

    /// The target under which one node knows another.
    pub(super) fn target(&mut self, node: usize, to: usize) -> TargetId {
        let name = self.nodes[to].name.clone();
        let (host, port) = remote(to);
        let directory = &mut self.nodes[node].up_mut().machine.directory;
        directory.target(&name, &host, port)
    }

    fn dial(&mut self, node: usize, target: TargetId, is_awaited: bool) {
        let running = self.nodes[node].up();
        let port = running.machine.directory.get(target).unwrap().port;
        let to = usize::from(port - PORT);
        let at = self.at;
        let there = self.passes_at(node, to, at);
        let back = self.passes_at(to, node, there);
        let latency = self.delay(node, to);
        self.dials.push(Dial {
            at: (back + latency).min(at + CONNECT_TIMEOUT_MS),
            node,
            to,
            target,
            is_awaited,
        });
    }

    pub(super) fn dialled(&mut self, dial: &Dial) {
        let Dial {
            node, to, target, ..
        } = *dial;
        let blocked = self.passes_at(node, to, self.at) > self.at
            || self.passes_at(to, node, self.at) > self.at;
        if blocked || self.nodes[to].running.is_none() {
            self.trace.say(|| format!("{node} does not reach {to}"));
            self.drive(node, |machine, now, _| {
                machine.directory.unreachable(target, now.monotonic);
            });
            return;
        }
        if self.nodes[node].running.is_none() {
            return;
        }
        let between = |line: &Line| line.ends.iter().all(|end| [node, to].contains(&end.node));
        if self.lines.values().any(between) {
            self.overlapped.insert((node.min(to), node.max(to)));
        }
        let (mine, theirs) = (self.last_id + 1, self.last_id + 2);
        self.last_id += 2;
        self.trace
            .say(|| format!("{node} is connected to {to} as {mine} and {theirs}"));
        let limits = [node, to].map(|node| self.nodes[node].plan.options.value_bytes_max);
        let kept = [node, to].map(|node| &self.nodes[node].unfinished);
        let mut ends = [
            End::new(node, mine, State::Open, limits[0], kept[0].clone()),
            End::new(to, theirs, State::Called, limits[1], kept[1].clone()),
        ];
        let delay = self.delay(node, to);
        ends[1].push(self.at + delay, Packet::Call);
        self.lines.insert(mine, Line { ends });
        self.ends.insert(mine, (mine, 0));
        self.ends.insert(theirs, (mine, 1));
        if dial.is_awaited {
            let until = self.at + SETTLE_TIMEOUT_MS;
            self.nodes[node]
                .up_mut()
                .calls
                .insert(mine, (until, target));
        }
        self.opened(node, mine, Role::Dialled, Some(target), to);
    }

    pub(super) fn opened(
        &mut self,
        node: usize,
        id: ConversationId,
        role: Role,
        target: Option<TargetId>,
        to: usize,
    ) {
        let opening = Opening {
            id,
            role,
            target,
            remote: remote(to),
            instance: self.dice.next(),
        };
        self.drive(node, |machine, now, map| machine.opened(opening, now, map));
    }

    pub(super) fn call_timed_out(&mut self, node: usize, id: ConversationId) {
        let call = self.nodes[node].up_mut().calls.remove(&id);
        if let Some((_, target)) = call {
            self.trace.say(|| format!("{node}: call {id} timed out"));
            self.drive(node, |machine, now, map| {
                machine.disconnect(target, now, map);
            });
        }
    }

    fn send(&mut self, node: usize, id: ConversationId, message: &Message) {
        self.check_sent(node, id, message);
        let mut frame = Vec::new();
        encode(message, &mut frame).unwrap();
        self.trace.note(&frame);
        self.trace
            .say(|| format!("{node} on {id} says {}", super::wire::shown(message)));
        self.feed_messages += u64::from(matches!(message, Message::Feed(_)));
        if matches!(message, Message::Goodbye(goodbye) if goodbye.text == UNREADABLE) {
            // The node calls that peer again then, even if the peer has called meanwhile.
            self.put_off_until = self.at + UNREADABLE_MS;
        }
        self.transmit(id, frame);
    }

    /// Puts a frame on its way from an end.
    pub(super) fn transmit(&mut self, id: ConversationId, frame: Vec<u8>) {
        let Some((line, side)) = self.ends.get(&id).copied() else {
            return;
        };
        let [from, to] = [side, 1 - side].map(|side| self.lines[&line].ends[side].node);
        if self.lines[&line].ends[side].state != State::Open {
            return;
        }
        let at = self.at + self.delay(from, to);
        let split =
            (frame.len() > 8 && self.dice.one_in(6)).then(|| 1 + self.dice.index(frame.len() - 1));
        let behind = self.dice.below(20);
        let ends = &mut self.lines.get_mut(&line).unwrap().ends;
        let other = &mut ends[1 - side];
        if other.state == State::Shut {
            // The other end is gone, as this end learns only by sending.
            if self.nodes[to].running.is_some() {
                ends[side].push(at, Packet::Closed("nobody is there"));
            }
            return;
        }
        if other.arriving_bytes + frame.len() > OUTGOING_BYTES_MAX {
            self.fail(id, "too much waits for the peer");
            return;
        }
        if let Some(seed) = other.damage.take() {
            let mut damaged = frame;
            let place = usize::try_from(seed % damaged.len() as u64).unwrap();
            damaged[place] ^= 1 << (seed >> 61);
            other.push(at, Packet::Damaged(damaged));
        } else if let Some(split) = split {
            other.push(at, Packet::Bytes(frame[..split].to_vec()));
            other.push(at + behind, Packet::Bytes(frame[split..].to_vec()));
        } else {
            other.push(at, Packet::Bytes(frame));
        }
    }

    /// Ends a connection by the system; both nodes learn of it later.
    pub(super) fn fail(&mut self, id: ConversationId, reason: &'static str) {
        let Some((line, side)) = self.ends.get(&id).copied() else {
            return;
        };
        let at = self.at;
        let ends = &mut self.lines.get_mut(&line).unwrap().ends;
        if ends[side].state == State::Open {
            ends[side].shut();
            ends[side].state = State::Failed;
            ends[side].push(at, Packet::Closed(reason));
            ends[1 - side].push(at, Packet::Closed("the connection was reset"));
        }
    }

    /// Closes one end, once the bytes that it has sent have arrived.
    pub(super) fn hang_up(&mut self, id: ConversationId, reason: &'static str) {
        let Some((line, side)) = self.ends.get(&id).copied() else {
            return;
        };
        let at = self.at;
        let ends = &mut self.lines.get_mut(&line).unwrap().ends;
        ends[side].shut();
        ends[1 - side].push(at, Packet::Closed(reason));
        self.clear_line(line);
    }

    /// Forgets a line that both ends have left.
    pub(super) fn clear_line(&mut self, line: LineId) {
        let is_over = |line: &Line| line.ends.iter().all(|end| end.state == State::Shut);
        if self.lines.get(&line).is_some_and(is_over) {
            self.lines.remove(&line);
            self.ends.retain(|_, (other, _)| *other != line);
        }
    }
}
