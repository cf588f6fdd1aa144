//! What can go wrong with a checkpoint, in words for users.

use thiserror::Error;

use crate::core::error_kind::ErrorKind;
use crate::disk::error::IoCause;

/// Why a checkpoint could not be written, opened or read. Files are told as the user spelled them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// The file is somebody else's; it was left as it is.
    #[error("failed to open checkpoint {file}: not a checkpoint")]
    Foreign {
        /// The file.
        file: String,
    },
    /// The file was written by a newer version, and says that this one may not read it.
    #[error("failed to open checkpoint {file}: it needs a newer version ({needs})")]
    NewerVersion {
        /// The file.
        file: String,
        /// What it needs: a format version or a field.
        needs: String,
    },
    /// The file is cut off, or its bytes are not those that were written.
    #[error("checkpoint damaged: {what} at byte offset {offset} of {file}")]
    Damaged {
        /// The file.
        file: String,
        /// Where what is damaged begins.
        offset: u64,
        /// What is damaged.
        what: &'static str,
    },
    /// The system refused to open, create or remove the file.
    #[error("failed to open checkpoint {file}: {cause}")]
    Open {
        /// The file.
        file: String,
        /// What the system said.
        cause: IoCause,
    },
    /// The system could not read the file.
    #[error("failed to read checkpoint {file} at byte offset {offset}: {cause}")]
    Read {
        /// The file.
        file: String,
        /// Where.
        offset: u64,
        /// What the system said.
        cause: IoCause,
    },
    /// The file could not be written or made durable.
    #[error("failed to write checkpoint {file}: {cause}")]
    Write {
        /// The file.
        file: String,
        /// What the system said.
        cause: IoCause,
    },
    /// What was to be written breaks a rule; the reason says which. The checkpoint cannot be finished.
    #[error("failed to write checkpoint {file}: {reason}")]
    Refused {
        /// The file.
        file: String,
        /// The rule.
        reason: &'static str,
    },
    /// Something to be written is over its limit. The checkpoint cannot be finished.
    #[error("failed to write checkpoint {file}: {what} is over the limit of {limit}")]
    TooLarge {
        /// The file.
        file: String,
        /// What is too large.
        what: &'static str,
        /// How large it may be.
        limit: u64,
    },
}

impl CheckpointError {
    /// A stable name in snake case, without what the system said.
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

    /// What the system said, where the system failed.
    pub fn cause(&self) -> Option<&IoCause> {
        match self {
            Self::Open { cause, .. } | Self::Read { cause, .. } | Self::Write { cause, .. } => {
                Some(cause)
            }
            _ => None,
        }
    }

    /// The file that is meant.
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

    /// Where in the file, in bytes, if that is known.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Damaged { offset, .. } | Self::Read { offset, .. } => Some(*offset),
            _ => None,
        }
    }
}
