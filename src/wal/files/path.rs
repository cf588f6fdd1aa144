//! Resolution of a user's path to a directory and a file name in it.

#![allow(
    clippy::disallowed_methods,
    reason = "a driver: it looks at the path of a log before there is a storage"
)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::directory::{Directory, sync_directory};
use crate::disk::file::FileStorage;
use crate::wal::error::WalError;

/// Most symbolic links that are followed one after the other; more are taken for a circle.
const LINKS_MAX: usize = 32;

/// Longest name of a new log, in bytes: file systems take 255, and the longest names of companions,
/// `.checkpoint.new.feed` and `.sealed.` with a number of twelve digits, add 20. A log with a longer name could never
/// get a checkpoint.
const NAME_BYTES_MAX: usize = 255 - 20;

/// Location of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedPath {
    /// The absolute directory, which stays right when the working directory changes.
    pub directory: PathBuf,
    /// The name of the log in the directory.
    pub name: String,
    /// The directory as the user spelled it, for messages; empty if only a name was given.
    pub shown_directory: PathBuf,
    /// The path as the user gave it, made absolute, with its links.
    given: PathBuf,
}

impl ResolvedPath {
    /// Finds directory and name for `path`, and checks that a log may be there: the directory exists, and a file with
    /// the name is a regular file. A symbolic link is followed, so that the companions of a log lie beside the log
    /// itself, whichever way leads there. With `create_directories` missing directories are created durably; nothing
    /// else is changed.
    ///
    /// # Errors
    /// A different error for each fault of a path, with the texts that users are promised.
    pub fn resolve(path: &str, create_directories: bool) -> Result<Self, WalError> {
        if path.is_empty() {
            return Err(WalError::InvalidPath("path is empty"));
        }
        if path.contains('\0') {
            return Err(WalError::InvalidPath("path holds a NUL character"));
        }
        let mut found = PathBuf::from(path);
        for _ in 0..LINKS_MAX {
            let resolved = Self::split(&found, path)?;
            let file = resolved.path();
            match fs::symlink_metadata(&file) {
                Ok(metadata) if metadata.is_symlink() => {
                    let target = fs::read_link(&file).map_err(|error| failed(path, error))?;
                    found = found
                        .parent()
                        .map_or_else(|| target.clone(), |parent| parent.join(&target));
                }
                Ok(metadata) => return resolved.checked(&metadata, path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return resolved.without_file(path, create_directories);
                }
                Err(error) => return Err(failed(path, error)),
            }
        }
        Err(failed(path, io::Error::other("too many symbolic links")))
    }

    /// The directory as storage for the log and its companions.
    #[cfg(test)]
    pub fn storage(&self) -> FileStorage {
        FileStorage::new(&self.directory, &self.shown_directory)
    }

    /// The directory that has this path now, held open, so that it stays the same one if another takes its place.
    ///
    /// # Errors
    /// If the directory cannot be opened.
    pub fn hold(&self) -> Result<Directory, WalError> {
        Directory::hold(&self.directory).map_err(|error| failed(&self.shown(), error))
    }

    /// The held `directory` as storage for the log and its companions.
    pub fn storage_in(&self, directory: &Directory) -> FileStorage {
        FileStorage::over(directory.clone(), &self.shown_directory, self.given.clone())
    }

    fn shown(&self) -> String {
        let shown = self.shown_directory.join(&self.name);
        shown.to_string_lossy().into_owned()
    }

    /// The whole path.
    pub fn path(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    fn split(found: &Path, given: &str) -> Result<Self, WalError> {
        let is_directory = || WalError::IsDirectory {
            file: given.to_owned(),
        };
        let text = found
            .to_str()
            .ok_or(WalError::InvalidPath("path is not Unicode"))?;
        if text.ends_with(std::path::is_separator) {
            return Err(is_directory());
        }
        let name = found.file_name().ok_or_else(is_directory)?;
        let parent = found.parent().unwrap_or(Path::new(""));
        let directory = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        Ok(Self {
            directory: std::path::absolute(directory).map_err(|error| failed(given, error))?,
            name: name.to_string_lossy().into_owned(),
            shown_directory: parent.to_path_buf(),
            given: std::path::absolute(given).map_err(|error| failed(given, error))?,
        })
    }

    fn checked(self, metadata: &fs::Metadata, given: &str) -> Result<Self, WalError> {
        let file = given.to_owned();
        if metadata.is_dir() {
            Err(WalError::IsDirectory { file })
        } else if metadata.is_file() {
            Ok(self)
        } else {
            Err(WalError::NotRegularFile { file })
        }
    }

    fn without_file(self, given: &str, create_directories: bool) -> Result<Self, WalError> {
        if create_directories {
            create_durably(&self.directory).map_err(|error| failed(given, error))?;
        }
        if self.name.len() > NAME_BYTES_MAX {
            return Err(WalError::InvalidPath(
                "the name of the file is longer than 235 bytes, and its companions have longer ones",
            ));
        }
        match fs::metadata(&self.directory) {
            Ok(metadata) if metadata.is_dir() => Ok(self),
            Ok(_) => Err(failed(given, io::ErrorKind::NotADirectory.into())),
            Err(error) => Err(failed(given, error)),
        }
    }
}

/// Creates a directory and all its missing parents. The name of each is synced in its parent: a log is no more durable
/// than the directories above it.
fn create_durably(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let Some(parent) = directory.parent() else {
        return Err(io::ErrorKind::NotFound.into());
    };
    create_durably(parent)?;
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_directory(parent),
    }
}

