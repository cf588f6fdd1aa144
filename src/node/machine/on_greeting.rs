//! Greetings: detects connections to oneself and copies, and chooses between two connections to one peer.

use crate::core::clock::Now;
use crate::core::error_kind::ErrorKind;
use crate::core::rules::{Rule, is_broken};
use crate::node::machine::peer_state::PeerState;
use crate::store::commit::ledger::Ledger;
use crate::store::state::map::EntryMap;
use crate::sync::identity::identity_conflict::IdentityConflictReason;
use crate::transport::session::duplicate::{MEETING_MS, Rival, Survivor, survivor};
use crate::transport::wire::message::{Goodbye, GoodbyeReason, Hello, Message};

use super::address_book::TargetId;
use super::conversation::{
    Acquaintance, Conversation, ConversationId, Refusal, current, peer_event,
};
use super::{Machine, Output};

/// Time for which a peer must turn this node away as a copy of another one before it takes another identity, in
/// milliseconds: longer than a former connection of its own can seem alive there.
pub(in crate::node) const TURNED_AWAY_MS: u64 = 90_000;

/// Most peers that are remembered for turning this node away: one is enough, and any node can be one.
const TURNED_AWAY_MAX: usize = 64;

/// Clock skew of a peer from which on it is reported, in milliseconds: far above the error of networks and ordinary
/// clocks.
const CLOCK_SKEW_TOLD_MS: u64 = 60_000;

impl Machine {
    /// Sends this node's HELLO, if it was not sent yet, with the scope wanted of the calling node.
    pub(in crate::node) fn greet_back(
        &mut self,
        id: ConversationId,
        node_id: Option<&str>,
        now: Now,
        map: &EntryMap,
    ) {
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        if std::mem::replace(&mut conversation.has_greeted, true) {
            return;
        }
        let named = node_id.and_then(|node_id| self.directory.scope_of(node_id));
        if let Some(named) = named {
            conversation.wanted = self.scope.intersection(named);
            let greeting = self.replica.greeting(&conversation.wanted, now, map);
            conversation.session.greet_with(greeting);
        }
        self.outputs
            .push_back(Output::Send(id, conversation.session.opening()));
    }

    pub(in crate::node) fn greeted(
        &mut self,
        id: ConversationId,
        hello: &Hello,
        now: Now,
        map: &EntryMap,
    ) {
        let greeting = &hello.greeting;
        if greeting.origin == self.replica.origin() {
            self.met_itself(id, hello, now, map);
            return;
        }
        if self.parted_twins(id, hello, now, map) || !self.wins_tie(id, hello, now, map) {
            return;
        }
        self.recall_debt(id, greeting.origin, now.monotonic);
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        conversation.peer = Some(Acquaintance {
            origin: greeting.origin,
            epochs: greeting.epochs.clone(),
            node_id: greeting.node_id.clone(),
            since: now.monotonic,
            capabilities: hello.node_info.clone(),
        });
        if let Some(target) = conversation.target {
            self.directory.connected(target, id, now.wall);
        }
        let event = peer_event(conversation, &greeting.node_id, PeerState::Connected);
        let wanted = conversation.wanted.clone();
        self.outputs.push_back(Output::Greeted(id));
        let has_called = conversation.target.is_some();
        let is_named = has_called || self.directory.scope_of(&greeting.node_id).is_some();
        let parts = std::mem::take(&mut conversation.parts);
        self.replica.keeps(id, parts);
        self.replica.connected(id, greeting, &wanted, now, map);
        if is_named {
            self.replica.name(greeting.origin, now.monotonic);
        }
        self.outputs.push_back(Output::Peer(event));
    }

    /// Reports a large clock skew of a peer, once per conversation. Nothing depends on it but times shown to users.
    pub(in crate::node) fn tell_skew(&mut self, id: ConversationId) {
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        let skew_ms = conversation.skew_ms().unwrap_or(0);
        if conversation.skew_reported || skew_ms.unsigned_abs() < CLOCK_SKEW_TOLD_MS {
            return;
        }
        conversation.skew_reported = true;
        if is_broken(Rule::SkewUntold) {
            return;
        }
        if let Some(node_id) = conversation.peer.as_ref().map(|peer| &peer.node_id) {
            tracing::warn!(peer = %node_id, skew_ms, "the peer's clock and this node's are far apart");
            let event = peer_event(conversation, node_id, PeerState::Connected);
            self.outputs.push_back(Output::Peer(event));
        }
    }

