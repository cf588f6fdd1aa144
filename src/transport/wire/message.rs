//! All messages of a connection: those of replicas (`sync::message`) and those of the session itself.

use crate::core::byte_enum::byte_enum;
use crate::sync::message::{Feed, Greeting};

/// Oldest protocol that this version speaks.
pub const PROTOCOL_MIN: u16 = 1;

/// Newest protocol that this version speaks.
pub const PROTOCOL_MAX: u16 = 1;

/// Largest node info in HELLO, in bytes: labels and a list of capabilities.
pub const NODE_INFO_BYTES_MAX: usize = 4 << 10;

/// Longest explanation in GOODBYE, in bytes of UTF-8: a sentence for a log.
pub const GOODBYE_TEXT_BYTES_MAX: usize = 1024;

/// One message on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Identity and state of a node; the first message of either side, sent once.
    Hello(Box<Hello>),
    /// A message of the replica.
    Feed(Feed),
    /// Asks for a sign of life and for the other's wall clock.
    Ping {
        /// Number that comes back in the answer.
        nonce: u64,
        /// The asker's wall clock, in milliseconds since 1970.
        wall_ms: u64,
    },
    /// Answers a ping.
    Pong {
        /// Number of the ping.
        nonce: u64,
        /// The wall clock in the ping, as it came.
        echoed_wall_ms: u64,
        /// The answerer's wall clock, in milliseconds since 1970.
        wall_ms: u64,
    },
    /// Farewell; nothing follows.
    Goodbye(Goodbye),
}

/// Identity of a node, its protocols, and the number of this attempt to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Oldest protocol that the node speaks.
    pub protocol_min: u16,
    /// Newest protocol that the node speaks, not below the oldest.
    pub protocol_max: u16,
    /// The replica's half of HELLO.
    pub greeting: Greeting,
    /// Label of the node that the dialler expects; `None` if it accepts any, and from the node that was called.
    pub expected_node_id: Option<String>,
    /// Random, new with every connection attempt: a node that meets its own has called itself.
    pub instance: u64,
    /// Silence after which the node pings, in milliseconds.
    pub keepalive_ms: u64,
    /// Description of the node from `metadata`; opaque here, at most [`NODE_INFO_BYTES_MAX`] bytes.
    pub node_info: Vec<u8>,
}

/// A farewell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goodbye {
    /// Reason for programs.
    pub reason: GoodbyeReason,
    /// Reason for people; at most [`GOODBYE_TEXT_BYTES_MAX`] bytes.
    pub text: String,
    /// When to come back, in milliseconds from now; `None`: as the backoff says.
    pub come_back_ms: Option<u64>,
}

impl Goodbye {
    /// A farewell with its text cut to the allowed length.
    pub fn new(reason: GoodbyeReason, text: impl Into<String>, come_back_ms: Option<u64>) -> Self {
        let mut text: String = text.into();
        let mut end = text.len().min(GOODBYE_TEXT_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        Self {
            reason,
            text,
            come_back_ms,
        }
    }
}

byte_enum! {
    /// Why a node leaves.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum GoodbyeReason {
        /// The transport stops, or the node closes.
        Closing = 1,
        /// Another connection between the same two nodes replaces this one.
        Replaced = 2,
        /// The two nodes have no protocol in common.
        Protocol = 3,
        /// The node is not the one that was called, or the called node is not the expected one.
        WrongNode = 4,
        /// The node has called itself.
        SelfConnection = 5,
        /// A message of the peer breaks a rule.
        Malformed = 6,
        /// The node has no room for another connection.
        Busy = 7,
        /// The node does not speak with this peer.
        NotAllowed = 8,
        /// The peer was silent for too long.
        Idle = 9,
        /// The user asked to disconnect.
        Disconnected = 10,
        /// The node met its own origin: one of the two is a copy and takes a new identity.
        Identity = 11,
        /// A reason of a newer version.
        Other = 255,
    }
}
