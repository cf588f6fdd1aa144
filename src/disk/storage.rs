//! The interface of the disk: one directory of files.

use crate::core::error_kind::ErrorKind;
use std::io;
use std::sync::Arc;

use thiserror::Error;

/// Unit and alignment of direct writes, in bytes: the largest sector of disks that are in use.
pub const THROUGH_BYTES: usize = 4 << 10;

/// Identity of a file, independent of its name. No other file is equal to it as long as it is open or has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileIdentity {
    /// The number of the device, and that of the file on it.
    Number(u64, u64),
    /// An open handle, on systems where only that tells the identity.
    #[cfg(not(unix))]
    Handle(Arc<same_file::Handle>),
}

/// The file that a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedTo {
    /// Identity of the file; `None` where the system does not tell.
    pub identity: Option<FileIdentity>,
    /// Length of the file, in bytes.
    pub bytes: u64,
}

/// Why a path does not lead to the open file. Inside of an [`io::Error`] it is the reason of a change that was not
/// made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Displacement {
    /// Nothing is at the path.
    #[error("the file, or its directory, was removed or moved")]
    Gone,
    /// Another file is at the path.
    #[error("another file is in its place")]
    Replaced,
    /// The file is at the path, but does not hold the bytes written to it.
    #[error("something else was written over it")]
    Overwritten,
}

impl Displacement {
    /// The stable name of a failure with this reason.
    pub(crate) fn kind(self) -> ErrorKind {
        match self {
            Self::Gone => ErrorKind::WalRemoved,
            Self::Replaced | Self::Overwritten => ErrorKind::WalReplaced,
        }
    }
}

impl From<Displacement> for io::Error {
    fn from(displacement: Displacement) -> Self {
        Self::other(displacement)
    }
}

/// Knows where the path of an open log leads.
pub trait Anchor: Send + Sync {
    /// Checks that the given path of the log still leads to it, and that it is `bytes` long: one look at the path.
    fn check(&self, bytes: u64) -> Result<(), Displacement>;

    /// Checks that all files that the log needs are still in their places: its sealed logs and its checkpoint. On
    /// failure the name of the file is returned.
    fn check_parts(&self) -> Result<(), (String, Displacement)>;
}

/// A directory of files. Names are file names in it, never paths.
///
/// After a power cut the bytes of a file are as its own `sync_data` and `sync_all` define, and the names are those of
/// the last [`sync_directory`](Self::sync_directory). A killed process loses nothing that a call has returned from;
/// only a failure of the machine does.
pub trait Storage: Send + Sync {
    /// Opens an existing regular file for reading and writing; `None` if there is none of that name. Anything else of
    /// that name (a directory, a device) is an error, and is not touched.
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn StorageFile>>>;

    /// Creates a file that must not exist yet, readable only by its owner where the system has such a notion.
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;

    /// Renames a file, replacing another of that name. Every observer sees the old or the new file, never neither; so
    /// does a power cut, but which one is settled only by `sync_directory`.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file, which must exist. It may be back after a power cut until `sync_directory`.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of all files, in no particular order. A name that is not Unicode is left out.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes every earlier create, rename and remove durable: they survive a power cut once it returns.
    fn sync_directory(&self) -> io::Result<()>;

    /// Name of a file in messages for users.
    fn shown(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Identity of the file with that name; `None` if there is none, or the system does not tell.
    fn identity(&self, _name: &str) -> io::Result<Option<FileIdentity>> {
        Ok(None)
    }

    /// The file that the given path of the log `log` leads to; `None` if nothing is there.
    fn led_to(&self, _log: &str) -> io::Result<Option<LedTo>> {
        Ok(None)
    }

    /// The check of where the path of the log leads; `None` where that is not checked.
    fn anchor(&self) -> Option<Arc<dyn Anchor>> {
        None
    }
}

/// An open file. Closing it (dropping it) makes nothing durable.
pub trait StorageFile: Send + Sync {
    /// Length of the file, in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Reads from `offset` into `buffer`. Returns the number of bytes, which is 0 only at the end of the file or for
    /// an empty buffer, and may be less than asked for.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, growing the file if it ends before. If it fails, any part of them may have
    /// been written. Once it returns, a killed process loses none of it; a power cut may lose any part, in any order,
    /// sector by sector.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// True if [`write_through`](Self::write_through) can be expected to work.
    fn writes_through(&self) -> bool {
        false
    }

    /// Writes all of `bytes` at `offset`, both multiples of [`THROUGH_BYTES`] and within the durable length of the
    /// file. Once it returns `true`, these bytes survive a power cut; other bytes may not. `false`: the file cannot do
    /// that, and nothing was written. A failure is one of [`write_at`](Self::write_at).
    fn write_through(&self, _offset: u64, _bytes: &[u8]) -> io::Result<bool> {
        Ok(false)
    }

    /// Makes every earlier write within the durable length of the file survive a power cut. A length that changed
    /// since the last `sync_all` may not survive.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes every earlier write, and the length of the file, survive a power cut.
    fn sync_all(&self) -> io::Result<()>;

    /// Truncates the file at `bytes`, or grows it to there with zeros that take no room yet.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Identity of the file; `None` where the system does not tell.
    fn identity(&self) -> Option<FileIdentity> {
        None
    }
}

/// Reads until `buffer` is full or the file ends. Returns the number of bytes.
pub(crate) fn read_full(
    file: &dyn StorageFile,
    offset: u64,
    buffer: &mut [u8],
) -> io::Result<usize> {
    let mut filled = 0_usize;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(offset + filled as u64, rest)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// Writes a whole small file atomically, so that every observer, also after a power cut, finds the old one or all of
/// the new one: written under a temporary name, synced, renamed, the directory synced.
pub(crate) fn replace_file(
    storage: &dyn Storage,
    name: &str,
    write: &mut dyn FnMut(&dyn StorageFile) -> io::Result<()>,
) -> io::Result<()> {
    let temp = format!("{name}.new");
    if storage.open(&temp)?.is_some() {
        // A crash left the file of an earlier attempt; nothing ever reads it.
        storage.remove(&temp)?;
    }
    let file = storage.create(&temp)?;
    let written = write(&*file).and_then(|()| file.sync_all());
    // The file is closed before it is renamed, because not every system renames an open file.
    drop(file);
    if let Err(error) = written.and_then(|()| storage.rename(&temp, name)) {
        // Best effort: the first failure is the one to report, and the next attempt removes the file too.
        let _ = storage.remove(&temp);
        return Err(error);
    }
    storage.sync_directory()
}
