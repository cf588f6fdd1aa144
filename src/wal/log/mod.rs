//! The open log: append, sync, and the growth of its file.

pub mod copy_header;
pub mod segment;
pub mod segment_removal;

use std::sync::Arc;

use super::error::WalError;
use super::format::{
    FILE_HEADER_BYTES, FRAME_BODY_BYTES_MAX, FileHeader, FrameHeader, FrameKind, frame_bytes,
};
use super::frame_buffer::FrameBuffer;
use super::log::segment::SealedLog;
use super::recover::scan::Scan;
use crate::disk::storage::{Anchor, StorageFile};

mod place;
mod rereading;
mod room;
mod seal;
pub mod syncing;
mod through;

use through::Tail;

/// An open log (write-ahead log). One thread appends and syncs; callers ensure that nothing else has the file open.
pub struct Log {
    name: String,
    /// The file as users know it.
    shown: String,
    file: Arc<dyn StorageFile>,
    header: FileHeader,
    /// Offset of the next frame.
    used: u64,
    /// Length of the file, in bytes; all zeros from `used` on.
    allocated: u64,
    /// True if the length of the file has changed since it was last made durable.
    length_changed: bool,
    appended: u64,
    synced: u64,
    /// The highest frame that the file itself tells to be synced.
    reported_synced: u64,
    /// Offset up to which the file is durable.
    synced_bytes: u64,
    last_group: u64,
    /// True if the last frame is the mark of a clean close, and the file ends with it.
    settled: bool,
    /// Most bytes that are written ahead; reduced for a while after the disk was found full, so that not every commit
    /// fills the rest of it with zeros and takes them back.
    ahead_bytes_max: u64,
    marker: FrameBuffer,
    tail: Tail,
    poison: Option<WalError>,
    /// Checks where the path of the log leads; `None` where that is not checked.
    anchor: Option<Arc<dyn Anchor>>,
    is_displaced: bool,
    /// Sealed logs in order; each is continued by the next, the last by this file.
    sealed: Vec<SealedLog>,
    /// Length of the file that this process sealed last; 0 if it sealed none.
    previous_bytes: u64,
}

