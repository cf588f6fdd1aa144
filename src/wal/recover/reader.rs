//! Streaming of frames out of a file through a bounded buffer, and the scan of the bytes after them.

use std::io;

use super::recovery::Rest;
use crate::disk::storage::{StorageFile, read_full};
use crate::wal::format::{FRAME_HEADER_BYTES, FrameHeader, decode_body};

/// Bytes read at once: large enough that calls do not count, small enough for any machine.
pub(crate) const READ_BYTES: usize = 256 << 10;

/// Reads consecutive whole frames. Its buffer is no larger than the rest of the file, and grows beyond [`READ_BYTES`]
/// only for a frame with a valid header that ends within the file.
pub(crate) struct FrameReader<'a> {
    file: &'a dyn StorageFile,
    salt: u64,
    /// Length of the file, in bytes.
    end: u64,
    /// Offset of the next frame.
    offset: u64,
    buffer: Vec<u8>,
    /// The part of the buffer that holds the bytes from `offset` on.
    start: usize,
    filled: usize,
}

/// A whole frame.
pub(crate) struct ReadFrame<'b> {
    pub(crate) header: FrameHeader,
    pub(crate) offset: u64,
    pub(crate) body: &'b [u8],
}

impl<'a> FrameReader<'a> {
    pub(crate) fn new(file: &'a dyn StorageFile, salt: u64, offset: u64, end: u64) -> Self {
        Self {
            file,
            salt,
            end,
            offset,
            buffer: vec![0; read_at_once(offset, end)],
            start: 0,
            filled: 0,
        }
    }

    /// Offset of the next frame.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The frame at [`offset`](Self::offset), if a whole one with that number is there; only then does the offset move
    /// after it.
    pub(crate) fn next(&mut self, number: u64) -> io::Result<Option<ReadFrame<'_>>> {
        self.next_if(&|header| header.number == number)
    }

    /// The frame at [`offset`](Self::offset), like [`next`](Self::next), but with any number.
    pub(crate) fn next_of_any_number(&mut self) -> io::Result<Option<ReadFrame<'_>>> {
        self.next_if(&|_| true)
    }

    fn next_if(
        &mut self,
        wanted: &dyn Fn(&FrameHeader) -> bool,
    ) -> io::Result<Option<ReadFrame<'_>>> {
        let (salt, offset) = (self.salt, self.offset);
        self.fill(FRAME_HEADER_BYTES)?;
        let Some(header) = FrameHeader::decode(self.window(), salt, offset).filter(wanted) else {
            return Ok(None);
        };
        let frame_bytes = header.frame_bytes();
        if frame_bytes as u64 > self.end.saturating_sub(offset) {
            return Ok(None);
        }
        self.fill(frame_bytes)?;
        let start = self.start;
        let Some(body) = self
            .buffer
            .get(start..self.filled)
            .and_then(|window| decode_body(window, &header, salt, offset))
        else {
            return Ok(None);
        };
        self.offset += frame_bytes as u64;
        self.start += frame_bytes;
        Ok(Some(ReadFrame {
            header,
            offset,
            body,
        }))
    }

    fn window(&self) -> &[u8] {
        self.buffer.get(self.start..self.filled).unwrap_or_default()
    }

    /// Fills the window with at least `count` bytes, or all up to the end of the file.
    fn fill(&mut self, count: usize) -> io::Result<()> {
        let held = self.filled - self.start;
        if held >= count {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.filled, 0);
        (self.start, self.filled) = (0, held);
        if self.buffer.len() < count {
            self.buffer.resize(count, 0);
        }
        let at = self.offset + held as u64;
        let room = self.buffer.get_mut(held..).unwrap_or_default();
        let wanted = usize::try_from(self.end.saturating_sub(at))
            .map_or(room.len(), |left| left.min(room.len()));
        let room = room.get_mut(..wanted).unwrap_or_default();
        self.filled += read_full(self.file, at, room)?;
        Ok(())
    }
}

/// Bytes to read at once in a file that may be shorter than [`READ_BYTES`].
fn read_at_once(from: u64, end: u64) -> usize {
    usize::try_from(end.saturating_sub(from)).map_or(READ_BYTES, |left| left.min(READ_BYTES))
}

/// Scans everything from `from`, a multiple of the alignment of frames, to the end of the file.
pub(crate) fn look_ahead(
    file: &dyn StorageFile,
    salt: u64,
    from: u64,
    end: u64,
) -> io::Result<Rest> {
    let mut rest = Rest::default();
    let mut buffer = vec![0; read_at_once(from, end)];
    let mut at = from;
    while at < end {
        let left = end - at;
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let room = buffer.get_mut(..wanted).unwrap_or_default();
        let count = read_full(file, at, room)?;
        let chunk = room.get(..count).unwrap_or_default();
        rest.absorb(chunk, salt, at);
        if count < wanted || count as u64 >= left {
            break;
        }
        // A header may lie across the end of a chunk, so the next one begins a header earlier.
        at += (count - FRAME_HEADER_BYTES) as u64;
    }
    Ok(rest)
}
