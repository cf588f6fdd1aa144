//! The open log: append, sync, and what the disk may do in between.

use super::error::WalError;
use super::format::{
    FILE_HEADER_BYTES, FRAME_BODY_BYTES_MAX, FileHeader, FrameHeader, FrameKind, frame_bytes,
};
use super::frame_buffer::FrameBuffer;
use super::scan::Scan;
use super::sealed::SealedLog;
use super::storage::StorageFile;

mod seal;

/// Least number of bytes written ahead: some hundreds of small groups for the price of one longer sync.
const AHEAD_BYTES_MIN: u64 = 64 << 10;

/// Most bytes written ahead: more would stall the commit that has to write them.
const AHEAD_BYTES_MAX: u64 = 16 << 20;

/// The log is grown by this part of it, so that a small one stays small; or of what was sealed before it, so
/// that a new file does not go through all the small steps again.
const AHEAD_PART: u64 = 8;

/// The end of the file is kept at a multiple of this, the usual block of a file system.
const BLOCK_BYTES: u64 = 4 << 10;

/// From this size on a frame that does not fit is written straight behind the end of the file. Writing zeros
/// first saves the sync of a length, about 40 µs; measured, from 64 KiB on it costs more to write twice.
const DIRECT_FRAME_BYTES: usize = 64 << 10;

/// What is written when the file grows.
static ZEROS: [u8; 256 << 10] = [0; 256 << 10];

/// An open log. One thread appends and syncs; callers see to it that nothing else has the file open.
pub struct Log {
    name: String,
    /// How users know the file.
    shown: String,
    file: Box<dyn StorageFile>,
    header: FileHeader,
    /// Where the next frame goes.
    used: u64,
    /// How long the file is; from `used` on all zeros.
    allocated: u64,
    /// The length of the file changed since it was last made durable.
    length_changed: bool,
    appended: u64,
    synced: u64,
    /// The highest frame that the file itself tells to be synced.
    told_synced: u64,
    last_group: u64,
    /// The last frame is the mark of a clean close, and the file ends with it.
    settled: bool,
    /// How much may be written ahead; less for a while after the disk was found full, so that not every
    /// commit fills the rest of it with zeros and takes them back.
    ahead_bytes_max: u64,
    marker: FrameBuffer,
    poison: Option<WalError>,
    /// In order; each goes on in the next, the last in this file.
    sealed: Vec<SealedLog>,
    /// How long the file was that this process sealed last; 0 if it sealed none.
    previous_bytes: u64,
}

impl Log {
    /// Goes on behind what was found, all of which is durable by now, and so is the length of the file.
    pub(super) fn resume(
        (name, shown): (String, String),
        file: Box<dyn StorageFile>,
        found: &Scan,
        allocated: u64,
        sealed: Vec<SealedLog>,
    ) -> Self {
        Self {
            name,
            shown,
            file,
            header: found.header,
            used: found.end,
            allocated,
            length_changed: false,
            appended: found.last_frame,
            synced: found.last_frame,
            told_synced: found.known_synced,
            last_group: found.last_group,
            settled: found.is_settled(),
            ahead_bytes_max: AHEAD_BYTES_MAX,
            marker: FrameBuffer::new(),
            poison: None,
            sealed,
            previous_bytes: 0,
        }
    }

    /// Appends the body as one group and empties the buffer; gives the number of the frame. A killed process
    /// loses nothing of it from here on; a power cut may, all of it or a part, which recovery then cuts off.
    ///
    /// # Errors
    /// A body that is too long, or no room on the disk: nothing is appended, the buffer is as it was, and the
    /// log goes on. Any other failure of the disk: it is unknown what was written, and the log takes nothing
    /// more until it is opened again.
    pub fn append(&mut self, buffer: &mut FrameBuffer) -> Result<u64, WalError> {
        self.check()?;
        let number = self.write_frame(FrameKind::Group, buffer)?;
        self.last_group = number;
        Ok(number)
    }

    /// Once it returns, every frame appended before survives a power cut, and every frame from now on says so.
    ///
    /// # Errors
    /// It is then unknown which frames since the last sync survive. A sync is never tried again, because the
    /// system may have dropped what it could not write: the log takes nothing more until it is opened again.
    pub fn sync(&mut self) -> Result<(), WalError> {
        self.check()?;
        if self.synced == self.appended {
            return Ok(());
        }
        self.flush()
    }

