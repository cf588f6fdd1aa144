//! Everything that two nodes say to each other on a connection: what replicas say (`sync::message`) and what
//! the session itself needs.

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
    /// Who I am; the first message of either side, sent once.
    Hello(Box<Hello>),
    /// What replicas say.
    Feed(Feed),
    /// Asks for a sign of life and for the other's wall clock.
    Ping {
        /// Comes back in the answer.
        nonce: u64,
        /// The asker's wall clock, in milliseconds since 1970.
        wall_ms: u64,
    },
    /// Answers a ping.
    Pong {
        /// That of the ping.
        nonce: u64,
        /// The wall clock of the ping, as it came.
        echoed_wall_ms: u64,
        /// The answerer's wall clock, in milliseconds since 1970.
        wall_ms: u64,
    },
    /// I leave; nothing follows.
    Goodbye(Goodbye),
}

/// Who a node is, what it speaks, and which attempt to connect this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Oldest protocol it speaks.
    pub protocol_min: u16,
    /// Newest protocol it speaks, not below the oldest.
    pub protocol_max: u16,
    /// The replica's half.
    pub greeting: Greeting,
    /// The node that the dialler means to have called; `None` when it does not mind, and from the one called.
    pub expected_node_id: Option<String>,
    /// Random, new with every connection attempt: whoever meets its own has called itself.
    pub instance: u64,
    /// How long it bears silence before it pings, in milliseconds.
    pub keepalive_ms: u64,
    /// What `metadata` says about the node; opaque here, at most [`NODE_INFO_BYTES_MAX`].
    pub node_info: Vec<u8>,
}

/// A farewell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goodbye {
    /// Why, for programs.
    pub reason: GoodbyeReason,
    /// Why, for people; at most [`GOODBYE_TEXT_BYTES_MAX`].
    pub text: String,
    /// When to come back, in milliseconds from now; `None`: as the backoff says.
    pub come_back_ms: Option<u64>,
}

impl Goodbye {
    /// A farewell with its text cut to what may be sent.
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

/// Why a node leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum GoodbyeReason {
    /// Its transport stops, or the node closes.
    Closing = 1,
    /// Another connection between the same two nodes lives on instead.
    Replaced = 2,
    /// No protocol that both speak.
    Protocol = 3,
    /// It is not the node that was called, or the called one is not who was expected.
    WrongNode = 4,
    /// It has called itself.
    SelfConnection = 5,
    /// What it was sent breaks a rule.
    Malformed = 6,
    /// It has no room for another connection.
    Busy = 7,
    /// It does not speak with this node.
    NotAllowed = 8,
    /// Silence for too long.
    Idle = 9,
    /// Its user asked to disconnect.
    Disconnected = 10,
    /// It met its own origin: one of the two is a copy and takes a new identity.
    Identity = 11,
    /// A reason of a newer version.
    Other = 255,
}

impl GoodbyeReason {
    /// The reason that a byte names; [`Self::Other`] for one that this version does not know.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Closing,
            2 => Self::Replaced,
            3 => Self::Protocol,
            4 => Self::WrongNode,
            5 => Self::SelfConnection,
            6 => Self::Malformed,
            7 => Self::Busy,
            8 => Self::NotAllowed,
            9 => Self::Idle,
            10 => Self::Disconnected,
            11 => Self::Identity,
            _ => Self::Other,
        }
    }
}
