//! Failures of a log, in the words that users are promised.

use std::io;

use thiserror::Error;

use crate::core::error_kind::ErrorKind;
use crate::disk::error::IoCause;
use crate::disk::storage::Displacement;

/// Failure to open, read or write a log. Files are named as the user spelled them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WalError {
    /// The given path is not a path to a file; the reason says why.
    #[error("invalid WAL path: {0}")]
    InvalidPath(&'static str),
    /// A new log at the path would share a file with a log beside it. Nothing was written.
    #[error("invalid WAL path: {file} would share a file with the log {log} beside it")]
    Clash {
        /// The path of the new log.
        file: String,
        /// The log that is there.
        log: String,
    },
    /// The system refused to open, create or replace a file of the log.
    #[error("failed to open WAL path {file}: {cause}")]
    Open {
        /// The file of the log.
        file: String,
        /// The system's error.
        cause: IoCause,
    },
    /// The path leads to a directory.
    #[error("failed to open WAL path {file}: is a directory")]
    IsDirectory {
        /// The path as it was given.
        file: String,
    },
    /// The path leads to a device, a pipe or a socket.
    #[error("failed to open WAL path {file}: not a regular file")]
    NotRegularFile {
        /// The path as it was given.
        file: String,
    },
    /// The file belongs to something else; it was left as it is.
    #[error("failed to open WAL path {file}: {reason}")]
    Foreign {
        /// The file at the path.
        file: String,
        /// The evidence that it is foreign.
        reason: &'static str,
    },
    /// The file was written by a newer version, and says that this version may not read it.
    #[error("failed to open WAL path {file}: it needs a newer version ({needs})")]
    NewerVersion {
        /// The file of the log.
        file: String,
        /// A format version or a kind of frame that the file needs.
        needs: String,
    },
    /// Data that was known to be on disk is damaged. Nothing was changed.
    #[error("corrupted WAL record at byte offset {offset}")]
    Corrupt {
        /// The damaged file.
        file: String,
        /// Byte offset from which on there may be damage.
        offset: u64,
    },
    /// The system could not read the file.
    #[error("failed to read WAL at byte offset {offset}: {cause}")]
    Read {
        /// The file that was read.
        file: String,
        /// Byte offset of the read.
        offset: u64,
        /// The system's error.
        cause: IoCause,
    },
    /// A frame could not be written.
    #[error("failed to append WAL record: {cause}")]
    Append {
        /// The file of the log.
        file: String,
        /// Byte offset at which the frame was to be written.
        offset: u64,
        /// The system's error.
        cause: IoCause,
    },
    /// Written frames could not be made durable.
    #[error("failed to flush WAL: {cause}")]
    Flush {
        /// The file of the log.
        file: String,
        /// The system's error.
        cause: IoCause,
    },
    /// The log could not be repaired after an unclean stop; its content is as it was.
    #[error("failed to recover WAL {file}: {cause}")]
    Recover {
        /// The file of the log.
        file: String,
        /// The system's error.
        cause: IoCause,
    },
    /// A file of the log is missing: it is needed, and no other file holds its frames. Nothing was changed.
    #[error("failed to open WAL path {file}: this file of the log is missing")]
    MissingPart {
        /// The missing file.
        file: String,
    },
    /// The history before the first file is missing: a checkpoint or sealed logs. Nothing was changed.
    #[error(
        "failed to open WAL path {file}: the checkpoint is missing, and no sealed log {sealed} is in its place"
    )]
    MissingCheckpoint {
        /// The missing checkpoint.
        file: String,
        /// The sealed log that would be needed instead.
        sealed: String,
    },
    /// The log ends before what its companions know to have been durable. Nothing was changed.
    #[error(
        "failed to open WAL path {file}: it ends before frame {frame}, which a companion of it knows; \
         an older log is in its place, or its end is gone"
    )]
    Behind {
        /// The file of the log.
        file: String,
        /// Number of a frame that should be there.
        frame: u64,
    },
    /// The log could not be sealed. Unless it was poisoned, it goes on in its old file.
    #[error("failed to seal WAL {file}: {}", gone_or(cause))]
    Seal {
        /// The file of the log.
        file: String,
        /// The system's error.
        cause: IoCause,
    },
    /// A sealed log that is not needed any more could not be removed.
    #[error("failed to remove sealed WAL {file}: {}", gone_or(cause))]
    Remove {
        /// The sealed log.
        file: String,
        /// The system's error.
        cause: IoCause,
    },
    /// The path does not lead to the open log, or to all of its files. Nothing was written and nothing there was
    /// touched; the log goes on once its path leads to it again.
    #[error("WAL path {file} does not lead to the log of this client any more: {how}")]
    Displaced {
        /// The file that is not in its place.
        file: String,
        /// The displacement that was found.
        how: Displacement,
    },
    /// A frame's body is over the limit.
    #[error("failed to append WAL record: a body of {bytes} bytes is over the limit of {limit}")]
    BodyTooLarge {
        /// Length of the body, in bytes.
        bytes: usize,
        /// Greatest length of a body, in bytes.
        limit: usize,
    },
    /// An earlier write or sync failed, and the log takes nothing more until it is opened again.
    #[error("WAL is read-only since an earlier failure: {first}")]
    Poisoned {
        /// The earlier failure.
        first: Box<WalError>,
    },
    /// Another node has the log open.
    #[error("WAL path is in use by another node{}", holder(*pid))]
    InUse {
        /// The file of the log.
        file: String,
        /// Process id of the holder, where it is known.
        pid: Option<u32>,
    },
}

