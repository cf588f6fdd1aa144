//! A file of a log with its header read: the active log, or a sealed one before it.

use std::io;

use super::scan::read_header;
use crate::disk::storage::{Storage, StorageFile};
use crate::wal::error::WalError;
use crate::wal::format::FileHeader;
use crate::wal::log::segment::{SealedFiles, sealed_name, sealing_name};

/// An open file of a log.
pub(crate) struct Part {
    pub(crate) file: Box<dyn StorageFile>,
    pub(crate) header: FileHeader,
    /// Name of the file in the directory.
    pub(crate) name: String,
    /// The file as users know it.
    pub(crate) shown: String,
    /// True if it still has its temporary name: a stop interrupted the seal after the log before it got its sealed
    /// name.
    pub(crate) is_sealing: bool,
}

impl Part {
    /// The active file, if there is one, and the sealed files beside it.
    pub(crate) fn active(
        storage: &dyn Storage,
        name: &str,
    ) -> Result<(Option<Self>, SealedFiles), WalError> {
        let shown = storage.shown(name);
        let active = Self::read(storage, name)?;
        let beside = SealedFiles::find(storage, name).map_err(|error| open_error(&shown, error))?;
        let last = beside.first_frames.last().filter(|_| beside.is_sealing);
        if let (None, Some(last)) = (&active, last) {
            let next = Self::read(storage, &sealing_name(name))?;
            let sealed = Self::sealed(storage, name, *last)?;
            // Only the file that was created to follow the last sealed log takes the name; an older leftover does not.
            // Damage of that log shows when it is read.
            let next = next.filter(|next| {
                next.header.previous_salt == sealed.header.salt && next.is_of(&sealed.header)
            });
            let is_sealing = true;
            return Ok((next.map(|next| Self { is_sealing, ..next }), beside));
        }
        Ok((active, beside))
    }

    /// The active file alone. The files beside it are looked at only if it is missing.
    pub(crate) fn found(storage: &dyn Storage, name: &str) -> Result<Option<Self>, WalError> {
        match Self::read(storage, name)? {
            Some(active) => Ok(Some(active)),
            None => Ok(Self::active(storage, name)?.0),
        }
    }

    /// The sealed log that begins with that frame; an error if it is missing.
    pub(crate) fn sealed(
        storage: &dyn Storage,
        name: &str,
        first_frame: u64,
    ) -> Result<Self, WalError> {
        let file = sealed_name(name, first_frame);
        let Some(sealed) = Self::read(storage, &file)? else {
            let file = storage.shown(&file);
            return Err(WalError::MissingPart { file });
        };
        if sealed.header.first_frame != first_frame {
            return Err(unrelated(sealed.shown));
        }
        Ok(sealed)
    }

    /// True if the file belongs to the same log as the file with that header.
    pub(crate) fn is_of(&self, header: &FileHeader) -> bool {
        self.header.file_id == header.file_id
    }

    pub(crate) fn read(storage: &dyn Storage, name: &str) -> Result<Option<Self>, WalError> {
        let shown = storage.shown(name);
        let opened = storage
            .open(name)
            .map_err(|error| open_error(&shown, error))?;
        let Some(file) = opened else { return Ok(None) };
        let header = read_header(&*file, &shown)?;
        Ok(Some(Self {
            file,
            header,
            name: name.to_owned(),
            shown,
            is_sealing: false,
        }))
    }
}

pub(crate) fn unrelated(file: String) -> WalError {
    let reason = "it does not belong to the files of the log beside it";
    WalError::Foreign { file, reason }
}

pub(crate) fn open_error(shown: &str, error: io::Error) -> WalError {
    WalError::Open {
        file: shown.to_owned(),
        cause: error.into(),
    }
}
