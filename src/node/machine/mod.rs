//! The machine that joins conversations, replication and the list of peers. Pure: it takes events with their time, and
//! returns outputs; the driver owns connections, files, threads and clocks.

pub mod address_book;
pub mod conversation;
pub(super) mod fair_use;
pub(super) mod on_close;
pub(super) mod on_greeting;
pub mod peer_state;
pub mod progress;

use std::collections::{BTreeMap, VecDeque};

use super::machine::address_book::{Directory, TargetId};
use super::machine::conversation::{
    Conversation, ConversationId, Opening, PeerEvent, Refusal, goodbye_kind,
};
use super::machine::fair_use::{Debtors, FairUse};
use super::machine::progress::LastMet;
use crate::core::clock::{MonotonicMs, Now};
use crate::core::error_kind::ErrorKind;
use crate::core::identity::Origin;
use crate::core::rules::{Rule, is_broken};
use crate::store::commit::operation::Request;
use crate::store::scope::Scope;
use crate::store::state::map::EntryMap;
use crate::sync::identity::identity_conflict::IdentityConflict;
use crate::sync::message::{BegunValues, Feed, RefusalCode, Stream};
use crate::sync::replica::{self, Replica};
use crate::transport::session::close::CloseReason;
use crate::transport::session::{
    KEEPALIVE_MS, Role, Session, SessionEvent, SilenceReason, TimeVerdict,
};
use crate::transport::wire::message::{
    Goodbye, GoodbyeReason, Hello, Message, PROTOCOL_MAX, PROTOCOL_MIN,
};

/// An output of the machine, to be carried out in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a message.
    Send(ConversationId, Message),
    /// The peer has greeted: it may send large frames now.
    Greeted(ConversationId),
    /// End a connection once everything is sent. It delivers nothing more; `closed` need not be reported.
    Close(ConversationId),
    /// Commit a request.
    Commit(Request),
    /// Call a peer.
    Dial(TargetId),
    /// A connection attempt has ended: ready to send, or refused.
    Settled(ConversationId, Result<(), Refusal>),
    /// A peer connected or disconnected.
    Peer(PeerEvent),
    /// Take another identity, and report it with `renewed`.
    Renew(IdentityConflict),
}

