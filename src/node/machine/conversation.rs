//! Conversations: one connection from the node's side, with its target, session and peer.

use crate::core::clock::MonotonicMs;
use crate::core::error_kind::ErrorKind;
use crate::core::identity::{Incarnation, Origin};
use crate::node::machine::peer_state::PeerState;
use crate::store::scope::Scope;
use crate::sync::message::{BegunValues, Epoch};
use crate::transport::session::{Role, Session};
use crate::transport::wire::message::GoodbyeReason;

use super::address_book::TargetId;
use super::fair_use::FairUse;

/// Number of a connection, given by the driver and never reused within a process. Also the id of the link to its peer.
pub type ConversationId = u64;

/// The reason why a conversation has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A stable name, in snake case.
    pub kind: ErrorKind,
    /// Message for people.
    pub text: String,
}

/// A peer connected or disconnected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerEvent {
    /// Label of the peer.
    pub node_id: String,
    /// Host of the peer, as far as known.
    pub host: String,
    /// Port of the peer, as far as known.
    pub port: u16,
    /// New state of the peer.
    pub state: PeerState,
    /// Milliseconds by which its clock is ahead of this node's, negative if it is behind; `None`: not measured.
    pub skew_ms: Option<i64>,
}

/// A new connection, reported by the driver.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Number of the connection.
    pub id: ConversationId,
    /// The caller of the connection: this node or the peer.
    pub role: Role,
    /// The target that this node called; `None` for an incoming connection.
    pub target: Option<TargetId>,
    /// Host and port of the other end.
    pub remote: (String, u16),
    /// A random number of this connection attempt, which reveals a connection to oneself.
    pub instance: u64,
}

#[allow(
    clippy::struct_excessive_bools,
    reason = "each says something else of how far the two are"
)]
#[derive(Debug)]
pub(in crate::node) struct Conversation {
    pub(in crate::node) session: Session,
    pub(in crate::node) role: Role,
    pub(in crate::node) target: Option<TargetId>,
    pub(in crate::node) remote: (String, u16),
    /// Scope that this node has announced for the connection.
    pub(in crate::node) wanted: Scope,
    /// True once this side has sent its HELLO.
    pub(in crate::node) has_greeted: bool,
    pub(in crate::node) peer: Option<Acquaintance>,
    pub(in crate::node) settled: bool,
    /// True once its clock skew was reported.
    pub(in crate::node) skew_reported: bool,
    /// The peer's share of work.
    pub(in crate::node) fair_use: FairUse,
    /// True while a sign of life is awaited.
    pub(in crate::node) is_asked: bool,
    /// Parts of the peer's large values that this node has, when it greets.
    pub(in crate::node) parts: BegunValues,
}

#[derive(Debug, Clone)]
pub(in crate::node) struct Acquaintance {
    pub(in crate::node) origin: Origin,
    pub(in crate::node) epochs: Vec<Epoch>,
    pub(in crate::node) node_id: String,
    pub(in crate::node) since: MonotonicMs,
    pub(in crate::node) capabilities: Vec<u8>,
}

impl Acquaintance {
    /// The epoch of its feed that the peer named in its HELLO.
    pub(in crate::node) fn incarnation(&self) -> Incarnation {
        current(&self.epochs)
    }

    /// True if `epochs` and this history have forked, though both belong to one identity: neither contains the last
    /// epoch of the other.
    pub(in crate::node) fn has_forked_from(&self, epochs: &[Epoch]) -> bool {
        !holds(epochs, self.incarnation()) && !holds(&self.epochs, current(epochs))
    }

    /// True if this history continues where `epochs` ends: the node was opened since, or its files were copied and the
    /// copy was opened.
    pub(in crate::node) fn goes_beyond(&self, epochs: &[Epoch]) -> bool {
        holds(&self.epochs, current(epochs)) && !holds(epochs, self.incarnation())
    }
}

fn holds(epochs: &[Epoch], incarnation: Incarnation) -> bool {
    epochs.iter().any(|epoch| epoch.incarnation == incarnation)
}

/// The last epoch of an epoch history.
pub(in crate::node) fn current(epochs: &[Epoch]) -> Incarnation {
    epochs
        .last()
        .map(|epoch| epoch.incarnation)
        .unwrap_or_default()
}

pub(in crate::node) fn peer_event(
    conversation: &Conversation,
    node_id: &str,
    state: PeerState,
) -> PeerEvent {
    let (host, port) = conversation.remote.clone();
    PeerEvent {
        node_id: node_id.to_owned(),
        host,
        port,
        state,
        skew_ms: conversation.skew_ms(),
    }
}

pub(in crate::node) fn goodbye_kind(reason: GoodbyeReason) -> ErrorKind {
    match reason {
        GoodbyeReason::Closing => ErrorKind::PeerClosing,
        GoodbyeReason::Replaced => ErrorKind::Replaced,
        GoodbyeReason::Protocol => ErrorKind::ProtocolVersion,
        GoodbyeReason::WrongNode => ErrorKind::WrongNode,
        GoodbyeReason::SelfConnection => ErrorKind::SelfConnection,
        GoodbyeReason::Malformed => ErrorKind::Protocol,
        GoodbyeReason::Busy => ErrorKind::PeerBusy,
        GoodbyeReason::NotAllowed => ErrorKind::NotAllowed,
        GoodbyeReason::Idle => ErrorKind::PeerIdle,
        GoodbyeReason::Disconnected => ErrorKind::PeerDisconnected,
        GoodbyeReason::Identity => ErrorKind::Identity,
        GoodbyeReason::Other => ErrorKind::PeerLeft,
    }
}
