//! Meeting: who greets, whether it is this node itself, and which of two connections to one peer lives.

use crate::core::clock::Now;
use crate::core::identity::Incarnation;
use crate::store::map::EntryMap;
use crate::transport::message::{Goodbye, GoodbyeReason, Hello, Message};
use crate::transport::ties::{Rival, Survivor, survivor};

use super::conversation::{Acquaintance, Conversation, ConversationId, Refusal, peer_event};
use super::directory::TargetId;
use super::machine::{Machine, Output};

impl Machine {
    pub(super) fn greeted(&mut self, id: ConversationId, hello: &Hello, now: Now, map: &EntryMap) {
        let greeting = &hello.greeting;
        if greeting.origin == self.replica.origin() {
            self.met_itself(id, hello, now, map);
            return;
        }
        let incarnation = greeting
            .chain
            .last()
            .map(|stretch| stretch.incarnation)
            .unwrap_or_default();
        if !self.wins_tie(id, hello, incarnation, now, map) {
            return;
        }
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        conversation.peer = Some(Acquaintance {
            origin: greeting.origin,
            incarnation,
            node_id: greeting.node_id.clone(),
            since: now.monotonic,
            capabilities: hello.node_info.clone(),
        });
        if let Some(target) = conversation.target {
            self.directory.connected(target, id, now.wall);
        }
        let event = peer_event(conversation, &greeting.node_id, "connected");
        self.outputs.push_back(Output::Greeted(id));
        self.replica.connected(id, greeting, now, map);
        self.outputs.push_back(Output::Peer(event));
    }

    /// Somebody greets with this node's own origin: the node has called itself, or one of the two is a copy.
    fn met_itself(&mut self, id: ConversationId, hello: &Hello, now: Now, map: &EntryMap) {
        let is_other_end = |other: &Conversation| other.session.instance() == hello.instance;
        let other_end = self
            .conversations
            .iter()
            .find(|(_, other)| is_other_end(other))
            .map(|(other, _)| *other);
        let (kind, reason, text) = if other_end.is_some() {
            let text = "the node has called itself".to_owned();
            ("self_connection", GoodbyeReason::SelfConnection, text)
        } else {
            let node_id = &hello.greeting.node_id;
            let text = format!(
                "\"{node_id}\" has the identity of this node: one of the two is a copy of the other's files"
            );
            ("identity", GoodbyeReason::Identity, text)
        };
        // Both ends at once: the other would look for this one in vain.
        for end in other_end
            .into_iter()
            .filter(|other| *other != id)
            .chain([id])
        {
            let goodbye = Goodbye::new(reason, text.clone(), None);
            self.outputs
                .push_back(Output::Send(end, Message::Goodbye(goodbye)));
            let text = text.clone();
            self.drop_conversation(end, &Refusal { kind, text }, false, now, map);
        }
    }

    /// Settles which connection to a peer lives; false if it is not this one.
    fn wins_tie(
        &mut self,
        id: ConversationId,
        hello: &Hello,
        incarnation: Incarnation,
        now: Now,
        map: &EntryMap,
    ) -> bool {
        let origin = hello.greeting.origin;
        let rival = self.conversations.iter().find_map(|(other, conversation)| {
            let peer = conversation
                .peer
                .as_ref()
                .filter(|peer| peer.origin == origin)?;
            Some((*other, conversation.role, peer.incarnation, peer.since))
        });
        let Some((other, role, peer_incarnation, since)) = rival else {
            return true;
        };
        let Some(newer_role) = self
            .conversations
            .get(&id)
            .map(|conversation| conversation.role)
        else {
            return false;
        };
        let older = Rival {
            role,
            peer_incarnation,
        };
        let newer = Rival {
            role: newer_role,
            peer_incarnation: incarnation,
        };
        let age_ms = now.monotonic.since(since);
        let verdict = survivor(self.replica.origin(), origin, older, newer, age_ms);
        let (loser, winner) = match verdict {
            Survivor::Older => (id, other),
            Survivor::Newer => (other, id),
        };
        let text = "another connection between the two nodes lives on";
        let goodbye = Goodbye::new(GoodbyeReason::Replaced, text, None);
        self.outputs
            .push_back(Output::Send(loser, Message::Goodbye(goodbye)));
        self.replace(loser, winner, now, map);
        verdict == Survivor::Newer
    }

    /// Drops a conversation in favour of another with the same peer: who waits for it has what he wanted.
    fn replace(&mut self, loser: ConversationId, winner: ConversationId, now: Now, map: &EntryMap) {
        let Some(mut conversation) = self.conversations.remove(&loser) else {
            return;
        };
        self.replica.disconnected(loser, map);
        if !std::mem::replace(&mut conversation.settled, true) {
            self.outputs.push_back(Output::Settled(loser, Ok(())));
        }
        self.outputs.push_back(Output::Close(loser));
        if let Some(target) = conversation.target {
            self.adopt(target, winner, now);
        }
    }

    /// A target is reached by a conversation that was not made for it.
    pub(super) fn adopt(&mut self, target: TargetId, winner: ConversationId, now: Now) {
        self.directory.connected(target, winner, now.wall);
        self.directory.wanted(target);
        if let Some(survivor) = self.conversations.get_mut(&winner) {
            survivor.target = survivor.target.or(Some(target));
        }
    }
}
