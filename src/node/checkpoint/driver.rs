//! The committer's part in checkpoints: it seals the log, has another thread do the rest, and takes the new file over
//! between two groups.

#![allow(
    clippy::disallowed_methods,
    reason = "a driver: a closing node looks whether the thread has ended"
)]

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::copy::Copy;
use super::due::{DueFrom, begins_at_close, data_bytes, is_given_up, may_seal, sorted_to};
use super::stage::Stage;
use super::thread::{Leftovers, Running};
use crate::core::clock::MonotonicMs;
use crate::core::entropy::random_bytes;
use crate::core::give_back::give_back;
use crate::node::commit::committer::CommitDriver;
use crate::node::commit::intake::{Intake, Room, Sizes, WHOLE};
use crate::node::failure::Failure;
use crate::store::error::StoreError;
use crate::store::maintain::checkpoint::Cut;
use crate::store::state::base::Base;
use crate::store::state::rebase::Rebase;
use crate::wal::error::WalError;
use crate::wal::files::lock::LockGuard;
use crate::wal::format::FileHeader;
use crate::wal::log::segment_removal::Removal;

/// Interval at which a closing node checks whether a checkpoint has ended.
const CLOSING_STEP: Duration = Duration::from_millis(1);

impl CommitDriver {
    /// Takes over a finished checkpoint, and begins one that is due.
    pub(in crate::node) fn look_after_checkpoints(&mut self) {
        self.take_over(false);
        if self.running.is_some() {
            return;
        }
        if let Some(copy) = self.shared.checkpoints.next_copy() {
            return self.begin_copy(copy);
        }
        let is_asked = self.shared.checkpoints.is_asked();
        if is_asked || self.is_checkpoint_due() {
            self.begin_checkpoint();
        }
    }

    pub(in crate::node) fn is_checkpoint_due(&self) -> bool {
        let log_bytes = self.committer.log_bytes();
        // After a failure the next attempt is worth making only once the log has grown by as much again.
        if self.place.is_none() || log_bytes < self.not_before_log_bytes {
            return false;
        }
        self.due_from().is_due(&self.sizes())
    }

    fn due_from(&self) -> DueFrom {
        DueFrom {
            log_bytes: self.shared.options.checkpoint_log_bytes,
            changed_bytes: self.shared.budget.due_bytes(),
        }
    }

    /// Present sizes of the store.
    fn sizes(&self) -> Sizes {
        let map = self.shared.map.read();
        let totals = map.totals();
        Sizes {
            log_bytes: self.committer.log_bytes(),
            data_bytes: data_bytes(&totals),
            live_bytes: totals.live_bytes,
            checkpoint_bytes: map.base().map_or(0, |base| data_bytes(&base.totals())),
            changed_bytes: map.memory_bytes(),
        }
    }

    /// Room for writers beside the checkpoint that is being written.
    fn room_beside(&self, begun: Sizes) -> Room {
        let due_from = self.due_from();
        let changes_bytes = self.shared.budget.changes_bytes;
        Room::beside(begun, changes_bytes, due_from.log_bytes)
    }

    /// True if writers have to wait until the checkpoint under way has progressed.
    pub(in crate::node) fn is_intake_held(&self) -> bool {
        let Some(running) = &self.running else {
            return false;
        };
        let checkpoints = &self.shared.checkpoints;
        let progress = checkpoints.progress.load(Ordering::Relaxed);
        let intake = running.room.intake(running.begun, self.sizes(), progress);
        let is_hurried = intake != Intake::Free;
        checkpoints.is_hurried.store(is_hurried, Ordering::Relaxed);
        intake == Intake::Held
    }

    fn begin_checkpoint(&mut self) {
        if !self.sort_before_checkpoint() {
            return;
        }
        match self.try_to_begin() {
            Ok(Some(running)) => self.running = Some(running),
            Ok(None) => self.shared.checkpoints.answer_all(&Ok(())),
            Err(error) => self.checkpoint_failed(error.into()),
        }
    }

    /// Sorts in keys for a while. Returns true if few enough are left: waiting groups are committed in between.
    fn sort_before_checkpoint(&mut self) -> bool {
        let is_pressing = self.due_from().is_pressing(&self.sizes());
        let unsorted = self.shared.map.read().unsorted();
        let left = self.unsorted_left.unwrap_or(unsorted);
        let left = sorted_to(unsorted, left, is_pressing);
        self.shared.sort_keys(left);
        let is_enough = may_seal(left, is_pressing);
        self.unsorted_left = (!is_enough).then_some(left);
        if !is_enough {
            self.shared.queue.wake();
        }
        is_enough
    }

    /// Begins a copy. It uses the thread of checkpoints, so that none comes in between.
    fn begin_copy(&mut self, copy: Copy) {
        let (header, cut) = match self.cut_for_copy() {
            Ok(cut) => cut,
            Err(error) => {
                copy.answer.give(Err(error.into()));
                return;
            }
        };
        let (snapshot, answer) = (cut.snapshot, copy.answer.clone());
        let begun = self.sizes();
        let room = Room::beside_copy(begun, self.shared.budget.changes_bytes);
        match Running::start_copy(&self.shared, copy, header, cut, (begun, room)) {
            Ok(running) => self.running = Some(running),
            Err(error) => {
                self.shared.close_snapshot(snapshot);
                tracing::error!(%error, "no thread to write a backup");
                answer.give(Err(Failure::no_thread("failed to write a backup", &error)));
            }
        }
    }

