//! The simulated work of `transport::tcp` on received bytes: frames, messages, large values, and the end of a
//! connection.

use super::stream::{End, LineId, Packet, State, is_refused};
use super::world::World;
use crate::node::machine::conversation::ConversationId;
use crate::sync::message::Feed;
use crate::transport::session::Role;
use crate::transport::session::chunks::Assembled;
use crate::transport::session::close::CloseReason;
use crate::transport::wire::codec::{decode, encode};
use crate::transport::wire::message::{Goodbye, GoodbyeReason, Message};

impl World<'_> {
    pub(super) fn arrive(&mut self, line: LineId, side: usize) {
        let [end, other] = {
            let ends = &mut self.lines.get_mut(&line).unwrap().ends;
            let (first, second) = ends.split_at_mut(1);
            if side == 0 {
                [&mut first[0], &mut second[0]]
            } else {
                [&mut second[0], &mut first[0]]
            }
        };
        let (node, id, to) = (end.node, end.id, other.node);
        let Some(packet) = end.pop() else { return };
        match packet {
            Packet::Call => {
                end.state = State::Open;
                self.opened(node, id, Role::Accepted, None, to);
            }
            Packet::Closed(reason) => self.lost(node, id, reason),
            Packet::Damaged(bytes) if !is_refused(&bytes) => {
                self.trace
                    .say(|| format!("{node} on {id}: the channel finds a damaged frame"));
                self.fail(id, "a damaged record");
            }
            Packet::Bytes(bytes) | Packet::Damaged(bytes) => {
                if end.state == State::Open {
                    end.decoder.push(&bytes);
                    self.drive(node, |machine, now, _| machine.heard(id, now));
                    self.deliver_frames(node, id);
                }
            }
        }
    }

    fn lost(&mut self, node: usize, id: ConversationId, reason: &str) {
        let (line, _) = self.ends[&id];
        if let Some(end) = self.end_mut(id)
            && matches!(end.state, State::Open | State::Failed)
        {
            end.shut();
            self.trace.say(|| format!("{node} on {id}: lost, {reason}"));
            self.drive(node, |machine, now, map| {
                machine.closed(id, CloseReason::PeerClosed, now, map);
            });
        } else if let Some(end) = self.end_mut(id) {
            end.shut();
        }
        self.clear_line(line);
    }

    fn deliver_frames(&mut self, node: usize, id: ConversationId) {
        loop {
            let Some(end) = self.end_mut(id).filter(|end| end.state == State::Open) else {
                return;
            };
            let was_greeted = end.is_greeted;
            let decoded = match end.decoder.next_frame() {
                Ok(None) => return,
                Ok(Some(frame)) => {
                    decode(frame.kind, frame.payload).map_err(|error| error.to_string())
                }
                Err(error) => Err(error.to_string()),
            };
            match decoded {
                Ok(None) => {}
                Ok(Some(Message::Feed(part @ (Feed::Large(_) | Feed::Chunk(_)))))
                    if was_greeted =>
                {
                    self.assemble(node, id, part);
                }
                Ok(Some(message)) => self.deliver(node, id, message, false),
                Err(error) => self.violated(id, &error),
            }
            let is_accepted = |end: &mut End| end.is_greeted || end.state != State::Open;
            if self.end_mut(id).is_some_and(|end| !is_accepted(end)) {
                // Nothing after HELLO is read before the peer is accepted.
                return;
            }
        }
    }

    fn assemble(&mut self, node: usize, id: ConversationId, part: Feed) {
        let cost = part.cost();
        let now = self.now(node).monotonic;
        let end = self.end_mut(id).unwrap();
        let outcome = match part {
            Feed::Large(large) => end.assembler.on_large(large, now),
            Feed::Chunk(chunk) => end.assembler.on_chunk(&chunk, now),
            other => panic!("{other:?} is no part"),
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => return self.violated(id, &error.to_string()),
        };
        self.drive(node, |machine, now, _| {
            machine.heard(id, now);
            machine.charged(id, cost, now);
        });
        match outcome {
            Assembled::Nothing => {}
            Assembled::Complete(batch) => {
                self.deliver(node, id, Message::Feed(Feed::Batch(batch)), true);
            }
            Assembled::Refused {
                stream,
                lseq_to,
                code,
            } => {
                self.drive(node, |machine, _, _| {
                    machine.refused(id, stream, lseq_to, code);
                });
            }
        }
    }

    fn deliver(&mut self, node: usize, id: ConversationId, message: Message, charged: bool) {
        self.see_arrival(id, &message);
        let replica = self.nodes[node].running.as_ref();
        let links = replica.map(|running| running.machine.replica.acknowledged_links());
        let is_linked = links.is_some_and(|links| links.iter().any(|(other, ..)| *other == id));
        let void = match &message {
            Message::Feed(Feed::Ack(ack)) => ack.void,
            _ => None,
        };
        let peer = match &message {
            Message::Hello(hello) => Some(hello.greeting.origin),
            _ => None,
        };
        if let Some(peer) = peer {
            let now = self.now(node).monotonic;
            let parts = self.nodes[node].unfinished.parts_of(peer, now);
            self.drive(node, |machine, _, _| machine.keeps(id, parts));
        }
        let ledger = self.nodes[node].running.as_ref();
        let ledger = ledger.map(|running| running.store.committer.ledger());
        let is_void = void.is_some_and(|void| {
            // A place that this node's feed has reached since it greeted is not lost.
            ledger.is_some_and(|ledger| !ledger.is_reached(&void.into()))
        });
        let unsent = self.refused_unsent(node, id, &message);
        self.drive(node, |machine, now, map| {
            machine.received(id, message, charged, now, map);
        });
        if let Some((peer, end)) = peer.zip(self.end_mut(id))
            && end.is_greeted
        {
            end.assembler.greeted(peer);
        }
        if let Some(unsent) = unsent {
            self.check_refused_unsent(node, unsent);
        }
        if is_linked && is_void {
            self.check_identity_conflict(node, id);
        }
        self.check_taken_up(node, id);
    }

    /// Ends the connection because the peer has broken a rule of the wire, and tells it so.
    fn violated(&mut self, id: ConversationId, error: &str) {
        assert!(
            self.excuses.damaged,
            "honest nodes accuse each other: {error}"
        );
        if self.end_mut(id).is_some_and(|end| end.is_greeted) {
            let goodbye = Goodbye::new(GoodbyeReason::Malformed, error, None);
            let mut frame = Vec::new();
            encode(&Message::Goodbye(goodbye), &mut frame).unwrap();
            self.transmit(id, frame);
        }
        self.fail(id, "a broken rule");
    }
}
