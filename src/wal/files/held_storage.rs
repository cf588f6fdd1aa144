//! The files of one log in a directory that others can change too: remembers the identity of the file under each name,
//! and never renames, replaces or removes another. Somebody may have removed the log, or put a backup or another store
//! in its place: a lock does not prevent that.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::storage::{Anchor, Displacement, FileIdentity, Storage, StorageFile};
use crate::wal::log::segment::{checkpoint_name, is_part_of_log};

/// True if the identities of all files are remembered. On other systems only that of the log is: an identity takes an
/// open handle there, and an open file cannot be replaced.
const REMEMBERS_ALL: bool = cfg!(unix);

/// The files of a log. Clones share their state.
#[derive(Debug)]
pub struct HeldStorage<S> {
    held: Arc<Held<S>>,
}

#[derive(Debug)]
struct Held<S> {
    storage: S,
    log: String,
    /// Known identity of the file under each name, `None` where no file has the name. Names that were not looked at
    /// yet are absent.
    known: Mutex<BTreeMap<String, Option<FileIdentity>>>,
}

impl<S: Storage> HeldStorage<S> {
    /// The files of the log `log` in `storage`. The log's lock must be held.
    pub fn new(storage: S, log: &str) -> Self {
        let held = Held {
            storage,
            log: log.to_owned(),
            known: Mutex::default(),
        };
        Self {
            held: Arc::new(held),
        }
    }
}

impl<S: Storage> Held<S> {
    #[allow(
        clippy::option_option,
        reason = "nobody has looked, nothing is there, and which file is there are three cases"
    )]
    fn known(&self, name: &str) -> Option<Option<FileIdentity>> {
        self.known.lock().get(name).cloned()
    }

    fn remember(&self, name: &str, identity: Option<FileIdentity>) {
        if REMEMBERS_ALL || name == self.log {
            self.known.lock().insert(name.to_owned(), identity);
        }
    }

    /// Checks that a name still leads to the file known to have it, or to none if none is known.
    fn check_name(&self, name: &str) -> io::Result<()> {
        let Some(known) = self.known(name) else {
            return Ok(());
        };
        let found = self.storage.identity(name)?;
        Ok(judge(known.as_ref(), found.as_ref())?)
    }

    /// Checks that the directory still holds the log; called right before each change.
    fn check_log(&self) -> io::Result<()> {
        self.check_name(&self.log)
    }

    /// Checks that a name may be given to another file: it leads to the known file, or to none.
    fn check_target(&self, name: &str) -> io::Result<()> {
        if self.known(name).is_some() && self.storage.identity(name)?.is_some() {
            self.check_name(name)?;
        }
        Ok(())
    }
}

/// Compares the identity known for a name with the one found.
fn judge(known: Option<&FileIdentity>, found: Option<&FileIdentity>) -> Result<(), Displacement> {
    if known == found {
        return Ok(());
    }
    Err(if found.is_none() {
        Displacement::Gone
    } else {
        Displacement::Replaced
    })
}

impl<S: Storage + 'static> Storage for HeldStorage<S> {
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn StorageFile>>> {
        let held = &*self.held;
        let opened = held.storage.open(name)?;
        let Some(file) = &opened else {
            if held.known(name).is_none() {
                held.remember(name, None);
            }
            return Ok(None);
        };
        if !REMEMBERS_ALL && name != held.log {
            return Ok(opened);
        }
        let found = file.identity();
        if let Some(Some(known)) = held.known(name) {
            judge(Some(&known), found.as_ref())?;
        } else if found.is_some() {
            held.remember(name, found);
        }
        Ok(opened)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let held = &*self.held;
        held.check_log()?;
        let file = held.storage.create(name)?;
        if REMEMBERS_ALL && let Some(identity) = file.identity() {
            held.remember(name, Some(identity));
        }
        Ok(file)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let held = &*self.held;
        held.check_log()?;
        held.check_name(from)?;
        held.check_target(to)?;
        held.storage.rename(from, to)?;
        let mut known = held.known.lock();
        let identity = known.remove(from).flatten();
        known.remove(to);
        drop(known);
        held.remember(from, None);
        if let Some(identity) = identity {
            held.remember(to, Some(identity));
        } else if to == held.log {
            let identity = held.storage.identity(to)?;
            held.remember(to, identity);
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let held = &*self.held;
        held.check_log()?;
        if held.storage.identity(name)?.is_some() {
            held.check_name(name)?;
        }
        held.storage.remove(name)?;
        held.remember(name, None);
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.held.storage.list()
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.held.storage.sync_directory()
    }

    fn shown(&self, name: &str) -> String {
        self.held.storage.shown(name)
    }

    fn identity(&self, name: &str) -> io::Result<Option<FileIdentity>> {
        self.held.storage.identity(name)
    }

    fn anchor(&self) -> Option<Arc<dyn Anchor>> {
        let held: Arc<dyn Anchor> = Arc::clone(&self.held) as _;
        Some(held)
    }
}

impl<S: Storage> Anchor for Held<S> {
    fn check(&self, bytes: u64) -> Result<(), Displacement> {
        let Some(Some(known)) = self.known(&self.log) else {
            return Ok(());
        };
        let Ok(found) = self.storage.led_to(&self.log) else {
            // A failure to look is no evidence: going on in the open file harms nobody.
            return Ok(());
        };
        let identity = found.as_ref().and_then(|found| found.identity.as_ref());
        judge(Some(&known), identity)?;
        if found.is_some_and(|found| found.bytes != bytes) {
            return Err(Displacement::Overwritten);
        }
        Ok(())
    }

    fn check_parts(&self) -> Result<(), (String, Displacement)> {
        let checkpoint = checkpoint_name(&self.log);
        let known = self.known.lock().clone();
        for (name, known) in known {
            let is_needed = is_part_of_log(&self.log, &name) || name == checkpoint;
            if !is_needed || known.is_none() {
                continue;
            }
            if let Ok(found) = self.storage.identity(&name) {
                judge(known.as_ref(), found.as_ref()).map_err(|how| (name, how))?;
            }
        }
        Ok(())
    }
}
