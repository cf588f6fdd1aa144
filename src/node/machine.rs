//! The machine that joins conversations, replication and the list of peers. Pure: it is told what happened
//! and when, and says what to do; connections, files, threads and clocks are the driver's.

use std::collections::{BTreeMap, VecDeque};

use super::directory::{Directory, TargetId};
use crate::core::clock::{MonotonicMs, Now};
use crate::core::identity::Incarnation;
use crate::store::map::{EntryMap, Installed};
use crate::store::operation::Request;
use crate::sync::message::{Feed, Lane, RefusalCode};
use crate::sync::replica::{self, Farewell, Replica};
use crate::transport::message::{
    Goodbye, GoodbyeReason, Hello, Message, PROTOCOL_MAX, PROTOCOL_MIN,
};
use crate::transport::session::{
    KEEPALIVE_MS, Role, Session, SessionEvent, SilenceReason, TimeVerdict,
};
use crate::transport::ties::{Rival, Survivor, survivor};

/// Names a connection; given by the driver, never again in one process. Also names the link of its peer.
pub type ConversationId = u64;

/// When a peer whose entries cannot be stored may come back, in milliseconds: room on a full disk is made by
/// people.
const STORE_AGAIN_MS: u64 = 30_000;

/// What the machine wants done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a message.
    Send(ConversationId, Message),
    /// The peer has said who it is: it may send large frames now.
    Greeted(ConversationId),
    /// End a connection once what was sent is out. Nothing more comes from it; `closed` need not be told.
    Close(ConversationId),
    /// Make durable.
    Commit(Request),
    /// Call a peer.
    Dial(TargetId),
    /// An attempt to connect came to this: ready to send, or why not.
    Settled(ConversationId, Result<(), Refusal>),
    /// A peer came or went.
    Peer(PeerEvent),
}

/// Why a conversation came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A stable name.
    pub kind: &'static str,
    /// A sentence.
    pub text: String,
}

/// A peer came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerEvent {
    /// Its label.
    pub node_id: String,
    /// Its address as far as known.
    pub host: String,
    /// Its port as far as known.
    pub port: u16,
    /// What it is now.
    pub state: &'static str,
}

/// A new connection, as the driver tells it.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Its name.
    pub id: ConversationId,
    /// Who called.
    pub role: Role,
    /// Whom this node meant to call.
    pub target: Option<TargetId>,
    /// The other end's address.
    pub remote: (String, u16),
    /// A random number for this attempt.
    pub instance: u64,
}

#[derive(Debug)]
struct Conversation {
    session: Session,
    role: Role,
    target: Option<TargetId>,
    remote: (String, u16),
    peer: Option<Acquaintance>,
    settled: bool,
}

#[derive(Debug, Clone)]
struct Acquaintance {
    origin: crate::core::identity::Origin,
    incarnation: Incarnation,
    node_id: String,
    since: MonotonicMs,
    capabilities: Vec<u8>,
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    /// Replication.
    pub replica: Replica,
    /// The peers that are known by address.
    pub directory: Directory,
    conversations: BTreeMap<ConversationId, Conversation>,
    node_info: Vec<u8>,
    /// Conversations whose peer broke a rule, to be dropped by whoever knows the time.
    broken: Vec<(ConversationId, &'static str)>,
    outputs: VecDeque<Output>,
}

impl Machine {
    /// The machine of a node that describes itself to peers with `node_info`.
    pub fn new(replica: Replica, node_id: &str, node_info: Vec<u8>) -> Self {
        Self {
            replica,
            directory: Directory::new(node_id),
            conversations: BTreeMap::new(),
            node_info,
            broken: Vec::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        while let Some(output) = self.replica.poll() {
            match output {
                replica::Output::Send(id, feed) => self
                    .outputs
                    .push_back(Output::Send(id, Message::Feed(feed))),
                replica::Output::Commit(request) => self.outputs.push_back(Output::Commit(request)),
                replica::Output::Close(id, farewell) => self.say_farewell(id, farewell),
            }
        }
        self.outputs.pop_front()
    }

    /// A connection is there.
    pub fn opened(&mut self, opening: Opening, now: Now, map: &EntryMap) {
        let expected = opening
            .target
            .and_then(|target| self.directory.node_id(target));
        let hello = Hello {
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
            greeting: self.replica.greeting(now, map),
            expected_node_id: expected.map(str::to_owned),
            instance: opening.instance,
            keepalive_ms: KEEPALIVE_MS,
            node_info: self.node_info.clone(),
        };
        let session = Session::new(opening.role, hello, now);
        self.outputs
            .push_back(Output::Send(opening.id, session.opening()));
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
            peer: None,
            settled: false,
        };
        self.conversations.insert(id, conversation);
    }