fn failed(given: &str, error: io::Error) -> WalError {
    WalError::Open {
        file: given.to_owned(),
        cause: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &Path) -> String {
        let error = ResolvedPath::resolve(path.to_str().unwrap(), false).unwrap_err();
        error.to_string().replace(path.to_str().unwrap(), "X")
    }

    #[test]
    fn each_wrong_path_is_told_as_promised() {
        let folder = tempfile::tempdir().unwrap();
        let error = ResolvedPath::resolve("", false).unwrap_err();
        assert_eq!(error.to_string(), "invalid WAL path: path is empty");
        assert_eq!(
            text(&folder.path().join("missing").join("a.wal")),
            "failed to open WAL path X: directory does not exist"
        );
        assert_eq!(
            text(folder.path()),
            "failed to open WAL path X: is a directory"
        );
        fs::write(folder.path().join("file"), "").unwrap();
        let below = text(&folder.path().join("file").join("a.wal"));
        assert!(below.starts_with("failed to open WAL path X: "), "{below}");
        assert!(ResolvedPath::resolve("a\0b", false).is_err());
        assert!(ResolvedPath::resolve("data/", false).is_err());
        assert!(ResolvedPath::resolve("..", false).is_err());
    }

    #[test]
    fn a_name_that_leaves_no_room_for_companions_is_refused_for_a_new_log() {
        let folder = tempfile::tempdir().unwrap();
        let place = |bytes: usize| folder.path().join("x".repeat(bytes));
        let resolve = |bytes| ResolvedPath::resolve(place(bytes).to_str().unwrap(), false);
        assert!(resolve(NAME_BYTES_MAX).is_ok());
        let reported = resolve(NAME_BYTES_MAX + 1).unwrap_err().to_string();
        assert!(
            reported.contains(&format!("longer than {NAME_BYTES_MAX} bytes")),
            "{reported}"
        );
        // An existing log with a longer name was made by an earlier version.
        fs::write(place(NAME_BYTES_MAX + 1), "").unwrap();
        assert!(resolve(NAME_BYTES_MAX + 1).is_ok());
    }

    #[test]
    fn a_relative_path_becomes_absolute_and_is_told_as_it_was_given() {
        let resolved = ResolvedPath::resolve("a.wal", false).unwrap();
        assert!(resolved.directory.is_absolute());
        assert_eq!(resolved.name, "a.wal");
        let storage = resolved.storage();
        assert_eq!(
            crate::disk::storage::Storage::shown(&storage, "a.wal"),
            "a.wal"
        );
    }

    #[test]
    fn missing_directories_are_made_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x").join("y").join("a.wal");
        let path = path.to_str().unwrap();
        assert!(ResolvedPath::resolve(path, false).is_err());
        let resolved = ResolvedPath::resolve(path, true).unwrap();
        assert!(resolved.directory.is_dir());
        assert!(!resolved.path().exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_refused_and_a_link_is_followed() {
        use std::os::unix::fs::symlink;
        assert_eq!(
            text(Path::new("/dev/null")),
            "failed to open WAL path X: not a regular file"
        );
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("real")).unwrap();
        symlink("real/b.wal", folder.path().join("link")).unwrap();
        let link = folder.path().join("link");
        let resolved = ResolvedPath::resolve(link.to_str().unwrap(), false).unwrap();
        assert_eq!(resolved.path(), folder.path().join("real").join("b.wal"));
        symlink("circle", folder.path().join("circle")).unwrap();
        assert!(text(&folder.path().join("circle")).contains("symbolic links"));
    }

    #[cfg(unix)]
    #[test]
    fn a_closed_directory_is_told_as_permission_denied() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let closed = folder.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        if fs::read_dir(&closed).is_ok() {
            return; // The superuser is never denied.
        }
        assert_eq!(
            text(&closed.join("a.wal")),
            "failed to open WAL path X: permission denied"
        );
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    }
}
