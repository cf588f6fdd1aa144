//! One log, one node: a lock that the system releases when its process dies, and a list of what this process
//! holds, because two spellings of one file must not pass for two.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use same_file::Handle;

use super::deferred_close::Released;
use crate::disk::directory::{Access, Directory};
use crate::wal::error::WalError;

mod lock_file;

/// What the name of a log is followed by. The file is never deleted: a lock on a file that another process
/// has just deleted would hold nobody off.
pub const LOCK_SUFFIX: &str = ".lock";

/// Longest text of a process id that is believed, in bytes.
const PID_TEXT_BYTES_MAX: u64 = 16;

/// The files that this process holds, by identity: each log and each lock file.
static HELD: Mutex<Vec<Held>> = Mutex::new(Vec::new());

/// Numbers guards. Their paths would not do: what was held under one may have been moved away, and another log be there.
static GUARDS: AtomicU64 = AtomicU64::new(0);

struct Held {
    /// The guard that holds it.
    owner: u64,
    /// Keeps the file open, so that its identity cannot pass to another.
    identity: Handle,
}

/// Holds a log for this node until it is dropped, or until the process ends in whatever way.
#[derive(Debug)]
pub struct LockGuard {
    number: u64,
    directory: Directory,
    /// The log's name in it.
    name: String,
    /// None for who only reads where there was no lock file.
    lock_file: Option<File>,
    is_read_only: bool,
    /// There was no lock file before.
    has_made: bool,
}

/// How often a lock file may be taken away by whoever held it before, between opening and locking it.
const REMOVALS_MAX: usize = 100;

impl LockGuard {
    /// Takes the lock of the log of that name in a directory.
    ///
    /// # Errors
    /// [`WalError::InUse`] if another node holds it, in this process or in another, under this name or, as a
    /// hard link, under another. The system's own error if the lock file cannot be made or locked.
    pub fn acquire(directory: &Directory, name: &str) -> Result<Self, WalError> {
        let mut guard = Self::new(directory, name);
        let mut held = HELD.lock();
        let (mut lock_file, identity, has_made) = guard.take_lock_file(&held)?;
        write_pid(&mut lock_file, directory, &guard.lock_name())
            .map_err(|error| guard.lock_failed(error))?;
        guard.lock_file = Some(lock_file);
        guard.has_made = has_made;
        held.push(guard.entry(identity));
        if let Err(error) = guard.claim(&mut held) {
            // The guard's own drop takes the list.
            drop(held);
            return Err(error);
        }
        Ok(guard)
    }

