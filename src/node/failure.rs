//! Failures for users: a stable code, a finer kind, a message with the cause, the validity of local state, and whether
//! a retry can help. The typed errors of the layers are turned into these here, and only here.

use std::fmt;

use super::advice::{Advice, advice};
use crate::core::error_kind::ErrorKind;
use crate::disk::error::IoCause;
use crate::store::error::StoreError;
use crate::transport::error::TransportError;

/// The stable codes of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// An argument or an option is wrong.
    InvalidArgument,
    /// The call does not fit the state of the client.
    InvalidState,
    /// The named key or object does not exist.
    NotFound,
    /// The object to be made exists already.
    AlreadyExists,
    /// The file system failed.
    Io,
    /// The store could not be recovered.
    Store,
    /// Replication failed.
    Sync,
    /// The network failed.
    Transport,
    /// Discovery failed.
    Discovery,
    /// The node could not be described.
    Metadata,
    /// A defect of this package.
    Internal,
}

impl ErrorCode {
    /// The code's name for users.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::InvalidState => "invalid_state",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Io => "io_error",
            Self::Store => "store_error",
            Self::Sync => "sync_error",
            Self::Transport => "transport_error",
            Self::Discovery => "discovery_error",
            Self::Metadata => "metadata_error",
            Self::Internal => "internal_error",
        }
    }
}

/// A failure, for users.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The stable code.
    pub code: ErrorCode,
    /// A finer, stable name of the failure.
    pub kind: ErrorKind,
    /// Message for people: the failed call and its cause.
    pub message: String,
    /// The subject of the failure: a key, a path, an address.
    pub context: Option<String>,
    /// The operating system's error text.
    pub cause: Option<String>,
    /// Offset in the file named by the context, in bytes.
    pub offset: Option<u64>,
    /// True if an identical call may succeed later without a change by the user.
    pub retryable: bool,
    /// True if everything acknowledged before can still be read and trusted.
    pub local_state_valid: bool,
}

