//! Reads all that a store has on the disk, changes none of it, and tells everything that is wrong.

use std::ops::ControlFlow;

use super::checkpoint::Notes;
use super::recovery::companion_of;
use crate::core::bytes::DecodeError;
use crate::core::identity::Origin;
use crate::disk::storage::Storage;
use crate::store::commit::ledger::Ledger;
use crate::store::error::StoreError;
use crate::store::record::{OriginDictionary, Record, decode};
use crate::table::Checkpoint;
use crate::wal::error::WalError;
use crate::wal::files::lease;
use crate::wal::log::segment::checkpoint_name;
use crate::wal::recover::inspect::{InspectedFile, Remark, UnfinishedEnd, inspect};
use crate::wal::recover::scan::RecoveredFrame;

/// How many blocks of a checkpoint are kept while it is verified, in bytes: all are read once, in order.
const CACHE_BYTES: usize = 1 << 20;

/// What is told of one checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    /// The file, as users know it.
    pub file: String,
    /// How long it is.
    pub bytes: u64,
    /// How many rows it says to have.
    pub rows: u64,
    /// All of it is what was written.
    pub is_whole: bool,
}

/// What there is beside a store that is whole, and does no harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreRemark {
    /// About files of the log.
    Log(Remark),
    /// There is no lease, or another's: the folder is a copy, or was restored, and the next opening takes a new
    /// identity.
    LeaseLost(String),
}

/// What was found.
#[derive(Debug, Default)]
pub struct Verification {
    /// The files of the log, in order.
    pub files: Vec<InspectedFile>,
    /// The checkpoint, if there is one.
    pub checkpoint: Option<VerifiedCheckpoint>,
    /// All that is wrong.
    pub problems: Vec<StoreError>,
    /// What is no fault.
    pub remarks: Vec<StoreRemark>,
    /// What a stop left behind the last whole group: never acknowledged, and cut off by the next opening.
    pub unfinished: Option<UnfinishedEnd>,
    /// How many groups the log holds.
    pub groups: u64,
    /// How many writes are in them.
    pub entries: u64,
}

impl Verification {
    /// Whether an opening loses nothing that was acknowledged.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Verifies the store whose log is `name`; `None` if there is neither a log nor anything of one.
///
/// # Errors
/// Only if the directory cannot be read.
pub fn verify(storage: &dyn Storage, name: &str) -> Result<Option<Verification>, StoreError> {
    let mut verification = Verification::default();
    let mut reading = Reading::default();
    let checkpoint = verification.checkpoint(storage, name, &mut reading);
    let covers_frame = checkpoint.as_ref().map_or(0, Checkpoint::covers_frame);
    let found = inspect(storage, name, covers_frame, &mut |frame| {
        reading.frame(&frame);
    })?;
    let companion = if found.has_active {
        None
    } else {
        companion_of(storage, name)?
    };
    let is_nothing = !found.has_active && companion.is_none() && found.files.is_empty();
    if is_nothing && verification.checkpoint.is_none() {
        return Ok(None);
    }
    if let Some(companion) = companion {
        let path = storage.shown(name);
        let missing = StoreError::MissingLog { path, companion };
        verification.problems.push(missing);
    }
    let is_checkpoint_lost = verification
        .checkpoint
        .as_ref()
        .is_some_and(|checkpoint| !checkpoint.is_whole);
    // What a damaged checkpoint covers is not known, so that a part of the log is missing is not either.
    let reported = |problem: &WalError| {
        !(is_checkpoint_lost && matches!(problem, WalError::MissingCheckpoint { .. }))
    };
    let problems = found.problems.into_iter().filter(reported);
    verification.problems.extend(problems.map(StoreError::Log));
    if let (Some(checkpoint), Some(file_id)) = (&checkpoint, found.file_id)
        && Notes::of(checkpoint).is_some_and(|notes| notes.file_id != file_id)
    {
        let path = checkpoint.file().to_owned();
        let other = StoreError::OtherCheckpoint { path };
        verification.problems.push(other);
    }
    verification.problems.extend(reading.malformed);
    verification.files = found.files;
    verification.unfinished = found.unfinished;
    verification.groups = found.groups;
    verification.entries = reading.entries;
    let remarks = found.remarks.into_iter().map(StoreRemark::Log);
    verification.remarks.extend(remarks);
    verification.lease(storage, name, &reading.ledger);
    Ok(Some(verification))
}

impl Verification {
    /// Verifies the checkpoint; gives it if it could be opened.
    fn checkpoint(
        &mut self,
        storage: &dyn Storage,
        name: &str,
        reading: &mut Reading,
    ) -> Option<Checkpoint> {
        let file = checkpoint_name(name);
        let opened = Checkpoint::open(storage, &file, CACHE_BYTES);
        let (bytes, rows, fault) = match &opened {
            Ok(None) => return None,
            Ok(Some(checkpoint)) => (
                checkpoint.file_bytes(),
                u64::from(checkpoint.rows()),
                reading.checkpoint(checkpoint).err(),
            ),
            Err(error) => {
                let length = storage.open(&file).ok().flatten();
                let bytes = length.and_then(|file| file.len().ok()).unwrap_or(0);
                (bytes, 0, Some(StoreError::Checkpoint(error.clone())))
            }
        };
        self.checkpoint = Some(VerifiedCheckpoint {
            file: storage.shown(&file),
            bytes,
            rows,
            is_whole: fault.is_none(),
        });
        self.problems.extend(fault);
        opened.ok().flatten()
    }