    /// Handles a HELLO with this node's own origin: the node has called itself, or one of the two is a copy.
    fn met_itself(&mut self, id: ConversationId, hello: &Hello, now: Now, map: &EntryMap) {
        let is_other_end = |other: &Conversation| other.session.instance() == hello.instance;
        let other_end = self
            .conversations
            .iter()
            .find(|(_, other)| is_other_end(other))
            .map(|(other, _)| *other);
        let (kind, reason, text) = if other_end.is_some() {
            let text = "the node has called itself".to_owned();
            (
                ErrorKind::SelfConnection,
                GoodbyeReason::SelfConnection,
                text,
            )
        } else {
            let node_id = &hello.greeting.node_id;
            let text = format!(
                "\"{node_id}\" has the identity of this node: one of the two is a copy of the other's files"
            );
            (ErrorKind::Identity, GoodbyeReason::Identity, text)
        };
        let is_copy = other_end.is_none();
        if is_copy && self.shares_history(hello) && !is_broken(Rule::TwinUnheeded) {
            let reason = IdentityConflictReason::Shared;
            self.replica
                .identity_conflict(reason, &hello.greeting.node_id, now.monotonic);
        }
        // Both ends are closed at once: the other would find this one gone.
        for end in other_end
            .into_iter()
            .filter(|other| *other != id)
            .chain([id])
        {
            let refusal = Refusal {
                kind,
                text: text.clone(),
            };
            self.part(end, reason, &refusal, is_copy, now, map);
        }
    }

    /// Says goodbye to one end; with `come_back` it is called again, once the obstacle is removed.
    fn part(
        &mut self,
        id: ConversationId,
        reason: GoodbyeReason,
        refusal: &Refusal,
        come_back: bool,
        now: Now,
        map: &EntryMap,
    ) {
        let goodbye = Goodbye::new(reason, refusal.text.clone(), None);
        self.outputs
            .push_back(Output::Send(id, Message::Goodbye(goodbye)));
        if come_back {
            self.call_again(id);
        }
        self.drop_conversation(id, refusal, come_back, now, map);
    }

    fn call_again(&mut self, id: ConversationId) {
        let conversation = self.conversations.get(&id);
        if let Some(target) = conversation.and_then(|conversation| conversation.target) {
            self.directory.keep_calling(target);
        }
    }

    /// Handles forked twins: two nodes with one identity and epoch histories that have forked, so that one is a copy of
    /// the other's files, or uses its name. The later one is turned away. Returns true if it is a twin. A restarted
    /// node continues its history; a HELLO with an older history is a twin too, unless it was on its way during the
    /// first one.
    fn parted_twins(
        &mut self,
        id: ConversationId,
        hello: &Hello,
        now: Now,
        map: &EntryMap,
    ) -> bool {
        let greeting = &hello.greeting;
        let is_twin = |other: &Conversation| {
            other.peer.as_ref().is_some_and(|peer| {
                let is_late = now.monotonic.since(peer.since) <= MEETING_MS;
                let has_gone_on = !is_late && peer.goes_beyond(&greeting.epochs);
                let has_gone_on = has_gone_on && !is_broken(Rule::OlderTwinUnheeded);
                let has_parted = peer.has_forked_from(&greeting.epochs);
                peer.origin == greeting.origin && (has_parted || has_gone_on)
            })
        };
        if !self.conversations.values().any(is_twin) {
            return false;
        }
        let refusal = Refusal {
            kind: ErrorKind::Identity,
            text: format!(
                "two nodes have the identity of \"{}\": one of them is a copy of the other's files",
                greeting.node_id
            ),
        };
        self.part(id, GoodbyeReason::Identity, &refusal, true, now, map);
        true
    }