impl Log {
    /// An open log after the frames that were found, all of which are durable by now, as is the length of the file.
    pub(super) fn resume(
        (name, shown): (String, String),
        file: Box<dyn StorageFile>,
        found: &Scan,
        allocated: u64,
        sealed: Vec<SealedLog>,
        anchor: Option<Arc<dyn Anchor>>,
    ) -> Self {
        Self {
            name,
            shown,
            file: file.into(),
            header: found.header,
            used: found.end,
            allocated,
            length_changed: false,
            appended: found.last_frame,
            synced: found.last_frame,
            reported_synced: found.known_synced,
            synced_bytes: found.end,
            last_group: found.last_group,
            settled: found.is_settled(),
            ahead_bytes_max: room::AHEAD_BYTES_MAX,
            marker: FrameBuffer::new(),
            tail: Tail::default(),
            poison: None,
            anchor,
            is_displaced: false,
            sealed,
            previous_bytes: 0,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The file, and how users know it.
    pub(super) fn to_read(&self) -> (&dyn StorageFile, &str) {
        (&*self.file, &self.shown)
    }

    /// Appends the body as one group and empties the buffer. Returns the number of the frame. A killed process loses
    /// nothing of it from here on; a power cut may lose all of it or a part, which recovery then cuts off.
    ///
    /// # Errors
    /// If the body is too long or the disk is full, nothing is appended, the buffer is as it was, and the log goes on.
    /// After any other failure of the disk it is unknown what was written, and the log takes nothing more until it is
    /// opened again.
    pub fn append(&mut self, buffer: &mut FrameBuffer) -> Result<u64, WalError> {
        self.check()?;
        let number = self.write_frame(FrameKind::Group, buffer, false)?;
        self.last_group = number;
        Ok(number)
    }

    /// [`append`](Self::append) and [`sync`](Self::sync), in one call of the disk where that is possible.
    ///
    /// # Errors
    /// The errors of both.
    pub fn append_synced(&mut self, buffer: &mut FrameBuffer) -> Result<u64, WalError> {
        self.check()?;
        let number = self.write_frame(FrameKind::Group, buffer, true)?;
        self.last_group = number;
        self.sync()?;
        Ok(number)
    }

    /// Makes all appended frames durable: they survive a power cut once it returns, and every later frame says so.
    ///
    /// # Errors
    /// It is then unknown which frames since the last sync survive. A sync is never repeated, because the system may
    /// have dropped pages that it could not write: the log takes nothing more until it is opened again.
    pub fn sync(&mut self) -> Result<(), WalError> {
        self.check()?;
        if self.synced == self.appended {
            return Ok(());
        }
        self.flush()
    }

    /// Writes up to which frame the file is known synced, for the time in which nothing more is appended: one small
    /// frame, not synced itself. Does nothing if the file says so already.
    ///
    /// # Errors
    /// The errors of [`append`](Self::append), and [`WalError::Displaced`] if the path of the log does not lead to it.
    pub fn watermark(&mut self) -> Result<(), WalError> {
        self.check()?;
        if self.last_group.min(self.synced) <= self.reported_synced {
            return Ok(());
        }
        self.check_place()?;
        self.mark(FrameKind::Watermark)
    }

    /// Syncs, marks a clean close, syncs the mark, and truncates the space written ahead. A disk without room for the
    /// mark is no error: all frames are safe, and the next opening takes the log for one that was not closed.
    ///
    /// # Errors
    /// The errors of [`sync`](Self::sync). The file is closed in any case.
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

    /// The number of the last appended frame, of any kind; one below the first if there is none.
    pub fn appended_frame(&self) -> u64 {
        self.appended
    }

    /// The number of the last frame that survives a power cut.
    #[cfg(test)]
    pub fn synced_frame(&self) -> u64 {
        self.synced
    }

    /// The failure after which the log takes nothing more; `None` while it goes on.
    pub fn poisoned(&self) -> Option<&WalError> {
        self.poison.as_ref()
    }

    /// Bytes of the file in use: its header and all frames.
    #[cfg(test)]
    pub fn used_bytes(&self) -> u64 {
        self.used
    }

    /// Length of the file, in bytes, with the space written ahead.
    #[cfg(test)]
    pub fn file_bytes(&self) -> u64 {
        self.allocated
    }

    /// Bytes that can be appended before the file has to grow.
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

    /// Appends an empty frame.
    fn mark(&mut self, kind: FrameKind) -> Result<(), WalError> {
        let mut marker = std::mem::take(&mut self.marker);
        marker.clear();
        let outcome = self.write_frame(kind, &mut marker, false);
        self.marker = marker;
        outcome.map(|_| ())
    }

    fn mark_closed(&mut self) -> Result<(), WalError> {
        // The file is one byte longer than the frame needs: only the truncation after the sync lets a file end with
        // this mark, so a file that ends with it tells that the mark is durable.
        let room = self.used + frame_bytes(0) as u64 + 1;
        if room > self.allocated {
            self.write_zeros(room)?;
        }
        self.mark(FrameKind::Close)
    }

    /// Writes a frame after the last. Returns its number. With `synced` it is durable too, if one call of the disk
    /// can do both.
    fn write_frame(
        &mut self,
        kind: FrameKind,
        buffer: &mut FrameBuffer,
        synced: bool,
    ) -> Result<u64, WalError> {
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
        let placed = match synced.then(|| self.write_through(frame, end)) {
            Some(Ok(true)) => Ok(true),
            Some(Err(error)) => Err(error),
            Some(Ok(false)) | None => self.place(frame, end).map(|()| false),
        };
        if placed.is_err() {
            buffer.truncate(body);
        }
        let is_durable = placed?;
        buffer.clear();
        self.used = end;
        self.appended = header.number;
        if is_durable {
            self.synced = self.appended;
            self.synced_bytes = end;
        }
        self.reported_synced = header.known_synced;
        self.settled = false;
        Ok(header.number)
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