/// The machine of one node.
#[derive(Debug)]
pub struct Machine {
    /// Replication.
    pub replica: Replica,
    /// The peers that are known by address.
    pub directory: Directory,
    /// Scope of this node on any connection.
    pub scope: Scope,
    pub(super) conversations: BTreeMap<ConversationId, Conversation>,
    node_info: Vec<u8>,
    /// Peers that were connected since the node was opened, and are not any more.
    pub(super) last_met: BTreeMap<Origin, LastMet>,
    /// Times since when known peers turn this node away, because another node has its identity.
    pub(super) turned_away: BTreeMap<Origin, MonotonicMs>,
    /// Use of disconnected peers.
    pub(super) debtors: Debtors,
    /// Conversations that cannot continue, with kind and reason, to be dropped at the next call that has the time.
    pub(super) broken: Vec<(ConversationId, ErrorKind, &'static str)>,
    pub(super) outputs: VecDeque<Output>,
}

impl Machine {
    /// The machine of a node whose description for peers is `node_info`.
    pub fn new(replica: Replica, node_id: &str, node_info: Vec<u8>) -> Self {
        Self {
            replica,
            directory: Directory::new(node_id),
            scope: Scope::ALL,
            conversations: BTreeMap::new(),
            node_info,
            last_met: BTreeMap::new(),
            turned_away: BTreeMap::new(),
            debtors: Debtors::default(),
            broken: Vec::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The next output.
    pub fn poll(&mut self) -> Option<Output> {
        while let Some(output) = self.replica.poll() {
            match output {
                replica::Output::Send(id, feed) => self
                    .outputs
                    .push_back(Output::Send(id, Message::Feed(feed))),
                replica::Output::Commit(request) => self.outputs.push_back(Output::Commit(request)),
                replica::Output::Close(id, farewell) => self.say_goodbye(id, farewell),
                replica::Output::Renew(identity_conflict) => {
                    self.outputs.push_back(Output::Renew(identity_conflict));
                }
            }
        }
        self.outputs.pop_front()
    }

    /// Takes in a new connection.
    pub fn opened(&mut self, opening: Opening, now: Now, map: &EntryMap) {
        let expected = opening
            .target
            .and_then(|target| self.directory.node_id(target));
        let target = opening.target.and_then(|target| self.directory.get(target));
        let wanted = match target {
            Some(target) if !is_broken(Rule::PeerScopeIgnored) => {
                self.scope.intersection(&target.scope)
            }
            _ => self.scope.clone(),
        };
        let hello = Hello {
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
            greeting: self.replica.greeting(&wanted, now, map),
            expected_node_id: expected.map(str::to_owned),
            instance: opening.instance,
            keepalive_ms: KEEPALIVE_MS,
            node_info: self.node_info.clone(),
        };
        let session = Session::new(hello, now);
        // The called side waits with its HELLO: its scope may depend on the caller.
        let has_greeted = opening.role == Role::Dialled;
        if has_greeted {
            self.outputs
                .push_back(Output::Send(opening.id, session.opening()));
        }
        let Opening {
            id,
            role,
            target,
            remote,
            ..
        } = opening;
        let conversation = Conversation {
            session,
            role,
            target,
            remote,
            wanted,
            has_greeted,
            peer: None,
            settled: false,
            skew_reported: false,
            fair_use: FairUse::new(now.monotonic),
            is_asked: false,
            parts: BegunValues::default(),
        };
        self.conversations.insert(id, conversation);
    }

    /// Handles a message.
    pub(super) fn heed(
        &mut self,
        id: ConversationId,
        message: Message,
        charged: bool,
        now: Now,
        map: &EntryMap,
    ) {
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        let is_answered = std::mem::take(&mut conversation.is_asked);
        let event = conversation.session.on_message(message, now);
        if is_answered {
            self.outputs.push_back(Output::Settled(id, Ok(())));
        }
        match event {
            Ok(SessionEvent::Feed(feed)) => self.feed(id, feed, charged, now, map),
            Ok(SessionEvent::Reply(reply)) => self.outputs.push_back(Output::Send(id, reply)),
            Ok(SessionEvent::Greeted(hello)) => {
                self.greet_back(id, Some(&hello.greeting.node_id), now, map);
                self.greeted(id, &hello, now, map);
            }
            Ok(SessionEvent::Nothing) => self.tell_skew(id),
            Ok(SessionEvent::Left(goodbye)) => {
                let is_doubted = goodbye.reason == GoodbyeReason::Identity;
                if is_doubted && !is_broken(Rule::TwinNewsIgnored) {
                    self.turned_away(id, now);
                }
                let refusal = Refusal {
                    kind: goodbye_kind(goodbye.reason),
                    text: goodbye.text,
                };
                let wanted = match goodbye.reason {
                    GoodbyeReason::Disconnected | GoodbyeReason::SelfConnection => false,
                    // Replaced by a connection that this node does not know: the next call finds out about it.
                    GoodbyeReason::Replaced => !self.has_another(id),
                    // Another node, or one of another version, may answer at its address for a while.
                    _ => true,
                };
                self.drop_conversation(id, &refusal, wanted, now, map);
            }
            Err(error) => {
                let refusal = Refusal {
                    kind: goodbye_kind(error.goodbye().reason),
                    text: error.to_string(),
                };
                self.greet_back(id, None, now, map);
                self.outputs
                    .push_back(Output::Send(id, Message::Goodbye(error.goodbye())));
                // A target that was reached once is called again, with growing delays, whatever answers there
                // meanwhile.
                self.drop_conversation(id, &refusal, true, now, map);
            }
        }
    }

    fn feed(&mut self, id: ConversationId, feed: Feed, charged: bool, now: Now, map: &EntryMap) {
        self.replica.received(id, feed, charged, now, map);
        let started = self.replica.is_started(id);
        if let Some(conversation) = self.conversations.get_mut(&id)
            && started
            && !conversation.settled
        {
            conversation.settled = true;
            if let Some(peer) = &conversation.peer {
                self.turned_away.remove(&peer.origin);
            }
            if let Some(target) = conversation.target {
                self.directory.wanted(target);
            }
            self.outputs.push_back(Output::Settled(id, Ok(())));
        }
    }

    /// Takes in that a connection is gone without a goodbye.
    pub fn closed(&mut self, id: ConversationId, reason: CloseReason, now: Now, map: &EntryMap) {
        let refusal = Refusal {
            kind: reason.kind(),
            text: format!("connection lost: {reason}"),
        };
        self.drop_conversation(id, &refusal, true, now, map);
    }

    /// Takes in that bytes have arrived: the peer is alive, whatever they are.
    pub fn heard(&mut self, id: ConversationId, now: Now) {
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.session.on_bytes(now);
            if std::mem::take(&mut conversation.is_asked) {
                self.outputs.push_back(Output::Settled(id, Ok(())));
            }
        }
    }

    /// Asks the node with that id for a sign of life on its connection, which is reported as [`Output::Settled`].
    /// `None`: there is no connection.
    pub fn ask_for_life(&mut self, node_id: &str, now: Now) -> Option<ConversationId> {
        let id = self.conversation_with(node_id)?;
        let conversation = self.conversations.get_mut(&id)?;
        if !std::mem::replace(&mut conversation.is_asked, true)
            && let Some(ping) = conversation.session.ping(now)
        {
            self.outputs.push_back(Output::Send(id, ping));
        }
        Some(id)
    }

    /// Ends a connection on which a requested sign of life did not come in time.
    pub fn leave_if_silent(&mut self, id: ConversationId, now: Now, map: &EntryMap) {
        let is_silent = |conversation: &Conversation| conversation.is_asked;
        if self.conversations.get(&id).is_some_and(is_silent) {
            let refusal = Refusal {
                kind: ErrorKind::ConnectionLost,
                text: "connection lost: the peer did not answer".to_owned(),
            };
            self.drop_conversation(id, &refusal, true, now, map);
        }
    }

    /// Takes in the cost of received parts of a large value.
    pub fn charged(&mut self, id: ConversationId, cost: u64, now: Now) {
        self.replica.charged(id, cost, now);
    }

    /// Takes in the parts of a peer's large values that are here, before it greets.
    pub fn keeps(&mut self, id: ConversationId, parts: BegunValues) {
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.parts = parts;
        }
    }

