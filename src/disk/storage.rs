//! The whole disk, as the log sees it: one directory of files.

use std::io;
use std::sync::Arc;

use thiserror::Error;

/// What is written at once past the page cache, and where that may begin: a multiple of this, which is the largest
/// sector of disks that are in use.
pub const THROUGH_BYTES: usize = 4 << 10;

/// Which file it is, whatever its name. No other file is equal to it as long as it is open or has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileIdentity {
    /// The number of the device, and that of the file on it.
    Number(u64, u64),
    /// An open handle, where only that tells.
    #[cfg(not(unix))]
    Handle(Arc<same_file::Handle>),
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedTo {
    /// Which file; `None` where the system does not tell.
    pub identity: Option<FileIdentity>,
    /// How long it is.
    pub bytes: u64,
}

/// Why a path does not lead to the file that is open. As the inside of an [`io::Error`] it is the reason of a change that
/// was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Displacement {
    /// Nothing is there.
    #[error("the file, or its directory, was removed or moved")]
    Gone,
    /// Something else is there.
    #[error("another file is in its place")]
    Replaced,
    /// It is the file, and it does not hold what was written to it.
    #[error("something else was written over it")]
    Overwritten,
}

impl Displacement {
    /// The stable name of a failure that this is the reason of.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Gone => "wal_removed",
            Self::Replaced | Self::Overwritten => "wal_replaced",
        }
    }
}

impl From<Displacement> for io::Error {
    fn from(displacement: Displacement) -> Self {
        Self::other(displacement)
    }
}

/// What knows where the path of an open log leads.
pub trait Anchor: Send + Sync {
    /// Whether the path that was given of the log still leads to it, and it is so many bytes long: one look at the path.
    fn check(&self, bytes: u64) -> Result<(), Displacement>;

    /// Whether everything that the log needs is still where it was put: its sealed parts and its checkpoint. Gives the
    /// name of what is not.
    fn check_parts(&self) -> Result<(), (String, Displacement)>;
}

/// A directory of files. Names are file names in it, never paths.
///
/// What survives a power cut: the bytes of a file as its own `sync_data` and `sync_all` say, and which names
/// there are as of the last [`sync_directory`](Self::sync_directory). A killed process loses nothing that a
/// call returned from; only the machine does.
pub trait Storage: Send + Sync {
    /// Opens an existing regular file for reading and writing; `None` if there is none of that name. Anything
    /// else of that name (a directory, a device) is an error, and is not touched.
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn StorageFile>>>;

    /// Creates a file that must not exist yet, readable only by its owner where the system has such a notion.
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;

    /// Gives a file another name, replacing what had it. Whoever looks sees the old or the new file, never
    /// neither; so does a power cut, but which one is settled only by `sync_directory`.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file, which must exist. It may be back after a power cut until `sync_directory`.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of all files, in no particular order. A name that is not Unicode is left out.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Once it returns, every create, rename and remove before it survives a power cut.
    fn sync_directory(&self) -> io::Result<()>;

    /// How a file of that name is told to users.
    fn shown(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Which file has that name; `None` if there is none, or the system does not tell.
    fn identity(&self, _name: &str) -> io::Result<Option<FileIdentity>> {
        Ok(None)
    }

    /// What the path leads to that was given of the log of that name; `None` if nothing is there.
    fn led_to(&self, _log: &str) -> io::Result<Option<LedTo>> {
        Ok(None)
    }

    /// What knows whether the path still leads to the log; `None` where nobody looks.
    fn anchor(&self) -> Option<Arc<dyn Anchor>> {
        None
    }
}

/// An open file. Closing it (dropping it) makes nothing durable.
pub trait StorageFile: Send + Sync {
    /// How long it is, in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether it holds no byte.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|bytes| bytes == 0)
    }

    /// Reads from `offset` into `buffer`; says how many bytes, which is 0 only at the end of the file or for
    /// an empty buffer, and may be less than asked for.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, growing the file if it ends before. When it fails, any part of them
    /// may have been written. Once it returns, a killed process loses none of it; a power cut may lose any
    /// part, in any order, sector by sector.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Whether [`write_through`](Self::write_through) can be expected to do something.
    fn writes_through(&self) -> bool {
        false
    }

    /// Writes all of `bytes` at `offset`, both multiples of [`THROUGH_BYTES`] and within the length that the file durably
    /// has. Once it returns `true`, these bytes survive a power cut; it says nothing of any others. `false`: the file
    /// cannot do that, and nothing was written. A failure is one of [`write_at`](Self::write_at).
    fn write_through(&self, _offset: u64, _bytes: &[u8]) -> io::Result<bool> {
        Ok(false)
    }

    /// Once it returns, every byte written before it within the length that the file durably has survives a
    /// power cut. A length that changed since the last `sync_all` may not.
    fn sync_data(&self) -> io::Result<()>;

    /// Once it returns, every byte written before it, and the length of the file, survive a power cut.
    fn sync_all(&self) -> io::Result<()>;

    /// Cuts the file off at `bytes`, or grows it to there with zeros that take no room yet.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Which file it is; `None` where the system does not tell.
    fn identity(&self) -> Option<FileIdentity> {
        None
    }
}

/// Reads until `buffer` is full or the file ends; says how many bytes.
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

/// Writes a whole small file so that whoever looks, also after a power cut, finds the old one or all of the
/// new one: under a passing name, synced, renamed, the directory synced.
pub(crate) fn replace_file(
    storage: &dyn Storage,
    name: &str,
    write: &mut dyn FnMut(&dyn StorageFile) -> io::Result<()>,
) -> io::Result<()> {
    let temp = format!("{name}.new");
    if storage.open(&temp)?.is_some() {
        // What a crash left of an earlier attempt; nothing ever reads it.
        storage.remove(&temp)?;
    }
    let file = storage.create(&temp)?;
    let written = write(&*file).and_then(|()| file.sync_all());
    // Closed before it is renamed, because not every system renames an open file.
    drop(file);
    if let Err(error) = written.and_then(|()| storage.rename(&temp, name)) {
        // Best effort: what counts is the first failure, and the next attempt removes it too.
        let _ = storage.remove(&temp);
        return Err(error);
    }
    storage.sync_directory()
}
