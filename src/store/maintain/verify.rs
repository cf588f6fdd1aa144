//! Verification: reads all files of a store, changes none, and reports all damage.

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

/// Bytes of cached blocks during the verification of a checkpoint: all are read once, in order.
const CACHE_BYTES: usize = 1 << 20;

/// Result for one checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    /// Name of the file, as the user gave it.
    pub file: String,
    /// Length of the file, in bytes.
    pub bytes: u64,
    /// Number of rows, by its footer.
    pub rows: u64,
    /// True if all of it is as it was written.
    pub is_whole: bool,
}

/// A finding beside a store that does no harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreRemark {
    /// A finding about files of the log.
    Log(Remark),
    /// There is no lease, or another's: the folder is a copy, or was restored, and the next opening takes a new
    /// identity.
    LeaseLost(String),
}

/// Result of a verification.
#[derive(Debug, Default)]
pub struct Verification {
    /// The files of the log, in order.
    pub files: Vec<InspectedFile>,
    /// The checkpoint, if there is one.
    pub checkpoint: Option<VerifiedCheckpoint>,
    /// All damage found.
    pub problems: Vec<StoreError>,
    /// Findings that do no harm.
    pub remarks: Vec<StoreRemark>,
    /// An unfinished end that a stop left after the last whole group: never acknowledged, and cut off by the next
    /// opening.
    pub unfinished: Option<UnfinishedEnd>,
    /// Number of groups in the log.
    pub groups: u64,
    /// Number of writes in these groups.
    pub entries: u64,
}

impl Verification {
    /// True if an opening loses no acknowledged write.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Verifies the store whose log is `name`; `None` if there is neither a log nor a companion of one.
///
/// # Errors
/// If the directory cannot be read; any other fault is in the result.
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
    // The coverage of a damaged checkpoint is unknown, so a missing part of the log cannot be told from a covered one.
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
    /// Verifies the checkpoint. Returns it if it could be opened.
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
            // No record of the lease: the store is new, or that part is damaged.
            return;
        }
        let leased = lease::read(storage, name).ok().flatten();
        if leased != Some(ledger.lease) {
            let file = storage.shown(&format!("{name}{}", lease::LEASE_SUFFIX));
            self.remarks.push(StoreRemark::LeaseLost(file));
        }
    }
}

/// The facts that verification needs from the groups of a log.
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
    /// Verifies a checkpoint, and takes in its meta area.
    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        // The visitor never stops, so it is read to its end.
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
        // Behind a fault the numbers of origins are meaningless, so every later record would be reported.
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
