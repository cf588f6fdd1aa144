//! Backups: copies of a whole store while writes go on, made as a checkpoint in another place with an empty log behind
//! it. Without a lease, so that a node that opens the copy gets an identity of its own.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::handle::Node;
use crate::core::entropy::random_bytes;
use crate::core::error_kind::ErrorKind;
use crate::disk::storage::Storage;
use crate::node::commit::intake::WHOLE;
use crate::node::failure::{ErrorCode, Failure};
use crate::node::shared::Shared;
use crate::store::error::StoreError;
use crate::store::maintain::checkpoint::{CheckpointJob, Cut, TEMP_SUFFIX};
use crate::store::maintain::recovery::{companion_of, put_in_place_telling};
use crate::wal::error::WalError;
use crate::wal::files::held_storage::HeldStorage;
use crate::wal::files::lock::LockGuard;
use crate::wal::files::path::ResolvedPath;
use crate::wal::format::FileHeader;
use crate::wal::log::Log;
use crate::wal::log::copy_header::create_following;

/// Progress of a copy, and its cancellation. Read and set from any thread.
#[derive(Debug, Default)]
pub struct CopyProgress {
    entries: AtomicU64,
    entries_total: AtomicU64,
    bytes: AtomicU64,
    is_cancelled: AtomicBool,
}

impl CopyProgress {
    /// Number of entries written so far, tombstones included.
    pub fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// Number of entries to write in all; 0 before the copy has begun.
    pub fn entries_total(&self) -> u64 {
        self.entries_total.load(Ordering::Relaxed)
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Cancels the copy.
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Release);
    }
}

/// A requested copy, for which a caller waits.
pub(in crate::node) struct Copy {
    storage: Arc<dyn Storage>,
    name: String,
    progress: Arc<CopyProgress>,
    pub(in crate::node) answer: CopyAnswer,
}

type CopyOutcome = Result<(), Failure>;

/// The answer to the caller of a copy: from the thread that writes it, or from the committer if there is no such
/// thread.
#[derive(Clone)]
pub(in crate::node) struct CopyAnswer(Arc<Mutex<Option<oneshot::Sender<CopyOutcome>>>>);

impl CopyAnswer {
    fn new(sender: oneshot::Sender<CopyOutcome>) -> Self {
        Self(Arc::new(Mutex::new(Some(sender))))
    }

    /// Answers the caller. Only the first answer counts.
    pub(in crate::node) fn give(&self, outcome: CopyOutcome) {
        if let Some(sender) = self.0.lock().take() {
            // The receiver is gone if the call was given up.
            let _ = sender.send(outcome);
        }
    }
}

fn aborted() -> Failure {
    Failure::new(
        ErrorCode::InvalidState,
        ErrorKind::Aborted,
        "the backup was aborted; nothing is left of it",
    )
    .retryable()
}

impl Node {
    /// Writes a copy of everything accepted so far; its log is `wal_path`, in an existing folder. Reads and writes go
    /// on. A node that opens the copy has an identity of its own.
    ///
    /// # Errors
    /// If there is a log at that path, the node has none, the disk is full or fails, or the copy was cancelled. Then
    /// nothing is left of it that could be opened.
    pub async fn backup(&self, wal_path: &str, progress: Arc<CopyProgress>) -> Result<(), Failure> {
        if !self.shared.options.enable_wal {
            return Err(Failure::new(
                ErrorCode::InvalidState,
                ErrorKind::NoLog,
                "this client keeps no log: there is nothing to back up",
            ));
        }
        if self.shared.is_ending.load(Ordering::Acquire) {
            // The node was open when this was called.
            return Err(StoreError::Stopped.into());
        }
        if progress.is_cancelled.load(Ordering::Acquire) {
            return Err(aborted());
        }
        let place = ResolvedPath::resolve(wal_path, false).map_err(StoreError::from)?;
        let directory = place.hold().map_err(StoreError::from)?;
        let lock = LockGuard::acquire(&directory, &place.name).map_err(StoreError::from)?;
        let storage = HeldStorage::new(place.storage_in(&directory), &place.name);
        let outcome = self
            .backup_under(Arc::new(storage), place.name, wal_path, progress)
            .await;
        if outcome.is_err() {
            // Nothing is left of the copy.
            lock.unmake();
        }
        outcome
    }