    fn cut_for_copy(&self) -> Result<(FileHeader, Cut), StoreError> {
        self.shared.look_up_totals()?;
        self.shared.sort_keys(0);
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
        self.shared.checkpoints.answer_all(&Err(failure));
    }

    /// Begins a checkpoint; `None` if the last one holds everything.
    fn try_to_begin(&mut self) -> Result<Option<Running>, StoreError> {
        let Some(place) = self.place.clone() else {
            return Ok(None);
        };
        if let Some(cause) = self.committer.poisoned() {
            return Err(cause);
        }
        self.shared.look_up_totals()?;
        self.shared.sort_keys(0);
        if self.committer.is_behind() {
            // The seal would make it durable too, but would not report it to peers that wait for it.
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
        let snapshot = cut.snapshot;
        let begun = self.sizes();
        let room = self.room_beside(begun);
        let started = Running::start(&self.shared, &place, cut, (begun, room));
        started.map(Some).map_err(|error| {
            self.shared.close_snapshot(snapshot);
            StoreError::Panicked(format!("no thread to write a checkpoint: {error}"))
        })
    }

    /// Handles the outcome of the checkpoint thread if there is one; with `must_wait` it waits for one.
    fn take_over(&mut self, must_wait: bool) {
        let has_news = |running: &mut Running| running.has_news(&self.shared, must_wait);
        let Some(mut running) = self.running.take_if(has_news) else {
            return;
        };
        let outcome = Running::outcome(&self.shared).map(|stage| match stage {
            Stage::Copied => true,
            // The checkpoint is in its place, and nothing more is done: the next opening continues from there.
            Stage::Placed(..) if self.is_abandoned() => true,
            Stage::Placed(base, rebase) => !self.adopt(&base, *rebase, &mut running),
            Stage::Removed(removal, removed) => {
                self.removed(&removal, removed);
                true
            }
        });
        match outcome {
            Ok(false) => self.running = Some(running),
            Ok(true) => running.tell(&Ok(())),
            Err(failure) => {
                running.tell(&Err(failure.clone()));
                // Giving it up is no fault, and only its callers want to know.
                if !self.is_abandoned() {
                    self.checkpoint_failed(failure);
                }
            }
        }
    }

    /// Puts the new checkpoint under the map, and begins the removal of the covered part of the log. Returns true if
    /// the removal is under way.
    fn adopt(&mut self, base: &Base, rebase: Rebase, running: &mut Running) -> bool {
        self.not_before_log_bytes = 0;
        let map = rebase.finish(&mut self.shared.map.write());
        // The old map takes its memory until it is freed.
        let mut begun = self.sizes();
        running.begun = begun;
        begun.changed_bytes = begun.changed_bytes.saturating_add(map.memory_bytes());
        running.room = self.room_beside(begun);
        self.shared
            .checkpoints
            .progress
            .store(WHOLE, Ordering::Relaxed);
        running.note(&self.shared, base);
        // Held files keep their bytes on disk.
        let released = self.lock.as_ref().map(LockGuard::release_sealed);
        match self.committer.covered(running.covers_frame) {
            Ok(Some(removal)) => {
                running.clear_up(Leftovers {
                    map,
                    removal,
                    released: released.and_then(Result::ok),
                });
                return true;
            }
            Ok(None) => {}
            Err(error) => self.not_removed(&error),
        }
        false
    }

    fn removed(&mut self, removal: &Removal, removed: Result<u64, WalError>) {
        // This thread allocated the memory of the old map, and only it can return that to the system.
        give_back();
        self.committer.forget(removal);
        if let Err(error) = removed {
            self.not_removed(&error.into());
        }
    }

    fn not_removed(&mut self, error: &StoreError) {
        let limit = self.shared.options.checkpoint_log_bytes;
        self.not_before_log_bytes = self.committer.log_bytes().saturating_add(limit);
        tracing::warn!(%error, "what a checkpoint covers could not be removed; the next one tries again");
    }

    /// Ends the work under way, and makes a last checkpoint if that takes little time. Longer work is given up: the log
    /// holds everything, and the next opening or checkpoint does it.
    pub(in crate::node) fn close_checkpoints(&mut self) {
        let began = self.shared.clock.monotonic();
        while let Some(copy) = self.shared.checkpoints.next_copy() {
            copy.answer.give(Err(StoreError::Stopped.into()));
        }
        self.end_running(began);
        let live_bytes = self.shared.map.read().totals().live_bytes;
        if self.place.is_some()
            && !self.is_abandoned()
            && self.committer.poisoned().is_none()
            && begins_at_close(self.committer.log_bytes(), live_bytes)
        {
            self.shared.sort_keys(0);
            self.begin_checkpoint();
            self.end_running(began);
        }
        self.shared
            .checkpoints
            .answer_all(&Err(StoreError::Stopped.into()));
    }

    /// Waits for the work under way for as long as a closing node may, and then gives it up.
    fn end_running(&mut self, began: MonotonicMs) {
        while self.running.is_some() {
            if is_given_up(self.shared.clock.monotonic().since(began)) {
                self.shared
                    .checkpoints
                    .is_abandoned
                    .store(true, Ordering::Release);
            }
            let must_wait = self.is_abandoned();
            self.take_over(must_wait);
            if !must_wait {
                std::thread::sleep(CLOSING_STEP);
            }
        }
    }

    fn is_abandoned(&self) -> bool {
        self.shared.checkpoints.is_abandoned.load(Ordering::Acquire)
    }
}