    /// Tells in the file how far it is known synced, for the time in which nothing more is appended: one small
    /// frame, not synced itself. Does nothing when the file tells it already.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn watermark(&mut self) -> Result<(), WalError> {
        self.check()?;
        if self.last_group.min(self.synced) <= self.told_synced {
            return Ok(());
        }
        self.mark(FrameKind::Watermark)
    }

    /// Syncs, tells in the file that it was closed, syncs that, and gives back what was written ahead. A disk
    /// that has no room for the mark is no error: what was appended is safe, and the next opening takes the
    /// log for one that was not closed.
    ///
    /// # Errors
    /// As [`sync`](Self::sync). The file is closed in any case.
    pub fn close(mut self) -> Result<(), WalError> {
        self.sync()?;
        if self.settled {
            return Ok(());
        }
        match self.mark_closed() {
            Ok(()) => self.flush()?,
            Err(error) if error.is_full() && self.poison.is_none() => {}
            Err(error) => return Err(error),
        }
        self.file
            .set_len(self.used)
            .and_then(|()| self.file.sync_all())
            .map_err(|error| self.flush_error(error))
    }

    /// The number of the last frame appended, of whatever kind; one below the first if there is none.
    pub fn appended_frame(&self) -> u64 {
        self.appended
    }

    /// The number of the last frame that survives a power cut.
    pub fn synced_frame(&self) -> u64 {
        self.synced
    }

    /// The failure after which the log takes nothing more.
    pub fn poisoned(&self) -> Option<&WalError> {
        self.poison.as_ref()
    }

    /// How many bytes of the file are in use: its header and all frames.
    pub fn used_bytes(&self) -> u64 {
        self.used
    }

    /// How long the file is, with what was written ahead.
    pub fn file_bytes(&self) -> u64 {
        self.allocated
    }

    /// How many bytes can be appended before the file has to grow.
    pub fn room_bytes(&self) -> usize {
        usize::try_from(self.allocated - self.used).unwrap_or(usize::MAX)
    }

    /// The header of the file.
    pub fn header(&self) -> &FileHeader {
        &self.header
    }

    fn check(&self) -> Result<(), WalError> {
        self.poison.as_ref().map_or(Ok(()), |first| {
            Err(WalError::Poisoned {
                first: Box::new(first.clone()),
            })
        })
    }

    fn poison(&mut self, error: WalError) -> WalError {
        self.poison.get_or_insert_with(|| error.clone());
        error
    }

    fn flush(&mut self) -> Result<(), WalError> {
        // Before the length is durable, the bytes behind the durable length are not either.
        let synced = if self.length_changed {
            self.file.sync_all()
        } else {
            self.file.sync_data()
        };
        synced.map_err(|error| {
            let error = self.flush_error(error);
            self.poison(error)
        })?;
        self.length_changed = false;
        self.synced = self.appended;
        Ok(())
    }

    /// Appends an empty frame.
    fn mark(&mut self, kind: FrameKind) -> Result<(), WalError> {
        let mut marker = std::mem::take(&mut self.marker);
        marker.clear();
        let outcome = self.write_frame(kind, &mut marker);
        self.marker = marker;
        outcome.map(|_| ())
    }

    fn mark_closed(&mut self) -> Result<(), WalError> {
        // One byte more than the frame takes: only the cut after the sync lets a file end with this mark, so
        // a file that ends with it tells that the mark is durable.
        let room = self.used + frame_bytes(0) as u64 + 1;
        if room > self.allocated {
            self.write_zeros(room)?;
        }
        self.mark(FrameKind::Close)
    }

    fn write_frame(&mut self, kind: FrameKind, buffer: &mut FrameBuffer) -> Result<u64, WalError> {
        let body = buffer.body_bytes();
        let too_large = || WalError::BodyTooLarge {
            bytes: body,
            limit: FRAME_BODY_BYTES_MAX,
        };
        if body > FRAME_BODY_BYTES_MAX {
            return Err(too_large());
        }
        let header = FrameHeader {
            body_bytes: u32::try_from(body).map_err(|_| too_large())?,
            number: self.appended + 1,
            known_synced: self.synced,
            kind: kind as u8,
            flags: 0,
        };
        let frame = buffer.seal(&header, self.header.salt, self.used);
        let end = self.used + frame.len() as u64;
        if let Err(error) = self.place(frame, end) {
            buffer.truncate(body);
            return Err(error);
        }
        buffer.clear();
        self.used = end;
        self.appended = header.number;
        self.told_synced = header.known_synced;
        self.settled = false;
        Ok(header.number)
    }

    /// Writes a whole frame at `used`, making room for it where there is none.
    fn place(&mut self, frame: &[u8], end: u64) -> Result<(), WalError> {
        if end > self.allocated {
            // Without a sync per group there is no length to save the sync of.
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

    fn write_zeros(&mut self, end: u64) -> Result<(), WalError> {
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

    /// Writes a frame part of which lies behind the end of the file: that part first, because it is the one
    /// that may find no room, and what is before it is zeros until it has succeeded.
    fn write_past_end(&mut self, frame: &[u8], end: u64) -> Result<(), WalError> {
        let room = usize::try_from(self.allocated - self.used).unwrap_or(frame.len());
        let (head, tail) = frame.split_at_checked(room).unwrap_or((frame, &[]));
        self.write_new(self.allocated, tail)?;
        self.allocated = end;
        self.length_changed = true;
        self.write(self.used, head)
    }

    /// Writes behind the end of the file. If there is no room, what was written of it is taken back, durably,
    /// so that a crash on a full disk leaves no unfinished end that there is no room to keep aside; the log is
    /// then as it was.
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

    fn append_error(&self, offset: u64, error: std::io::Error) -> WalError {
        WalError::Append {
            file: self.shown.clone(),
            offset,
            cause: error.into(),
        }
    }

    fn flush_error(&self, error: std::io::Error) -> WalError {
        WalError::Flush {
            file: self.shown.clone(),
            cause: error.into(),
        }
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("used", &self.used)
            .field("allocated", &self.allocated)
            .field("appended", &self.appended)
            .field("synced", &self.synced)
            .field("poison", &self.poison)
            .finish_non_exhaustive()
    }
}

const _: () = assert!(FILE_HEADER_BYTES.is_multiple_of(super::format::FRAME_ALIGNMENT));