    async fn backup_under(
        &self,
        storage: Arc<dyn Storage>,
        name: String,
        wal_path: &str,
        progress: Arc<CopyProgress>,
    ) -> Result<(), Failure> {
        let is_there = match Log::probe(&*storage, &name) {
            Ok(is_there) => is_there || companion_of(&*storage, &name)?.is_some(),
            Err(_) => true,
        };
        if is_there {
            let failure = Failure::new(
                ErrorCode::AlreadyExists,
                ErrorKind::BackupExists,
                format!("failed to write backup {wal_path}: there is a log already"),
            );
            return Err(failure.about(wal_path));
        }
        let (answer, outcome) = oneshot::channel();
        let copy = Copy {
            storage,
            name,
            progress,
            answer: CopyAnswer::new(answer),
        };
        self.shared.checkpoints.ask_copy(copy);
        self.shared.queue.wake();
        let outcome = outcome.await;
        outcome.map_err(|_| Failure::not_open())?
    }
}

/// Writes the state of a cut to another place.
pub(in crate::node) fn write_copy(
    shared: &Shared,
    copy: &Copy,
    header: &FileHeader,
    cut: Cut,
) -> Result<(), Failure> {
    let storage = &*copy.storage;
    let temp = format!("{}{TEMP_SUFFIX}", copy.name);
    let covers_frame = cut.covers_frame;
    let written = write_rows(shared, copy, &temp, cut).and_then(|()| {
        let memory = (0, shared.budget.work_bytes);
        let mut pause = |_| {
            if copy.progress.is_cancelled.load(Ordering::Acquire)
                || shared.checkpoints.is_abandoned.load(Ordering::Acquire)
            {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        put_in_place_telling(storage, &temp, &copy.name, memory, &mut pause).map_err(|error| {
            let is_cancelled = copy.progress.is_cancelled.load(Ordering::Acquire);
            if matches!(error, StoreError::Stopped) && is_cancelled {
                aborted()
            } else {
                error.into()
            }
        })?;
        let entropy = |error: std::io::Error| StoreError::Entropy(error.to_string());
        let salt = u64::from_le_bytes(random_bytes().map_err(entropy)?);
        if copy.progress.is_cancelled.load(Ordering::Acquire) {
            return Err(aborted());
        }
        // Written last: until the log is there nothing can be opened by mistake.
        create_following(storage, &copy.name, header, salt, covers_frame)
            .map_err(StoreError::from)?;
        check_place(storage, &copy.name)
    });
    if written.is_err() {
        let checkpoint = format!(
            "{}{}",
            copy.name,
            crate::store::maintain::checkpoint::CHECKPOINT_SUFFIX
        );
        for file in [temp, checkpoint] {
            // Best effort: without its log the file is useless, and is reported as such.
            let _ = storage.remove(&file);
        }
    }
    written
}

/// Checks that the path of the copy still leads to it: its folder may have been moved while it was written.
fn check_place(storage: &dyn Storage, name: &str) -> Result<(), Failure> {
    let file = || storage.shown(name);
    let failed = |error: std::io::Error| WalError::Open {
        file: file(),
        cause: error.into(),
    };
    let bytes = match storage
        .open(name)
        .map_err(failed)
        .map_err(StoreError::from)?
    {
        Some(log) => log.len().map_err(failed).map_err(StoreError::from)?,
        None => 0,
    };
    let placed = storage
        .anchor()
        .map_or(Ok(()), |anchor| anchor.check(bytes));
    let displaced = |how| StoreError::from(WalError::Displaced { file: file(), how });
    Ok(placed.map_err(displaced)?)
}

fn write_rows(shared: &Shared, copy: &Copy, temp: &str, cut: Cut) -> Result<(), Failure> {
    let progress = &copy.progress;
    let total = cut.totals.live + cut.totals.tombstones;
    progress.entries_total.store(total, Ordering::Relaxed);
    let mut job = CheckpointJob::begin_within(&*copy.storage, temp, cut, shared.budget.work_bytes)?;
    loop {
        if progress.is_cancelled.load(Ordering::Acquire) {
            return Err(aborted());
        }
        if shared.checkpoints.is_abandoned.load(Ordering::Acquire) {
            return Err(StoreError::Stopped.into());
        }
        if job.has_more() {
            job.take_page(&shared.map.read());
        }
        let has_more = job.write_page()?;
        progress.entries.store(job.rows(), Ordering::Relaxed);
        let checkpoints = &shared.checkpoints;
        checkpoints.go_on((0, WHOLE), job.rows(), total);
        progress.bytes.store(job.bytes(), Ordering::Relaxed);
        if !has_more {
            return Ok(job.finish()?);
        }
    }
}
