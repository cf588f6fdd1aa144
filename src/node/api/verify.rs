//! Verifying a store that no node has open, for users.

use crate::core::error_kind::ErrorKind;
use crate::disk::directory::Directory;
use crate::node::failure::{ErrorCode, Failure};
use crate::store::maintain::verify::{self, StoreRemark, Verification};
use crate::wal::error::WalError;
use crate::wal::files::lock::LockGuard;
use crate::wal::files::path::ResolvedPath;
use crate::wal::recover::inspect::{Remark, UnfinishedEnd};

/// One file of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// The file.
    pub file: String,
    /// How long it is.
    pub bytes: u64,
    /// How many frames a file of the log has.
    pub frames: Option<u64>,
    /// How many rows a checkpoint has.
    pub rows: Option<u64>,
    /// Nothing that was durable is damaged in it.
    pub is_whole: bool,
}

/// Kind of something beside a store that does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// The log has no lease: it is a copy, or was restored.
    LeaseLost,
    /// A stop halved the change to a new file of the log.
    SealUnfinished,
    /// A stop left a file that nothing needs.
    Leftover,
    /// An earlier opening kept an unfinished write that it cut off the log.
    TornTailKept,
}

impl NoticeKind {
    /// The kind's name at the surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LeaseLost => "lease_lost",
            Self::SealUnfinished => "seal_unfinished",
            Self::Leftover => "leftover",
            Self::TornTailKept => "torn_tail_kept",
        }
    }
}

/// Something beside a store that does no harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What kind of thing it is.
    pub kind: NoticeKind,
    /// The file.
    pub file: String,
    /// What it is, and what becomes of it.
    pub message: String,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// The log, as it was given.
    pub path: String,
    /// An opening loses nothing that was acknowledged.
    pub is_whole: bool,
    /// The checkpoint and the files of the log, in this order.
    pub files: Vec<FileReport>,
    /// All that is wrong.
    pub problems: Vec<Failure>,
    /// What is beside it and does no harm.
    pub notices: Vec<Notice>,
    /// How many groups the log holds.
    pub groups: u64,
    /// How many entries there are: those of the checkpoint, removed keys included, and the writes in the log behind it.
    pub entries: u64,
    /// What a stop left unfinished, and was never acknowledged: the next opening cuts it off.
    pub torn_tail: Option<UnfinishedEnd>,
}

/// Reads all of the store whose log is at `path`, and changes nothing: no file is made, not even a lock. Needs no
/// right to write. Takes as long as reading all files once.
///
/// # Errors
/// If nothing is there, a node has it open, or the folder cannot be read. What is wrong with the store is in the
/// report.
pub fn verify(path: &str) -> Result<VerifyReport, Failure> {
    let place = ResolvedPath::resolve(path, false).map_err(failure)?;
    let directory = place.hold().map_err(failure)?;
    let storage = place.storage_in(&directory).reading_only();
    let found = observed(&directory, &place.name, || {
        Ok(verify::verify(&storage, &place.name)?)
    })?;
    found
        .map(|found| report(path, found))
        .ok_or_else(|| nothing_at(path))
}

/// How often somebody may begin to use a log while it is looked at without a lock file, and let go of it again.
const BEGINNINGS_MAX: usize = 100;

/// Looks at a log that is only read, while no node uses it. Where it has no lock file yet it is looked at again if a node
/// began to use it meanwhile: what was seen halfway says nothing of the store.
pub(in crate::node) fn observed<T>(
    directory: &Directory,
    name: &str,
    mut look: impl FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    for _ in 0..BEGINNINGS_MAX {
        let guard = LockGuard::observe(directory, name).map_err(failure)?;
        let seen = look();
        if guard.holds_others_off() {
            return seen;
        }
    }
    let file = directory.path().join(name).display().to_string();
    Err(failure(WalError::InUse { file, pid: None }))
}

pub(in crate::node) fn failure(error: crate::wal::error::WalError) -> Failure {
    crate::store::error::StoreError::Log(error).into()
}

pub(in crate::node) fn nothing_at(path: &str) -> Failure {
    let message = format!("failed to open WAL path {path}: there is no log");
    Failure::new(ErrorCode::Io, ErrorKind::WalNotFound, message).about(path)
}

fn report(path: &str, found: Verification) -> VerifyReport {
    let is_whole = found.is_whole();
    let rows = found.checkpoint.as_ref();
    let rows = rows.map_or(0, |checkpoint| checkpoint.rows);
    let checkpoint = found.checkpoint.map(|checkpoint| FileReport {
        file: checkpoint.file,
        bytes: checkpoint.bytes,
        frames: None,
        rows: Some(checkpoint.rows),
        is_whole: checkpoint.is_whole,
    });
    let logs = found.files.into_iter().map(|file| FileReport {
        file: file.file,
        bytes: file.bytes,
        frames: Some(file.frames),
        rows: None,
        is_whole: file.is_whole,
    });
    VerifyReport {
        path: path.to_owned(),
        is_whole,
        files: checkpoint.into_iter().chain(logs).collect(),
        problems: found.problems.into_iter().map(Failure::from).collect(),
        notices: found.remarks.into_iter().map(notice).collect(),
        groups: found.groups,
        entries: found.entries.saturating_add(rows),
        torn_tail: found.unfinished,
    }
}

fn notice(remark: StoreRemark) -> Notice {
    let (kind, file, what) = match remark {
        StoreRemark::LeaseLost(file) => (
            NoticeKind::LeaseLost,
            file,
            "there is no lease for this log: it is a copy or was restored, and the next opening gives the node a \
             new identity",
        ),
        StoreRemark::Log(Remark::UnfinishedSeal(file)) => (
            NoticeKind::SealUnfinished,
            file,
            "a stop halved the change to a new file of the log: the next opening finishes it",
        ),
        StoreRemark::Log(Remark::Leftover(file)) => (
            NoticeKind::Leftover,
            file,
            "a stop left this file, and nothing needs it: it is replaced or removed in time",
        ),
        StoreRemark::Log(Remark::KeptAside(file)) => (
            NoticeKind::TornTailKept,
            file,
            "an earlier opening cut this unfinished write off the log: nothing needs it",
        ),
    };
    let message = format!("{file}: {what}");
    Notice {
        kind,
        file,
        message,
    }
}
