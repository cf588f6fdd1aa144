//! Errors between a request and its commit.

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
        /// Length of the key, in bytes.
        bytes: usize,
    },
    /// A value is larger than this node accepts.
    #[error("value is too large: {bytes} bytes, at most {limit}")]
    ValueTooLarge {
        /// Length of the value, in bytes.
        bytes: usize,
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// A batch does not fit one frame of the log.
    #[error("batch is too large: {bytes} bytes, at most {GROUP_BYTES_MAX}")]
    BatchTooLarge {
        /// Size of the batch, in bytes.
        bytes: usize,
    },
    /// The log failed; the inner error says what is still valid.
    #[error(transparent)]
    Log(#[from] WalError),
    /// There is no log, but a companion of one: making a new log would hide that data is missing.
    #[error(
        "failed to open WAL path {path}: the log is missing, but its companion {companion} is there"
    )]
    MissingLog {
        /// Path of the missing log.
        path: String,
        /// Path of the companion file that was found.
        companion: String,
    },
    /// A frame of the log is whole, and this version cannot read its records.
    #[error("failed to recover local store: the record in frame {frame} of {path}: {reason}")]
    Record {
        /// Number of the frame.
        frame: u64,
        /// Path of the log.
        path: String,
        /// The error of the decoder.
        reason: DecodeError,
    },
    /// The checkpoint cannot be read or written; the inner error names the place.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A row of the checkpoint is whole, and this version cannot read it.
    #[error("failed to read a row of checkpoint {path}: {reason}")]
    Row {
        /// Path of the checkpoint.
        path: String,
        /// The error of the decoder.
        reason: DecodeError,
    },
    /// A checkpoint lies beside a log that it was not made of.
    #[error(
        "failed to recover local store: checkpoint {path} belongs to another log; put back the one that \
         belongs to it"
    )]
    OtherCheckpoint {
        /// Path of the checkpoint.
        path: String,
    },
    /// The node was closed before the checkpoint or backup was done.
    #[error(
        "the node was closed before the checkpoint or backup was done; the log holds everything"
    )]
    Stopped,
    /// A thread of the store panicked; with its message.
    #[error("a thread of the store failed: {0}")]
    Panicked(String),
    /// The system gave no randomness for the node's identity; with its error.
    #[error("failed to make an identity: {0}")]
    Entropy(String),
}