    /// A message came. `charged` says that its cost was told before.
    pub fn received(
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
        match conversation.session.on_message(message, now) {
            Ok(SessionEvent::Feed(feed)) => self.feed(id, feed, charged, now, map),
            Ok(SessionEvent::Reply(reply)) => self.outputs.push_back(Output::Send(id, reply)),
            Ok(SessionEvent::Greeted(hello)) => self.greeted(id, &hello, now, map),
            Ok(SessionEvent::Nothing) => {}
            Ok(SessionEvent::Left(goodbye)) => {
                let refusal = Refusal {
                    kind: goodbye_kind(goodbye.reason),
                    text: goodbye.text,
                };
                let wanted = matches!(
                    goodbye.reason,
                    GoodbyeReason::Closing | GoodbyeReason::Idle | GoodbyeReason::Busy
                );
                self.drop_conversation(id, &refusal, wanted, now, map);
            }
            Err(error) => {
                let refusal = Refusal {
                    kind: goodbye_kind(error.goodbye().reason),
                    text: error.to_string(),
                };
                self.outputs
                    .push_back(Output::Send(id, Message::Goodbye(error.goodbye())));
                self.drop_conversation(id, &refusal, false, now, map);
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
            self.outputs.push_back(Output::Settled(id, Ok(())));
        }
    }

    fn greeted(&mut self, id: ConversationId, hello: &Hello, now: Now, map: &EntryMap) {
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
        let is_own_call = self
            .conversations
            .values()
            .any(|other| other.session.instance() == hello.instance);
        let (kind, reason, text) = if is_own_call {
            let text = "the node has called itself".to_owned();
            ("self_connection", GoodbyeReason::SelfConnection, text)
        } else {
            let node_id = &hello.greeting.node_id;
            let text = format!(
                "\"{node_id}\" has the identity of this node: one of the two is a copy of the other's files"
            );
            ("identity", GoodbyeReason::Identity, text)
        };
        let goodbye = Goodbye::new(reason, text.clone(), None);
        self.outputs
            .push_back(Output::Send(id, Message::Goodbye(goodbye)));
        self.drop_conversation(id, &Refusal { kind, text }, false, now, map);
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
            self.directory.connected(target, winner, now.wall);
            if let Some(survivor) = self.conversations.get_mut(&winner) {
                survivor.target = survivor.target.or(Some(target));
            }
        }
    }

    fn drop_conversation(
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
        self.replica.disconnected(id, map);
        if !conversation.settled {
            // A peer that says "replaced" keeps another connection to this node.
            let outcome = if refusal.kind == "replaced" {
                Ok(())
            } else {
                Err(refusal.clone())
            };
            self.outputs.push_back(Output::Settled(id, outcome));
        }
        self.outputs.push_back(Output::Close(id));
        if let Some(target) = conversation.target {
            let lasting = conversation.settled && (come_back || refusal.kind == "connection_lost");
            self.directory.lost(target, id, lasting, now.monotonic);
        }
        if let Some(peer) = &conversation.peer {
            let state = if refusal.kind == "protocol" {
                "faulted"
            } else {
                "available"
            };
            let event = peer_event(&conversation, &peer.node_id, state);
            self.outputs.push_back(Output::Peer(event));
        }
    }

