//! What the last opening of a node found, did and noticed, as users are told.

use std::sync::Arc;

use crate::node::checkpoint::checkpoints::Place;
use crate::store::maintain::recovery::OpenReport;
use crate::store::state::base::Base;
use crate::sync::identity::identity_conflict::IdentityConflict;

/// How an opening went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecoveryOutcome {
    /// There is no log, so nothing was recovered.
    #[default]
    WithoutLog,
    /// There was no log; one was made.
    New,
    /// The log had been closed cleanly.
    Clean,
    /// The node had stopped without closing; everything that it wrote is there.
    Recovered,
    /// It had stopped in the middle of a write; what was unfinished was kept aside and cut off.
    Torn,
}

impl RecoveryOutcome {
    /// As users see it.
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

/// What was unfinished at the end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutOff {
    /// The log.
    pub file: String,
    /// Where it began.
    pub offset: u64,
    /// How many bytes it had.
    pub bytes: u64,
    /// The file that holds them now.
    pub kept_at: String,
}

/// The checkpoint that an opening began with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedCheckpoint {
    /// The file.
    pub file: String,
    /// How long it is.
    pub bytes: u64,
    /// How many rows it has, tombstones included.
    pub rows: u64,
}

/// What an opening found, did and noticed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecoveryReport {
    /// How it went.
    pub outcome: RecoveryOutcome,
    /// How many frames of the log were read.
    pub frames: u64,
    /// How many bytes they take.
    pub bytes: u64,
    /// How many sealed logs were read before the log itself.
    pub sealed_logs: u64,
    /// How many frames were written anew, because nothing told that they were on disk.
    pub rewritten_frames: u64,
    /// What was cut off.
    pub torn_tail: Option<CutOff>,
    /// Files that an earlier stop had left, and that were removed.
    pub leftovers: Vec<String>,
    /// A stop had halved a seal; it was finished.
    pub seal_finished: bool,
    /// The folder is a copy, or was restored: the node has a new identity.
    pub copy_noticed: bool,
    /// The node id under which the log was opened before, if it was another.
    pub renamed_from: Option<String>,
    /// The log was made by a salvage, which could not read that many parts of the damaged one. Told until a
    /// checkpoint takes the place of the part of the log that says it.
    pub salvaged: Option<u64>,
    /// Why the node has taken a new identity since, if it has.
    pub renewed: Option<IdentityConflict>,
    /// The checkpoint, if there was one.
    pub checkpoint: Option<OpenedCheckpoint>,
}

impl RecoveryReport {
    /// Of an opening of the log at `place`, over the checkpoint `base`.
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
