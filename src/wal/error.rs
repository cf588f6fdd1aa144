//! What can go wrong with a log, in the words that users are promised.

use std::io;

use thiserror::Error;

use crate::disk::error::IoCause;
use crate::disk::storage::Displacement;

/// Why a log could not be opened, read or written. Files are told as the user spelled them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WalError {
    /// The path that was given is no path to a file; the reason says why.
    #[error("invalid WAL path: {0}")]
    InvalidPath(&'static str),
    /// The system refused to open, create or replace a file of the log.
    #[error("failed to open WAL path {file}: {cause}")]
    Open {
        /// The file.
        file: String,
        /// What the system said.
        cause: IoCause,
    },
    /// The path leads to a directory.
    #[error("failed to open WAL path {file}: is a directory")]
    IsDirectory {
        /// The path.
        file: String,
    },
    /// The path leads to a device, a pipe or a socket.
    #[error("failed to open WAL path {file}: not a regular file")]
    NotRegularFile {
        /// The path.
        file: String,
    },
    /// The file is somebody else's; it was left as it is.
    #[error("failed to open WAL path {file}: {reason}")]
    Foreign {
        /// The file.
        file: String,
        /// What showed it.
        reason: &'static str,
    },
    /// The file was written by a newer version, and says that this one may not read it.
    #[error("failed to open WAL path {file}: it needs a newer version ({needs})")]
    NewerVersion {
        /// The file.
        file: String,
        /// What it needs: a format version or a kind of frame.
        needs: String,
    },
    /// What was known to be on disk is damaged. Nothing was changed.
    #[error("corrupted WAL record at byte offset {offset}")]
    Corrupt {
        /// The file.
        file: String,
        /// Where the first damaged byte may be.
        offset: u64,
    },
    /// The system could not read the file.
    #[error("failed to read WAL at byte offset {offset}: {cause}")]
    Read {
        /// The file.
        file: String,
        /// Where.
        offset: u64,
        /// What the system said.
        cause: IoCause,
    },
    /// A frame could not be written.
    #[error("failed to append WAL record: {cause}")]
    Append {
        /// The file.
        file: String,
        /// Where it was to be written.
        offset: u64,
        /// What the system said.
        cause: IoCause,
    },
    /// What was written could not be made durable.
    #[error("failed to flush WAL: {cause}")]
    Flush {
        /// The file.
        file: String,
        /// What the system said.
        cause: IoCause,
    },
    /// The log could not be repaired after an unclean stop; what it holds is as it was.
    #[error("failed to recover WAL {file}: {cause}")]
    Recover {
        /// The file.
        file: String,
        /// What the system said.
        cause: IoCause,
    },
    /// A file of the log is missing: it is needed, and no file holds its frames. Nothing was changed.
    #[error("failed to open WAL path {file}: this file of the log is missing")]
    MissingPart {
        /// The file.
        file: String,
    },
    /// What was logged before the first file is missing: a checkpoint or sealed logs. Nothing was changed.
    #[error(
        "failed to open WAL path {file}: the checkpoint is missing, and no sealed log {sealed} is in its place"
    )]
    MissingCheckpoint {
        /// The checkpoint.
        file: String,
        /// What would make it needless.
        sealed: String,
    },
    /// The log ends before what its companions know to have been durable. Nothing was changed.
    #[error(
        "failed to open WAL path {file}: it ends before frame {frame}, which a companion of it knows; \
         an older log is in its place, or its end is gone"
    )]
    Behind {
        /// The log.
        file: String,
        /// A frame that should be there.
        frame: u64,
    },
    /// The log could not be sealed. Unless it was poisoned, it goes on as it was.
    #[error("failed to seal WAL {file}: {}", gone_or(cause))]
    Seal {
        /// The log.
        file: String,
        /// What the system said.
        cause: IoCause,
    },
    /// A sealed log that is not needed any more could not be removed.
    #[error("failed to remove sealed WAL {file}: {}", gone_or(cause))]
    Remove {
        /// The sealed log.
        file: String,
        /// What the system said.
        cause: IoCause,
    },
    /// The path does not lead to the log that is open, or to all of it. Nothing was written and nothing there was touched;
    /// the log goes on where its path leads to it again.
    #[error("WAL path {file} does not lead to the log of this client any more: {how}")]
    Displaced {
        /// The file.
        file: String,
        /// What was found instead.
        how: Displacement,
    },
    /// A frame's body is over the limit.
    #[error("failed to append WAL record: a body of {bytes} bytes is over the limit of {limit}")]
    BodyTooLarge {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// An earlier write or sync failed, and nothing more is written until the log is opened again.
    #[error("WAL is read-only since an earlier failure: {first}")]
    Poisoned {
        /// That failure.
        first: Box<WalError>,
    },
    /// Another node has the log open.
    #[error("WAL path is in use by another node{}", holder(*pid))]
    InUse {
        /// The file.
        file: String,
        /// The process that holds it, where it is known.
        pid: Option<u32>,
    },
}

