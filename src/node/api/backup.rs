//! The call that copies a whole store while writes go on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::handle::Node;
use crate::core::error_kind::ErrorKind;
use crate::disk::storage::Storage;
use crate::node::checkpoint::copy::{Copy, CopyAnswer, CopyProgress, aborted};
use crate::node::failure::{ErrorCode, Failure};
use crate::store::error::StoreError;
use crate::store::maintain::recovery::companion_of;
use crate::wal::error::WalError;
use crate::wal::files::held_storage::HeldStorage;
use crate::wal::files::lock::LockGuard;
use crate::wal::files::neighbour::check_neighbours;
use crate::wal::files::path::ResolvedPath;
use crate::wal::log::Log;

impl Node {
    /// Writes a copy of everything accepted so far; its log is `wal_path`, in an existing folder. Reads and writes go
    /// on. A node that opens the copy has an identity of its own.
    ///
    /// # Errors
    /// If there is a log at that path, the node has none, the disk is full or fails, or the copy was cancelled. Then
    /// nothing is left of it that could be opened.
    ///
    /// # Cancel safety
    /// Dropping the future does not cancel the copy, and gives up the lock on its path: call [`CopyProgress::cancel`]
    /// and await the end instead.
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
        if progress.is_cancelled() {
            return Err(aborted());
        }
        let place = ResolvedPath::resolve(wal_path, false).map_err(StoreError::from)?;
        let directory = place.hold().map_err(StoreError::from)?;
        check_neighbours(&place.storage_in(&directory), &place.name).map_err(not_beside)?;
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
        // The commit thread has ended since: the node was open when this was called.
        outcome.map_err(|_| Failure::from(StoreError::Stopped))?
    }
}

/// The failure of a backup to a path where a log beside it would share a file with it.
fn not_beside(error: WalError) -> Failure {
    let is_wrong_path = matches!(error, WalError::Clash { .. });
    let failure = Failure::from(StoreError::from(error));
    Failure {
        kind: if is_wrong_path {
            ErrorKind::InvalidBackup
        } else {
            failure.kind
        },
        ..failure
    }
}
