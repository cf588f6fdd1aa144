//! Small frames that are written and made durable in one call of the disk (direct write-through): whole blocks past
//! the page cache, which spares the system its bookkeeping of a dirty page and the second call. The bytes of a block
//! in front of the frame are written again with it, as the page cache would do.

use super::super::error::WalError;
use super::Log;
use crate::disk::storage::THROUGH_BYTES;

/// Most bytes that are written in one such call: a lone write, or a few. For more the page cache costs less than it
/// saves.
const THROUGH_BYTES_MAX: u64 = 16 << 10;

/// The known end of the file's used part, from the start of a block, so that it need not be read.
#[derive(Debug, Default)]
pub(super) struct Tail {
    from: u64,
    bytes: Vec<u8>,
}

impl Tail {
    fn end(&self) -> u64 {
        self.from + self.bytes.len() as u64
    }

    /// Drops the bytes before `from`.
    fn begin_at(&mut self, from: u64) {
        let count = usize::try_from(from - self.from).unwrap_or(usize::MAX);
        self.bytes.drain(..count.min(self.bytes.len()));
        self.from = from;
    }
}

fn block_of(offset: u64) -> u64 {
    offset - offset % THROUGH_BYTES as u64
}

impl Log {
    /// Writes a whole frame at `used`, durable once this returns, together with everything before it that was not
    /// durable yet. Returns false, and does nothing, if that is not possible.
    ///
    /// # Errors
    /// It is unknown what was written: the log is poisoned.
    pub(super) fn write_through(&mut self, frame: &[u8], end: u64) -> Result<bool, WalError> {
        let from = block_of(self.synced_bytes.min(self.used));
        let to = end.next_multiple_of(THROUGH_BYTES as u64);
        // A length that is not durable needs another kind of sync.
        if self.length_changed || to > self.allocated || to - from > THROUGH_BYTES_MAX {
            return Ok(false);
        }
        if !self.file.writes_through() || !self.know_tail(from) {
            return Ok(false);
        }
        let used = self.tail.bytes.len();
        self.tail.bytes.extend_from_slice(frame);
        let whole = usize::try_from(to - from).unwrap_or(usize::MAX);
        self.tail.bytes.resize(whole, 0);
        let written = self.file.write_through(from, &self.tail.bytes);
        self.tail.bytes.truncate(used + frame.len());
        match written {
            Ok(true) => {
                self.tail.begin_at(block_of(end));
                Ok(true)
            }
            Ok(false) => {
                self.tail.bytes.truncate(used);
                Ok(false)
            }
            Err(error) => {
                let error = self.append_error(self.used, error);
                Err(self.poison(error))
            }
        }
    }

    /// Makes the tail cover the bytes from `from` to `used`. Returns false if it cannot.
    fn know_tail(&mut self, from: u64) -> bool {
        if self.tail.end() == self.used && self.tail.from <= from {
            self.tail.begin_at(from);
            return true;
        }
        if self.used > self.synced_bytes {
            // A read could return bytes of a failed write: only a sync finds out what is on disk.
            return false;
        }
        let count = usize::try_from(self.used - from).unwrap_or(usize::MAX);
        self.tail.from = from;
        self.tail.bytes.resize(count, 0);
        let read = crate::disk::storage::read_full(&*self.file, from, &mut self.tail.bytes);
        let is_known = read.is_ok_and(|read| read == count);
        if !is_known {
            self.tail.bytes.clear();
        }
        is_known
    }

    /// Empties the tail, because the log goes on in another file.
    pub(super) fn forget_tail(&mut self) {
        self.tail = Tail::default();
    }
}
