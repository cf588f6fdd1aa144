//! One end of a connection: the packets on their way to it, and the state of the bytes received.

use std::collections::VecDeque;
use std::sync::Arc;

use super::lists::Owed;
use super::repairs::Waiting;
use crate::core::identity::Dot;
use crate::node::machine::conversation::ConversationId;
use crate::store::scope::Scope;
use crate::sync::message::{Cursor, DotRange};
use crate::transport::session::chunks::{Assembler, SPOOL_BUDGET_BYTES, SpoolBudget};
use crate::transport::session::unfinished::Unfinished;
use crate::transport::wire::codec::decode;
use crate::transport::wire::frame::FrameDecoder;

/// Id of a connection; never given twice.
pub(super) type LineId = u64;

pub(super) enum Packet {
    /// The other end calls.
    Call,
    Bytes(Vec<u8>),
    /// A whole frame, damaged on the way.
    Damaged(Vec<u8>),
    /// The other end is gone.
    Closed(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The other end was called, and has not answered yet.
    Called,
    Open,
    /// The system has ended the connection; the node has not heard of it.
    Failed,
    Shut,
}

pub(super) struct End {
    pub(super) node: usize,
    pub(super) id: ConversationId,
    pub(super) state: State,
    pub(super) arriving: VecDeque<(u64, Packet)>,
    pub(super) arriving_bytes: usize,
    pub(super) decoder: FrameDecoder,
    pub(super) assembler: Assembler,
    /// True if the machine has accepted the greeting of the peer.
    pub(super) is_greeted: bool,
    /// Seed of the damage to the next frame that is sent to this end.
    pub(super) damage: Option<u64>,
    pub(super) seen: Seen,
}

/// Record of the messages to and from a node on a connection, as far as checks need it.
#[derive(Default)]
pub(super) struct Seen {
    /// Hints that the node received.
    pub(super) hints: Vec<DotRange>,
    /// The first cursor of the peer.
    #[allow(
        clippy::option_option,
        reason = "that it told none is not that it told nothing"
    )]
    pub(super) first_cursor: Option<Option<Cursor>>,
    /// True if the first cursor came with a void one, which tells that the peer's former place is not in the feed;
    /// `None` until then. The peer may have forgotten its own writes, or have the identity of their author.
    pub(super) is_void_told: Option<bool>,
    /// True if the peer has asked for the feed from its start again.
    pub(super) is_begun_anew: bool,
    /// The scope in the node's greeting; `None` until it has greeted.
    pub(super) wanted: Option<Scope>,
    /// The cost of feed messages sent, and the credit granted.
    pub(super) spent: u64,
    pub(super) granted: u64,
    pub(super) owed: Owed,
    pub(super) waiting: Waiting,
}

impl Seen {
    pub(super) fn is_hinted(&self, dot: Dot) -> bool {
        self.hints.iter().any(|range| range.contains(dot))
    }
}

impl End {
    pub(super) fn new(
        node: usize,
        id: ConversationId,
        state: State,
        value_bytes_max: u64,
        unfinished: Arc<Unfinished>,
    ) -> Self {
        let budget = Arc::new(SpoolBudget::new(SPOOL_BUDGET_BYTES));
        Self {
            node,
            id,
            state,
            arriving: VecDeque::new(),
            arriving_bytes: 0,
            decoder: FrameDecoder::new(),
            assembler: Assembler::new(value_bytes_max, None, budget, unfinished),
            is_greeted: false,
            damage: None,
            seen: Seen::default(),
        }
    }

    /// Puts a packet on its way, after all others.
    pub(super) fn push(&mut self, at: u64, packet: Packet) {
        if self.state == State::Shut {
            return;
        }
        if let Packet::Bytes(bytes) | Packet::Damaged(bytes) = &packet {
            self.arriving_bytes += bytes.len();
        }
        let last = self.arriving.back().map_or(0, |(at, _)| *at);
        self.arriving.push_back((at.max(last), packet));
    }

    pub(super) fn pop(&mut self) -> Option<Packet> {
        let (_, packet) = self.arriving.pop_front()?;
        if let Packet::Bytes(bytes) | Packet::Damaged(bytes) = &packet {
            self.arriving_bytes -= bytes.len();
        }
        Some(packet)
    }

    /// Shuts the end: no packet is taken any more.
    pub(super) fn shut(&mut self) {
        self.state = State::Shut;
        self.arriving.clear();
        self.arriving_bytes = 0;
    }
}

pub(super) struct Line {
    pub(super) ends: [End; 2],
}

/// True if a decoder finds a damaged frame faulty.
pub(super) fn is_refused(frame: &[u8]) -> bool {
    let mut decoder = FrameDecoder::new();
    decoder.raise_limit();
    decoder.push(frame);
    match decoder.next_frame() {
        Err(_) => true,
        Ok(None) => false,
        Ok(Some(frame)) => decode(frame.kind, frame.payload).is_err(),
    }
}
