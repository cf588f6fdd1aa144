//! Recovery: from a log to its state, and from that state to a node that may write again.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::checkpoint::{CHECKPOINT_SUFFIX, Notes, TEMP_SIDE_SUFFIX, TEMP_SUFFIX};
use super::migration;
use super::pieces::{Pieces, malformed};
use super::replay::{Beside, Origins, Replay, State};
use crate::core::bytes::DecodeError;
use crate::core::identity::{Incarnation, Origin};
use crate::core::rules::{Rule, unless};
use crate::disk::storage::Storage;
use crate::store::commit::committer::{Committer, Durability};
use crate::store::commit::ledger::Ledger;
use crate::store::commit::maintenance::peers_of;
use crate::store::error::StoreError;
use crate::store::lineage::Authorship;
use crate::store::record::{OriginDictionary, Record};
use crate::store::state::base::Base;
use crate::store::state::map::EntryMap;
use crate::table::{Checkpoint, CheckpointError, Verified, WORK_BYTES_MAX};
use crate::wal::error::WalError;
use crate::wal::files::lease;
use crate::wal::log::Log;
use crate::wal::log::segment::SealedFiles;
use crate::wal::recover::recovery::Recovery;
use crate::wal::recover::scan::RecoveredFrame;

/// Random bytes for an opening, drawn by the driver.
#[derive(Debug, Clone, Copy)]
pub struct Seeds {
    /// Salt of a new log.
    pub salt: u64,
    /// File id of a new log.
    pub file_id: [u8; 16],
    /// Author of this opening's writes, and origin if a new one is needed.
    pub origin: Origin,
    /// Content of the lease, if a new one is needed.
    pub lease: [u8; 16],
    /// Incarnation of this opening's epoch.
    pub incarnation: Incarnation,
}

/// Memory limits of an opening, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_field_names, reason = "the unit is part of each name")]
pub struct OpeningMemory {
    /// Most bytes of cached blocks of the checkpoint.
    pub cache_bytes: usize,
    /// Approximate bytes of changes from the log beyond which a checkpoint is made of them.
    pub changes_bytes: u64,
    /// Bytes for sorting the feeds of a checkpoint that is written or verified.
    pub work_bytes: usize,
}

/// Findings and repairs of an opening.
#[derive(Debug, Clone, Default)]
pub struct OpenReport {
    /// Recovery of the log; `None` without one.
    pub log: Option<Recovery>,
    /// True if the folder is a copy of another node's: the node writes under a new origin now.
    pub copy_noticed: bool,
    /// The node id at the last opening, if it was another.
    pub renamed_from: Option<String>,
    /// Number of unreadable parts of the damaged store from which this one was salvaged; `None` if it was not salvaged.
    pub salvaged: Option<u64>,
}

/// A recovered store, ready to write.
#[derive(Debug)]
pub struct Opened {
    /// The committer.
    pub committer: Committer,
    /// The state of all keys.
    pub map: EntryMap,
    /// Findings and repairs.
    pub report: OpenReport,
}

/// A companion file of a log that is missing, which only a log can have left.
///
/// # Errors
/// If the directory cannot be read.
pub fn companion_of(storage: &dyn Storage, name: &str) -> Result<Option<String>, StoreError> {
    let failed = |error: std::io::Error| WalError::Open {
        file: storage.shown(name),
        cause: error.into(),
    };
    let companions =
        [lease::LEASE_SUFFIX, CHECKPOINT_SUFFIX].map(|suffix| format!("{name}{suffix}"));
    let names = storage.list().map_err(failed)?;
    let sealed = SealedFiles::among(name, &names).any(name);
    let found = names.into_iter().find(|file| companions.contains(file));
    Ok(found.or(sealed).map(|file| storage.shown(&file)))
}

/// Removes the files of an unfinished checkpoint that a stop left.
fn remove_temp(storage: &dyn Storage, name: &str) {
    for suffix in [TEMP_SUFFIX, TEMP_SIDE_SUFFIX] {
        let left = format!("{name}{suffix}");
        if matches!(storage.open(&left), Ok(Some(_))) {
            // Best effort: the file only takes room, and the next checkpoint replaces it.
            let _ = storage.remove(&left);
        }
    }
}

