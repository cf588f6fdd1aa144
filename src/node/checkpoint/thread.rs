//! The checkpoint thread: writes a checkpoint, puts it in its place, carries over later changes, and cleans up once the
//! committer has taken it over.

#![allow(
    clippy::disallowed_methods,
    reason = "a driver: it is a thread, and paces itself"
)]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::checkpoints::{LastCheckpoint, Place, Waiting};
use super::copy::Copy;
use super::copy_writer::write_copy;
use super::stage::{Outcome, Stage};
use crate::core::clock::MonotonicMs;
use crate::core::give_back::give_back;
use crate::disk::storage::Storage;
use crate::node::commit::intake::{Room, Sizes, WHOLE};
use crate::node::failure::Failure;
use crate::node::shared::Shared;
use crate::store::error::StoreError;
use crate::store::maintain::checkpoint::{CheckpointJob, Cut, TEMP_SUFFIX};
use crate::store::maintain::recovery::put_in_place_telling;
use crate::store::state::base::Base;
use crate::store::state::map::EntryMap;
use crate::store::state::rebase::Rebase;
use crate::wal::files::deferred_close::Released;
use crate::wal::format::FileHeader;
use crate::wal::log::segment_removal::Removal;

/// Objects that are left over once a checkpoint was taken over.
pub(in crate::node) struct Leftovers {
    /// The old map.
    pub(in crate::node) map: EntryMap,
    /// Removal of the covered part of the log.
    pub(in crate::node) removal: Removal,
    /// The covered files, which the lock held open.
    pub(in crate::node) released: Option<Released>,
}

/// Most rounds in which later changes are carried over while the node goes on: each round carries the changes made
/// during the one before, which are fewer each time. The rest is carried over between two groups.
const CARRYING_ROUNDS: usize = 8;

/// Most entries that are left to be carried over between two groups: well below a millisecond.
const LEFT_TO_THE_SWAP: u64 = 1024;

/// Time for which a checkpoint is written before it pauses, in microseconds: a time slice of the system's scheduler.
const PACE_US: u64 = 2_000;

/// Length of a pause, in multiples of the working time before it.
const PAUSES: u64 = 3;

/// Longest pause, in microseconds.
const PACE_US_MAX: u64 = 20_000;

/// Marks of its progress: the rows are written, and all of the file is read back.
const ROWS_WRITTEN: u32 = WHOLE / 2;
const READ_BACK: u32 = WHOLE / 10 * 9;

/// A checkpoint or copy that is being written.
pub(in crate::node) struct Running {
    thread: JoinHandle<()>,
    waiting: Waiting,
    began: MonotonicMs,
    leftovers: Sender<Leftovers>,
    pub(in crate::node) covers_frame: u64,
    /// Sizes of the store at the beginning, and the room for writers beside it.
    pub(in crate::node) begun: Sizes,
    pub(in crate::node) room: Room,
}