/// The cause where the file had been there before: it is not its directory that was never made.
fn gone_or(cause: &IoCause) -> String {
    if cause.kind() == io::ErrorKind::NotFound {
        "the file, or its directory, was removed".to_owned()
    } else {
        cause.to_string()
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

impl WalError {
    /// A stable name in snake case, finer than the public error codes.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InvalidPath(_) => "invalid_path",
            Self::Open { cause, .. } => cause.kind_or("wal_open"),
            Self::IsDirectory { .. } => "is_directory",
            Self::NotRegularFile { .. } => "not_regular_file",
            Self::Foreign { .. } => "wal_foreign",
            Self::NewerVersion { .. } => "wal_newer_version",
            Self::Corrupt { .. } => "wal_corrupt",
            Self::Read { cause, .. } => cause.kind_or("wal_read"),
            Self::Append { cause, .. } => cause.kind_or("wal_append"),
            Self::Flush { cause, .. } => cause.kind_or("wal_flush"),
            Self::Recover { cause, .. } => cause.kind_or("wal_recover"),
            Self::MissingPart { .. } => "wal_part_missing",
            Self::MissingCheckpoint { .. } => "checkpoint_missing",
            Self::Behind { .. } => "wal_behind",
            Self::Seal { cause, .. } | Self::Remove { cause, .. }
                if cause.kind() == io::ErrorKind::NotFound =>
            {
                "wal_removed"
            }
            Self::Seal { cause, .. } => cause.kind_or("wal_seal"),
            Self::Remove { cause, .. } => cause.kind_or("wal_remove"),
            Self::Displaced { how, .. } => how.kind(),
            Self::BodyTooLarge { .. } => "wal_body_too_large",
            Self::Poisoned { .. } => "poisoned",
            Self::InUse { .. } => "wal_in_use",
        }
    }

    /// The system's own words, where the system failed.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Open { cause, .. }
            | Self::Read { cause, .. }
            | Self::Recover { cause, .. }
            | Self::Seal { cause, .. }
            | Self::Remove { cause, .. }
            | Self::Append { cause, .. }
            | Self::Flush { cause, .. } => Some(cause.text()),
            Self::Poisoned { first } => first.cause(),
            _ => None,
        }
    }

    /// The file that is meant, where the text alone does not say it.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Open { file, .. }
            | Self::IsDirectory { file }
            | Self::NotRegularFile { file }
            | Self::Foreign { file, .. }
            | Self::NewerVersion { file, .. }
            | Self::Corrupt { file, .. }
            | Self::Read { file, .. }
            | Self::Recover { file, .. }
            | Self::MissingPart { file }
            | Self::MissingCheckpoint { file, .. }
            | Self::Append { file, .. }
            | Self::Flush { file, .. }
            | Self::Behind { file, .. }
            | Self::Seal { file, .. }
            | Self::Remove { file, .. }
            | Self::Displaced { file, .. }
            | Self::InUse { file, .. } => Some(file),
            Self::Poisoned { first } => first.file(),
            _ => None,
        }
    }

    /// Where in the file, in bytes, if that is known.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Corrupt { offset, .. }
            | Self::Read { offset, .. }
            | Self::Append { offset, .. } => Some(*offset),
            Self::Poisoned { first } => first.offset(),
            _ => None,
        }
    }

    /// Whether it means that there is no room, and the same call can succeed once there is.
    pub fn is_full(&self) -> bool {
        self.kind() == "disk_full"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_phrases_are_used_and_the_system_text_is_kept() {
        let cause = IoCause::from(io::Error::new(io::ErrorKind::StorageFull, "ENOSPC"));
        let error = WalError::Append {
            file: "x.wal".into(),
            offset: 64,
            cause,
        };
        assert_eq!(
            error.to_string(),
            "failed to append WAL record: no space left on device"
        );
        assert_eq!(error.kind(), "disk_full");
        assert_eq!(error.cause(), Some("ENOSPC"));
        let error = WalError::Open {
            file: "data/x.wal".into(),
            cause: io::Error::from(io::ErrorKind::NotFound).into(),
        };
        assert_eq!(
            error.to_string(),
            "failed to open WAL path data/x.wal: directory does not exist"
        );
    }

    #[test]
    fn a_log_that_is_gone_is_not_told_as_a_missing_directory() {
        let error = WalError::Seal {
            file: "data/x.wal".into(),
            cause: io::Error::from(io::ErrorKind::NotFound).into(),
        };
        assert_eq!(
            error.to_string(),
            "failed to seal WAL data/x.wal: the file, or its directory, was removed"
        );
        assert_eq!(error.kind(), "wal_removed");
    }

    #[test]
    fn a_change_that_another_file_was_in_the_way_of_is_told_as_that() {
        let error = WalError::Remove {
            file: "data/x.wal".into(),
            cause: io::Error::from(Displacement::Replaced).into(),
        };
        assert_eq!(
            error.to_string(),
            "failed to remove sealed WAL data/x.wal: another file is in its place"
        );
        assert_eq!(error.kind(), "wal_replaced");
    }

    #[test]
    fn the_holder_is_named_where_it_is_known() {
        let text = |pid| {
            WalError::InUse {
                file: String::new(),
                pid,
            }
            .to_string()
        };
        assert_eq!(text(None), "WAL path is in use by another node");
        assert_eq!(
            text(Some(7)),
            "WAL path is in use by another node (process 7)"
        );
    }
}
