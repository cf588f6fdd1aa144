//! Entries as the memtable holds them, and the effect of an install.

use crate::core::identity::{Dot, Origin};
use crate::store::entry::Entry;
use crate::store::state::base::BaseEntry;
use crate::store::state::totals::is_row;

/// Number of the peer that sent an entry, valid only in this process; 0: the entry was written here.
pub type Via = u32;

/// An entry with the facts about it that only this node has.
#[derive(Debug, Clone)]
#[repr(C)]
pub struct Held {
    /// The entry.
    pub entry: Entry,
    /// Local sequence of the entry: its place in this node's feed.
    pub lseq: u64,
    /// The peer that sent the entry.
    pub via: Via,
}

impl Held {
    /// True if the entry is a row of the outbox: in the users' namespace, and written here.
    pub fn is_row(&self) -> bool {
        is_row(&self.entry, self.via == 0)
    }
}

/// Knowledge of a key that is about to be installed, which saves a second lookup.
#[derive(Debug, Clone, Default)]
pub enum BaseRow {
    /// The key has no entry, neither in the checkpoint nor in the memtable.
    Nothing,
    /// The checkpoint holds this row, and the memtable has no entry of the key.
    Row(Box<BaseEntry>),
    /// The memtable has an entry of the key, or nothing was looked up; see [`EntryMap::look_up_base`](crate::store::state::map::EntryMap::look_up_base).
    #[default]
    Unknown,
}

/// Effect of an install on the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installed {
    /// Local sequence of the replaced entry, if there was one and it is known.
    pub replaced: Option<u64>,
    /// Dot of the replaced entry.
    pub replaced_dot: Option<Dot>,
    /// Local sequence of the new entry.
    pub lseq: u64,
    /// Dot of the new entry.
    pub dot: Dot,
    /// The peer that sent the new entry; `None` if it was written here.
    pub from: Option<Origin>,
    /// True if the key is in the users' namespace.
    pub is_user: bool,
    /// True if the new entry is a row of the outbox.
    pub is_row: bool,
    /// True if the replaced entry was a row of the outbox.
    pub replaced_row: bool,
}
