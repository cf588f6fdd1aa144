//! Report of the last opening of a node, for users.

use std::sync::Arc;

use crate::node::checkpoint::checkpoints::Place;
use crate::store::maintain::recovery::OpenReport;
use crate::store::state::base::Base;
use crate::sync::identity::identity_conflict::IdentityConflict;

/// Outcome of an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecoveryOutcome {
    /// There is no log, so nothing was recovered.
    #[default]
    WithoutLog,
    /// There was no log; a new one was made.
    New,
    /// The log had been closed cleanly.
    Clean,
    /// The node had stopped without closing; everything that it wrote is there.
    Recovered,
    /// The node had stopped in the middle of a write; the unfinished end was kept aside and cut off.
    Torn,
}

impl RecoveryOutcome {
    /// Name of the outcome for users.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WithoutLog => "none",
            Self::New => "new",
            Self::Clean => "clean",
            Self::Recovered => "recovered",
            Self::Torn => "torn",
        }
    }
}

/// An unfinished end of a log, which was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutOff {
    /// Name of the log file.
    pub file: String,
    /// Offset of the unfinished end, in bytes.
    pub offset: u64,
    /// Length of the unfinished end, in bytes.
    pub bytes: u64,
    /// Name of the file that now holds it.
    pub kept_at: String,
}

/// The checkpoint with which an opening began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedCheckpoint {
    /// Name of the file.
    pub file: String,
    /// Length of the file, in bytes.
    pub bytes: u64,
    /// Number of rows, tombstones included.
    pub rows: u64,
}

/// Findings and repairs of an opening.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecoveryReport {
    /// Outcome of the opening.
    pub outcome: RecoveryOutcome,
    /// Number of frames read from the log.
    pub frames: u64,
    /// Bytes of the frames read.
    pub bytes: u64,
    /// Number of sealed logs read before the log itself.
    pub sealed_logs: u64,
    /// Number of frames written anew, because nothing proved that they were on disk.
    pub rewritten_frames: u64,
    /// The end that was cut off.
    pub torn_tail: Option<CutOff>,
    /// Files that an earlier stop had left, and that were removed.
    pub leftovers: Vec<String>,
    /// True if a stop had interrupted a seal, which was finished.
    pub seal_finished: bool,
    /// True if the folder is a copy, or was restored: the node has a new identity.
    pub copy_noticed: bool,
    /// The node id at the last opening, if it was another.
    pub renamed_from: Option<String>,
    /// Number of unreadable parts of the damaged log from which this one was salvaged; `None` if it was not salvaged.
    /// Reported until a checkpoint replaces the part of the log that records it.
    pub salvaged: Option<u64>,
    /// The identity conflict because of which the node has taken a new identity since the opening.
    pub renewed: Option<IdentityConflict>,
    /// The checkpoint; `None` if there was none.
    pub checkpoint: Option<OpenedCheckpoint>,
}

impl RecoveryReport {
    /// The report of an opening of the log at `place`, over the checkpoint `base`.
    pub(in crate::node) fn new(
        report: &OpenReport,
        place: Option<&Place>,
        base: Option<&Arc<Base>>,
    ) -> Self {
        let common = Self {
            copy_noticed: report.copy_noticed,
            renamed_from: report.renamed_from.clone(),
            salvaged: report.salvaged,
            checkpoint: base.map(|base| OpenedCheckpoint {
                file: base.file().file().to_owned(),
                bytes: base.file().file_bytes(),
                rows: u64::from(base.file().rows()),
            }),
            ..Self::default()
        };
        let (Some(log), Some(Place { storage, name, .. })) = (&report.log, place) else {
            return common;
        };
        let outcome = match (&log.torn, log.created, log.clean_close) {
            (Some(_), _, _) => RecoveryOutcome::Torn,
            (None, true, _) => RecoveryOutcome::New,
            (None, false, true) => RecoveryOutcome::Clean,
            (None, false, false) => RecoveryOutcome::Recovered,
        };
        Self {
            outcome,
            frames: log.frames,
            bytes: log.bytes,
            sealed_logs: log.sealed_logs as u64,
            rewritten_frames: log.rewritten_frames,
            torn_tail: log.torn.as_ref().map(|torn| CutOff {
                file: storage.shown(name),
                offset: torn.offset,
                bytes: torn.bytes,
                kept_at: storage.shown(&torn.kept_as),
            }),
            leftovers: log
                .leftovers
                .iter()
                .map(|file| storage.shown(file))
                .collect(),
            seal_finished: log.seal_finished,
            ..common
        }
    }
}
