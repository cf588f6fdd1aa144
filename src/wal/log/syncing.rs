//! A sync in two halves: what the disk does can be waited for elsewhere, while the next group is made ready.

use std::io;
use std::sync::Arc;

use super::super::error::WalError;
use super::Log;
use crate::disk::storage::StorageFile;

/// How a sync ended.
pub type Synced = io::Result<()>;

/// A sync that is to be carried out, by anybody.
pub struct SyncJob {
    file: Arc<dyn StorageFile>,
    /// Before the length is durable, the bytes behind the durable length are not either.
    with_length: bool,
}

impl SyncJob {
    /// Carries it out. The outcome is for [`Log::end_sync`].
    ///
    /// # Errors
    /// The disk's.
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
    /// Begins a sync; `None` if all is durable. Until it was ended with [`Self::end_sync`] nothing else may be asked of
    /// the log.
    ///
    /// # Errors
    /// If the log takes nothing more.
    pub fn begin_sync(&mut self) -> Result<Option<SyncJob>, WalError> {
        self.check()?;
        Ok((self.synced < self.appended).then(|| self.sync_job()))
    }

    /// A sync has ended. See [`Log::sync`].
    ///
    /// # Errors
    /// As there.
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
