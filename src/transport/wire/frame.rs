//! Frames: the division of a stream of bytes into messages, and the registry of message kinds.
//!
//! A frame is the length of its body (four bytes, little-endian) and the body: one byte of kind and the payload.
//! Frames do not depend on the transport that carries them.

use thiserror::Error;

use crate::core::byte_enum::byte_enum;

use crate::core::limits::WIRE_FRAME_BYTES_MAX;

/// Bytes before the body: its length.
pub const FRAME_HEADER_BYTES: usize = 4;

/// Longest body, in bytes, once both sides have greeted: the frame with its header fits the common limit.
pub const BODY_BYTES_MAX: usize = WIRE_FRAME_BYTES_MAX - FRAME_HEADER_BYTES;

/// Longest body, in bytes, before the peer has greeted: a stranger gets little memory.
pub const GREETING_BODY_BYTES_MAX: usize = 16 << 10;

/// Bit of a kind that a receiver skips if it does not know the kind. Unknown kinds without it are refused.
pub const IGNORABLE_KIND_BIT: u8 = 0x80;

/// Room that a quiet decoder keeps, in bytes: enough for one read, little enough that a thousand quiet connections
/// stay cheap.
const KEPT_BYTES_MAX: usize = 64 << 10;

byte_enum! {
    /// Every kind of message. Numbers are never given twice.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum MessageKind {
        /// Identity and state of a node; the first message of either side.
        Hello = 1,
        /// Entries of a feed.
        Batch = 2,
        /// End of the feed: it was sent up to here.
        End = 3,
        /// Acknowledgement and credit.
        Ack = 4,
        /// Refusal of entries.
        Nack = 5,
        /// Dots that the sender has: a hint.
        Have = 6,
        /// A step of a reconciliation.
        Ranges = 7,
        /// Asks for a sign of life and for the time.
        Ping = 8,
        /// Answer to a ping.
        Pong = 9,
        /// Farewell with its reason.
        Goodbye = 10,
        /// Announcement of a large value.
        Large = 11,
        /// Next bytes of a large value.
        Chunk = 12,
    }
}

/// Why a stream of bytes does not consist of frames. Nothing after it can be trusted: the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The length before a body is over the limit at this point.
    #[error("a frame of {length} bytes is over the limit of {limit}")]
    TooLong {
        /// Length that the frame claims, in bytes.
        length: u64,
        /// Greatest length, in bytes.
        limit: usize,
    },
    /// The body is empty and has no kind.
    #[error("a frame is empty")]
    Empty,
}

/// One whole frame, still in the decoder's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The first byte of the body, see [`MessageKind`].
    pub kind: u8,
    /// The rest of the body.
    pub payload: &'a [u8],
    /// Bytes of the body, kind included.
    pub body_len: usize,
}

/// Cuts a stream into frames. Memory is taken as bytes arrive, never because a header claims them.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    taken: usize,
    body_bytes_max: usize,
}

impl Default for FrameDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameDecoder {
    /// An empty decoder under the limit that holds before the peer has greeted.
    pub fn new() -> Self {
        Self {
            buffer: Vec::new(),
            taken: 0,
            body_bytes_max: GREETING_BODY_BYTES_MAX,
        }
    }

    /// Allows frames of full size from now on.
    pub fn raise_limit(&mut self) {
        self.body_bytes_max = BODY_BYTES_MAX;
    }

    /// Takes in bytes that arrived.
    #[cfg(any(test, fuzzing))]
    pub fn push(&mut self, bytes: &[u8]) {
        self.arriving().extend_from_slice(bytes);
    }

    /// The buffer to which a driver appends the bytes that it reads; it must do nothing else with it. Frames that were
    /// handed out are dropped from it first.
    pub fn arriving(&mut self) -> &mut Vec<u8> {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        &mut self.buffer
    }

    /// The next whole frame; `None` until more bytes arrive. A length over the limit is refused as soon as the header
    /// is there.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let rest = self.buffer.get(self.taken..).unwrap_or_default();
        let Some((header, behind)) = rest.split_first_chunk::<FRAME_HEADER_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*header);
        let body_len = usize::try_from(length).unwrap_or(usize::MAX);
        if body_len > self.body_bytes_max {
            return Err(FrameError::TooLong {
                length: u64::from(length),
                limit: self.body_bytes_max,
            });
        }
        if body_len == 0 {
            return Err(FrameError::Empty);
        }
        let Some((kind, payload)) = behind.get(..body_len).and_then(<[u8]>::split_first) else {
            return Ok(None);
        };
        self.taken += FRAME_HEADER_BYTES + body_len;
        Ok(Some(Frame {
            kind: *kind,
            payload,
            body_len,
        }))
    }

    /// Bytes of the current incomplete frame (once [`Self::next_frame`] has returned `None`).
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len() - self.taken
    }

    /// True if the decoder holds more memory than a quiet one should.
    pub fn is_swollen(&self) -> bool {
        self.buffer.capacity() > KEPT_BYTES_MAX
    }

    /// Gives back memory beyond the usual. Worth calling when a connection is quiet: while a feed streams, the room is
    /// needed again at once.
    pub fn release_memory(&mut self) {
        self.arriving().shrink_to(KEPT_BYTES_MAX);
    }

    /// Bytes of memory held.
    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}
