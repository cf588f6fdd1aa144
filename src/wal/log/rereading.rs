//! Second reading of the groups of an open log, for callers that could not take in all of them at once.

use super::Log;
use crate::disk::storage::Storage;
use crate::wal::error::WalError;
use crate::wal::recover::part::Part;
use crate::wal::recover::recovery::Verdict;
use crate::wal::recover::scan::{RecoveredFrame, Scan, scan};

impl Log {
    /// Calls `visit` with each group in order, from the sealed logs and from the log itself; its first error ends the
    /// reading. All groups are durable since the log was opened. Nothing may be appended meanwhile. Groups up to
    /// `covers_frame` are passed only if they lie in one file with later ones, and are marked as such. `storage` must
    /// be the one in which the log was opened.
    ///
    /// # Errors
    /// If the disk fails, or reads other content than when the log was opened.
    pub fn reread<E: From<WalError>>(
        &self,
        storage: &dyn Storage,
        covers_frame: u64,
        visit: &mut dyn FnMut(RecoveredFrame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for sealed in self.sealed() {
            if sealed.last_frame <= covers_frame {
                continue;
            }
            let part = Part::sealed(storage, self.name(), sealed.first_frame)?;
            let found = scan(&*part.file, &part.shown, covers_frame, visit)?;
            whole(&found, &part.shown, sealed.last_frame)?;
        }
        let (file, shown) = self.to_read();
        let found = scan(file, shown, covers_frame, visit)?;
        Ok(whole(&found, shown, self.appended_frame())?)
    }
}

fn whole(found: &Scan, shown: &str, last_frame: u64) -> Result<(), WalError> {
    let is_torn = matches!(found.verdict, Verdict::Torn { .. } | Verdict::Corrupt);
    if found.last_frame == last_frame && !is_torn {
        return Ok(());
    }
    Err(WalError::Corrupt {
        file: shown.to_owned(),
        offset: found.end,
    })
}
