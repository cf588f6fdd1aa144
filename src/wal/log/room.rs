//! Room for frames: the file is grown ahead with zeros, so that a commit need not sync a length.

use super::super::error::WalError;
use super::Log;

/// Least number of bytes written ahead: some hundreds of small groups for the price of one longer sync.
pub(super) const AHEAD_BYTES_MIN: u64 = 64 << 10;

/// Most bytes written ahead: more would stall the commit that has to write them.
pub(super) const AHEAD_BYTES_MAX: u64 = 16 << 20;

/// Divisor for growth: the log grows by this part of its length, so that a small one stays small; or of the length of
/// the file sealed before it, so that a new file does not go through all the small steps again.
const AHEAD_PART: u64 = 8;

/// The end of the file is kept at a multiple of this, in bytes: the usual block of a file system.
pub(super) const BLOCK_BYTES: u64 = 4 << 10;

/// Bytes from which on a frame that does not fit is written straight after the end of the file. Writing zeros first
/// saves the sync of a length, about 40 µs; measured, from 64 KiB on it costs more to write twice.
const DIRECT_FRAME_BYTES: usize = 64 << 10;

/// The zeros that are written when the file grows.
pub(super) static ZEROS: [u8; 256 << 10] = [0; 256 << 10];

impl Log {
    /// Writes a whole frame at `used`, making room for it if there is none.
    pub(super) fn place(&mut self, frame: &[u8], end: u64) -> Result<(), WalError> {
        if end > self.allocated {
            // Without a sync per group there is no sync of a length to save.
            if frame.len() >= DIRECT_FRAME_BYTES || self.last_group > self.synced {
                return self.write_past_end(frame, end);
            }
            self.grow(end)?;
        }
        self.write(self.used, frame)
    }

    /// Writes zeros ahead, and makes them and the length durable before a frame goes there.
    fn grow(&mut self, end: u64) -> Result<(), WalError> {
        let ahead = (self.used.max(self.previous_bytes) / AHEAD_PART)
            .clamp(AHEAD_BYTES_MIN, AHEAD_BYTES_MAX)
            .min(self.ahead_bytes_max);
        match self.write_zeros((end + ahead).next_multiple_of(BLOCK_BYTES)) {
            Ok(()) => {
                self.ahead_bytes_max = AHEAD_BYTES_MAX.min(self.ahead_bytes_max * 2 + BLOCK_BYTES);
            }
            Err(error) if error.is_full() && self.poison.is_none() => {
                self.ahead_bytes_max = ahead / 4;
                self.write_zeros(end)?;
            }
            Err(error) => return Err(error),
        }
        self.flush()
    }

    pub(super) fn write_zeros(&mut self, end: u64) -> Result<(), WalError> {
        let mut at = self.allocated;
        while at < end {
            let count = usize::try_from(end - at).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
            let chunk = ZEROS.get(..count).unwrap_or_default();
            self.write_new(at, chunk)?;
            at += count as u64;
        }
        self.allocated = end;
        self.length_changed = true;
        Ok(())
    }

    /// Writes a frame that extends beyond the end of the file. The part beyond the end goes first: it may find no
    /// room, and the file holds zeros in front of it until it has succeeded.
    fn write_past_end(&mut self, frame: &[u8], end: u64) -> Result<(), WalError> {
        let room = usize::try_from(self.allocated - self.used).unwrap_or(frame.len());
        let (head, tail) = frame.split_at_checked(room).unwrap_or((frame, &[]));
        self.write_new(self.allocated, tail)?;
        self.allocated = end;
        self.length_changed = true;
        self.write(self.used, head)
    }

    /// Writes after the end of the file. If there is no room, the written part is truncated again, durably, so that a
    /// crash on a full disk leaves no unfinished end that there is no room to keep aside; the log is then as it was.
    fn write_new(&mut self, offset: u64, bytes: &[u8]) -> Result<(), WalError> {
        let Err(error) = self.file.write_at(offset, bytes) else {
            return Ok(());
        };
        let error = self.append_error(offset, error);
        if !error.is_full() {
            return Err(self.poison(error));
        }
        self.length_changed = true;
        if let Err(cut) = self.file.set_len(self.allocated) {
            let error = self.append_error(offset, cut);
            return Err(self.poison(error));
        }
        self.flush()?;
        Err(error)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), WalError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.file.write_at(offset, bytes).map_err(|error| {
            let error = self.append_error(offset, error);
            self.poison(error)
        })
    }
}
