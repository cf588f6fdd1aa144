//! One end of a connection: what is on its way to it, and what became of the bytes that came.

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

/// Names a connection; never given twice.
pub(super) type LineId = u64;

pub(super) enum Packet {
    /// Somebody calls.
    Call,
    Bytes(Vec<u8>),
    /// A whole frame, damaged on the way.
    Damaged(Vec<u8>),
    /// The other end is gone.
    Closed(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Called, and not answered yet.
    Called,
    Open,
    /// Ended by the system; the node has not heard of it.
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
    /// The machine has accepted who greeted.
    pub(super) is_greeted: bool,
    /// The next frame that is sent to it is damaged, as this says.
    pub(super) damage: Option<u64>,
    pub(super) seen: Seen,
}

/// What was said to a node and by it on a connection, as far as checks go by it.
#[derive(Default)]
pub(super) struct Seen {
    /// Hints that it was given.
    pub(super) hints: Vec<DotRange>,
    /// The cursor that the peer told first.
    #[allow(
        clippy::option_option,
        reason = "that it told none is not that it told nothing"
    )]
    pub(super) first_cursor: Option<Option<Cursor>>,
    /// Whether it told with its first cursor that the place is void where it was on the peer's feed; `None` until then. The
    /// peer may have forgotten what it wrote then, or have the identity of who wrote it.
    pub(super) is_void_told: Option<bool>,
    /// The peer has asked for the feed from its start once more.
    pub(super) is_begun_anew: bool,
    /// What it wants of the connection; `None` until it has told.
    pub(super) wanted: Option<Scope>,
    /// The cost that it has sent, and may send.
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

    /// Something is on its way, behind all that is.
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

    /// Nothing is taken any more.
    pub(super) fn shut(&mut self) {
        self.state = State::Shut;
        self.arriving.clear();
        self.arriving_bytes = 0;
    }
}

pub(super) struct Line {
    pub(super) ends: [End; 2],
}

/// What a decoder makes of one damaged frame: whether it finds fault with it.
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
