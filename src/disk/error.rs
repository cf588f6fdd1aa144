//! Failures of the disk, in words for people and by stable names.

use std::fmt;
use std::io;

use super::storage::Displacement;

/// A failure of the system, kept so that it can be told more than once: what kind it was, and the system's
/// own words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IoCause {
    kind: io::ErrorKind,
    text: String,
    displacement: Option<Displacement>,
}

impl IoCause {
    /// The kind of failure.
    pub fn kind(&self) -> io::ErrorKind {
        self.kind
    }

    /// The system's own text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether there was no room: the disk, the quota or the largest size of a file.
    pub fn is_full(&self) -> bool {
        is_full(self.kind)
    }

    /// The stable name of the failure: of what the system said where that tells people what to do, else `otherwise`.
    pub(crate) fn kind_or(&self, otherwise: &'static str) -> &'static str {
        if self.is_full() {
            return "disk_full";
        }
        if let Some(how) = self.displacement {
            return how.kind();
        }
        match self.kind {
            io::ErrorKind::PermissionDenied => "permission_denied",
            io::ErrorKind::NotFound => "directory_missing",
            io::ErrorKind::NotADirectory => "not_a_directory",
            io::ErrorKind::ReadOnlyFilesystem => "read_only",
            _ => otherwise,
        }
    }
}

/// Whether a failure means that there is no room for more.
pub(crate) fn is_full(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Why a change was not made, if the storage refused it because a file was not the one that it knows.
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
