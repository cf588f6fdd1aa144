//! The commit thread: commits waiting requests, does the log's upkeep between groups, and ends everything when
//! something breaks.

#![allow(clippy::disallowed_methods, reason = "a driver: it is a thread")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use super::committer::CommitDriver;
use super::outcomes::{outcome_unknown, panic_text, tell_failures};
use super::queue::{Crowding, Work};
use crate::core::error_kind::ErrorKind;
use crate::node::failure::{ErrorCode, Failure};
use crate::node::shared::Shared;
use crate::store::commit::operation::{Receipt, Request, Ticket};
use crate::store::error::StoreError;

/// Time for which the thread stays awake after a commit, in microseconds: about the time in which JavaScript hears of
/// it and writes again.
const SPIN_US: u64 = 120;

/// Number of commits after which the thread tries again to stay awake, where other processes wanted the processor.
const RESTS: u32 = 256;

/// Pause while requests are held back: a checkpoint writes some hundred kilobytes meanwhile.
const HELD: Duration = Duration::from_millis(1);

/// The exclusive right to commit. Requests are dequeued only under this lock, so groups commit in queue order. Empty
/// once the node has ended.
pub(in crate::node) type CommitSlot = Arc<Mutex<Option<CommitDriver>>>;

/// Result of one turn of the thread.
enum Turn {
    Committed,
    /// Requests are held back until the checkpoint has progressed.
    Held,
    Looked,
    Ended,
    Panicked(String),
}

/// Starts the thread. It ends once the queue is closed and empty, and returns the result of closing the log.
pub(in crate::node) fn start(
    shared: &Arc<Shared>,
    commit_slot: &CommitSlot,
) -> std::io::Result<JoinHandle<Result<(), StoreError>>> {
    let (shared, commit_slot) = (Arc::clone(shared), Arc::clone(commit_slot));
    std::thread::Builder::new()
        .name("softadastra-commit".into())
        .spawn(move || run(&shared, &commit_slot))
}

fn run(shared: &Arc<Shared>, commit_slot: &CommitSlot) -> Result<(), StoreError> {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        run_until_closed(shared, commit_slot)
    }));
    let driver = commit_slot.lock().take();
    let text = match outcome {
        Ok(None) => {
            shared.checkpoints.end();
            return driver.map_or(Ok(()), CommitDriver::close);
        }
        Ok(Some(text)) => text,
        Err(panic) => panic_text(&*panic),
    };
    give_up(shared, driver, &text);
    Err(StoreError::Panicked(text))
}

/// Runs until the node is closed. Returns the message of a panic in an inline commit; `None` if there was none.
fn run_until_closed(shared: &Shared, commit_slot: &CommitSlot) -> Option<String> {
    let mut rests = 0;
    let mut patience = None;
    loop {
        let has_work = shared.queue.wait(patience);
        let turn = match commit_slot.lock().as_mut() {
            Some(driver) => {
                let turn = take_turn(shared, driver, has_work);
                patience = driver.patience();
                turn
            }
            None => Turn::Ended,
        };
        match turn {
            Turn::Committed => spin(shared, &mut rests),
            Turn::Looked => {}
            Turn::Held => std::thread::sleep(HELD),
            Turn::Ended => return None,
            Turn::Panicked(text) => return Some(text),
        }
    }
}

fn take_turn(shared: &Shared, driver: &mut CommitDriver, has_work: bool) -> Turn {
    if let Some(text) = driver.panicked.take() {
        return Turn::Panicked(text);
    }
    let mut tell = |receipts: &[Receipt]| {
        if let Some(last) = receipts.last() {
            shared.events.committed(last.ticket, receipts, &[]);
        }
    };
    // Requests that wait when a node closes have room, and nothing comes after them.
    if has_work && driver.is_intake_held() && !shared.queue.is_closed() {
        driver.land(&mut tell);
        driver.look_after();
        return Turn::Held;
    }
    let work = if has_work {
        shared.queue.take(shared.clock.monotonic())
    } else {
        Work::Idle
    };
    let turn = match work {
        Work::Group(requests) => {
            driver.group(requests, &mut tell);
            if driver.is_last_in_flight() {
                driver.land(&mut tell);
            }
            if driver.in_flight.is_some() {
                // Upkeep of the log needs a moment with nothing in flight.
                return Turn::Committed;
            }
            Turn::Committed
        }
        _ if driver.in_flight.is_some() => {
            driver.land(&mut tell);
            Turn::Committed
        }
        Work::Woken => Turn::Looked,
        Work::Idle => {
            driver.idle();
            Turn::Looked
        }
        Work::Closed => {
            driver.close_checkpoints();
            return Turn::Ended;
        }
    };
    driver.look_after();
    turn
}

/// Stays awake for a moment. Where other processes want the processor it sleeps: spinning would use up the thread's
/// time slice, and the next commit would wait for its turn.
fn spin(shared: &Shared, rests: &mut u32) {
    if *rests > 0 {
        *rests -= 1;
    } else if shared.queue.spin(&shared.clock, SPIN_US) == Crowding::Crowded {
        *rests = RESTS;
    }
}

/// Ends the committer after a panic during a commit: all callers are told, and every later request is refused.
fn give_up(shared: &Arc<Shared>, mut driver: Option<CommitDriver>, text: &str) {
    let failure = Failure::new(
        ErrorCode::Internal,
        ErrorKind::Panicked,
        format!(
            "the committer failed and no more writes are accepted until the client is opened again: {text}"
        ),
    );
    if let Some(driver) = driver.as_mut().filter(|driver| driver.in_flight.is_some()) {
        // The lock must be released after the sync. Only the next opening can find out its outcome.
        let _ = driver.sync_thread.wait();
    }
    let under_way = driver
        .as_mut()
        .map(|driver| std::mem::take(&mut driver.under_way));
    // It is unknown whether the group under way is on disk.
    let unknown = outcome_unknown(failure.clone());
    let under_way = under_way.unwrap_or_default();
    let under_way = under_way
        .into_iter()
        .map(|ticket| (ticket, unknown.clone()));
    tell_failures(shared, under_way.collect());
    refuse_the_rest(shared, &failure);
    shared
        .checkpoints
        .is_abandoned
        .store(true, Ordering::Release);
    if let Some(running) = driver.as_mut().and_then(|driver| driver.running.take()) {
        // The checkpoint thread still writes beside the log, so the lock is released after it.
        running.has_news(shared, true);
        running.tell(&Err(failure));
    }
    shared.checkpoints.end();
    drop(driver);
}

/// Refuses all waiting and later requests with one cause, because the committer is gone; reads go on.
fn refuse_the_rest(shared: &Arc<Shared>, failure: &Failure) {
    shared.refuse_writes(failure);
    shared.events.failed(failure.clone());
    loop {
        match shared.queue.next(&shared.clock, None) {
            Work::Group(requests) => {
                let failures: Vec<(Ticket, Failure)> = requests
                    .iter()
                    .filter_map(Request::ticket)
                    .map(|ticket| (ticket, failure.clone()))
                    .collect();
                tell_failures(shared, failures);
            }
            Work::Idle | Work::Woken => shared.checkpoints.refuse_all(failure),
            Work::Closed => return,
        }
    }
}
