//! What can go wrong between a request and its commit.

use thiserror::Error;

use crate::core::bytes::DecodeError;
use crate::core::limits::{GROUP_BYTES_MAX, KEY_BYTES_MAX};
use crate::table::CheckpointError;
use crate::wal::error::WalError;

/// A failure of the store. Local state is as it was before the call unless the variant says otherwise.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// A key has no bytes.
    #[error("key cannot be empty")]
    KeyEmpty,
    /// A key is too long.
    #[error("key is too long: {bytes} bytes, at most {KEY_BYTES_MAX}")]
    KeyTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A value is larger than this node accepts.
    #[error("value is too large: {bytes} bytes, at most {limit}")]
    ValueTooLarge {
        /// Its length.
        bytes: usize,
        /// The limit in force.
        limit: usize,
    },
    /// A batch does not fit one step of the log.
    #[error("batch is too large: {bytes} bytes, at most {GROUP_BYTES_MAX}")]
    BatchTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The log failed; see there for what is still valid.
    #[error(transparent)]
    Log(#[from] WalError),
    /// There is no log, but a companion of one: making a new log would hide that data is missing.
    #[error(
        "failed to open WAL path {path}: the log is missing, but its companion {companion} is there"
    )]
    MissingLog {
        /// The log.
        path: String,
        /// What was found of it.
        companion: String,
    },
    /// A frame of the log is whole but its records make no sense to this version.
    #[error("failed to recover local store: the record in frame {frame} of {path}: {reason}")]
    Record {
        /// The frame.
        frame: u64,
        /// The log.
        path: String,
        /// Why.
        reason: DecodeError,
    },
    /// The checkpoint cannot be read or written; see there for where.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A row of the checkpoint is whole but makes no sense to this version.
    #[error("failed to read a row of checkpoint {path}: {reason}")]
    Row {
        /// The checkpoint.
        path: String,
        /// Why.
        reason: DecodeError,
    },
    /// A checkpoint lies beside a log that it was not made of.
    #[error(
        "failed to recover local store: checkpoint {path} belongs to another log; put back the one that \
         belongs to it"
    )]
    OtherCheckpoint {
        /// The checkpoint.
        path: String,
    },
    /// The node was dropped before this was done.
    #[error(
        "the node was closed before the checkpoint or backup was done; the log holds everything"
    )]
    Stopped,
    /// A thread of the store failed inside.
    #[error("a thread of the store failed: {0}")]
    Panicked(String),
    /// The system gave no randomness for the node's identity.
    #[error("failed to make an identity: {0}")]
    Entropy(String),
}
