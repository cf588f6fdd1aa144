//! Checks that the given path still leads to the open log. Folders are moved, restored and replaced while a program
//! runs, and a write made afterwards would be looked for in vain.

use super::super::error::WalError;
use super::super::format::FILE_HEADER_BYTES;
use super::Log;
use crate::disk::storage::{Displacement, read_full};

impl Log {
    /// Checks that the given path of the log leads to it, and that its length is unchanged: one look at the path. To
    /// be called before anything is appended that has to be durable.
    ///
    /// # Errors
    /// [`WalError::Displaced`] if not. The log goes on once the path leads there again.
    pub fn check_place(&mut self) -> Result<(), WalError> {
        let found = match &self.anchor {
            Some(anchor) => anchor.check(self.allocated),
            None => Ok(()),
        };
        self.is_displaced = found.is_err();
        found.map_err(|how| self.displaced(how))
    }

    /// True if the last [`check_place`](Self::check_place) failed.
    pub fn is_displaced(&self) -> bool {
        self.is_displaced
    }

    /// [`check_place`](Self::check_place) for all files that the log needs, sealed logs and the checkpoint too. For
    /// moments at which nothing waits for it: it looks at each file.
    ///
    /// # Errors
    /// [`WalError::Displaced`], with the name of the file that is not in its place.
    pub fn check_parts(&mut self) -> Result<(), WalError> {
        self.check_place()?;
        let Some(anchor) = &self.anchor else {
            return Ok(());
        };
        anchor.check_parts().map_err(|(name, how)| {
            let directory = self.shown.strip_suffix(&self.name).unwrap_or_default();
            let file = format!("{directory}{name}");
            WalError::Displaced { file, how }
        })
    }

    /// Checks that the open file has its length and header, wherever it lies: another file may have been copied over
    /// it.
    ///
    /// # Errors
    /// [`WalError::Displaced`] if not.
    pub fn check_content(&self) -> Result<(), WalError> {
        if self.anchor.is_none() {
            return Ok(());
        }
        let mut header = [0; FILE_HEADER_BYTES];
        let is_ours = self.file.len().is_ok_and(|bytes| bytes == self.allocated)
            && read_full(&*self.file, 0, &mut header).is_ok()
            && header == self.header.encode();
        if is_ours {
            Ok(())
        } else {
            Err(self.displaced(Displacement::Overwritten))
        }
    }

    fn displaced(&self, how: Displacement) -> WalError {
        WalError::Displaced {
            file: self.shown.clone(),
            how,
        }
    }
}