pub(in crate::store) fn open_checkpoint(
    storage: &dyn Storage,
    name: &str,
    cache_bytes: usize,
) -> Result<Option<(Checkpoint, Notes)>, StoreError> {
    let file = format!("{name}{CHECKPOINT_SUFFIX}");
    let Some(checkpoint) = Checkpoint::open(storage, &file, cache_bytes)? else {
        return Ok(None);
    };
    match Notes::of(&checkpoint) {
        Some(notes) => Ok(Some((checkpoint, notes))),
        None => Err(StoreError::Row {
            path: checkpoint.file().to_owned(),
            reason: DecodeError::Malformed("the numbers of a checkpoint"),
        }),
    }
}

/// Puts a new checkpoint in place for a test, with as much memory as verifying the feeds can use.
#[cfg(test)]
pub fn put_in_place(
    storage: &dyn Storage,
    temp: &str,
    name: &str,
    cache_bytes: usize,
    pause: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Arc<Base>, StoreError> {
    let memory = (cache_bytes, WORK_BYTES_MAX);
    put_in_place_telling(storage, temp, name, memory, &mut |_| pause())
}

/// Verifies the new checkpoint in the file `temp`, moves it to the place where an opening looks for it, and opens it.
/// Verifying takes up to `work_bytes` of memory for the feeds. `pause` is called now and then with the number of bytes
/// read so far, and may stop it.
///
/// # Errors
/// If the file does not read back, or the system refuses. The previous checkpoint is still in place then.
pub fn put_in_place_telling(
    storage: &dyn Storage,
    temp: &str,
    name: &str,
    (cache_bytes, work_bytes): (usize, usize),
    pause: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Arc<Base>, StoreError> {
    let written = Checkpoint::open(storage, temp, 0)?;
    if let Some(written) = written
        && written.verify_within(work_bytes, pause)? == Verified::Stopped
    {
        return Err(StoreError::Stopped);
    }
    let file = format!("{name}{CHECKPOINT_SUFFIX}");
    let failed = |error: std::io::Error| CheckpointError::Write {
        file: storage.shown(&file),
        cause: error.into(),
    };
    storage.rename(temp, &file).map_err(failed)?;
    storage.sync_directory().map_err(failed)?;
    let opened = open_checkpoint(storage, name, cache_bytes)?;
    let (file, notes) = opened.ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
    let state = State::over(file, &notes)?;
    let missing = || failed(std::io::ErrorKind::NotFound.into());
    Ok(state.map.base().cloned().ok_or_else(missing)?)
}

/// Opens the store whose log is `name` in `storage`, for a node labelled `node_id`; up to `cache_bytes` of its
/// checkpoint are kept in memory.
///
/// # Errors
/// If the log is damaged, foreign, of a newer version, or fails; the error names the place, and nothing was changed
/// that recovery does not allow.
pub fn open(
    storage: &dyn Storage,
    name: &str,
    node_id: &str,
    durability: Durability,
    cache_bytes: usize,
    seeds: &Seeds,
) -> Result<Opened, StoreError> {
    open_beside(storage, name, node_id, durability, cache_bytes, seeds, None)
}

/// Opens a store as [`open`] does, with another thread: for a large log, part of the work is done there.
///
/// # Errors
/// If [`open`] would fail, or the work on the other thread does.
pub fn open_beside(
    storage: &dyn Storage,
    name: &str,
    node_id: &str,
    durability: Durability,
    cache_bytes: usize,
    seeds: &Seeds,
    beside: Option<Beside<'_>>,
) -> Result<Opened, StoreError> {
    let memory = OpeningMemory {
        cache_bytes,
        changes_bytes: u64::MAX,
        work_bytes: WORK_BYTES_MAX,
    };
    let pieces = Pieces {
        storage,
        name,
        memory,
    };
    open_in(pieces, node_id, durability, seeds, beside)
}

/// Opens a store as [`open_beside`] does, within a memory limit: for a log that exceeds it, checkpoints are made while
/// it is read.
///
/// # Errors
/// If [`open_beside`] would fail, or such a checkpoint cannot be written.
pub fn open_within(
    storage: &dyn Storage,
    name: &str,
    node_id: &str,
    durability: Durability,
    memory: OpeningMemory,
    seeds: &Seeds,
    beside: Option<Beside<'_>>,
) -> Result<Opened, StoreError> {
    let pieces = Pieces {
        storage,
        name,
        memory,
    };
    open_in(pieces, node_id, durability, seeds, beside)
}

fn open_in(
    pieces: Pieces<'_>,
    node_id: &str,
    durability: Durability,
    seeds: &Seeds,
    beside: Option<Beside<'_>>,
) -> Result<Opened, StoreError> {
    let Pieces { storage, name, .. } = pieces;
    let (log, recovery, state, origins) = read(pieces, seeds, beside)?;
    let (mut ledger, mut map) = (state.ledger, state.map);
    remove_temp(storage, name);
    let mut report = OpenReport {
        log: Some(recovery),
        salvaged: ledger.salvaged,
        ..OpenReport::default()
    };
    let is_new = ledger.origin == Origin::default();
    let records = begin(storage, name, node_id, seeds, &mut ledger, &mut report)?;
    map.know_authorship(&ledger);
    let mut committer = Committer::new(Some(log), ledger, origins, durability);
    committer.opening = records;
    // Otherwise the records go with the first write, so that an opening costs no sync. Behind an end that was cut off
    // they ensure that it does not come back after a power cut.
    let was_cut_off = report.log.as_ref().is_some_and(|log| log.torn.is_some());
    let is_other = report.copy_noticed || report.renamed_from.is_some();
    if is_new || is_other || was_cut_off {
        committer.write_records(&[])?;
    }
    Ok(Opened {
        committer,
        map,
        report,
    })
}

/// Reads a log and its checkpoint: all at once, or by pieces if that takes too much memory.
fn read(
    pieces: Pieces<'_>,
    seeds: &Seeds,
    beside: Option<Beside<'_>>,
) -> Result<(Log, Recovery, State, OriginDictionary), StoreError> {
    let Pieces {
        storage,
        name,
        memory,
    } = pieces;
    let (cache_bytes, changes_bytes) = (memory.cache_bytes, memory.changes_bytes);
    let mut checkpoint = open_checkpoint(storage, name, cache_bytes)?;
    let covers_frame = checkpoint
        .as_ref()
        .map_or(0, |(file, _)| file.covers_frame());
    let made_of = checkpoint
        .as_ref()
        .map(|(file, notes)| (notes.file_id, file.file().to_owned()));
    let other = || {
        let path = made_of.as_ref().map(|(_, path)| path.clone());
        let path = path.unwrap_or_default();
        StoreError::OtherCheckpoint { path }
    };
    let is_of = |id: [u8; 16]| made_of.as_ref().is_none_or(|(of, _)| *of == id);
    if made_of.is_some() && Log::file_id(storage, name)?.is_some_and(|id| !is_of(id)) {
        // Checked before anything is changed: the frames that it seems to cover are not those of this log.
        return Err(other());
    }
    if let Some((old, notes)) = checkpoint.take_if(|(file, _)| migration::is_due(file)) {
        migration::migrate(storage, name, old, &notes, memory.work_bytes)?;
        checkpoint = open_checkpoint(storage, name, cache_bytes)?;
    }
    let mut reading = Reading::of(Replay::over(checkpoint, beside)?, changes_bytes);
    let visit = &mut |frame: RecoveredFrame<'_>| {
        let taken = reading.frame(&frame);
        taken.map_err(|reason| malformed(&frame, reason))
    };
    let (salt, file_id) = (seeds.salt, seeds.file_id);
    let read = Log::open(storage, name, salt, file_id, covers_frame, visit);
    let (mut log, recovery) = match read {
        Ok(read) => read,
        Err(error) => {
            // The work on the other thread ends with the opening. The failure is known already.
            reading.give_up();
            return Err(error);
        }
    };
    if !is_of(log.header().file_id) {
        reading.give_up();
        return Err(other());
    }
    let (state, origins) = match reading {
        Reading::Whole { mut replay, .. } => {
            // Needed also for a file without a group.
            replay.enter_file(log.header().first_frame);
            replay.finish()?
        }
        Reading::Beyond(_) => pieces.read(&mut log)?,
    };
    Ok((log, recovery, state, origins))
}

/// The first pass over a log.
enum Reading<'b> {
    /// Everything read so far is in memory.
    Whole {
        replay: Replay<'b>,
        memory_bytes_max: u64,
    },
    /// The memory limit was exceeded. Further frames are only checked, before anything is changed.
    Beyond(Origins),
}