impl Running {
    /// Begins to write the state of a cut.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(in crate::node) fn start(
        shared: &Arc<Shared>,
        place: &Arc<Place>,
        cut: Cut,
        beside: (Sizes, Room),
    ) -> std::io::Result<Self> {
        let waiting = std::mem::take(&mut *shared.checkpoints.asked.lock());
        let place = Arc::clone(place);
        Self::spawn(
            shared,
            waiting,
            cut,
            beside,
            move |shared, cut, leftovers| {
                let last_lseq = cut.ledger.last_lseq;
                let base = write(shared, &place, cut)?;
                let rebase = carry_over(shared, &base, last_lseq);
                shared
                    .checkpoints
                    .tell(&shared.queue, Ok(Stage::Placed(base, rebase)));
                // The channel is closed if the checkpoint was not taken over: then everything stays as it is.
                let Ok(leftovers) = leftovers.recv() else {
                    return Ok(None);
                };
                let Leftovers {
                    map,
                    mut removal,
                    released,
                } = leftovers;
                let removed = removal.carry_out(&*place.storage);
                if let Some(released) = released {
                    released.give_back(&|| !is_abandoned(shared));
                }
                // The memory must be free before the next checkpoint may begin. A closing node begins none.
                let kept = is_abandoned(shared).then_some(map);
                if kept.is_none() {
                    give_back();
                }
                shared
                    .checkpoints
                    .tell(&shared.queue, Ok(Stage::Removed(removal, removed)));
                Ok(None)
            },
        )
    }

    /// Begins to write a copy of the state of a cut.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(in crate::node) fn start_copy(
        shared: &Arc<Shared>,
        copy: Copy,
        header: FileHeader,
        cut: Cut,
        beside: (Sizes, Room),
    ) -> std::io::Result<Self> {
        Self::spawn(shared, Vec::new(), cut, beside, move |shared, cut, _| {
            let outcome = write_copy(shared, &copy, &header, cut);
            copy.answer.give(outcome);
            Ok(Some(Stage::Copied))
        })
    }

    fn spawn(
        shared: &Arc<Shared>,
        waiting: Waiting,
        cut: Cut,
        (begun, room): (Sizes, Room),
        write: impl FnOnce(&Shared, Cut, &Receiver<Leftovers>) -> Result<Option<Stage>, Failure>
        + Send
        + 'static,
    ) -> std::io::Result<Self> {
        let covers_frame = cut.covers_frame;
        let (leftovers, receiver) = channel();
        shared.checkpoints.progress.store(0, Ordering::Relaxed);
        shared
            .checkpoints
            .is_hurried
            .store(false, Ordering::Relaxed);
        let thread_shared = Arc::clone(shared);
        let started = std::thread::Builder::new()
            .name("softadastra-checkpoint".into())
            .spawn(move || {
                let snapshot = cut.snapshot;
                let written = || write(&thread_shared, cut, &receiver);
                let written = std::panic::AssertUnwindSafe(written);
                let outcome = std::panic::catch_unwind(written).unwrap_or_else(|_| Err(panicked()));
                thread_shared.close_snapshot(snapshot);
                if let Some(outcome) = outcome.transpose() {
                    thread_shared
                        .checkpoints
                        .tell(&thread_shared.queue, outcome);
                }
            });
        let thread = match started {
            Ok(thread) => thread,
            Err(error) => {
                let failure = Failure::no_thread("failed to write a checkpoint", &error);
                for waiting in waiting {
                    let _ = waiting.send(Err(failure.clone()));
                }
                return Err(error);
            }
        };
        Ok(Self {
            thread,
            waiting,
            began: shared.clock.monotonic(),
            leftovers,
            covers_frame,
            begun,
            room,
        })
    }

    /// True if the thread has an outcome; with `must_wait` it waits for one.
    pub(in crate::node) fn has_news(&self, shared: &Shared, must_wait: bool) -> bool {
        let is_reported = || shared.checkpoints.done.lock().is_some();
        while must_wait && !is_reported() && !self.thread.is_finished() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        must_wait || is_reported()
    }

    /// Takes the outcome of the thread.
    pub(in crate::node) fn outcome(shared: &Shared) -> Outcome {
        let done = shared.checkpoints.done.lock().take();
        done.unwrap_or_else(|| Err(panicked()))
    }

    /// Makes the thread clean up after the checkpoint that was taken over, and report again.
    pub(in crate::node) fn clear_up(&self, leftovers: Leftovers) {
        // A thread that is gone has reported its panic.
        let _ = self.leftovers.send(leftovers);
    }

    /// Notes that the checkpoint is in place.
    pub(in crate::node) fn note(&self, shared: &Shared, base: &Base) {
        *shared.checkpoints.last.lock() = Some(LastCheckpoint {
            at: shared.clock.wall(),
            took_ms: shared.clock.monotonic().since(self.began),
            file_bytes: base.file().file_bytes(),
            rows: u64::from(base.file().rows()),
        });
    }

    /// Answers the waiting callers.
    pub(in crate::node) fn tell(self, outcome: &Result<(), Failure>) {
        for waiting in self.waiting {
            // The receiver is gone if the call was given up.
            let _ = waiting.send(outcome.clone());
        }
    }
}

