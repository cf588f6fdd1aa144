//! Removal of sealed logs, which needs nothing of the open log that goes on meanwhile.

use std::io;

use super::segment::{SealedLog, sealed_name};
use crate::disk::storage::Storage;
use crate::wal::error::WalError;

/// Sealed logs that are to be removed, oldest first.
#[derive(Debug)]
pub struct Removal {
    log: String,
    logs: Vec<SealedLog>,
    removed: usize,
}

impl Removal {
    /// The removal of sealed parts of `log`.
    pub(crate) fn new(log: &str, logs: Vec<SealedLog>) -> Self {
        Self {
            log: log.to_owned(),
            logs,
            removed: 0,
        }
    }

    /// The logs that were removed so far.
    pub(crate) fn removed(&self) -> &[SealedLog] {
        self.logs.get(..self.removed).unwrap_or_default()
    }

    /// Removes the sealed logs, durably. Returns their bytes, also of those that were gone already. Runs on any thread,
    /// but before the log is sealed again. `storage` must be the one that the log was opened in.
    ///
    /// # Errors
    /// If the system refuses; the logs not yet removed stay. After a power cut removed logs may be back; the next
    /// opening removes them again.
    pub fn carry_out(&mut self, storage: &dyn Storage) -> Result<u64, WalError> {
        let mut freed = 0;
        let failed = |file: &str, error: io::Error| WalError::Remove {
            file: storage.shown(file),
            cause: error.into(),
        };
        while let Some(oldest) = self.logs.get(self.removed) {
            let file = sealed_name(&self.log, oldest.first_frame);
            match storage.remove(&file) {
                // A log that is already gone counts as removed.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed(&file, error));
                }
                _ => freed += oldest.bytes,
            }
            self.removed += 1;
        }
        if freed > 0 {
            storage
                .sync_directory()
                .map_err(|error| failed(&self.log, error))?;
        }
        Ok(freed)
    }
}
