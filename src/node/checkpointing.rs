//! The committer's part in checkpoints: it seals the log, has the rest done by another thread, and takes the new
//! file over between two groups.

use std::sync::Arc;

use super::checkpoints::{Running, answer_all, is_due, is_due_at_close};
use super::committer::CommitDriver;
use super::copies::Copy;
use super::failure::Failure;
use crate::core::entropy::random_bytes;
use crate::store::base::Base;
use crate::store::checkpoint::Cut;
use crate::store::error::StoreError;
use crate::wal::format::FileHeader;

/// How many pieces of keys are put in order between two groups: about two milliseconds.
const SETTLED_BETWEEN_GROUPS: usize = 8;

/// Keys that may be left to be put in order while the log is sealed.
const LEFT_TO_THE_SEAL: usize = 4096;

impl CommitDriver {
    /// Looks whether a checkpoint has ended or is due.
    pub(super) fn look_after_checkpoints(&mut self) {
        if let Some(running) = self.running.take() {
            if running.has_ended(&self.shared, false) {
                self.take_over(running);
            } else {
                self.running = Some(running);
                return;
            }
        }
        if let Some(copy) = self.shared.checkpoints.next_copy() {
            return self.begin_copy(copy);
        }
        let is_asked = self.shared.checkpoints.is_asked();
        if is_asked || self.is_checkpoint_due() {
            self.begin_checkpoint();
        }
    }

    pub(super) fn is_checkpoint_due(&self) -> bool {
        let log_bytes = self.committer.log_bytes();
        // Where the last one failed, the next is worth trying once as much has come again.
        if self.place.is_none() || log_bytes < self.not_before_log_bytes {
            return false;
        }
        let limit = self.shared.options.checkpoint_log_bytes;
        log_bytes > limit && is_due(log_bytes, self.shared.map.read().totals().live_bytes, limit)
    }

    fn begin_checkpoint(&mut self) {
        if !self.settle_before_checkpoint() {
            return;
        }
        match self.try_to_begin() {
            Ok(Some(running)) => self.running = Some(running),
            Ok(None) => answer_all(&self.shared, &Ok(())),
            Err(error) => self.checkpoint_failed(error.into()),
        }
    }

    /// Puts keys in order for a while, and says whether all are: groups that wait come in between.
    fn settle_before_checkpoint(&self) -> bool {
        for _ in 0..SETTLED_BETWEEN_GROUPS {
            let mut map = self.shared.map.write();
            if map.unsettled() <= LEFT_TO_THE_SEAL {
                return true;
            }
            map.settle_some();
        }
        self.shared.queue.wake();
        false
    }

    /// A copy goes by the same thread, so that no checkpoint comes in between.
    fn begin_copy(&mut self, copy: Copy) {
        let (header, cut) = match self.cut_for_copy() {
            Ok(cut) => cut,
            Err(error) => {
                // Nobody waits any more: the call was given up.
                let _ = copy.answer.send(Err(error.into()));
                return;
            }
        };
        let view = cut.view;
        match Running::start_copy(&self.shared, copy, header, cut) {
            Ok(running) => self.running = Some(running),
            Err(error) => {
                self.shared.map.write().close_view(view);
                tracing::error!(%error, "no thread to write a backup");
            }
        }
    }

    fn cut_for_copy(&self) -> Result<(FileHeader, Cut), StoreError> {
        self.shared.resolve_totals()?;
        self.shared.settle_order(0);
        let (header, last_frame) = self.committer.end().ok_or(StoreError::Stopped)?;
        let cut = self.committer.cut(last_frame, &mut self.shared.map.write());
        Ok((header, cut.ok_or(StoreError::Stopped)?))
    }

    fn checkpoint_failed(&mut self, failure: Failure) {
        if self.committer.poisoned().is_some() {
            self.broken(failure.clone());
        } else {
            tracing::warn!(%failure, "a checkpoint could not be made; the log keeps everything");
            self.shared.events.failed(failure.clone());
        }
        let limit = self.shared.options.checkpoint_log_bytes;
        self.not_before_log_bytes = self.committer.log_bytes().saturating_add(limit);
        answer_all(&self.shared, &Err(failure));
    }

