//! Meeting: who greets, whether it is this node itself, and which of two connections to one peer lives.

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

/// How long a peer has to turn a node away as another one's copy before it takes another identity: longer than a former
/// connection of its own seems to live there.
pub(in crate::node) const TURNED_AWAY_MS: u64 = 90_000;

/// Most peers of which it is remembered that they turn this node away: one is enough, and anybody can be one.
const TURNED_AWAY_MAX: usize = 64;

/// From how many milliseconds on a peer's clock counts as far off: far above what networks and ordinary clocks
/// make of it.
const CLOCK_SKEW_TOLD_MS: u64 = 60_000;

impl Machine {
    /// Says who this is, if that was not said yet: what is exchanged is what is wanted of the node that calls.
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

    /// A peer's clock that is far off is told, once for each conversation. Nothing depends on it: it hurts only who
    /// reads times.
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
        // Both ends at once: the other would look for this one in vain.
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

    /// Says goodbye to one end; `come_back`: and calls it again, once what was in the way is mended.
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

    /// Two nodes greet with one identity and histories that have parted: one is a copy of the other's files, or uses its
    /// name. The one that comes later is turned away. Says whether it is so. A node that has only restarted goes on where
    /// it was; but whoever greets with what was before that, and not in words that were on their way meanwhile, has gone
    /// on too.
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

    /// A peer turns this node away, because somebody else is connected there under its identity. Anybody can say that, or
    /// be the one that is connected, so it shows nothing by itself. But who is turned away for long cannot go on as it is,
    /// and may have brought that peer nothing yet that it would be remembered for. Renewals are rare, whoever claims what.
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

    /// Whether somebody has the history of this node, too: a copy of its files has. Who only uses its name has not.
    fn shares_history(&self, hello: &Hello) -> bool {
        let mut theirs = hello.greeting.epochs.iter();
        theirs.any(|epoch| self.replica.has_epoch(epoch.incarnation))
    }

    /// The node has another identity, as its ledger and map show it: whoever knew it under the old one is met anew.
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

    /// Whether there is another connection to the peer of this one.
    pub(in crate::node) fn has_another(&self, id: ConversationId) -> bool {
        let origin_of = |conversation: &Conversation| Some(conversation.peer.as_ref()?.origin);
        let origin = self.conversations.get(&id).and_then(origin_of);
        let others = self.conversations.iter().filter(|(other, _)| **other != id);
        // One that has not said who it is may be the one.
        others.into_iter().any(|(_, other)| {
            origin.is_none() || origin_of(other).is_none_or(|other| Some(other) == origin)
        })
    }

    /// Settles which connection to a peer lives; false if it is not this one.
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
        // What comes behind what it went before was under way for long.
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

    /// Drops a conversation in favour of another with the same peer: who waits for it has what he wanted.
    fn replace(&mut self, loser: ConversationId, winner: ConversationId, now: Now, map: &EntryMap) {
        let Some(conversation) = self.conversations.remove(&loser) else {
            return;
        };
        self.note_debt(&conversation, now.monotonic);
        self.replica.disconnected(loser, map);
        // Its peer is connected, which is what whoever calls it or asks it for a sign of life waits for.
        if !conversation.settled || conversation.is_asked {
            self.outputs.push_back(Output::Settled(loser, Ok(())));
        }
        self.outputs.push_back(Output::Close(loser));
        if let Some(target) = conversation.target {
            self.adopt(target, winner, now);
        }
    }

    /// A target is reached by a conversation that was not made for it.
    pub(in crate::node) fn adopt(&mut self, target: TargetId, winner: ConversationId, now: Now) {
        self.directory.connected(target, winner, now.wall);
        self.directory.wanted(target);
        if let Some(survivor) = self.conversations.get_mut(&winner) {
            survivor.target = survivor.target.or(Some(target));
        }
    }
}