    /// Takes in that a large value was refused before it was complete.
    pub fn refused(&mut self, id: ConversationId, stream: Stream, lseq: u64, code: RefusalCode) {
        self.replica.refuse(id, stream, lseq, code);
    }

    /// Does everything that is due.
    pub fn on_time(&mut self, now: Now, map: &EntryMap) {
        let ids: Vec<ConversationId> = self.conversations.keys().copied().collect();
        for id in ids {
            let Some(conversation) = self.conversations.get_mut(&id) else {
                continue;
            };
            match conversation.session.on_time(now) {
                TimeVerdict::Nothing => {}
                TimeVerdict::Send(message) => self.outputs.push_back(Output::Send(id, message)),
                TimeVerdict::Close(silence) => {
                    let (kind, text) = match silence {
                        SilenceReason::HelloTimeout => (
                            ErrorKind::TimedOut,
                            "connection timed out: the peer said nothing",
                        ),
                        SilenceReason::Idle => (
                            ErrorKind::ConnectionLost,
                            "connection lost: the peer went silent",
                        ),
                    };
                    let refusal = Refusal {
                        kind,
                        text: text.to_owned(),
                    };
                    let goodbye = Goodbye::new(GoodbyeReason::Idle, text, None);
                    self.outputs
                        .push_back(Output::Send(id, Message::Goodbye(goodbye)));
                    self.drop_conversation(id, &refusal, true, now, map);
                }
            }
        }
        for target in self.directory.due(now.monotonic) {
            self.outputs.push_back(Output::Dial(target));
        }
        self.replica.on_time(now, map);
    }

    /// The time at which [`Self::on_time`] is due next.
    pub fn deadline(&self, map: &EntryMap) -> Option<MonotonicMs> {
        let sessions = self
            .conversations
            .values()
            .filter_map(|conversation| conversation.session.deadline())
            .min();
        [
            sessions,
            self.directory.deadline(),
            self.replica.deadline(map),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// A greeted conversation with the node with that id, if there is one.
    pub fn conversation_with(&self, node_id: &str) -> Option<ConversationId> {
        let with = |conversation: &Conversation| {
            conversation
                .peer
                .as_ref()
                .is_some_and(|peer| peer.node_id == node_id)
        };
        self.conversations
            .iter()
            .find(|(_, conversation)| with(conversation))
            .map(|(id, _)| *id)
    }

    /// The connected peers, for the list of peers: conversation, target, node id, address, and the peer's own
    /// description.
    pub fn acquaintances(
        &self,
    ) -> impl Iterator<
        Item = (
            ConversationId,
            Option<TargetId>,
            &str,
            &(String, u16),
            &[u8],
        ),
    > {
        self.conversations.iter().filter_map(|(id, conversation)| {
            let peer = conversation.peer.as_ref()?;
            Some((
                *id,
                conversation.target,
                peer.node_id.as_str(),
                &conversation.remote,
                peer.capabilities.as_slice(),
            ))
        })
    }
}