    /// `None`: there is nothing that the last checkpoint does not hold.
    fn try_to_begin(&mut self) -> Result<Option<Running>, StoreError> {
        let Some(place) = self.place.clone() else {
            return Ok(None);
        };
        if let Some(cause) = self.committer.poisoned() {
            return Err(cause);
        }
        self.shared.resolve_totals()?;
        self.shared.settle_order(0);
        if self.committer.is_behind() {
            // The seal would make it durable too, but nobody would tell those who wait to send it.
            self.sync();
            if let Some(cause) = self.committer.poisoned() {
                return Err(cause);
            }
        }
        let entropy = |error: std::io::Error| StoreError::Entropy(error.to_string());
        let salt = u64::from_le_bytes(random_bytes().map_err(entropy)?);
        self.committer.seal(&*place.storage, salt)?;
        if let Some(lock) = &self.lock {
            lock.claim_log()?;
        }
        let Some(covers_frame) = self.committer.sealed_frame() else {
            return Ok(None);
        };
        let cut = self
            .committer
            .cut(covers_frame, &mut self.shared.map.write());
        let Some(cut) = cut else { return Ok(None) };
        let view = cut.view;
        let started = Running::start(&self.shared, &place, cut);
        started.map(Some).map_err(|error| {
            self.shared.map.write().close_view(view);
            StoreError::Panicked(format!("no thread to write a checkpoint: {error}"))
        })
    }

    fn take_over(&mut self, running: Running) {
        match Running::outcome(&self.shared) {
            Ok(None) => {}
            Ok(Some(base)) => {
                self.adopt(&base, &running);
                running.tell(&self.shared, Ok(&base));
            }
            Err(failure) => {
                running.tell(&self.shared, Err(&failure));
                self.checkpoint_failed(failure);
            }
        }
    }

    /// The new checkpoint comes under the map, and what it covers of the log goes.
    fn adopt(&mut self, base: &Arc<Base>, running: &Running) {
        self.not_before_log_bytes = 0;
        let next = self
            .shared
            .map
            .read()
            .rebased(Arc::clone(base), running.last_lseq);
        let before = next.succeed(&mut self.shared.map.write());
        // Giving back the memory of a million entries takes longer than a group may wait.
        let freeing = std::thread::Builder::new().name("softadastra-free".into());
        let _ = freeing.spawn(move || drop(before));
        let Some(place) = &self.place else { return };
        let removed = self
            .committer
            .remove_sealed(&*place.storage, running.covers_frame);
        if let Some(lock) = &self.lock {
            // Held files keep their bytes on disk.
            let _ = lock.release_sealed();
        }
        if let Err(error) = removed {
            let limit = self.shared.options.checkpoint_log_bytes;
            self.not_before_log_bytes = self.committer.log_bytes().saturating_add(limit);
            tracing::warn!(%error, "what a checkpoint covers could not be removed; the next one tries again");
        }
    }

    /// Ends what is under way, and makes a last checkpoint if that is worth it.
    pub(super) fn close_checkpoints(&mut self) {
        if let Some(running) = self.running.take() {
            running.has_ended(&self.shared, true);
            self.take_over(running);
        }
        let is_abandoned = &self.shared.checkpoints.is_abandoned;
        let live_bytes = self.shared.map.read().totals().live_bytes;
        let is_worth_it = self.place.is_some()
            && !is_abandoned.load(std::sync::atomic::Ordering::Acquire)
            && self.committer.poisoned().is_none()
            && is_due_at_close(self.committer.log_bytes(), live_bytes);
        while let Some(copy) = self.shared.checkpoints.next_copy() {
            let _ = copy.answer.send(Err(Failure::not_open()));
        }
        self.shared.settle_order(0);
        if is_worth_it || self.shared.checkpoints.is_asked() {
            self.begin_checkpoint();
        }
        if let Some(running) = self.running.take() {
            running.has_ended(&self.shared, true);
            self.take_over(running);
        }
    }
}