/// True if the checkpoint is not wanted any more: the node has ended, or has been closing for long enough.
fn is_abandoned(shared: &Shared) -> bool {
    shared.checkpoints.is_abandoned.load(Ordering::Acquire)
}

fn panicked() -> Failure {
    StoreError::Panicked("writing a checkpoint".into()).into()
}

fn write(shared: &Shared, place: &Place, cut: Cut) -> Result<Arc<Base>, StoreError> {
    let temp = format!("{}{TEMP_SUFFIX}", place.name);
    let storage = &*place.storage;
    let mut turns = Pace::new(shared);
    let written = write_rows(shared, storage, &temp, cut, &mut turns).and_then(|bytes| {
        let mut pause = |read_bytes| {
            let checkpoints = &shared.checkpoints;
            checkpoints.go_on((ROWS_WRITTEN, READ_BACK), read_bytes, bytes);
            turns.keep(shared);
            if is_abandoned(shared) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        put_in_place_telling(
            storage,
            &temp,
            &place.name,
            (place.cache_bytes, place.work_bytes),
            &mut pause,
        )
    });
    if written.is_err() {
        // Best effort: the file is useless, and the next checkpoint replaces it.
        let _ = storage.remove(&temp);
    }
    written
}

/// Leaves most of the time to writers while there are any: a checkpoint is not urgent, and writers need the processor
/// and the disk too.
struct Pace {
    began_us: u64,
    commits: u64,
}

impl Pace {
    fn new(shared: &Shared) -> Self {
        Self {
            began_us: shared.clock.elapsed_us(),
            commits: shared.counters.commits(),
        }
    }

    fn keep(&mut self, shared: &Shared) {
        let worked_us = shared.clock.elapsed_us() - self.began_us;
        if worked_us < PACE_US {
            return;
        }
        let commits = shared.counters.commits();
        let is_wanted = shared.checkpoints.is_asked()
            || shared.checkpoints.is_hurried.load(Ordering::Relaxed)
            || shared.queue.is_closed();
        if commits != self.commits && !is_wanted {
            let pause_us = (worked_us * PAUSES).min(PACE_US_MAX);
            std::thread::sleep(std::time::Duration::from_micros(pause_us));
        }
        *self = Self::new(shared);
    }
}

/// Writes all rows. Returns their length in bytes.
fn write_rows(
    shared: &Shared,
    storage: &dyn Storage,
    temp: &str,
    cut: Cut,
    pace: &mut Pace,
) -> Result<u64, StoreError> {
    let rows = cut.totals.live.saturating_add(cut.totals.tombstones);
    let mut job = CheckpointJob::begin_within(storage, temp, cut, shared.budget.work_bytes)?;
    loop {
        pace.keep(shared);
        if is_abandoned(shared) {
            return Err(StoreError::Stopped);
        }
        if job.has_more() {
            job.take_page(&shared.map.read());
            if !job.has_more() {
                // Writers need not keep replaced entries for it any more.
                shared.close_snapshot(job.snapshot());
            }
        }
        let is_more = job.write_page()?;
        let checkpoints = &shared.checkpoints;
        checkpoints.go_on((0, ROWS_WRITTEN), job.rows(), rows);
        if !is_more {
            let bytes = job.bytes();
            return job.finish().map(|()| bytes);
        }
    }
}

/// Carries changes after a checkpoint over to the map that is to lie over it, except for the rest. Without pauses: it
/// has to be quicker than the writers.
fn carry_over(shared: &Shared, base: &Arc<Base>, last_lseq: u64) -> Box<Rebase> {
    let mut rebase = Box::new(Rebase::new(Arc::clone(base), &shared.map.read(), last_lseq));
    for _ in 0..CARRYING_ROUNDS {
        let to = shared.map.read().last_change();
        if to.saturating_sub(rebase.reached()) < LEFT_TO_THE_SWAP {
            break;
        }
        while rebase.reached() < to && !is_abandoned(shared) {
            let carried = rebase.take(&shared.map.read());
            let Some(carried) = carried else { break };
            rebase.put(carried);
        }
    }
    rebase
}
