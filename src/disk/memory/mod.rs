//! A disk in memory that keeps everything synced, and of the rest any part that a power cut may leave; and that fails,
//! fills up and writes halves on command. For tests, of this crate and of programs on top of it.
//!
//! # Fault model
//! - A power cut keeps, of each 512-byte sector written since its last sync, any one of the states it went
//!   through, independently of all other sectors: writes are dropped, reordered and torn at sectors. A single
//!   sector is never half written.
//! - `sync_data` covers the bytes within the durable length. A changed length, and what lies after the
//!   durable one, waits for `sync_all`: stricter than POSIX.
//! - A name that was created, renamed or removed since the last `sync_directory` may have or not have taken
//!   effect, and names that have nothing to do with each other do so in any order. A rename is never halved.
//!   A file's bytes and its name have nothing to do with each other.
//! - A sync that fails leaves everything readable and makes nothing durable, and what it should have written
//!   counts as clean: a later sync does not write it again, only a new write of the same sector does.
//!
//! Copying a disk costs a pointer for each 4 KiB, so a test can go through many power cuts.

mod content;
mod image;
mod node;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

pub use image::{CrashPoint, DiskImage};

use image::{Disk, NameChange};
use node::Node;

use super::storage::{FileIdentity, LedTo, Storage, StorageFile};

/// Fault of one call of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call fails with that error and does nothing; a failing sync also forgets the pending writes.
    Fail(io::ErrorKind),
    /// A write fails with that error after some bytes; any other call fails like [`Fault::Fail`].
    Short {
        /// Bytes that are written before the failure.
        bytes: usize,
        /// The error of the call.
        error: io::ErrorKind,
    },
}

/// The memory disk. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryStorage {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    disk: Disk,
    /// Number of calls so far.
    calls: u64,
    faults: BTreeMap<u64, Fault>,
    fails_from: Option<(u64, io::ErrorKind)>,
    capacity_bytes: Option<u64>,
    no_write_through: bool,
    recording: bool,
    crash_points: Vec<CrashPoint>,
}

impl MemoryStorage {
    /// An empty disk without limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk that holds these files, all durable.
    pub fn from_files(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let storage = Self::new();
        let mut shared = storage.shared.lock();
        for (name, bytes) in files {
            shared.disk.put_durable(name, &bytes);
        }
        drop(shared);
        storage
    }

    /// The disk at this moment, including everything that is not durable yet. Cheap; later calls do not change it.
    pub fn image(&self) -> DiskImage {
        DiskImage::new(self.shared.lock().disk.clone())
    }

    /// Number of calls so far: every method of the storage and of its files, except those that only ask for a length.
    pub fn calls(&self) -> u64 {
        self.shared.lock().calls
    }

    /// Makes the call with that number (the first is 1) fail. Several faults can be pending.
    pub fn fail_call(&self, call: u64, fault: Fault) {
        self.shared.lock().faults.insert(call, fault);
    }

    /// Makes every call from that number on fail and do nothing.
    pub fn fail_from(&self, call: u64, error: io::ErrorKind) {
        self.shared.lock().fails_from = Some((call, error));
    }

    /// Cancels all faults that are still to come.
    pub fn heal(&self) {
        let mut shared = self.shared.lock();
        shared.faults.clear();
        shared.fails_from = None;
    }

    /// Limits the bytes in all files together; `None`: no limit. A write that finds no more room writes the part that
    /// fits and fails with "storage full".
    pub fn set_capacity_bytes(&self, capacity_bytes: Option<u64>) {
        self.shared.lock().capacity_bytes = capacity_bytes;
    }

    /// Sets whether files can be written and made durable in one call; by default they can.
    pub fn set_write_through(&self, is_possible: bool) {
        self.shared.lock().no_write_through = !is_possible;
    }

    /// Sets whether to keep an image of the disk before each call that changes it, for
    /// [`take_crash_points`](Self::take_crash_points).
    pub fn record_crash_points(&self, record: bool) {
        self.shared.lock().recording = record;
    }

    /// Removes and returns the images kept so far, in order of calls, with one of the disk as it is now.
    pub fn take_crash_points(&self) -> Vec<CrashPoint> {
        let mut shared = self.shared.lock();
        shared.keep_crash_point();
        std::mem::take(&mut shared.crash_points)
    }

    fn call<T>(&self, act: impl FnOnce(&mut Shared) -> io::Result<T>) -> io::Result<T> {
        let mut shared = self.shared.lock();
        match shared.begin(false) {
            Some(Fault::Fail(error) | Fault::Short { error, .. }) => Err(error.into()),
            None => act(&mut shared),
        }
    }

    fn changing(&self, act: impl FnOnce(&mut Disk) -> io::Result<()>) -> io::Result<()> {
        let mut shared = self.shared.lock();
        match shared.begin(true) {
            Some(Fault::Fail(error) | Fault::Short { error, .. }) => Err(error.into()),
            None => act(&mut shared.disk),
        }
    }

    fn file(&self, id: u64) -> Box<dyn StorageFile> {
        Box::new(MemoryFile {
            storage: self.clone(),
            id,
        })
    }
}