/// Text of the cause where a file that existed before is gone: its directory is not one that was never made.
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
    /// A stable name of the failure in snake case, finer than the public error codes.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidPath(_) | Self::Clash { .. } => ErrorKind::InvalidPath,
            Self::Open { cause, .. } => cause.kind_or(ErrorKind::WalOpen),
            Self::IsDirectory { .. } => ErrorKind::IsDirectory,
            Self::NotRegularFile { .. } => ErrorKind::NotRegularFile,
            Self::Foreign { .. } => ErrorKind::WalForeign,
            Self::NewerVersion { .. } => ErrorKind::WalNewerVersion,
            Self::Corrupt { .. } => ErrorKind::WalCorrupt,
            Self::Read { cause, .. } => cause.kind_or(ErrorKind::WalRead),
            Self::Append { cause, .. } => cause.kind_or(ErrorKind::WalAppend),
            Self::Flush { cause, .. } => cause.kind_or(ErrorKind::WalFlush),
            Self::Recover { cause, .. } => cause.kind_or(ErrorKind::WalRecover),
            Self::MissingPart { .. } => ErrorKind::WalPartMissing,
            Self::MissingCheckpoint { .. } => ErrorKind::CheckpointMissing,
            Self::Behind { .. } => ErrorKind::WalBehind,
            Self::Seal { cause, .. } | Self::Remove { cause, .. }
                if cause.kind() == io::ErrorKind::NotFound =>
            {
                ErrorKind::WalRemoved
            }
            Self::Seal { cause, .. } => cause.kind_or(ErrorKind::WalSeal),
            Self::Remove { cause, .. } => cause.kind_or(ErrorKind::WalRemove),
            Self::Displaced { how, .. } => how.kind(),
            Self::BodyTooLarge { .. } => ErrorKind::WalBodyTooLarge,
            Self::Poisoned { .. } => ErrorKind::Poisoned,
            Self::InUse { .. } => ErrorKind::WalInUse,
        }
    }

    /// The system's own text, where the system failed.
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

    /// The file of the failure, where the text alone does not say it.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Open { file, .. }
            | Self::Clash { file, .. }
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

    /// Byte offset in the file, if it is known.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Corrupt { offset, .. }
            | Self::Read { offset, .. }
            | Self::Append { offset, .. } => Some(*offset),
            Self::Poisoned { first } => first.offset(),
            _ => None,
        }
    }

    /// True if the disk is full: the same call can succeed once there is room.
    pub fn is_full(&self) -> bool {
        self.kind() == ErrorKind::DiskFull
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
        assert_eq!(error.kind(), ErrorKind::DiskFull);
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
        assert_eq!(error.kind(), ErrorKind::WalRemoved);
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
        assert_eq!(error.kind(), ErrorKind::WalReplaced);
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
