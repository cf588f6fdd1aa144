//! One log, one node: a lock that the system releases when its process dies, and a list of the files that this process
//! holds, because two spellings of one file must not pass for two logs.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use same_file::Handle;

use super::deferred_close::Released;
use crate::disk::directory::{Access, Directory};
use crate::wal::error::WalError;

mod lock_file;

/// Suffix of the lock file, after the name of the log. The file is normally never deleted: a lock on a file that
/// another process has just deleted would keep nobody out.
pub const LOCK_SUFFIX: &str = ".lock";

/// Longest text of a process id that is accepted, in bytes.
const PID_TEXT_BYTES_MAX: u64 = 16;

/// The files that this process holds, by identity: each log and each lock file.
static HELD: Mutex<Vec<Held>> = Mutex::new(Vec::new());

/// Counter that numbers guards. A path cannot identify one: the files held under it may have been moved away, and
/// another log put there.
static GUARDS: AtomicU64 = AtomicU64::new(0);

struct Held {
    /// Number of the guard that holds the file.
    owner: u64,
    /// Keeps the file open, so that its identity cannot pass to another file.
    identity: Handle,
}

/// Holds a log for this node until it is dropped, or until the process ends in any way.
#[derive(Debug)]
pub struct LockGuard {
    number: u64,
    directory: Directory,
    /// The name of the log in the directory.
    name: String,
    /// `None` for a reader that found no lock file.
    lock_file: Option<File>,
    is_read_only: bool,
    /// True if this guard has made the lock file.
    has_made: bool,
}

/// Most times that a lock file may be removed by its earlier holder between opening and locking it.
const REMOVALS_MAX: usize = 100;

impl LockGuard {
    /// Takes the lock of the log `name` in a directory.
    ///
    /// # Errors
    /// [`WalError::InUse`] if another node holds it, in this process or in another, under this name or, as a
    /// hard link, under another. The system's own error if the lock file cannot be made or locked.
    pub fn acquire(directory: &Directory, name: &str) -> Result<Self, WalError> {
        let mut guard = Self::new(directory, name);
        let mut held = HELD.lock();
        let (lock_file, identity, has_made) = guard.take_lock_file(&held)?;
        guard.lock_file = Some(lock_file);
        guard.has_made = has_made;
        held.push(guard.entry(identity));
        if let Err(error) = guard.begin(&mut held) {
            // The guard's own drop takes the list.
            drop(held);
            guard.unmake();
            return Err(error);
        }
        Ok(guard)
    }

    /// Holds the log `name` in a directory for reading, and changes nothing: no lock file is made, and an existing one
    /// goes on naming the last node. Without a lock file no node has opened the log under this name; on Unix the log
    /// itself is locked too, so that no node can begin.
    ///
    /// # Errors
    /// The errors of [`acquire`](Self::acquire).
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

    /// Names the holder in the lock file, and holds the log.
    fn begin(&mut self, held: &mut Vec<Held>) -> Result<(), WalError> {
        let lock_name = self.lock_name();
        let written = self.lock_file.as_mut().map_or(Ok(()), |lock_file| {
            write_pid(lock_file, &self.directory, &lock_name)
        });
        written.map_err(|error| self.lock_failed(error))?;
        self.claim(held)
    }

    /// Releases the lock, and removes the lock file if this guard has made it: for a log that was not created after
    /// all.
    pub fn unmake(self) {
        if self.has_made {
            // Best effort, and while the file is locked: a process that has opened it meanwhile checks that it is
            // still there.
            if self.is_in_place() {
                let _ = self.directory.remove(&self.lock_name());
                #[cfg(windows)]
                let _ = self.directory.remove(&pid_name(&self.lock_name()));
            }
        }
    }

    /// True if no node can have begun to use the log since this guard was taken. A reader that found no lock file
    /// keeps out nobody who makes one.
    pub fn holds_others_off(&self) -> bool {
        self.lock_file.is_some() || matches!(self.directory.look(&self.lock_name()), Ok(None))
    }

    /// Holds the file that the log's name leads to now, beside those held before. Called once the log was created, and
    /// when it goes on in a new file after a seal, so that a hard link to it is known.
    ///
    /// # Errors
    /// The errors of [`acquire`](Self::acquire).
    pub fn claim_log(&self) -> Result<(), WalError> {
        self.claim(&mut HELD.lock())
    }

    /// Releases all files but the lock and the log that was claimed last. Called when sealed logs are removed. The
    /// system keeps the files on disk until the returned value is dropped, which takes longer for large files.
    ///
    /// # Errors
    /// If the lock file cannot be examined; then all files stay held.
    pub fn release_sealed(&self) -> Result<Released, WalError> {
        let lock = self.lock_file.as_ref().map(File::try_clone).transpose();
        let lock = lock.and_then(|lock| lock.map(Handle::from_file).transpose());
        let lock = lock.map_err(|error| self.lock_failed(error))?;
        let mut held = HELD.lock();
        let is_log =
            |entry: &Held| entry.owner == self.number && lock.as_ref() != Some(&entry.identity);
        // The name may lead to another file by now, so the log is the one claimed last.
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

    /// Opens and locks the lock file, and makes it if there is none. Returns the file, its identity, and whether it
    /// was made. A lock on a file that its holder has removed meanwhile keeps nobody out, so its name is checked again
    /// once it is locked.
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

    /// True if the lock file still has its name.
    fn is_in_place(&self) -> bool {
        let lock_file = self
            .lock_file
            .as_ref()
            .and_then(|file| file.try_clone().ok());
        let identity = lock_file.and_then(|file| Handle::from_file(file).ok());
        identity.is_some_and(|identity| self.leads_to(&identity))
    }

    /// True if the name of the lock file leads to the file with that identity.
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
            // Unlocked explicitly: the system would unlock only with the last copy of the handle, which a process that
            // is just being started may have; a failure leaves it to that. The lock file is unlocked last.
            let _ = unlock_log(&entry.identity);
        }
        if let Some(lock_file) = &self.lock_file {
            let _ = lock_file.unlock();
        }
    }
}

/// Locks the log file itself, so that another process that comes by a hard link, and so by another lock file, is kept
/// out too.
#[cfg(unix)]
fn lock_log(identity: &Handle) -> Result<(), TryLockError> {
    identity.as_file().try_lock()
}

/// Does nothing: on Windows a lock keeps even its own process from reading the file through another handle.
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

/// Does nothing: only the lock file was locked, and it is unlocked last.
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

/// The file that names the holder of the lock: the lock file itself.
#[cfg(not(windows))]
fn pid_name(lock_name: &str) -> String {
    lock_name.to_owned()
}

/// The file that names the holder of the lock: one beside the lock file, which no other process can read on Windows
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

/// Writes this process's id. The file is truncated only where it held a longer text, because that can wait for the
/// disk, and only after the new text is there: a mixture of both is not a number.
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
