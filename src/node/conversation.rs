//! One connection as the node sees it: whom it was made for, what its session says, and who the peer is.

use crate::core::clock::MonotonicMs;
use crate::core::identity::{Incarnation, Origin};
use crate::store::scope::Scope;
use crate::sync::message::{BegunValues, Stretch};
use crate::transport::message::GoodbyeReason;
use crate::transport::session::{Role, Session};

use super::directory::TargetId;
use super::fair_use::FairUse;

/// Names a connection; given by the driver, never again in one process. Also names the link of its peer.
pub type ConversationId = u64;

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
pub(super) struct Conversation {
    pub(super) session: Session,
    pub(super) role: Role,
    pub(super) target: Option<TargetId>,
    pub(super) remote: (String, u16),
    /// What this node sends and receives on it, as it has told.
    pub(super) wanted: Scope,
    /// This side has said who it is.
    pub(super) has_greeted: bool,
    pub(super) peer: Option<Acquaintance>,
    pub(super) settled: bool,
    /// That its clock is off was told.
    pub(super) skew_told: bool,
    /// The work that the peer has asked for.
    pub(super) fair_use: FairUse,
    /// Somebody waits for a sign of life.
    pub(super) is_asked: bool,
    /// What is here of large values of the peer that greets.
    pub(super) parts: BegunValues,
}

#[derive(Debug, Clone)]
pub(super) struct Acquaintance {
    pub(super) origin: Origin,
    pub(super) chain: Vec<Stretch>,
    pub(super) node_id: String,
    pub(super) since: MonotonicMs,
    pub(super) capabilities: Vec<u8>,
}

impl Acquaintance {
    /// The stretch of its feed that it greeted with.
    pub(super) fn incarnation(&self) -> Incarnation {
        current(&self.chain)
    }

    /// Whether `chain` is another history than this one's, though both were told under one identity: neither goes
    /// on where the other is.
    pub(super) fn has_forked_from(&self, chain: &[Stretch]) -> bool {
        !holds(chain, self.incarnation()) && !holds(&self.chain, current(chain))
    }

    /// Whether this history goes on where `chain` ends: a node that says so has been opened since, or its files were
    /// copied and the copy was.
    pub(super) fn goes_beyond(&self, chain: &[Stretch]) -> bool {
        holds(&self.chain, current(chain)) && !holds(chain, self.incarnation())
    }
}

fn holds(chain: &[Stretch], incarnation: Incarnation) -> bool {
    chain
        .iter()
        .any(|stretch| stretch.incarnation == incarnation)
}

/// The stretch that a chain ends in.
pub(super) fn current(chain: &[Stretch]) -> Incarnation {
    chain
        .last()
        .map(|stretch| stretch.incarnation)
        .unwrap_or_default()
}

pub(super) fn peer_event(
    conversation: &Conversation,
    node_id: &str,
    state: &'static str,
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

pub(super) fn goodbye_kind(reason: GoodbyeReason) -> &'static str {
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
