//! A sync in two halves: another thread can wait for the disk while the next group is prepared.

use std::io;
use std::sync::Arc;

use super::super::error::WalError;
use super::Log;
use crate::disk::storage::StorageFile;

/// Outcome of a sync.
pub type Synced = io::Result<()>;

/// A sync to be carried out by any thread.
pub struct SyncJob {
    file: Arc<dyn StorageFile>,
    /// True if the length has to be synced too: without it the bytes after the durable length are not durable.
    with_length: bool,
}

impl SyncJob {
    /// Carries out the sync. The outcome is for [`Log::end_sync`].
    ///
    /// # Errors
    /// The disk's error.
    pub fn run(self) -> Synced {
        if self.with_length {
            self.file.sync_all()
        } else {
            self.file.sync_data()
        }
    }
}

impl std::fmt::Debug for SyncJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyncJob")
            .field("with_length", &self.with_length)
            .finish_non_exhaustive()
    }
}

impl Log {
    /// Begins a sync; `None` if everything is durable. Until [`Self::end_sync`] nothing else may be called on the log.
    ///
    /// # Errors
    /// If the log is poisoned.
    pub fn begin_sync(&mut self) -> Result<Option<SyncJob>, WalError> {
        self.check()?;
        Ok((self.synced < self.appended).then(|| self.sync_job()))
    }

    /// Takes in the outcome of a sync. See [`Log::sync`].
    ///
    /// # Errors
    /// The errors of [`Log::sync`].
    pub fn end_sync(&mut self, outcome: Synced) -> Result<(), WalError> {
        outcome.map_err(|error| {
            let error = self.flush_error(error);
            self.poison(error)
        })?;
        self.length_changed = false;
        self.synced = self.appended;
        self.synced_bytes = self.used;
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<(), WalError> {
        let outcome = self.sync_job().run();
        self.end_sync(outcome)
    }

    fn sync_job(&self) -> SyncJob {
        SyncJob {
            file: Arc::clone(&self.file),
            with_length: self.length_changed,
        }
    }
}