impl Shared {
    /// Counts a call. Returns its fault, if it has one.
    fn begin(&mut self, changes: bool) -> Option<Fault> {
        if changes && self.recording {
            self.keep_crash_point();
        }
        self.calls += 1;
        if let Some((from, error)) = self.fails_from
            && self.calls >= from
        {
            return Some(Fault::Fail(error));
        }
        self.faults.remove(&self.calls)
    }

    fn keep_crash_point(&mut self) {
        let point = CrashPoint {
            calls: self.calls,
            image: DiskImage::new(self.disk.clone()),
        };
        self.crash_points.push(point);
    }

    /// Number of the `count` bytes at `offset` of a file that there is room for.
    fn room(&self, node: &Node, offset: u64, count: usize) -> usize {
        let Some(capacity) = self.capacity_bytes else {
            return count;
        };
        let free = capacity.saturating_sub(self.disk.used_bytes());
        let inside = node.len().saturating_sub(offset);
        usize::try_from(inside.saturating_add(free)).map_or(count, |room| room.min(count))
    }
}

impl std::fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shared = self.shared.lock();
        f.debug_struct("MemoryStorage")
            .field("calls", &shared.calls)
            .field("files", &shared.disk.names().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Storage for MemoryStorage {
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn StorageFile>>> {
        let id = self.call(|shared| Ok(shared.disk.find(name)))?;
        Ok(id.map(|id| self.file(id)))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let mut id = 0;
        self.changing(|disk| {
            if disk.find(name).is_some() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            id = disk.create(name.to_owned());
            Ok(())
        })?;
        Ok(self.file(id))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.changing(|disk| {
            disk.change(NameChange::Rename {
                from: from.to_owned(),
                to: to.to_owned(),
            })
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.changing(|disk| disk.change(NameChange::Remove(name.to_owned())))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.call(|shared| Ok(shared.disk.names().map(str::to_owned).collect()))
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.changing(|disk| {
            disk.sync_directory();
            Ok(())
        })
    }

    fn identity(&self, name: &str) -> io::Result<Option<FileIdentity>> {
        let id = self.shared.lock().disk.find(name);
        Ok(id.map(|id| FileIdentity::Number(0, id)))
    }

    fn led_to(&self, log: &str) -> io::Result<Option<LedTo>> {
        let shared = self.shared.lock();
        let Some(id) = shared.disk.find(log) else {
            return Ok(None);
        };
        Ok(Some(LedTo {
            identity: Some(FileIdentity::Number(0, id)),
            bytes: shared.disk.node(id)?.len(),
        }))
    }
}

struct MemoryFile {
    storage: MemoryStorage,
    id: u64,
}

impl MemoryFile {
    fn sync(&self, length_too: bool) -> io::Result<()> {
        let mut shared = self.storage.shared.lock();
        let fault = shared.begin(true);
        let node = shared.disk.node_mut(self.id)?;
        match fault {
            Some(Fault::Fail(error) | Fault::Short { error, .. }) => {
                node.forget_pending();
                Err(error.into())
            }
            None => {
                node.sync(length_too);
                Ok(())
            }
        }
    }
}

impl StorageFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.storage.shared.lock().disk.node(self.id)?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.storage
            .call(|shared| Ok(shared.disk.node(self.id)?.read(offset, buffer)))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut shared = self.storage.shared.lock();
        let fault = shared.begin(true);
        let room = shared.room(shared.disk.node(self.id)?, offset, bytes.len());
        let (count, failure) = match fault {
            Some(Fault::Fail(error)) => (0, Some(error)),
            Some(Fault::Short { bytes, error }) => (bytes.min(room), Some(error)),
            None if room < bytes.len() => (room, Some(io::ErrorKind::StorageFull)),
            None => (room, None),
        };
        let written = bytes.get(..count.min(bytes.len())).unwrap_or_default();
        shared.disk.node_mut(self.id)?.write(offset, written);
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    fn writes_through(&self) -> bool {
        !self.storage.shared.lock().no_write_through
    }

    fn write_through(&self, offset: u64, bytes: &[u8]) -> io::Result<bool> {
        let mut shared = self.storage.shared.lock();
        if shared.no_write_through {
            return Ok(false);
        }
        let fault = shared.begin(true);
        let (count, failure) = match fault {
            Some(Fault::Fail(error)) => (0, Some(error)),
            Some(Fault::Short { bytes, error }) => (bytes, Some(error)),
            None => (bytes.len(), None),
        };
        let written = bytes.get(..count.min(bytes.len())).unwrap_or_default();
        shared.disk.node_mut(self.id)?.write(offset, written);
        if let Some(error) = failure {
            return Err(error.into());
        }
        if shared.recording {
            // The power may also fail in the middle of the call, before it has returned.
            shared.calls -= 1;
            shared.keep_crash_point();
            shared.calls += 1;
        }
        shared.disk.node_mut(self.id)?.written_through();
        Ok(true)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(false)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(true)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.storage.changing(|disk| {
            disk.node_mut(self.id)?.set_len(bytes);
            Ok(())
        })
    }

    fn identity(&self) -> Option<FileIdentity> {
        Some(FileIdentity::Number(0, self.id))
    }
}