    /// Replication cannot go on with this peer. The conversation is dropped by whoever knows the time.
    fn say_farewell(&mut self, id: ConversationId, farewell: Farewell) {
        let (reason, text, come_back_ms) = match farewell {
            Farewell::Breach(text) => (GoodbyeReason::Malformed, text, None),
            Farewell::Unanswered => (GoodbyeReason::Idle, "the peer acknowledges nothing", None),
            Farewell::CannotStore => (
                GoodbyeReason::Busy,
                "what comes cannot be stored now",
                Some(STORE_AGAIN_MS),
            ),
        };
        let goodbye = Message::Goodbye(Goodbye::new(reason, text, come_back_ms));
        self.outputs.push_back(Output::Send(id, goodbye));
        self.broken.push((id, text));
    }

    /// Ends the conversations that replication has given up. The driver calls it once no output is left.
    pub fn end_broken(&mut self, now: Now, map: &EntryMap) {
        for (id, reason) in std::mem::take(&mut self.broken) {
            let refusal = Refusal {
                kind: "protocol",
                text: format!("connection ended: {reason}"),
            };
            self.drop_conversation(id, &refusal, true, now, map);
        }
    }

    /// A connection is gone without a farewell.
    pub fn closed(&mut self, id: ConversationId, reason: &str, now: Now, map: &EntryMap) {
        let refusal = Refusal {
            kind: "connection_lost",
            text: format!("connection lost: {reason}"),
        };
        self.drop_conversation(id, &refusal, true, now, map);
    }

    /// Bytes came: the peer is alive, whatever they say.
    pub fn heard(&mut self, id: ConversationId, now: Now) {
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.session.on_bytes(now);
        }
    }

    /// A group was made durable and installed.
    pub fn committed(
        &mut self,
        changes: &[Installed],
        last_lseq: u64,
        durable_lseq: u64,
        now: Now,
    ) {
        self.replica
            .committed(changes, last_lseq, durable_lseq, now);
    }

    /// Parts of a large value came.
    pub fn charged(&mut self, id: ConversationId, cost: u64) {
        self.replica.charged(id, cost);
    }

    /// A large value was refused before it was whole.
    pub fn refused(&mut self, id: ConversationId, lane: Lane, lseq: u64, code: RefusalCode) {
        self.replica.refuse(id, lane, lseq, code);
    }

    /// Does what the time asks for.
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
                        SilenceReason::HelloTimeout => {
                            ("timed_out", "connection timed out: the peer said nothing")
                        }
                        SilenceReason::Idle => {
                            ("connection_lost", "connection lost: the peer went silent")
                        }
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

    /// When [`Self::on_time`] has something to do next.
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

    /// Leaves every conversation, in words. Targets stay known, and are not called again.
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

    /// Leaves the conversations with a target, and does not call it again.
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
            kind: "stopped",
            text: text.to_owned(),
        };
        self.drop_conversation(id, &refusal, false, now, map);
    }

    /// A greeted conversation with the node of that id, if there is one.
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

    /// Who is connected and by which address, for the list of peers: conversation, target, node id, address,
    /// and what the peer says about itself.
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

fn peer_event(conversation: &Conversation, node_id: &str, state: &'static str) -> PeerEvent {
    let (host, port) = conversation.remote.clone();
    PeerEvent {
        node_id: node_id.to_owned(),
        host,
        port,
        state,
    }
}

fn goodbye_kind(reason: GoodbyeReason) -> &'static str {
    match reason {
        GoodbyeReason::Closing => "peer_closing",
        GoodbyeReason::Replaced => "replaced",
        GoodbyeReason::Protocol => "protocol_version",
        GoodbyeReason::WrongNode => "wrong_node",
        GoodbyeReason::SelfConnection => "self_connection",
        GoodbyeReason::Malformed => "protocol",
        GoodbyeReason::Busy => "peer_busy",
        GoodbyeReason::NotAllowed => "not_allowed",
        GoodbyeReason::Idle => "peer_idle",
        GoodbyeReason::Disconnected => "peer_disconnected",
        GoodbyeReason::Identity => "identity",
        GoodbyeReason::Other => "peer_left",
    }
}
