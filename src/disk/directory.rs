//! A directory of the real disk, accessed by a handle where the system has such calls: it stays the directory that was
//! opened, wherever it is moved and whatever takes its place.

#![allow(clippy::disallowed_methods, reason = "this is where files are opened")]

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::storage::FileIdentity;

/// Access with which a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// For reading.
    Read,
    /// For reading and writing.
    Write,
    /// For reading and writing; the file must not exist yet, and belongs to its owner alone where the system has such
    /// a notion.
    Create,
}

/// A directory, by handle or by path.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
    /// `None` where files are found by the directory's path.
    handle: Option<Arc<File>>,
}

impl Directory {
    /// The directory that has this path at the time of each call.
    #[cfg(test)]
    pub fn by_path(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            handle: None,
        }
    }

    /// The directory that has this path now. Where the system has no calls for files of an open directory, it refuses
    /// to move one in which files are open, and the path is used instead.
    ///
    /// # Errors
    /// If there is no such directory, or it may not be read.
    pub fn hold(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let handle = open_directory(&path)?.map(Arc::new);
        Ok(Self { path, handle })
    }

    /// The path by which the directory was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file with that name.
    pub(crate) fn open(&self, name: &str, access: Access) -> io::Result<File> {
        #[cfg(unix)]
        if let Some(handle) = &self.handle {
            return by_handle::open(handle, name, access);
        }
        let mut options = OpenOptions::new();
        options.read(true).write(access != Access::Read);
        if access == Access::Create {
            options.create_new(true);
            owner_only(&mut options);
        }
        options.open(self.path.join(name))
    }

    /// File type, length and identity under a name, without following a symbolic link; `None` if nothing has the name.
    pub(crate) fn look(&self, name: &str) -> io::Result<Option<Looked>> {
        #[cfg(unix)]
        if let Some(handle) = &self.handle {
            return by_handle::look(handle, name, false);
        }
        found(std::fs::symlink_metadata(self.path.join(name)), || {
            identity_at(&self.path.join(name))
        })
    }

    /// [`look`](Self::look) that follows a symbolic link.
    pub(crate) fn look_through(&self, name: &str) -> io::Result<Option<Looked>> {
        #[cfg(unix)]
        if let Some(handle) = &self.handle {
            return by_handle::look(handle, name, true);
        }
        look_at(&self.path.join(name))
    }

    /// Renames a file.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        #[cfg(unix)]
        if let Some(handle) = &self.handle {
            return by_handle::rename(handle, from, to);
        }
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    /// Removes a file.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        #[cfg(unix)]
        if let Some(handle) = &self.handle {
            return by_handle::remove(handle, name);
        }
        std::fs::remove_file(self.path.join(name))
    }

    /// The names of all regular files whose names are Unicode; links are left out.
    pub(crate) fn list(&self) -> io::Result<Vec<String>> {
        #[cfg(unix)]
        if let Some(handle) = &self.handle {
            return by_handle::list(handle);
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Makes the names in the directory durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match &self.handle {
            Some(handle) => sync_handle(handle),
            None => sync_directory(&self.path),
        }
    }
}

/// File type, length and identity found under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Looked {
    pub(crate) is_file: bool,
    pub(crate) bytes: u64,
    /// `None` where the system does not tell.
    pub(crate) identity: Option<FileIdentity>,
}

/// Looks at a path without asking for times, following symbolic links; `None` if nothing is there. Once somebody has
/// asked for a file's times, Linux counts them more finely at its next change (multigrain timestamps, since 6.13): a
/// write after such a look has to journal the inode, which makes it a third slower.
#[cfg(target_os = "linux")]
pub(crate) fn look_timeless(path: &Path) -> io::Result<Option<Looked>> {
    use rustix::fs::{AtFlags, CWD, FileType, StatxFlags, makedev, statx};
    let wanted = StatxFlags::TYPE | StatxFlags::INO | StatxFlags::SIZE;
    match statx(CWD, path, AtFlags::empty(), wanted) {
        Ok(found) => {
            let device = makedev(found.stx_dev_major, found.stx_dev_minor);
            Ok(Some(Looked {
                is_file: FileType::from_raw_mode(found.stx_mode.into()) == FileType::RegularFile,
                bytes: found.stx_size,
                identity: Some(FileIdentity::Number(device, found.stx_ino)),
            }))
        }
        // Nothing is there, or the system lacks the call or blocks it.
        Err(_) => look_at(path),
    }
}