impl<'b> Reading<'b> {
    fn of(replay: Replay<'b>, memory_bytes_max: u64) -> Self {
        Self::Whole {
            replay,
            memory_bytes_max,
        }
    }

    fn frame(&mut self, frame: &RecoveredFrame<'_>) -> Result<(), DecodeError> {
        match self {
            Self::Beyond(origins) => origins.judge(frame),
            Self::Whole {
                replay,
                memory_bytes_max,
            } => {
                replay.frame(frame)?;
                if replay.memory_bytes() > *memory_bytes_max {
                    let origins = replay.take_origins();
                    let whole = std::mem::replace(self, Self::Beyond(origins));
                    whole.give_up();
                }
                Ok(())
            }
        }
    }

    /// Frees the memory, and waits until the other thread has ended.
    fn give_up(self) {
        if let Self::Whole { replay, .. } = self {
            let _ = replay.finish();
        }
    }
}

/// Begins an opening: sets the identity, the author of its writes, and an epoch of the feed. Returns the records of
/// them.
///
/// # Errors
/// If the lease cannot be read or written.
fn begin(
    storage: &dyn Storage,
    name: &str,
    node_id: &str,
    seeds: &Seeds,
    ledger: &mut Ledger,
    report: &mut OpenReport,
) -> Result<Vec<Record>, StoreError> {
    if ledger.authorship.current == ledger.origin && ledger.authorship.before.is_empty() {
        // A log of the first version does not record whether its author has written.
        ledger.authorship.has_written |= ledger.last_sequence > 0;
    }
    let lease_failed = |error: std::io::Error| WalError::Open {
        file: storage.shown(name),
        cause: error.into(),
    };
    let mut records = Vec::new();
    let is_new = ledger.origin == Origin::default();
    let incarnation = next_epoch(ledger, seeds);
    let leased = lease::read(storage, name).map_err(lease_failed)?;
    let is_copy = !is_new && unless(Rule::CopyUnnoticed, leased != Some(ledger.lease), false);
    if is_new || is_copy {
        lease::write(storage, name, seeds.lease).map_err(lease_failed)?;
        ledger.take_identity(seeds.origin, seeds.lease, incarnation);
        report.copy_noticed = unless(Rule::CopyUntold, is_copy, false);
    } else {
        let author = unless(Rule::AuthorKept, seeds.origin, ledger.authorship.current);
        ledger.write_as(author);
        ledger.begin_epoch(incarnation);
    }
    // After a clean close this is the last sequence given, also if its entry was lost before. The author before was
    // seen up to its last entry here, and no further.
    ledger.last_sequence = ledger.last_sequence.max(ledger.reserved_sequence);
    if !is_new && ledger.node_id != node_id {
        report.renamed_from = Some(std::mem::take(&mut ledger.node_id));
    }
    if is_new || is_copy || report.renamed_from.is_some() {
        node_id.clone_into(&mut ledger.node_id);
        records.push(Record::Identity {
            origin: ledger.origin,
            lease: ledger.lease,
            node_id: node_id.to_owned(),
            fresh_chain: is_new || is_copy,
        });
        if is_copy {
            records.extend(peers_of(ledger));
        }
    }
    records.push(Record::Author(ledger.authorship.clone()));
    records.push(Record::Stretch {
        incarnation,
        began_after: ledger.last_lseq,
    });
    records.push(Record::Reserve {
        sequence: ledger.last_sequence,
        clock: ledger.clock.high_water(),
    });
    ledger.reserved_sequence = ledger.last_sequence;
    Ok(records)
}

/// Incarnation of the epoch that an opening begins.
fn next_epoch(ledger: &Ledger, seeds: &Seeds) -> Incarnation {
    let last = ledger.epochs.last().map(|link| link.incarnation);
    let last = last.unwrap_or(seeds.incarnation);
    unless(Rule::StretchWithoutOpening, seeds.incarnation, last)
}

/// A store without a log, which ends with the process.
pub fn in_memory(node_id: &str, seeds: &Seeds) -> Opened {
    let mut ledger = Ledger {
        origin: seeds.origin,
        authorship: Authorship::new(seeds.origin),
        node_id: node_id.to_owned(),
        ..Ledger::default()
    };
    ledger.begin_epoch(seeds.incarnation);
    let committer = Committer::new(
        None,
        ledger,
        OriginDictionary::default(),
        Durability::Synced,
    );
    Opened {
        committer,
        map: EntryMap::default(),
        report: OpenReport::default(),
    }
}
