//! One log, one node: a lock that the system releases when its process dies, and a list of what this process
//! holds, because two spellings of one file must not pass for two.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use same_file::Handle;

use super::error::WalError;
use super::released::Released;
use super::storage_file::owner_only;
use lock_file::check_lock_file;

mod lock_file;

/// What the name of a log is followed by. The file is never deleted: a lock on a file that another process
/// has just deleted would hold nobody off.
pub const LOCK_SUFFIX: &str = ".lock";

/// Longest text of a process id that is believed, in bytes.
const PID_TEXT_BYTES_MAX: u64 = 16;

/// The files that this process holds, by identity: each log and each lock file.
static HELD: Mutex<Vec<Held>> = Mutex::new(Vec::new());

struct Held {
    /// The lock file of the guard that holds it.
    owner: PathBuf,
    /// Keeps the file open, so that its identity cannot pass to another.
    identity: Handle,
}

/// Holds a log for this node until it is dropped, or until the process ends in whatever way.
#[derive(Debug)]
pub struct LockGuard {
    wal_path: PathBuf,
    lock_path: PathBuf,
    /// None for who only reads where there was no lock file.
    lock_file: Option<File>,
    is_read_only: bool,
    /// There was no lock file before.
    has_made: bool,
}

/// How often a lock file may be taken away by whoever held it before, between opening and locking it.
const REMOVALS_MAX: usize = 100;

impl LockGuard {
    /// Takes the lock of the log at `wal_path`, which need not exist yet. The path should be a resolved one,
    /// so that all spellings of it name the same lock file.
    ///
    /// # Errors
    /// [`WalError::InUse`] if another node holds it, in this process or in another, under this name or, as a
    /// hard link, under another. The system's own error if the lock file cannot be made or locked.
    pub fn acquire(wal_path: &Path) -> Result<Self, WalError> {
        let lock_path = with_suffix(wal_path, LOCK_SUFFIX);
        let failed = |error: io::Error| WalError::Open {
            file: lock_path.display().to_string(),
            cause: error.into(),
        };
        let mut held = HELD.lock();
        let (mut lock_file, identity, has_made) = take_lock_file(&held, wal_path, &lock_path)?;
        write_pid(&mut lock_file, &lock_path).map_err(failed)?;
        let guard = Self {
            wal_path: wal_path.to_path_buf(),
            lock_path,
            lock_file: Some(lock_file),
            is_read_only: false,
            has_made,
        };
        held.push(guard.entry(identity));
        if let Err(error) = guard.claim(&mut held) {
            // The guard's own drop takes the list.
            drop(held);
            return Err(error);
        }
        Ok(guard)
    }

    /// Holds a log that is only read, and changes nothing: no lock file is made, and the one that is there goes on
    /// naming the last node. Where there is none, no node has opened the log under this name; on Unix the log
    /// itself is held too, so that none can begin.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn observe(wal_path: &Path) -> Result<Self, WalError> {
        let lock_path = with_suffix(wal_path, LOCK_SUFFIX);
        let failed = |error: io::Error| WalError::Open {
            file: lock_path.display().to_string(),
            cause: error.into(),
        };
        check_lock_file(&lock_path)?;
        let mut held = HELD.lock();
        let lock_file = match OpenOptions::new().read(true).open(&lock_path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let mut identity = None;
        if let Some(file) = &lock_file {
            let found = file
                .try_clone()
                .and_then(Handle::from_file)
                .map_err(failed)?;
            if holds(&held, &found) {
                return Err(in_use(wal_path, Some(std::process::id())));
            }
            match file.try_lock_shared() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(in_use(wal_path, read_pid(&pid_path(&lock_path))));
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            identity = Some(found);
        }
        let guard = Self {
            wal_path: wal_path.to_path_buf(),
            // A name of its own among those who hold files, so that a node is not taken for it.
            lock_path: with_suffix(&lock_path, " for reading"),
            lock_file,
            is_read_only: true,
            has_made: false,
        };
        held.extend(identity.map(|identity| guard.entry(identity)));
        if let Err(error) = guard.claim(&mut held) {
            // The guard's own drop takes the list.
            drop(held);
            return Err(error);
        }
        Ok(guard)
    }

    /// Lets go, and takes away the lock file if this guard has made it: for a log that came to nothing.
    pub fn unmake(self) {
        if self.has_made {
            // Best effort, and while it is locked: whoever has opened it meanwhile looks whether it is still there.
            let _ = std::fs::remove_file(&self.lock_path);
            #[cfg(windows)]
            let _ = std::fs::remove_file(pid_path(&self.lock_path));
        }
    }

