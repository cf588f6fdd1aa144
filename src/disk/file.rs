//! The real disk: positioned reads and writes on files of one directory.

#![allow(clippy::disallowed_methods, reason = "this is where files are opened")]

use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::direct_io::Through;
use super::directory::{Access, Directory, identity_of_file, look_timeless};
use super::storage::{FileIdentity, LedTo, Storage, StorageFile};

/// A directory of the real file system as storage.
#[derive(Debug, Clone)]
pub struct FileStorage {
    directory: Directory,
    shown: PathBuf,
    /// The path of the log as it was given, absolute; empty if that is its name in the directory.
    given: PathBuf,
    is_read_only: bool,
}

impl FileStorage {
    /// The files of `directory`, which should be absolute, so that a program that changes its working directory keeps
    /// its log. `shown`: the directory as the user spelled it, for messages.
    #[cfg(test)]
    pub fn new(directory: impl Into<PathBuf>, shown: impl Into<PathBuf>) -> Self {
        Self::over(Directory::by_path(directory), shown, PathBuf::new())
    }

    /// The files of a directory. `given`: the path of the log as the user gave it, absolute.
    pub fn over(directory: Directory, shown: impl Into<PathBuf>, given: PathBuf) -> Self {
        Self {
            directory,
            shown: shown.into(),
            given,
            is_read_only: false,
        }
    }

    /// A read-only view of the files. Needs no right to write them.
    #[must_use]
    pub fn reading_only(mut self) -> Self {
        self.is_read_only = true;
        self
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.is_read_only {
            Err(io::ErrorKind::ReadOnlyFilesystem.into())
        } else {
            Ok(())
        }
    }
}

impl Storage for FileStorage {
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn StorageFile>>> {
        // The type is checked before the file is opened: opening a pipe would wait for its other end.
        match self.directory.look_through(name)? {
            Some(found) if !found.is_file => return Err(not_regular()),
            Some(_) => {}
            None => return Ok(None),
        }
        let access = if self.is_read_only {
            Access::Read
        } else {
            Access::Write
        };
        let file = self.directory.open(name, access)?;
        if !file.metadata()?.is_file() {
            return Err(not_regular());
        }
        Ok(Some(Box::new(DiskFile::new(file))))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        self.check_writable()?;
        let file = self.directory.open(name, Access::Create)?;
        Ok(Box::new(DiskFile::new(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.check_writable()?;
        self.directory.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.check_writable()?;
        self.directory.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.directory.list()
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.directory.sync()
    }

    fn shown(&self, name: &str) -> String {
        self.shown.join(name).to_string_lossy().into_owned()
    }

    fn identity(&self, name: &str) -> io::Result<Option<FileIdentity>> {
        let found = self.directory.look_through(name)?;
        Ok(found.and_then(|found| found.identity))
    }

    fn led_to(&self, log: &str) -> io::Result<Option<LedTo>> {
        let found = if self.given.as_os_str().is_empty() {
            look_timeless(&self.directory.path().join(log))
        } else {
            look_timeless(&self.given)
        };
        Ok(found?.map(|found| LedTo {
            identity: found.identity,
            bytes: found.bytes,
        }))
    }
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")
}

struct DiskFile {
    file: File,
    through: Through,
}

impl DiskFile {
    fn new(file: File) -> Self {
        Self {
            file,
            through: Through::default(),
        }
    }
}

impl StorageFile for DiskFile {
    fn len(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match positioned_read(&self.file, offset, buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        write_all_at(&self.file, offset, bytes)
    }

    fn writes_through(&self) -> bool {
        self.through.is_possible(&self.file)
    }

    fn write_through(&self, offset: u64, bytes: &[u8]) -> io::Result<bool> {
        self.through.write(&self.file, offset, bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn identity(&self) -> Option<FileIdentity> {
        identity_of_file(&self.file)
    }
}

/// Writes all of `bytes` at `offset`.
pub(crate) fn write_all_at(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let mut at = offset;
    let mut rest = bytes;
    while !rest.is_empty() {
        match positioned_write(file, at, rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                at += count as u64;
                rest = rest.get(count..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn positioned_read(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(unix)]
pub(crate) fn positioned_write(file: &File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, bytes, offset)
}

#[cfg(windows)]
fn positioned_read(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

#[cfg(windows)]
pub(crate) fn positioned_write(file: &File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, offset)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_reads_back_what_was_written_where_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let storage = FileStorage::new(folder.path(), "data");
        assert!(storage.open("a").unwrap().is_none());
        let file = storage.create("a").unwrap();
        assert!(storage.create("a").is_err());
        file.write_at(3, b"abc").unwrap();
        file.sync_data().unwrap();
        assert_eq!(file.len().unwrap(), 6);
        let mut bytes = [9; 8];
        assert_eq!(file.read_at(0, &mut bytes).unwrap(), 6);
        assert_eq!(&bytes[..6], b"\0\0\0abc");
        file.set_len(4).unwrap();
        file.sync_all().unwrap();
        drop(file);
        storage.create("b").unwrap();
        storage.rename("a", "b").unwrap();
        storage.sync_directory().unwrap();
        assert_eq!(storage.list().unwrap(), ["b"]);
        assert_eq!(storage.open("b").unwrap().unwrap().len().unwrap(), 4);
        storage.remove("b").unwrap();
        assert!(storage.list().unwrap().is_empty());
        assert_eq!(
            storage.shown("b"),
            std::path::Path::new("data").join("b").to_string_lossy()
        );
    }

    #[test]
    fn what_is_written_through_is_read_back_beside_what_was_not() {
        use crate::disk::storage::THROUGH_BYTES;
        // The folder is not the system's temporary one, which may be in memory.
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let storage = FileStorage::new(folder.path(), "");
        let file = storage.create("a").unwrap();
        file.write_at(0, &[1; 3 * THROUGH_BYTES]).unwrap();
        file.sync_all().unwrap();
        let is_possible = file.writes_through();
        for fill in 2..5 {
            let bytes = vec![fill; THROUGH_BYTES];
            assert_eq!(
                file.write_through(THROUGH_BYTES as u64, &bytes).unwrap(),
                is_possible
            );
            file.write_at(7, &[fill]).unwrap();
            let mut read = [0; 3 * THROUGH_BYTES];
            assert_eq!(file.read_at(0, &mut read).unwrap(), read.len());
            assert_eq!(read[7], fill);
            let second = if is_possible { fill } else { 1 };
            assert!(
                read[THROUGH_BYTES..2 * THROUGH_BYTES]
                    .iter()
                    .all(|byte| *byte == second)
            );
            assert!(read[2 * THROUGH_BYTES..].iter().all(|byte| *byte == 1));
        }
    }

    #[test]
    fn a_directory_is_not_opened_as_a_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("d")).unwrap();
        let storage = FileStorage::new(folder.path(), "");
        assert!(storage.open("d").is_err());
        assert!(storage.list().unwrap().is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_belongs_to_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        FileStorage::new(folder.path(), "").create("a").unwrap();
        let mode = fs::metadata(folder.path().join("a"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