    /// Holds the log of that name in a directory, which is only read, and changes nothing: no lock file is made, and the one that is there goes on
    /// naming the last node. Where there is none, no node has opened the log under this name; on Unix the log
    /// itself is held too, so that none can begin.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn observe(directory: &Directory, name: &str) -> Result<Self, WalError> {
        let mut guard = Self::new(directory, name);
        guard.is_read_only = true;
        let lock_name = guard.lock_name();
        guard.check_lock_file()?;
        let mut held = HELD.lock();
        guard.lock_file = match directory.open(&lock_name, Access::Read) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(guard.lock_failed(error)),
        };
        let mut identity = None;
        if let Some(file) = guard.lock_file.take() {
            let found = file.try_clone().and_then(Handle::from_file);
            let found = found.map_err(|error| guard.lock_failed(error))?;
            if holds(&held, &found) {
                return Err(guard.in_use(Some(std::process::id())));
            }
            match file.try_lock_shared() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(guard.in_use(read_pid(directory, &lock_name)));
                }
                Err(TryLockError::Error(error)) => return Err(guard.lock_failed(error)),
            }
            guard.lock_file = Some(file);
            identity = Some(found);
        }
        held.extend(identity.map(|identity| guard.entry(identity)));
        if let Err(error) = guard.claim(&mut held) {
            // The guard's own drop takes the list.
            drop(held);
            return Err(error);
        }
        Ok(guard)
    }

    fn new(directory: &Directory, name: &str) -> Self {
        Self {
            number: GUARDS.fetch_add(1, Ordering::Relaxed),
            directory: directory.clone(),
            name: name.to_owned(),
            lock_file: None,
            is_read_only: false,
            has_made: false,
        }
    }

    /// Lets go, and takes away the lock file if this guard has made it: for a log that came to nothing.
    pub fn unmake(self) {
        if self.has_made {
            // Best effort, and while it is locked: whoever has opened it meanwhile looks whether it is still there.
            if self.is_in_place() {
                let _ = self.directory.remove(&self.lock_name());
                #[cfg(windows)]
                let _ = self.directory.remove(&pid_name(&self.lock_name()));
            }
        }
    }

    /// Whether nobody can have begun to use the log since this guard was taken. Who only reads, and found no lock file,
    /// holds nobody off that makes one.
    pub fn holds_others_off(&self) -> bool {
        self.lock_file.is_some() || matches!(self.directory.look(&self.lock_name()), Ok(None))
    }

    /// Holds the file that the log's name leads to now, beside what was held before: to be called once the log
    /// was made, and when it was sealed and goes on in a new file, so that a hard link to it is known.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn claim_log(&self) -> Result<(), WalError> {
        self.claim(&mut HELD.lock())
    }

    /// Lets go of all files but the lock and the log that was claimed last: to be called when sealed
    /// logs are removed. The system holds them, and keeps them on the disk, until what is returned is dropped; that
    /// may take as long as they are.
    ///
    /// # Errors
    /// If the lock cannot be looked at; then all stay held.
    pub fn release_sealed(&self) -> Result<Released, WalError> {
        let lock = self.lock_file.as_ref().map(File::try_clone).transpose();
        let lock = lock.and_then(|lock| lock.map(Handle::from_file).transpose());
        let lock = lock.map_err(|error| self.lock_failed(error))?;
        let mut held = HELD.lock();
        let is_log =
            |entry: &Held| entry.owner == self.number && lock.as_ref() != Some(&entry.identity);
        // What the name leads to does not say which is the log: something else may have come into its place.
        let claimed_last = held.iter().rposition(is_log).unwrap_or(0);
        let sealed = held.extract_if(..claimed_last, |entry| is_log(entry));
        Ok(Released::new(sealed.map(|entry| entry.identity).collect()))
    }

    fn claim(&self, held: &mut Vec<Held>) -> Result<(), WalError> {
        let failed = |error: io::Error| WalError::Open {
            file: self.shown(&self.name),
            cause: error.into(),
        };
        let access = if self.is_read_only {
            Access::Read
        } else {
            Access::Write
        };
        let file = match self.directory.open(&self.name, access) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let identity = Handle::from_file(file).map_err(failed)?;
        if let Some(holder) = held.iter().find(|entry| entry.identity == identity) {
            return if holder.owner == self.number && !self.is_read_only {
                Ok(())
            } else {
                Err(self.in_use(Some(std::process::id())))
            };
        }
        lock_log(&identity).map_err(|error| match error {
            TryLockError::WouldBlock => self.in_use(None),
            TryLockError::Error(error) => failed(error),
        })?;
        held.push(self.entry(identity));
        Ok(())
    }

    /// Opens and locks the lock file, and makes it if there is none: the file, its identity, and whether it was made. A
    /// file that its holder took away meanwhile holds nobody off, so it is looked at again once it is locked.
    fn take_lock_file(&self, held: &[Held]) -> Result<(File, Handle, bool), WalError> {
        let lock_name = self.lock_name();
        for _ in 0..REMOVALS_MAX {
            self.check_lock_file()?;
            let (lock_file, has_made) = match self.directory.open(&lock_name, Access::Create) {
                Ok(file) => (file, true),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    match self.directory.open(&lock_name, Access::Write) {
                        Ok(file) => (file, false),
                        Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                        Err(error) => return Err(self.lock_failed(error)),
                    }
                }
                Err(error) => return Err(self.lock_failed(error)),
            };
            let identity = lock_file.try_clone().and_then(Handle::from_file);
            let identity = identity.map_err(|error| self.lock_failed(error))?;
            if holds(held, &identity) {
                return Err(self.in_use(Some(std::process::id())));
            }
            match lock_file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(self.in_use(read_pid(&self.directory, &lock_name)));
                }
                Err(TryLockError::Error(error)) => return Err(self.lock_failed(error)),
            }
            if self.leads_to(&identity) {
                return Ok((lock_file, identity, has_made));
            }
        }
        let error = io::Error::other("the lock file is taken away again and again");
        Err(self.lock_failed(error))
    }

    /// Whether the lock file has its name still.
    fn is_in_place(&self) -> bool {
        let lock_file = self
            .lock_file
            .as_ref()
            .and_then(|file| file.try_clone().ok());
        let identity = lock_file.and_then(|file| Handle::from_file(file).ok());
        identity.is_some_and(|identity| self.leads_to(&identity))
    }

    /// Whether the name of the lock file leads to that one.
    fn leads_to(&self, identity: &Handle) -> bool {
        let there = self.directory.open(&self.lock_name(), Access::Read);
        let there = there.and_then(Handle::from_file);
        there.is_ok_and(|there| there == *identity)
    }

    fn entry(&self, identity: Handle) -> Held {
        Held {
            owner: self.number,
            identity,
        }
    }

    fn lock_name(&self) -> String {
        format!("{}{LOCK_SUFFIX}", self.name)
    }

    fn shown(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn lock_failed(&self, error: io::Error) -> WalError {
        WalError::Open {
            file: self.shown(&self.lock_name()),
            cause: error.into(),
        }
    }

    fn in_use(&self, pid: Option<u32>) -> WalError {
        WalError::InUse {
            file: self.shown(&self.name),
            pid,
        }
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        let mut held = HELD.lock();
        for entry in held.extract_if(.., |entry| entry.owner == self.number) {
            // Said in words because the system would only do it once the last copy of the handle is closed, which a
            // process that is just being started may have; a failure leaves it to that. The lock file is the last.
            let _ = unlock_log(&entry.identity);
        }
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

#[cfg(unix)]
fn unlock_log(identity: &Handle) -> io::Result<()> {
    identity.as_file().unlock()
}

/// Nothing but the lock file was locked, and that is unlocked last.
#[cfg(not(unix))]
#[allow(
    clippy::unnecessary_wraps,
    reason = "the same signature as where there is something to do"
)]
fn unlock_log(_identity: &Handle) -> io::Result<()> {
    Ok(())
}