    fn lease(&mut self, storage: &dyn Storage, name: &str, ledger: &Ledger) {
        if ledger.origin == Origin::default() {
            // Nothing says which lease it has: it is new, or that part is damaged.
            return;
        }
        let leased = lease::read(storage, name).ok().flatten();
        if leased != Some(ledger.lease) {
            let file = storage.shown(&format!("{name}{}", lease::LEASE_SUFFIX));
            self.remarks.push(StoreRemark::LeaseLost(file));
        }
    }
}

/// What the groups of a log tell, as far as it matters here.
#[derive(Debug, Default)]
struct Reading {
    origins: OriginDictionary,
    first_in_file: u64,
    ledger: Ledger,
    entries: u64,
    /// The first fault of each file.
    malformed: Vec<StoreError>,
    malformed_file: Option<u64>,
}

impl Reading {
    /// Verifies a checkpoint, and takes in what its meta area tells.
    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        // Not to be ended, so the answer is that it was read to its end.
        let _ = checkpoint.verify(&mut |_| ControlFlow::Continue(()))?;
        let malformed = |reason| StoreError::Row {
            path: checkpoint.file().to_owned(),
            reason,
        };
        if Notes::of(checkpoint).is_none() {
            return Err(malformed(DecodeError::Malformed(
                "the numbers of a checkpoint",
            )));
        }
        let meta = checkpoint.meta()?;
        let ledger = &mut self.ledger;
        let mut origins = OriginDictionary::default();
        let reported = decode(&meta, &mut origins, |record| {
            if let Record::Identity { origin, lease, .. } = record {
                (ledger.origin, ledger.lease) = (origin, lease);
            }
        });
        reported.map_err(malformed)
    }

    fn frame(&mut self, frame: &RecoveredFrame<'_>) {
        if self.first_in_file != frame.first_in_file {
            self.first_in_file = frame.first_in_file;
            self.origins = OriginDictionary::default();
        }
        let (ledger, entries) = (&mut self.ledger, &mut self.entries);
        let decoded = decode(frame.body, &mut self.origins, |record| match record {
            Record::Entry { .. } => *entries += 1,
            Record::Identity { origin, lease, .. } => {
                (ledger.origin, ledger.lease) = (origin, lease);
            }
            _ => {}
        });
        // Behind a fault the numbers of origins mean nothing, so that it would only be told again.
        if let Err(reason) = decoded
            && self.malformed_file.replace(frame.first_in_file) != Some(frame.first_in_file)
        {
            self.malformed.push(StoreError::Record {
                frame: frame.number,
                path: frame.file.to_owned(),
                reason,
            });
        }
    }
}
