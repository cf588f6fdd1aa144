//! Sealing: the log ends its file and goes on in a new one, so that the frames before can be replaced by a checkpoint
//! and removed.

use std::io;

use super::super::error::WalError;
use super::super::format::{FILE_HEADER_BYTES, FileHeader};
use super::Log;
use super::room::{AHEAD_BYTES_MIN, BLOCK_BYTES, ZEROS};
use super::segment::{SealedLog, sealed_name, sealing_name};
use super::segment_removal::Removal;
use crate::disk::storage::{Storage, StorageFile};
use crate::wal::files::leftovers::remove_sealing;

impl Log {
    /// Ends the active file, under its sealed name, and goes on in a new one with the next number. All frames before
    /// are durable first. Returns `None` if the file has no frame: there is nothing to seal then. `storage` must be
    /// the one that the log was opened in; `salt` is random.
    ///
    /// Wherever the power is cut, the next opening finds the log either as it was, or sealed.
    ///
    /// # Errors
    /// If the path does not lead to the log, there is no room for the new file, or anything else fails before the log
    /// gets its sealed name, the log goes on in the old file. After a later failure, or a failed sync of the log, it
    /// takes nothing more until it is opened again, which finishes the seal.
    pub fn seal(
        &mut self,
        storage: &dyn Storage,
        salt: u64,
    ) -> Result<Option<SealedLog>, WalError> {
        self.check_place()?;
        self.check_content()?;
        self.sync()?;
        if self.appended < self.header.first_frame {
            return Ok(None);
        }
        let shown = storage.shown(&self.name);
        let failed = |error: io::Error| WalError::Seal {
            file: shown.clone(),
            cause: error.into(),
        };
        let marks = u64::from(!self.settled);
        let header = self.header.following(salt, self.appended + marks + 1);
        let sealed = sealed_name(&self.name, self.header.first_frame);
        let temp = sealing_name(&self.name);
        let (file, allocated) = self.make_next(storage, &header, &sealed).map_err(failed)?;
        if !self.settled
            && let Err(error) = self.mark_closed().and_then(|()| self.flush())
        {
            drop(file);
            // Best effort, here and below: the next seal or opening removes a leftover.
            let _ = storage.remove(&temp);
            return Err(error);
        }
        if let Err(error) = storage.rename(&self.name, &sealed) {
            let error = failed(error);
            if !self.has_old_name(storage, &sealed) {
                return Err(self.poison(error));
            }
            drop(file);
            let _ = storage.remove(&temp);
            return Err(error);
        }
        // With a log under the sealed name there is no way back: from here on only an opening finishes the seal.
        storage
            .rename(&temp, &self.name)
            .and_then(|()| storage.sync_directory())
            .map_err(|error| self.poison(failed(error)))?;
        Ok(Some(self.go_on_in(file, header, allocated)))
    }

    /// The sealed logs before this one, in order.
    pub fn sealed(&self) -> &[SealedLog] {
        &self.sealed
    }

    /// Bytes that the log takes on disk: all sealed logs, and the active file with the space written ahead.
    pub fn log_bytes(&self) -> u64 {
        let sealed = self.sealed.iter().map(|sealed| sealed.bytes);
        sealed.fold(self.allocated, u64::saturating_add)
    }

    /// The removal of all sealed logs without a frame above `up_to_frame`, which any thread may carry out. A durable
    /// checkpoint must cover all frames up to there.
    ///
    /// # Errors
    /// If the log is poisoned.
    pub fn covered(&self, up_to_frame: u64) -> Result<Removal, WalError> {
        self.check()?;
        let is_covered = |sealed: &&SealedLog| sealed.last_frame <= up_to_frame;
        let covered = self.sealed.iter().take_while(is_covered);
        Ok(Removal::new(&self.name, covered.copied().collect()))
    }

    /// Drops the logs that a removal has removed. Those that it could not remove stay in [`sealed`](Self::sealed).
    pub fn forget(&mut self, removal: &Removal) {
        let removed = removal.removed();
        self.sealed.retain(|sealed| !removed.contains(sealed));
    }

    /// Removes covered sealed logs: [`Self::covered`] and [`Removal::carry_out`] in one call. Returns the bytes given
    /// back.
    ///
    /// # Errors
    /// The errors of both.
    #[cfg(test)]
    pub fn remove_sealed(
        &mut self,
        storage: &dyn Storage,
        up_to_frame: u64,
    ) -> Result<u64, WalError> {
        let mut removal = self.covered(up_to_frame)?;
        let freed = removal.carry_out(storage);
        self.forget(&removal);
        freed
    }

    /// Creates the new file under its temporary name; content and name are durable. Returns the file and its length.
    fn make_next(
        &self,
        storage: &dyn Storage,
        header: &FileHeader,
        sealed: &str,
    ) -> io::Result<(Box<dyn StorageFile>, u64)> {
        if storage.open(sealed)?.is_some() {
            // The later rename would replace the existing file.
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        remove_sealing(storage, &self.name, header)?;
        let temp = sealing_name(&self.name);
        let file = storage.create(&temp)?;
        let made = write_empty(&*file, header).and_then(|bytes| {
            file.sync_all()?;
            // The new name is durable before the old file loses its own: else a power cut could leave neither under a
            // known name.
            storage.sync_directory()?;
            Ok(bytes)
        });
        match made {
            Ok(bytes) => Ok((file, bytes)),
            Err(error) => {
                drop(file);
                let _ = storage.remove(&temp);
                Err(error)
            }
        }
    }

    /// After a rename that failed: true if it certainly did nothing.
    fn has_old_name(&self, storage: &dyn Storage, sealed: &str) -> bool {
        matches!(storage.open(sealed), Ok(None)) && matches!(storage.open(&self.name), Ok(Some(_)))
    }

    fn go_on_in(
        &mut self,
        file: Box<dyn StorageFile>,
        header: FileHeader,
        allocated: u64,
    ) -> SealedLog {
        let old = std::mem::replace(&mut self.file, file.into());
        // Best effort, and not synced: zeros after the last frame mean nothing and only take room.
        let is_cut = self.allocated == self.used || old.set_len(self.used).is_ok();
        let sealed = SealedLog {
            first_frame: self.header.first_frame,
            last_frame: self.appended,
            bytes: if is_cut { self.used } else { self.allocated },
        };
        self.sealed.push(sealed);
        self.previous_bytes = self.used;
        self.header = header;
        self.used = FILE_HEADER_BYTES as u64;
        self.synced_bytes = self.used;
        self.forget_tail();
        self.allocated = allocated;
        self.length_changed = false;
        self.reported_synced = self.appended;
        self.settled = false;
        sealed
    }
}

/// Writes a header and, if there is room, zeros ahead, so that the first groups cost no more than others. Returns the
/// length.
fn write_empty(file: &dyn StorageFile, header: &FileHeader) -> io::Result<u64> {
    let header_bytes = FILE_HEADER_BYTES as u64;
    file.write_at(0, &header.encode())?;
    let end = (header_bytes + AHEAD_BYTES_MIN).next_multiple_of(BLOCK_BYTES);
    let count = usize::try_from(end - header_bytes).unwrap_or(ZEROS.len());
    let zeros = ZEROS.get(..count).unwrap_or(&ZEROS);
    match file.write_at(header_bytes, zeros) {
        Ok(()) => Ok(header_bytes + zeros.len() as u64),
        Err(error) if crate::disk::error::is_full(error.kind()) => {
            file.set_len(header_bytes)?;
            Ok(header_bytes)
        }
        Err(error) => Err(error),
    }
}
