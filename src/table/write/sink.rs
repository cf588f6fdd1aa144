//! The file of a checkpoint that is being written: gathers bytes, and writes them in pieces.

use crate::core::checksum::placed_crc;
use crate::disk::storage::StorageFile;

use crate::table::error::CheckpointError;
use crate::table::format::CHECKSUM_BYTES;

/// Bytes that are gathered before they are written: large enough for a disk, small enough for memory.
const PIECE_BYTES: usize = 512 << 10;

/// Bytes that are written between two syncs. With one sync at the end the system would write all of the file at once,
/// and the syncs of the log, on the same disk, would wait for it.
const SYNC_BYTES: u64 = 2 << 20;

/// A file that grows at its end.
pub(in crate::table) struct Sink {
    file: Box<dyn StorageFile>,
    /// Name of the file, as the user gave it.
    name: String,
    salt: u64,
    gathered: Vec<u8>,
    written: u64,
    unsynced: u64,
}

impl Sink {
    /// A sink for an empty file.
    pub(in crate::table) fn new(file: Box<dyn StorageFile>, name: String, salt: u64) -> Self {
        Self {
            file,
            name,
            salt,
            gathered: Vec::with_capacity(PIECE_BYTES),
            written: 0,
            unsynced: 0,
        }
    }

    pub(in crate::table) fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::table) fn salt(&self) -> u64 {
        self.salt
    }

    /// Offset of the next byte.
    pub(in crate::table) fn at(&self) -> u64 {
        self.written + self.gathered.len() as u64
    }

    /// The checksum of bytes that would be written next.
    pub(in crate::table) fn checksum(&self, parts: &[&[u8]]) -> u32 {
        placed_crc(self.salt, self.at(), parts)
    }

    /// Appends bytes.
    pub(in crate::table) fn write(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = PIECE_BYTES.saturating_sub(self.gathered.len());
            let (head, tail) = rest.split_at(room.min(rest.len()));
            self.gathered.extend_from_slice(head);
            rest = tail;
            if self.gathered.len() >= PIECE_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Appends a block and its checksum. Returns its offset, and its length with the checksum.
    pub(in crate::table) fn write_block(
        &mut self,
        payload: &[u8],
    ) -> Result<(u64, usize), CheckpointError> {
        let offset = self.at();
        let checksum = self.checksum(&[payload]);
        self.write(payload)?;
        self.write(&checksum.to_le_bytes())?;
        Ok((offset, payload.len() + CHECKSUM_BYTES))
    }

    fn flush(&mut self) -> Result<(), CheckpointError> {
        let written = self.file.write_at(self.written, &self.gathered);
        written.map_err(|error| self.failed(error))?;
        self.written += self.gathered.len() as u64;
        self.unsynced += self.gathered.len() as u64;
        self.gathered.clear();
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.file.sync_data().map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    /// Writes the rest and syncs. Returns the length of the file; afterwards all of it survives a power cut, if its
    /// name does.
    pub(in crate::table) fn finish(mut self) -> Result<u64, CheckpointError> {
        self.flush()?;
        self.file.sync_all().map_err(|error| self.failed(error))?;
        Ok(self.written)
    }

    /// The error for content that breaks a rule.
    pub(in crate::table) fn refused(&self, reason: &'static str) -> CheckpointError {
        CheckpointError::Refused {
            file: self.name.clone(),
            reason,
        }
    }

    fn failed(&self, error: std::io::Error) -> CheckpointError {
        CheckpointError::Write {
            file: self.name.clone(),
            cause: error.into(),
        }
    }
}