/// Looks at a path, following symbolic links; `None` if nothing is there. Only on Linux does a look at times slow down
/// writes.
#[cfg(not(target_os = "linux"))]
pub(crate) fn look_timeless(path: &Path) -> io::Result<Option<Looked>> {
    look_at(path)
}

/// File type, length and identity at a path, following symbolic links; `None` if nothing is there.
pub(crate) fn look_at(path: &Path) -> io::Result<Option<Looked>> {
    found(std::fs::metadata(path), || identity_at(path))
}

fn found(
    metadata: io::Result<Metadata>,
    identity: impl FnOnce() -> Option<FileIdentity>,
) -> io::Result<Option<Looked>> {
    match metadata {
        Ok(metadata) => Ok(Some(Looked {
            is_file: metadata.is_file(),
            bytes: metadata.len(),
            identity: identity_of(&metadata).or_else(identity),
        })),
        Err(error) if is_nowhere(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// True if the error means that nothing is at a path: no file, or no directory that leads to it.
fn is_nowhere(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(unix)]
#[allow(
    clippy::unnecessary_wraps,
    reason = "the same signature as where the system does not tell"
)]
fn identity_of(metadata: &Metadata) -> Option<FileIdentity> {
    use std::os::unix::fs::MetadataExt;
    Some(FileIdentity::Number(metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity_of(_metadata: &Metadata) -> Option<FileIdentity> {
    None
}

#[cfg(unix)]
fn identity_at(_path: &Path) -> Option<FileIdentity> {
    None
}

/// Identity of the file at a path. The file is opened, because only a handle tells it.
#[cfg(not(unix))]
fn identity_at(path: &Path) -> Option<FileIdentity> {
    let handle = same_file::Handle::from_path(path).ok()?;
    Some(FileIdentity::Handle(Arc::new(handle)))
}

/// Identity of an open file.
#[cfg(unix)]
pub(crate) fn identity_of_file(file: &File) -> Option<FileIdentity> {
    identity_of(&file.metadata().ok()?)
}

/// Identity of an open file.
#[cfg(not(unix))]
pub(crate) fn identity_of_file(file: &File) -> Option<FileIdentity> {
    let handle = same_file::Handle::from_file(file.try_clone().ok()?).ok()?;
    Some(FileIdentity::Handle(Arc::new(handle)))
}

#[cfg(unix)]
fn open_directory(path: &Path) -> io::Result<Option<File>> {
    let directory = OpenOptions::new().read(true).open(path)?;
    if directory.metadata()?.is_dir() {
        Ok(Some(directory))
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

#[cfg(not(unix))]
fn open_directory(path: &Path) -> io::Result<Option<File>> {
    if std::fs::metadata(path)?.is_dir() {
        Ok(None)
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

/// Makes a new file readable and writable by its owner alone.
#[cfg(unix)]
fn owner_only(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

/// Does nothing: Windows gives a new file the access list of its directory, and there is no mode to narrow.
#[cfg(not(unix))]
fn owner_only(_options: &mut OpenOptions) {}

fn sync_handle(directory: &File) -> io::Result<()> {
    match directory.sync_all() {
        // Some network and user-space file systems have no such operation; there is nothing to wait for.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        outcome => outcome,
    }
}

/// Makes the names in a directory durable.
#[cfg(unix)]
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    sync_handle(&OpenOptions::new().read(true).open(directory)?)
}

/// Does nothing: Windows has no sync of a directory. NTFS journals creates and renames in order, and flushing the
/// handle of a directory asks for rights that an ordinary process lacks.
#[cfg(not(unix))]
#[allow(
    clippy::unnecessary_wraps,
    reason = "the same signature as where there is something to do"
)]
pub(crate) fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}

/// The POSIX calls for files of an open directory.
#[cfg(unix)]
mod by_handle {
    use std::fs::File;
    use std::io;

    use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
    use rustix::io::{Errno, retry_on_intr};

    use super::{Access, FileIdentity, Looked};

    pub(super) fn open(directory: &File, name: &str, access: Access) -> io::Result<File> {
        let flags = match access {
            Access::Read => OFlags::RDONLY,
            Access::Write => OFlags::RDWR,
            Access::Create => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        let (flags, mode) = (flags | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
        let file = retry_on_intr(|| rustix::fs::openat(directory, name, flags, mode))?;
        Ok(File::from(file))
    }

    pub(super) fn look(directory: &File, name: &str, through: bool) -> io::Result<Option<Looked>> {
        let flags = if through {
            AtFlags::empty()
        } else {
            AtFlags::SYMLINK_NOFOLLOW
        };
        match retry_on_intr(|| rustix::fs::statat(directory, name, flags)) {
            Ok(stat) => Ok(Some(looked(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    #[allow(
        clippy::cast_sign_loss,
        clippy::unnecessary_cast,
        trivial_numeric_casts,
        reason = "the types differ by system; these are the conversions that the standard library makes"
    )]
    fn looked(stat: &Stat) -> Looked {
        Looked {
            is_file: FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile,
            bytes: stat.st_size as u64,
            identity: Some(FileIdentity::Number(stat.st_dev as u64, stat.st_ino as u64)),
        }
    }

    pub(super) fn rename(directory: &File, from: &str, to: &str) -> io::Result<()> {
        Ok(retry_on_intr(|| {
            rustix::fs::renameat(directory, from, directory, to)
        })?)
    }

    pub(super) fn remove(directory: &File, name: &str) -> io::Result<()> {
        Ok(retry_on_intr(|| {
            rustix::fs::unlinkat(directory, name, AtFlags::empty())
        })?)
    }

    pub(super) fn list(directory: &File) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            let is_file = match entry.file_type() {
                FileType::RegularFile => true,
                // Some file systems tell the type only when it is asked for.
                FileType::Unknown => {
                    look(directory, name, false)?.is_some_and(|found| found.is_file)
                }
                _ => false,
            };
            if is_file {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_held_directory_is_worked_in_wherever_it_was_moved() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("data"), folder.path().join("old"));
        std::fs::create_dir(&path).unwrap();
        let held = Directory::hold(&path).unwrap();
        drop(held.open("a", Access::Create).unwrap());
        std::fs::rename(&path, &moved).unwrap();
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("a"), "another's").unwrap();
        assert_eq!(held.look("a").unwrap().unwrap().bytes, 0);
        held.rename("a", "b").unwrap();
        drop(held.open("c", Access::Create).unwrap());
        held.remove("c").unwrap();
        held.sync().unwrap();
        assert_eq!(held.list().unwrap(), ["b"]);
        assert!(held.open("a", Access::Write).is_err());
        assert!(moved.join("b").exists());
        assert_eq!(std::fs::read(path.join("a")).unwrap(), b"another's");
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_look_without_times_tells_what_a_look_with_them_does() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a"), "four").unwrap();
        std::os::unix::fs::symlink("a", at("link")).unwrap();
        std::os::unix::fs::symlink("missing", at("dangling")).unwrap();
        for name in ["a", "link", "dangling", "missing", "a/b", "."] {
            let reported = look_timeless(&at(name)).unwrap();
            assert_eq!(reported, look_at(&at(name)).unwrap(), "{name}");
        }
        assert!(look_timeless(&at("a")).unwrap().is_some());
    }

    #[test]
    fn what_is_there_is_told_alike_by_handle_and_by_path() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "four").unwrap();
        std::fs::create_dir(folder.path().join("b")).unwrap();
        std::os::unix::fs::symlink("a", folder.path().join("link")).unwrap();
        let ways = [
            Directory::hold(folder.path()).unwrap(),
            Directory::by_path(folder.path()),
        ];
        let reported = ways.map(|way| {
            let names = ["a", "b", "link", "missing"];
            let looked =
                names.map(|name| (way.look(name).unwrap(), way.look_through(name).unwrap()));
            (looked, way.list().unwrap())
        });
        assert_eq!(reported[0], reported[1]);
        assert_eq!(reported[0].1, ["a"]);
        assert!(Directory::hold(folder.path().join("a")).is_err());
    }
}
