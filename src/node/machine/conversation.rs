//! One connection as the node sees it: whom it was made for, what its session says, and who the peer is.

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

/// Names a connection; given by the driver, never again in one process. Also names the link of its peer.
pub type ConversationId = u64;

/// Why a conversation came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A stable name.
    pub kind: ErrorKind,
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
    pub state: PeerState,
    /// How many milliseconds its clock is ahead of this node's, negative when it is behind; `None`: not measured.
    pub skew_ms: Option<i64>,
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
    /// What this node sends and receives on it, as it has told.
    pub(in crate::node) wanted: Scope,
    /// This side has said who it is.
    pub(in crate::node) has_greeted: bool,
    pub(in crate::node) peer: Option<Acquaintance>,
    pub(in crate::node) settled: bool,
    /// That its clock is off was told.
    pub(in crate::node) skew_reported: bool,
    /// The work that the peer has asked for.
    pub(in crate::node) fair_use: FairUse,
    /// Somebody waits for a sign of life.
    pub(in crate::node) is_asked: bool,
    /// What is here of large values of the peer that greets.
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
    /// The epoch of its feed that it greeted with.
    pub(in crate::node) fn incarnation(&self) -> Incarnation {
        current(&self.epochs)
    }

    /// Whether `epochs` is another history than this one's, though both were told under one identity: neither goes
    /// on where the other is.
    pub(in crate::node) fn has_forked_from(&self, epochs: &[Epoch]) -> bool {
        !holds(epochs, self.incarnation()) && !holds(&self.epochs, current(epochs))
    }

    /// Whether this history goes on where `epochs` ends: a node that says so has been opened since, or its files were
    /// copied and the copy was.
    pub(in crate::node) fn goes_beyond(&self, epochs: &[Epoch]) -> bool {
        holds(&self.epochs, current(epochs)) && !holds(epochs, self.incarnation())
    }
}

fn holds(epochs: &[Epoch], incarnation: Incarnation) -> bool {
    epochs.iter().any(|epoch| epoch.incarnation == incarnation)
}

/// The epoch that an epoch history ends in.
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
