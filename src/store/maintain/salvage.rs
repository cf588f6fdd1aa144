//! Salvage: saves every readable entry of a damaged store into a new one. The old one is left as it is.
//!
//! Lost writes may have reached peers, which hold them under the old author and its sequences. So the new store has an
//! author of its own: with sequences given twice a peer would take a new write for an old one. Saved entries keep their
//! author, as far as it is known, like entries from another node. Cursors on the feeds of peers are not saved: the
//! feeds are asked for anew, and bring back their data.

use std::collections::BTreeMap;

use super::recover_origins::{RawRecord, StandIns, fill_all, fill_places, raw_records};
use super::recovery::{Seeds, open};
use crate::core::identity::Origin;
use crate::core::limits::GROUP_BYTES_TARGET;
use crate::disk::storage::Storage;
use crate::store::commit::committer::{Committer, Durability};
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::record::{OriginDictionary, Record, RecordKind, decode};
use crate::store::state::row;
use crate::table::Checkpoint;
use crate::wal::error::WalError;
use crate::wal::files::lease::LEASE_SUFFIX;
use crate::wal::log::segment::{SealedFiles, checkpoint_name, sealed_name};
use crate::wal::recover::readable::{LostRange, read_readable};
use crate::wal::recover::recovery::TORN_SUFFIX;
use crate::wal::recover::scan::RecoveredFrame;

/// Node id of a store whose own is lost.
const UNKNOWN_NODE: &str = "salvaged";

/// The readable content of a damaged store.
#[derive(Debug)]
pub struct Saved {
    /// The newest entry of each key, tombstones included.
    entries: BTreeMap<Vec<u8>, Entry>,
    /// Node id at the last opening of the store, if it could be read.
    node_id: Option<String>,
    stand_ins: StandIns,
    /// Number of read entries whose author was named in a lost part. They are kept under a stand-in.
    pub nameless: u64,
    /// Number of groups read from the log.
    pub groups: u64,
    /// Number of rows of the checkpoint.
    pub rows: u64,
    /// Ranges that could not be read.
    pub lost: Vec<LostRange>,
}

/// Reads every readable part of the store whose log is `name`, and changes nothing. `stand_in` is random, and no node's
/// origin.
///
/// # Errors
/// If no file of a store is there, a file is foreign or needs a newer version, or the directory cannot be read.
pub fn read(storage: &dyn Storage, name: &str, stand_in: Origin) -> Result<Saved, StoreError> {
    let mut saved = Saved {
        entries: BTreeMap::new(),
        node_id: None,
        stand_ins: StandIns::new(stand_in),
        nameless: 0,
        groups: 0,
        rows: 0,
        lost: Vec::new(),
    };
    rows_of_checkpoint(storage, name, &mut saved);
    let beside = SealedFiles::find(storage, name).map_err(|error| WalError::Open {
        file: storage.shown(name),
        cause: error.into(),
    })?;
    let sealed = beside.first_frames.iter();
    let sealed = sealed.map(|first_frame| sealed_name(name, *first_frame));
    let mut failure = None;
    for file in sealed.chain([name.to_owned()]) {
        // A missing or foreign file is no reason to give up the others.
        if let Err(error) = saved.read_file(storage, &file) {
            saved.lose_file(storage, &file, loss_of(&error));
            failure.get_or_insert(error);
        }
    }
    if let Some(error) = failure.filter(|_| saved.groups == 0 && saved.entries.is_empty()) {
        return Err(error.into());
    }
    Ok(saved)
}

/// Saves the rows in whole blocks of the checkpoint.
fn rows_of_checkpoint(storage: &dyn Storage, name: &str, saved: &mut Saved) {
    let checkpoint = match Checkpoint::open(storage, &checkpoint_name(name), 0) {
        Ok(Some(checkpoint)) => checkpoint,
        Ok(None) => return,
        Err(_) => {
            let reason = "its header, its footer or the top of its index is damaged";
            return saved.lose_file(storage, &checkpoint_name(name), reason);
        }
    };
    let mut origins = OriginDictionary::default();
    let mut lost = Vec::new();
    let meta = checkpoint.meta();
    let reported = meta.map(|meta| {
        let reported = decode(&meta, &mut origins, |record| {
            if let Record::Identity { node_id, .. } = record {
                saved.node_id = Some(node_id);
            }
        });
        reported.is_ok()
    });
    let is_behind_loss = !matches!(reported, Ok(true));
    if is_behind_loss {
        // Then rows name their authors only by number.
        fill_all(&mut origins, &mut saved.stand_ins);
    }
    if let Err(error) = reported {
        lost.push(error);
    }
    let mut malformed = 0;
    checkpoint.readable_rows(
        &mut |row, body| match row::decode(row.key_parts(), body, &origins) {
            Ok((entry, _)) => saved.keep(entry),
            Err(_) => malformed += 1,
        },
        &mut |error| lost.push(error),
    );
    saved.rows += u64::from(checkpoint.rows());
    saved.lost.extend(lost.iter().map(|error| {
        let from_offset = error.offset().unwrap_or(0);
        LostRange {
            file: error.file().to_owned(),
            from_offset,
            to_offset: from_offset + 1,
            reason: "a block of the checkpoint begins there that cannot be read",
        }
    }));
    if malformed > 0 {
        saved.lost.push(LostRange {
            file: checkpoint.file().to_owned(),
            from_offset: 0,
            to_offset: checkpoint.file_bytes(),
            reason: "some of its rows need a newer version",
        });
    }
}