impl Failure {
    /// A failure that leaves local state valid, and for which a retry is useless.
    pub fn new(code: ErrorCode, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            code,
            kind,
            message: message.into(),
            context: None,
            cause: None,
            offset: None,
            retryable: false,
            local_state_valid: true,
        }
    }

    /// The failure of a wrong option; the message names it and its fault.
    pub fn configuration(reason: impl fmt::Display) -> Self {
        Self::new(
            ErrorCode::InvalidArgument,
            ErrorKind::InvalidConfiguration,
            format!("invalid configuration: {reason}"),
        )
    }

    /// The failure of a call on a client that is not open.
    pub fn not_open() -> Self {
        Self::new(
            ErrorCode::InvalidState,
            ErrorKind::NotOpen,
            "SDK client is not open",
        )
    }

    /// The failure of a defect in this package.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, ErrorKind::Internal, message)
    }

    /// The failure to start a thread for `purpose`.
    pub fn no_thread(purpose: &str, error: &std::io::Error) -> Self {
        Self::new(
            ErrorCode::Io,
            ErrorKind::NoThreads,
            format!("{purpose}: the system gives no more threads"),
        )
        .because(error.to_string())
        .retryable()
    }

    /// The failure of a disk or a file, by its stable kind, with the system's error text if the system failed.
    fn on_disk(kind: ErrorKind, message: String, cause: Option<&str>) -> Self {
        let code = match kind {
            ErrorKind::InvalidPath => ErrorCode::InvalidArgument,
            ErrorKind::WalInUse => ErrorCode::InvalidState,
            _ => ErrorCode::Io,
        };
        let is_damaged = matches!(
            kind,
            ErrorKind::WalCorrupt
                | ErrorKind::WalPartMissing
                | ErrorKind::WalBehind
                | ErrorKind::CheckpointMissing
                | ErrorKind::CheckpointDamaged
        );
        let failure = Self {
            retryable: matches!(kind, ErrorKind::DiskFull | ErrorKind::WalInUse),
            local_state_valid: !is_damaged,
            ..Self::new(code, kind, message)
        };
        match cause {
            Some(cause) => failure.because(cause),
            None => failure,
        }
    }

    /// Adds the subject.
    pub fn about(mut self, context: impl Into<String>) -> Self {
        self.context = Some(context.into());
        self
    }

    /// Adds the system's error text.
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Advice for the failure: the data that is still valid, and the remedy. The message of a failure of a disk or a
    /// file contains both.
    pub fn advice(&self) -> Option<Advice> {
        advice(self.kind)
    }

    /// Adds the place in a file, and the advice to the message, unless the message contains them.
    fn located(mut self, file: Option<&str>, offset: Option<u64>) -> Self {
        self.offset = offset;
        let Some(Advice {
            still_valid,
            what_to_do,
        }) = self.advice()
        else {
            return self;
        };
        let at = offset.map(|offset| format!("byte offset {offset}"));
        let at = at.filter(|at| !self.message.contains(at.as_str()));
        let file = file.filter(|file| !self.message.contains(file));
        let place = match (at, file) {
            (Some(at), Some(file)) => format!(" at {at} of {file}"),
            (Some(at), None) => format!(" at {at}"),
            (None, Some(file)) if self.message.contains("byte offset") => format!(" of {file}"),
            (None, Some(file)) => format!(" ({file})"),
            (None, None) => String::new(),
        };
        self.message = format!("{}{place}; {still_valid}; {what_to_do}", self.message);
        self
    }

    /// Marks the failure as one for which a retry may help.
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for Failure {}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::KeyEmpty => {
                Self::new(ErrorCode::InvalidArgument, ErrorKind::KeyEmpty, message)
            }
            StoreError::KeyTooLong { .. } => {
                Self::new(ErrorCode::InvalidArgument, ErrorKind::KeyTooLong, message)
            }
            StoreError::ValueTooLarge { .. } => Self::new(
                ErrorCode::InvalidArgument,
                ErrorKind::ValueTooLarge,
                message,
            ),
            StoreError::BatchTooLarge { .. } => Self::new(
                ErrorCode::InvalidArgument,
                ErrorKind::BatchTooLarge,
                message,
            ),
            StoreError::Panicked(_) => Self::new(ErrorCode::Internal, ErrorKind::Panicked, message),
            StoreError::Stopped => Self::new(ErrorCode::InvalidState, ErrorKind::Closed, message),
            StoreError::Entropy(cause) => {
                Self::new(ErrorCode::Io, ErrorKind::NoRandomness, message)
                    .because(cause)
                    .retryable()
            }
            StoreError::MissingLog { path, .. } => Self {
                local_state_valid: false,
                ..Self::new(ErrorCode::Io, ErrorKind::WalMissing, message)
            }
            .located(Some(&path), None)
            .about(path),
            StoreError::OtherCheckpoint { path } => Self {
                local_state_valid: false,
                ..Self::new(ErrorCode::Store, ErrorKind::CheckpointMismatch, message)
            }
            .located(Some(&path), None)
            .about(path),
            StoreError::Checkpoint(error) => {
                let failure =
                    Self::on_disk(error.kind(), message, error.cause().map(IoCause::text));
                failure
                    .located(Some(error.file()), error.offset())
                    .about(error.file())
            }
            StoreError::Row { ref path, .. } | StoreError::Record { ref path, .. } => Self {
                local_state_valid: false,
                ..Self::new(ErrorCode::Store, ErrorKind::RecordMalformed, message)
            }
            .located(Some(path), None)
            .about(path.clone()),
            StoreError::Log(error) => {
                let failure = Self::on_disk(error.kind(), message, error.cause());
                let failure = failure.located(error.file(), error.offset());
                match error.file() {
                    Some(file) => failure.about(file),
                    None => failure,
                }
            }
        }
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        let kind = error.kind();
        let code = match kind {
            ErrorKind::InvalidAddress => ErrorCode::InvalidArgument,
            _ => ErrorCode::Transport,
        };
        let failure = Self::new(code, kind, error.to_string());
        let failure = Self {
            retryable: error.is_retryable(),
            ..failure
        };
        let failure = match error.subject() {
            Some(subject) => failure.about(subject),
            None => failure,
        };
        match std::error::Error::source(&error) {
            Some(cause) => failure.because(cause.to_string()),
            None => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::table::CheckpointError;
    use crate::wal::error::WalError;

    fn cause(kind: io::ErrorKind) -> IoCause {
        io::Error::from(kind).into()
    }

    /// Failures of the log and of a checkpoint, each with its kind and its place in the file.
    fn failures_on_disk() -> Vec<(StoreError, ErrorKind, Option<u64>)> {
        let file = || "data/x.wal".to_owned();
        let flush = |kind| WalError::Flush {
            file: file(),
            cause: cause(kind),
        };
        let open = |kind| WalError::Open {
            file: file(),
            cause: cause(kind),
        };
        let offset = 4096;
        let damaged = CheckpointError::Damaged {
            file: file(),
            offset,
            what: "the footer",
        };
        let append = WalError::Append {
            file: file(),
            offset,
            cause: cause(io::ErrorKind::StorageFull),
        };
        let foreign = WalError::Foreign {
            file: file(),
            reason: "it is not a log",
        };
        let newer = WalError::NewerVersion {
            file: file(),
            needs: "version 9".to_owned(),
        };
        let missing = WalError::MissingCheckpoint {
            file: file(),
            sealed: "y".to_owned(),
        };
        let corrupt = WalError::Corrupt {
            file: file(),
            offset,
        };
        let log = [
            (corrupt, ErrorKind::WalCorrupt, Some(offset)),
            (foreign, ErrorKind::WalForeign, None),
            (newer, ErrorKind::WalNewerVersion, None),
            (missing, ErrorKind::CheckpointMissing, None),
            (
                open(io::ErrorKind::PermissionDenied),
                ErrorKind::PermissionDenied,
                None,
            ),
            (
                open(io::ErrorKind::ReadOnlyFilesystem),
                ErrorKind::ReadOnly,
                None,
            ),
            (append, ErrorKind::DiskFull, Some(offset)),
            (flush(io::ErrorKind::Other), ErrorKind::WalFlush, None),
        ];
        let log = log.map(|(error, kind, offset)| (StoreError::Log(error), kind, offset));
        let table = StoreError::Checkpoint(damaged);
        let table = [(table, ErrorKind::CheckpointDamaged, Some(offset))];
        log.into_iter().chain(table).collect()
    }

    #[test]
    fn what_failed_on_disk_is_told_with_its_place_what_is_valid_and_what_to_do() {
        for (error, kind, offset) in failures_on_disk() {
            let text = error.to_string();
            let failure = Failure::from(error);
            assert_eq!((failure.kind, failure.offset), (kind, offset));
            assert_eq!(failure.context.as_deref(), Some("data/x.wal"));
            let message = &failure.message;
            let Advice {
                still_valid,
                what_to_do,
            } = failure.advice().unwrap();
            assert!(message.starts_with(&text), "{message}");
            for part in ["data/x.wal", still_valid, what_to_do] {
                assert_eq!(message.matches(part).count(), 1, "{part} in: {message}");
            }
            let places = message.matches("byte offset 4096").count();
            assert_eq!(places, usize::from(offset.is_some()), "{message}");
        }
    }
}
