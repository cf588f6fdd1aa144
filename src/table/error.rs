//! Errors of a checkpoint, in words for users.

use thiserror::Error;

use crate::core::error_kind::ErrorKind;
use crate::disk::error::IoCause;

/// The reason why a checkpoint could not be written, opened or read. Files have the names that the user gave.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// The file is not a checkpoint; it was left unchanged.
    #[error("failed to open checkpoint {file}: not a checkpoint")]
    Foreign {
        /// Name of the file.
        file: String,
    },
    /// The file was written by a newer version, and declares that this version cannot read it.
    #[error("failed to open checkpoint {file}: it needs a newer version ({needs})")]
    NewerVersion {
        /// Name of the file.
        file: String,
        /// The unknown format version or field.
        needs: String,
    },
    /// The file is cut off, or some of its bytes are not those that were written.
    #[error("checkpoint damaged: {what} at byte offset {offset} of {file}")]
    Damaged {
        /// Name of the file.
        file: String,
        /// Offset of the damaged part, in bytes.
        offset: u64,
        /// Name of the damaged part.
        what: &'static str,
    },
    /// The system refused to open, create or remove the file.
    #[error("failed to open checkpoint {file}: {cause}")]
    Open {
        /// Name of the file.
        file: String,
        /// Error of the operating system.
        cause: IoCause,
    },
    /// The system could not read the file.
    #[error("failed to read checkpoint {file} at byte offset {offset}: {cause}")]
    Read {
        /// Name of the file.
        file: String,
        /// Offset of the read, in bytes.
        offset: u64,
        /// Error of the operating system.
        cause: IoCause,
    },
    /// The file could not be written or made durable.
    #[error("failed to write checkpoint {file}: {cause}")]
    Write {
        /// Name of the file.
        file: String,
        /// Error of the operating system.
        cause: IoCause,
    },
    /// The content breaks a rule, named in the reason. The checkpoint cannot be finished.
    #[error("failed to write checkpoint {file}: {reason}")]
    Refused {
        /// Name of the file.
        file: String,
        /// The broken rule.
        reason: &'static str,
    },
    /// A part of the content is over its limit. The checkpoint cannot be finished.
    #[error("failed to write checkpoint {file}: {what} is over the limit of {limit}")]
    TooLarge {
        /// Name of the file.
        file: String,
        /// Name of the part.
        what: &'static str,
        /// Limit of the part, in its unit.
        limit: u64,
    },
}

impl CheckpointError {
    /// A stable name in snake case, without the system's error.
    pub fn kind(&self) -> ErrorKind {
        let kind = match self {
            Self::Foreign { .. } => ErrorKind::CheckpointForeign,
            Self::NewerVersion { .. } => ErrorKind::CheckpointNewerVersion,
            Self::Damaged { .. } => ErrorKind::CheckpointDamaged,
            Self::Open { .. } => ErrorKind::CheckpointOpen,
            Self::Read { .. } => ErrorKind::CheckpointRead,
            Self::Write { .. } => ErrorKind::CheckpointWrite,
            Self::Refused { .. } => ErrorKind::CheckpointRefused,
            Self::TooLarge { .. } => ErrorKind::CheckpointTooLarge,
        };
        self.cause().map_or(kind, |cause| cause.kind_or(kind))
    }

    /// Error of the operating system; `None` if the system did not fail.
    pub fn cause(&self) -> Option<&IoCause> {
        match self {
            Self::Open { cause, .. } | Self::Read { cause, .. } | Self::Write { cause, .. } => {
                Some(cause)
            }
            _ => None,
        }
    }

    /// Name of the file.
    pub fn file(&self) -> &str {
        match self {
            Self::Foreign { file }
            | Self::NewerVersion { file, .. }
            | Self::Damaged { file, .. }
            | Self::Open { file, .. }
            | Self::Read { file, .. }
            | Self::Write { file, .. }
            | Self::Refused { file, .. }
            | Self::TooLarge { file, .. } => file,
        }
    }

    /// Offset in the file, in bytes; `None` if the error has none.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Damaged { offset, .. } | Self::Read { offset, .. } => Some(*offset),
            _ => None,
        }
    }
}