/// The reason why a whole file of the log is lost.
fn loss_of(error: &WalError) -> &'static str {
    match error {
        WalError::MissingPart { .. } => "the file is missing",
        WalError::Foreign { .. } => "the file is not a log, and nothing of one is in it",
        WalError::NewerVersion { .. } => "it needs a newer version",
        _ => "the file cannot be opened",
    }
}

impl Saved {
    /// Number of keys, removed ones included.
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    fn lose_file(&mut self, storage: &dyn Storage, name: &str, reason: &'static str) {
        let file = storage.open(name).ok().flatten();
        self.lost.push(LostRange {
            file: storage.shown(name),
            from_offset: 0,
            to_offset: file.and_then(|file| file.len().ok()).unwrap_or(0),
            reason,
        });
    }

    fn read_file(&mut self, storage: &dyn Storage, name: &str) -> Result<(), WalError> {
        let mut origins = OriginDictionary::default();
        let mut lost = Vec::new();
        let ranges = read_readable(storage, name, &mut |frame, is_behind_loss| {
            self.groups += 1;
            self.frame(&frame, is_behind_loss, &mut origins, &mut lost);
        })?;
        self.lost.extend(ranges);
        self.lost.extend(lost);
        Ok(())
    }

    fn frame(
        &mut self,
        frame: &RecoveredFrame<'_>,
        is_behind_loss: bool,
        origins: &mut OriginDictionary,
        lost: &mut Vec<LostRange>,
    ) {
        let records = raw_records(frame.body);
        let is_sure = !is_behind_loss || fill_places(origins, &mut self.stand_ins, &records);
        let read: usize = records.iter().map(|record| record.bytes.len()).sum();
        let mut unread = usize::from(read < frame.body.len());
        for record in &records {
            let is_meant = is_sure || record.kind != RecordKind::Entry as u8;
            unread += usize::from(!is_meant || !self.record(record, origins));
        }
        if unread > 0 {
            lost.push(LostRange {
                file: frame.file.to_owned(),
                from_offset: frame.offset,
                to_offset: frame.offset + frame.body.len() as u64,
                reason: "some of its records need a newer version",
            });
        }
    }

    /// Takes in a record. Returns true if it could be read.
    fn record(&mut self, record: &RawRecord<'_>, origins: &mut OriginDictionary) -> bool {
        let decoded = decode(record.bytes, origins, |record| match record {
            Record::Entry { entry, .. } => self.keep(entry),
            Record::Identity { node_id, .. } => self.node_id = Some(node_id),
            _ => {}
        });
        decoded.is_ok()
    }

    /// Keeps an entry unless a newer one is there.
    fn keep(&mut self, entry: Entry) {
        self.nameless += u64::from(self.stand_ins.contains(entry.dot.origin));
        let is_older = |held: &Entry| entry.order(held).is_le();
        if !self.entries.get(entry.key()).is_some_and(is_older) {
            self.entries.insert(entry.key().to_vec(), entry);
        }
    }
}

/// A file that prevents a new log with that name: the log itself, or a companion that only a log can have left.
///
/// # Errors
/// If the directory cannot be read.
pub fn in_the_way(storage: &dyn Storage, name: &str) -> Result<Option<String>, StoreError> {
    let names = storage.list().map_err(|error| WalError::Open {
        file: storage.shown(name),
        cause: error.into(),
    })?;
    let taken = [
        name.to_owned(),
        format!("{name}{LEASE_SUFFIX}"),
        checkpoint_name(name),
        format!("{name}{TORN_SUFFIX}"),
    ];
    let beside = SealedFiles::among(name, &names).any(name);
    let found = names.iter().find(|file| taken.contains(file)).cloned();
    Ok(found.or(beside).map(|file| storage.shown(&file)))
}

/// Writes the saved entries to a new log with that name, which must not exist. `seeds` must be new.
///
/// # Errors
/// If the log cannot be made or written; then its files are removed.
pub fn write(
    storage: &dyn Storage,
    name: &str,
    saved: Saved,
    seeds: &Seeds,
) -> Result<(), StoreError> {
    let node_id = saved.node_id.as_deref().unwrap_or(UNKNOWN_NODE);
    let written = open(storage, name, node_id, Durability::Synced, 0, seeds)
        .and_then(|opened| write_saved(opened.committer, saved.entries, saved.lost.len()));
    if written.is_err() {
        for suffix in ["", LEASE_SUFFIX] {
            // Best effort: the first failure is reported, and a second attempt names the file in the way.
            let _ = storage.remove(&format!("{name}{suffix}"));
        }
        let _ = storage.sync_directory();
    }
    written
}

fn write_saved(
    mut committer: Committer,
    entries: BTreeMap<Vec<u8>, Entry>,
    lost: usize,
) -> Result<(), StoreError> {
    committer.write_records(&[Record::Salvaged { lost: lost as u64 }])?;
    let mut group = Vec::new();
    let mut bytes = 0;
    for (lseq, entry) in (1..).zip(entries.into_values()) {
        let size = entry.key().len() + entry.value_length();
        if bytes + size > GROUP_BYTES_TARGET && !group.is_empty() {
            committer.write_records(&group)?;
            group.clear();
            bytes = 0;
        }
        bytes += size;
        group.push(Record::Entry { entry, lseq });
    }
    if !group.is_empty() {
        committer.write_records(&group)?;
    }
    committer.close()
}
