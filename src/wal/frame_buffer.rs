//! Buffer in which a frame is built: the body after room for its header, so that appending is one write and no copy.

use crate::core::checksum::placed_crc;

use super::format::{FRAME_ALIGNMENT, FRAME_HEADER_BYTES, FrameHeader};

/// Bytes that a cleared buffer keeps: one large value must not hold its memory for the life of the log.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// The body of a frame under construction. Reusable.
#[derive(Debug, Clone)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
}

impl FrameBuffer {
    /// An empty body.
    pub fn new() -> Self {
        Self {
            bytes: vec![0; FRAME_HEADER_BYTES],
        }
    }

    /// The vector that the body is appended to. It starts with the room for the header: only append to it, and use
    /// [`truncate`](Self::truncate) to take back what was appended.
    pub fn body(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The body so far.
    #[cfg(test)]
    pub fn written(&self) -> &[u8] {
        self.bytes.get(FRAME_HEADER_BYTES..).unwrap_or_default()
    }

    /// Length of the body so far, in bytes.
    pub fn body_bytes(&self) -> usize {
        self.bytes.len().saturating_sub(FRAME_HEADER_BYTES)
    }

    /// True if the body is empty.
    pub fn is_empty(&self) -> bool {
        self.body_bytes() == 0
    }

    /// Truncates the body to `body_bytes`; does nothing if it is no longer than that.
    pub fn truncate(&mut self, body_bytes: usize) {
        self.bytes.truncate(FRAME_HEADER_BYTES + body_bytes);
    }

    /// Empties the body.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES_MAX);
        self.bytes.resize(FRAME_HEADER_BYTES, 0);
    }

    /// Fills in the header, appends checksum and padding, and returns the whole frame for `offset`. The header must
    /// state the length of the body.
    pub(super) fn seal(&mut self, header: &FrameHeader, salt: u64, offset: u64) -> &[u8] {
        if let Some(room) = self.bytes.first_chunk_mut::<FRAME_HEADER_BYTES>() {
            *room = header.encode(salt, offset);
        }
        let checksum = placed_crc(salt, offset, &[&self.bytes]);
        self.bytes.extend_from_slice(&checksum.to_le_bytes());
        let whole = self.bytes.len().next_multiple_of(FRAME_ALIGNMENT);
        self.bytes.resize(whole, 0);
        &self.bytes
    }
}

impl Default for FrameBuffer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::{decode_body, frame_bytes};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_sealed_frame_reads_back(body: Vec<u8>, salt: u64, offset: u64, kind: u8) {
            let mut buffer = FrameBuffer::new();
            buffer.body().extend_from_slice(&body);
            let header = FrameHeader {
                body_bytes: u32::try_from(body.len()).unwrap(),
                number: 7, known_synced: 5, kind, flags: 0,
            };
            let frame = buffer.seal(&header, salt, offset).to_vec();
            prop_assert_eq!(frame.len(), frame_bytes(body.len()));
            prop_assert_eq!(FrameHeader::decode(&frame, salt, offset), Some(header));
            prop_assert_eq!(decode_body(&frame, &header, salt, offset), Some(body.as_slice()));
            prop_assert_eq!(decode_body(&frame, &header, salt, offset ^ 8), None);
            buffer.truncate(body.len());
            prop_assert_eq!(buffer.written(), body.as_slice());
            buffer.clear();
            prop_assert!(buffer.is_empty());
        }
    }
}
