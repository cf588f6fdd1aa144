//! The place of an open log: whether the path that was given still leads to it. Folders are moved, restored and replaced
//! while a program runs, and what is written afterwards would be looked for in vain.

use super::super::error::WalError;
use super::super::format::FILE_HEADER_BYTES;
use super::Log;
use crate::disk::storage::{Displacement, read_full};

impl Log {
    /// Whether the path that was given of the log leads to it, and nobody else has written to it: one look at the path.
    /// To be asked before what is to be durable is appended.
    ///
    /// # Errors
    /// [`WalError::Displaced`] if not. The log goes on if it leads there again.
    pub fn check_place(&mut self) -> Result<(), WalError> {
        let found = match &self.anchor {
            Some(anchor) => anchor.check(self.allocated),
            None => Ok(()),
        };
        self.is_displaced = found.is_err();
        found.map_err(|how| self.displaced(how))
    }

    /// Whether it did not when that was asked last.
    pub fn is_displaced(&self) -> bool {
        self.is_displaced
    }

    /// As [`check_place`](Self::check_place), for all files that the log needs: sealed parts and the checkpoint too. For
    /// moments at which nobody waits for one look at a file.
    ///
    /// # Errors
    /// As there, with the name of the file that is not in its place.
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

    /// Whether the open file holds what was written to it, wherever it lies: another one may have been copied over it.
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