    /// Holds the file that the log's name leads to now, beside what was held before: to be called once the log
    /// was made, and when it was sealed and goes on in a new file, so that a hard link to it is known.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn claim_log(&self) -> Result<(), WalError> {
        self.claim(&mut HELD.lock())
    }

    /// Lets go of all files but the lock and the one that the log's name leads to now: to be called when sealed
    /// logs are removed. The system holds them, and keeps them on the disk, until what is returned is dropped; that
    /// may take as long as they are.
    ///
    /// # Errors
    /// If one of those two cannot be looked at; then all stay held.
    pub fn release_sealed(&self) -> Result<Released, WalError> {
        let failed = |error: io::Error| WalError::Open {
            file: self.wal_path.display().to_string(),
            cause: error.into(),
        };
        let log = Handle::from_path(&self.wal_path).map_err(failed)?;
        let lock = self.lock_file.as_ref().map(File::try_clone).transpose();
        let lock = lock.and_then(|lock| lock.map(Handle::from_file).transpose());
        let lock = lock.map_err(failed)?;
        let is_sealed = |entry: &mut Held| {
            entry.owner == self.lock_path
                && entry.identity != log
                && lock.as_ref() != Some(&entry.identity)
        };
        let mut held = HELD.lock();
        let sealed = held.extract_if(.., is_sealed);
        Ok(Released::new(sealed.map(|entry| entry.identity).collect()))
    }

    fn claim(&self, held: &mut Vec<Held>) -> Result<(), WalError> {
        let failed = |error: io::Error| WalError::Open {
            file: self.wal_path.display().to_string(),
            cause: error.into(),
        };
        let file = match OpenOptions::new()
            .read(true)
            .write(!self.is_read_only)
            .open(&self.wal_path)
        {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let identity = Handle::from_file(file).map_err(failed)?;
        if let Some(holder) = held.iter().find(|entry| entry.identity == identity) {
            return if holder.owner == self.lock_path && !self.is_read_only {
                Ok(())
            } else {
                Err(in_use(&self.wal_path, Some(std::process::id())))
            };
        }
        lock_log(&identity).map_err(|error| match error {
            TryLockError::WouldBlock => in_use(&self.wal_path, None),
            TryLockError::Error(error) => failed(error),
        })?;
        held.push(self.entry(identity));
        Ok(())
    }

    fn entry(&self, identity: Handle) -> Held {
        Held {
            owner: self.lock_path.clone(),
            identity,
        }
    }
}

/// Opens and locks a lock file, and makes it if there is none: the file, its identity, and whether it was made. A file that
/// its holder took away meanwhile holds nobody off, so it is looked at again once it is locked.
fn take_lock_file(
    held: &[Held],
    wal_path: &Path,
    lock_path: &Path,
) -> Result<(File, Handle, bool), WalError> {
    let failed = |error: io::Error| WalError::Open {
        file: lock_path.display().to_string(),
        cause: error.into(),
    };
    for _ in 0..REMOVALS_MAX {
        check_lock_file(lock_path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        owner_only(&mut options);
        let (lock_file, has_made) = match options.clone().create_new(true).open(lock_path) {
            Ok(file) => (file, true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match options.open(lock_path) {
                    Ok(file) => (file, false),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(failed(error)),
                }
            }
            Err(error) => return Err(failed(error)),
        };
        let identity = lock_file.try_clone().and_then(Handle::from_file);
        let identity = identity.map_err(failed)?;
        if holds(held, &identity) {
            return Err(in_use(wal_path, Some(std::process::id())));
        }
        match lock_file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(in_use(wal_path, read_pid(&pid_path(lock_path))));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        if Handle::from_path(lock_path).is_ok_and(|there| there == identity) {
            return Ok((lock_file, identity, has_made));
        }
    }
    Err(failed(io::Error::other(
        "the lock file is taken away again and again",
    )))
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        let mut held = HELD.lock();
        held.retain(|entry| entry.owner != self.lock_path);
        // Said in words because the system would only do it once the last copy of the handle is closed; a
        // failure leaves it to that.
        if let Some(lock_file) = &self.lock_file {
            let _ = lock_file.unlock();
        }
    }
}

/// Locks the log itself too, so that another process that comes by a hard link, and so by another lock file,
/// is held off as well.
#[cfg(unix)]
fn lock_log(identity: &Handle) -> Result<(), TryLockError> {
    identity.as_file().try_lock()
}

/// On Windows a lock keeps even its own process from reading the file through another handle.
#[cfg(not(unix))]
#[allow(
    clippy::unnecessary_wraps,
    reason = "the same signature as where there is something to do"
)]
fn lock_log(_identity: &Handle) -> Result<(), TryLockError> {
    Ok(())
}

fn holds(held: &[Held], identity: &Handle) -> bool {
    held.iter().any(|entry| entry.identity == *identity)
}

fn in_use(wal_path: &Path, pid: Option<u32>) -> WalError {
    WalError::InUse {
        file: wal_path.display().to_string(),
        pid,
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The file that tells who holds the lock: the lock file itself.
#[cfg(not(windows))]
fn pid_path(lock_path: &Path) -> PathBuf {
    lock_path.to_path_buf()
}

/// The file that tells who holds the lock: one beside the lock file, which nobody else can read on Windows
/// while it is locked.
#[cfg(windows)]
fn pid_path(lock_path: &Path) -> PathBuf {
    with_suffix(lock_path, ".pid")
}

fn read_pid(path: &Path) -> Option<u32> {
    let file = OpenOptions::new().read(true).open(path).ok()?;
    let mut text = String::new();
    file.take(PID_TEXT_BYTES_MAX)
        .read_to_string(&mut text)
        .ok()?;
    text.trim().parse().ok()
}

#[cfg(not(windows))]
fn write_pid(lock_file: &mut File, _lock_path: &Path) -> io::Result<()> {
    write_pid_into(lock_file)
}

#[cfg(windows)]
fn write_pid(_lock_file: &mut File, lock_path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    write_pid_into(&mut options.open(pid_path(lock_path))?)
}

/// The text is cut only where there was a longer one, because cutting a file can wait for the disk, and only once the
/// new one is there: what is read in between is no number.
fn write_pid_into(file: &mut File) -> io::Result<()> {
    let text = format!("{}\n", std::process::id());
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    if file.metadata()?.len() > text.len() as u64 {
        file.set_len(text.len() as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
