//! A disk that forwards to the one in memory and leaves out calls of one kind: the bug of a missing sync.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::NAME;
use crate::disk::memory::MemoryStorage;
use crate::disk::storage::{Storage, StorageFile};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Write,
    /// A sync of data; [`Call::SyncAll`] syncs the length too.
    Sync,
    SyncAll,
    SetLen,
    SyncDirectory,
}

/// Stands for the last change where there was none yet: during an opening.
pub(super) const BEFORE_ALL: &str = "nothing";

/// Calls that are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) call: Call,
    /// Suffix of the file's name after that of the log; empty for a directory.
    pub(super) file: &'static str,
    /// Beginning of the last change of names, as in `rename .sealing`.
    pub(super) after: &'static str,
}

/// A disk that leaves out calls of one kind.
pub(super) struct Saboteur {
    disk: MemoryStorage,
    left_out: LeftOut,
    names: Arc<Mutex<Names>>,
}

#[derive(Default)]
struct Names {
    last_change: String,
    /// Present name of each open file.
    labels: BTreeMap<String, Arc<Mutex<String>>>,
}

impl Names {
    fn is_after(&self, change: &str) -> bool {
        if change == BEFORE_ALL {
            return self.last_change.is_empty();
        }
        self.last_change.starts_with(change)
    }

    fn label(&mut self, name: &str) -> Arc<Mutex<String>> {
        let label = self.labels.entry(name.to_owned());
        let new = || Arc::new(Mutex::new(name.to_owned()));
        Arc::clone(label.or_insert_with(new))
    }
}

fn short(name: &str) -> &str {
    name.strip_prefix(NAME).unwrap_or(name)
}

impl Saboteur {
    pub(super) fn new(disk: MemoryStorage, left_out: LeftOut) -> Self {
        Self {
            disk,
            left_out,
            names: Arc::default(),
        }
    }

    fn file(&self, name: &str, file: Box<dyn StorageFile>) -> Box<dyn StorageFile> {
        Box::new(SabotagedFile {
            file,
            label: self.names.lock().label(name),
            left_out: self.left_out,
            names: Arc::clone(&self.names),
        })
    }

    fn changed(&self, change: &str, name: &str) {
        self.names.lock().last_change = format!("{change} {}", short(name));
    }
}

impl Storage for Saboteur {
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn StorageFile>>> {
        let file = self.disk.open(name)?;
        Ok(file.map(|file| self.file(name, file)))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let file = self.disk.create(name)?;
        self.names.lock().labels.remove(name);
        self.changed("create", name);
        Ok(self.file(name, file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)?;
        let mut names = self.names.lock();
        if let Some(label) = names.labels.remove(from) {
            to.clone_into(&mut label.lock());
            names.labels.insert(to.to_owned(), label);
        }
        drop(names);
        self.changed("rename", from);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)?;
        self.names.lock().labels.remove(name);
        self.changed("remove", name);
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn sync_directory(&self) -> io::Result<()> {
        let LeftOut { call, after, .. } = self.left_out;
        if call == Call::SyncDirectory && self.names.lock().is_after(after) {
            return Ok(());
        }
        self.disk.sync_directory()
    }
}

struct SabotagedFile {
    file: Box<dyn StorageFile>,
    label: Arc<Mutex<String>>,
    left_out: LeftOut,
    names: Arc<Mutex<Names>>,
}

impl SabotagedFile {
    fn is_left_out(&self, calls: &[Call]) -> bool {
        calls.contains(&self.left_out.call)
            && short(&self.label.lock()) == self.left_out.file
            && self.names.lock().is_after(self.left_out.after)
    }
}

impl StorageFile for SabotagedFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.is_left_out(&[Call::Write]) {
            return Ok(());
        }
        self.file.write_at(offset, bytes)
    }

    fn writes_through(&self) -> bool {
        self.file.writes_through()
    }

    fn write_through(&self, offset: u64, bytes: &[u8]) -> io::Result<bool> {
        if self.is_left_out(&[Call::Write]) {
            return Ok(true);
        }
        if self.is_left_out(&[Call::Sync]) {
            return self.file.write_at(offset, bytes).map(|()| true);
        }
        self.file.write_through(offset, bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.is_left_out(&[Call::Sync]) {
            return Ok(());
        }
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        if self.is_left_out(&[Call::Sync, Call::SyncAll]) {
            return Ok(());
        }
        self.file.sync_all()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        if self.is_left_out(&[Call::SetLen]) {
            return Ok(());
        }
        self.file.set_len(bytes)
    }
}