fn holds(held: &[Held], identity: &Handle) -> bool {
    held.iter().any(|entry| entry.identity == *identity)
}

/// The file that tells who holds the lock: the lock file itself.
#[cfg(not(windows))]
fn pid_name(lock_name: &str) -> String {
    lock_name.to_owned()
}

/// The file that tells who holds the lock: one beside the lock file, which nobody else can read on Windows
/// while it is locked.
#[cfg(windows)]
fn pid_name(lock_name: &str) -> String {
    format!("{lock_name}.pid")
}

fn read_pid(directory: &Directory, lock_name: &str) -> Option<u32> {
    let file = directory.open(&pid_name(lock_name), Access::Read).ok()?;
    let mut text = String::new();
    file.take(PID_TEXT_BYTES_MAX)
        .read_to_string(&mut text)
        .ok()?;
    text.trim().parse().ok()
}

#[cfg(not(windows))]
fn write_pid(lock_file: &mut File, _directory: &Directory, _lock_name: &str) -> io::Result<()> {
    write_pid_into(lock_file)
}

#[cfg(windows)]
fn write_pid(_lock_file: &mut File, directory: &Directory, lock_name: &str) -> io::Result<()> {
    let name = pid_name(lock_name);
    let file = match directory.open(&name, Access::Create) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            directory.open(&name, Access::Write)
        }
        outcome => outcome,
    };
    write_pid_into(&mut file?)
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
