//! Failures of the disk, in words for people and by stable names.

use crate::core::error_kind::ErrorKind;
use std::fmt;
use std::io;

use super::storage::Displacement;

/// A failure of the system, kept so that it can be reported more than once: its kind and the system's own text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IoCause {
    kind: io::ErrorKind,
    text: String,
    displacement: Option<Displacement>,
}

impl IoCause {
    /// The kind of the failure.
    pub fn kind(&self) -> io::ErrorKind {
        self.kind
    }

    /// The system's own text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True if there was no room: the disk, the quota or the largest size of a file.
    pub fn is_full(&self) -> bool {
        is_full(self.kind)
    }

    /// The stable name of the failure: a specific one where people can act on it, else `otherwise`.
    pub(crate) fn kind_or(&self, otherwise: ErrorKind) -> ErrorKind {
        if self.is_full() {
            return ErrorKind::DiskFull;
        }
        if let Some(how) = self.displacement {
            return how.kind();
        }
        match self.kind {
            io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            io::ErrorKind::NotFound => ErrorKind::DirectoryMissing,
            io::ErrorKind::NotADirectory => ErrorKind::NotADirectory,
            io::ErrorKind::ReadOnlyFilesystem => ErrorKind::ReadOnly,
            _ => otherwise,
        }
    }
}

/// True if a failure means that there is no room.
pub(crate) fn is_full(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// The displacement because of which the storage refused a change, if that is the error: a file was not the one it
/// knows.
fn displacement_of(error: &io::Error) -> Option<Displacement> {
    error.get_ref()?.downcast_ref().copied()
}

impl From<io::Error> for IoCause {
    fn from(error: io::Error) -> Self {
        Self {
            kind: error.kind(),
            text: error.to_string(),
            displacement: displacement_of(&error),
        }
    }
}

impl fmt::Display for IoCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_full() {
            return f.write_str("no space left on device");
        }
        f.write_str(match self.kind {
            io::ErrorKind::PermissionDenied => "permission denied",
            io::ErrorKind::NotFound => "directory does not exist",
            io::ErrorKind::NotADirectory => "not a directory",
            io::ErrorKind::ReadOnlyFilesystem => "read-only file system",
            _ => &self.text,
        })
    }
}
