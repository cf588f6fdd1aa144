//! Ends of conversations: because the node leaves, because replication gives a peer up, or because the connection is
//! gone.

use crate::core::clock::Now;
use crate::core::error_kind::ErrorKind;
use crate::node::machine::peer_state::PeerState;
use crate::store::scope::Scope;
use crate::store::state::map::EntryMap;
use crate::sync::replica::PartingReason;
use crate::transport::wire::message::{Goodbye, GoodbyeReason, Message};

use super::address_book::TargetId;
use super::conversation::{Acquaintance, Conversation, ConversationId, Refusal, peer_event};
use super::{Machine, Output};

/// A connection of at least this length was useful, however it ended, in milliseconds.
const LASTED_MS: u64 = 60_000;

impl Machine {
    pub(in crate::node) fn drop_conversation(
        &mut self,
        id: ConversationId,
        refusal: &Refusal,
        come_back: bool,
        now: Now,
        map: &EntryMap,
    ) {
        let Some(conversation) = self.conversations.remove(&id) else {
            return;
        };
        self.note_debt(&conversation, now.monotonic);
        let has_progressed = self.replica.has_progressed(id);
        self.replica.disconnected(id, map);
        if !conversation.settled || conversation.is_asked {
            // A peer that says "replaced" keeps another connection to this node.
            let outcome = if refusal.kind == ErrorKind::Replaced {
                Ok(())
            } else {
                Err(refusal.clone())
            };
            self.outputs.push_back(Output::Settled(id, outcome));
        }
        self.outputs.push_back(Output::Close(id));
        if let Some(target) = conversation.target {
            let has_lasted = |peer: &Acquaintance| now.monotonic.since(peer.since) >= LASTED_MS;
            let has_lasted = conversation.peer.as_ref().is_some_and(has_lasted);
            if conversation.settled && (has_progressed || has_lasted) {
                self.directory.succeeded(target);
            }
            self.lost(target, id, &conversation, refusal.kind, come_back, now);
        }
        if let Some(peer) = &conversation.peer {
            let state = match refusal.kind {
                ErrorKind::Protocol | ErrorKind::Unreadable => PeerState::Faulted,
                _ => PeerState::Available,
            };
            let event = peer_event(&conversation, &peer.node_id, state);
            self.outputs.push_back(Output::Peer(event));
            self.remember(&conversation, state, now);
        }
    }

    /// Updates a target whose conversation is over.
    fn lost(
        &mut self,
        target: TargetId,
        id: ConversationId,
        conversation: &Conversation,
        kind: ErrorKind,
        come_back: bool,
        now: Now,
    ) {
        let is_replaced = kind == ErrorKind::Replaced;
        if is_replaced {
            // The peer's other connection may have greeted here, or is about to: then a call finds it.
            self.directory.wanted(target);
            let origin = conversation.peer.as_ref().map(|peer| peer.origin);
            let with = |other: &Conversation| {
                origin.is_some() && other.peer.as_ref().map(|peer| peer.origin) == origin
            };
            let survivor = self
                .conversations
                .iter()
                .find(|(_, other)| with(other))
                .map(|(other, _)| *other);
            if let Some(survivor) = survivor {
                return self.adopt(target, survivor, now);
            }
        }
        // A call that was lost before it was ready does not cancel the wish of an earlier one.
        let come_back = come_back || is_replaced || kind == ErrorKind::ConnectionLost;
        let was_ready = conversation.settled || is_replaced;
        self.directory
            .lost(target, id, was_ready, come_back, now.monotonic);
        if kind == ErrorKind::Unreadable {
            self.directory.hold_off(target, now.monotonic);
        }
    }

    /// Queues a GOODBYE for a peer with which replication cannot continue. [`Self::end_broken`] drops the conversation
    /// once the message is out.
    pub(in crate::node) fn say_goodbye(&mut self, id: ConversationId, farewell: PartingReason) {
        let (reason, text) = match farewell {
            PartingReason::Breach(text) => (GoodbyeReason::Malformed, text),
            PartingReason::Unanswered => (GoodbyeReason::Idle, "the peer acknowledges nothing"),
            PartingReason::Unreadable => (GoodbyeReason::Idle, "the store cannot be read here"),
        };
        let goodbye = Message::Goodbye(Goodbye::new(reason, text, None));
        self.outputs.push_back(Output::Send(id, goodbye));
        let kind = if farewell == PartingReason::Unreadable {
            ErrorKind::Unreadable
        } else {
            ErrorKind::Protocol
        };
        self.broken.push((id, kind, text));
    }

    /// Ends the conversations that replication has given up. The driver calls it once no output is left.
    pub fn end_broken(&mut self, now: Now, map: &EntryMap) {
        for (id, kind, reason) in std::mem::take(&mut self.broken) {
            let refusal = Refusal {
                kind,
                text: format!("connection ended: {reason}"),
            };
            self.drop_conversation(id, &refusal, true, now, map);
        }
    }

    /// Ends every conversation with a goodbye. Targets stay known, and are not called again.
    pub fn leave_all(&mut self, now: Now, map: &EntryMap) {
        let ids: Vec<ConversationId> = self.conversations.keys().copied().collect();
        for id in ids {
            self.leave(
                id,
                GoodbyeReason::Closing,
                "the node stops its transport",
                now,
                map,
            );
        }
        self.directory.forget_wishes();
    }

    /// Ends the conversations with a target, and does not call it again.
    pub fn disconnect(&mut self, target: TargetId, now: Now, map: &EntryMap) {
        self.directory.unwanted(target);
        let with = |conversation: &&Conversation| conversation.target == Some(target);
        let ids: Vec<ConversationId> = self
            .conversations
            .iter()
            .filter(|(_, conversation)| with(conversation))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.leave(
                id,
                GoodbyeReason::Disconnected,
                "the node's user asked to disconnect",
                now,
                map,
            );
        }
    }

    /// True if the node with that id is connected with the wanted scope. A connection with another scope is ended.
    pub fn is_met(&mut self, node_id: &str, wanted: &Scope, now: Now, map: &EntryMap) -> bool {
        let Some(id) = self.conversation_with(node_id) else {
            return false;
        };
        let conversation = self.conversations.get(&id);
        if conversation.is_some_and(|conversation| conversation.wanted == *wanted) {
            return true;
        }
        let text = "the node's user connects with other prefixes";
        let target = conversation.and_then(|conversation| conversation.target);
        // The peer may come back by itself. If this node's call fails, it calls again.
        self.leave(id, GoodbyeReason::Replaced, text, now, map);
        if let Some(target) = target {
            self.directory.keep_calling(target);
        }
        false
    }

    fn leave(
        &mut self,
        id: ConversationId,
        reason: GoodbyeReason,
        text: &str,
        now: Now,
        map: &EntryMap,
    ) {
        let goodbye = Goodbye::new(reason, text, None);
        self.outputs
            .push_back(Output::Send(id, Message::Goodbye(goodbye)));
        let refusal = Refusal {
            kind: ErrorKind::Stopped,
            text: text.to_owned(),
        };
        self.drop_conversation(id, &refusal, false, now, map);
    }
}