    /// Handles that a peer turns this node away, because another node is connected there under its identity. Any peer
    /// can claim that, or be the other node, so a single claim proves nothing. But a node that is turned away for long
    /// cannot continue, and may not have brought that peer any write for which it would be remembered. New identities
    /// are rare, whatever peers claim.
    pub(in crate::node) fn turned_away(&mut self, id: ConversationId, now: Now) {
        self.call_again(id);
        let conversation = self.conversations.get(&id);
        let peer = conversation.and_then(|conversation| conversation.peer.as_ref());
        let Some(peer) = peer else {
            return;
        };
        let is_known = self.turned_away.contains_key(&peer.origin);
        if !is_known && self.turned_away.len() >= TURNED_AWAY_MAX {
            return;
        }
        let since = *self.turned_away.entry(peer.origin).or_insert(now.monotonic);
        if now.monotonic.since(since) >= TURNED_AWAY_MS {
            let (origin, node_id) = (peer.origin, peer.node_id.clone());
            self.turned_away.remove(&origin);
            let reason = IdentityConflictReason::Shared;
            self.replica
                .identity_conflict(reason, &node_id, now.monotonic);
        }
    }

    /// True if a peer shares epochs of this node's history: a copy of its files does, and a node that only uses its
    /// name does not.
    fn shares_history(&self, hello: &Hello) -> bool {
        let mut theirs = hello.greeting.epochs.iter();
        theirs.any(|epoch| self.replica.has_epoch(epoch.incarnation))
    }

    /// Takes in a new identity, from its ledger and map: peers that knew the old one are greeted anew.
    pub fn renewed(&mut self, ledger: &Ledger, now: Now, map: &EntryMap) {
        let refusal = Refusal {
            kind: ErrorKind::Identity,
            text: "the node has taken a new identity and connects again".to_owned(),
        };
        for id in self.conversations.keys().copied().collect::<Vec<_>>() {
            self.part(id, GoodbyeReason::Closing, &refusal, true, now, map);
        }
        self.replica.renewed(ledger, map);
    }

    /// True if there is another connection to the peer of this one.
    pub(in crate::node) fn has_another(&self, id: ConversationId) -> bool {
        let origin_of = |conversation: &Conversation| Some(conversation.peer.as_ref()?.origin);
        let origin = self.conversations.get(&id).and_then(origin_of);
        let others = self.conversations.iter().filter(|(other, _)| **other != id);
        // A connection that has not greeted yet may be the one.
        others.into_iter().any(|(_, other)| {
            origin.is_none() || origin_of(other).is_none_or(|other| Some(other) == origin)
        })
    }

    /// Chooses between two connections to one peer; false if this one must end.
    fn wins_tie(&mut self, id: ConversationId, hello: &Hello, now: Now, map: &EntryMap) -> bool {
        let origin = hello.greeting.origin;
        let rival = self.conversations.iter().find_map(|(other, conversation)| {
            let peer = conversation
                .peer
                .as_ref()
                .filter(|peer| peer.origin == origin)?;
            let is_outdated = peer.goes_beyond(&hello.greeting.epochs);
            let since = (!is_outdated).then_some(peer.since);
            Some((*other, conversation.role, peer.incarnation(), since))
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
            peer_incarnation: current(&hello.greeting.epochs),
        };
        // A HELLO that comes after that of a later connection was under way for long.
        let verdict = since.map_or(Survivor::Older, |since| {
            let age_ms = now.monotonic.since(since);
            survivor(self.replica.origin(), origin, older, newer, age_ms)
        });
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

    /// Drops a conversation in favour of another with its peer: calls that wait for it succeed.
    fn replace(&mut self, loser: ConversationId, winner: ConversationId, now: Now, map: &EntryMap) {
        let Some(conversation) = self.conversations.remove(&loser) else {
            return;
        };
        self.note_debt(&conversation, now.monotonic);
        self.replica.disconnected(loser, map);
        // The peer is connected, which is all that its callers and requests for a sign of life wait for.
        if !conversation.settled || conversation.is_asked {
            self.outputs.push_back(Output::Settled(loser, Ok(())));
        }
        self.outputs.push_back(Output::Close(loser));
        if let Some(target) = conversation.target {
            self.adopt(target, winner, now);
        }
    }

    /// Assigns a target to a conversation that was not made for it.
    pub(in crate::node) fn adopt(&mut self, target: TargetId, winner: ConversationId, now: Now) {
        self.directory.connected(target, winner, now.wall);
        self.directory.wanted(target);
        if let Some(survivor) = self.conversations.get_mut(&winner) {
            survivor.target = survivor.target.or(Some(target));
        }
    }
}
