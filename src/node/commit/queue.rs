//! The committer's queue. Calls add requests without waiting; the committer takes a group at a time, and sleeps while
//! there is none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::core::clock::{MonotonicMs, SystemClock};
use crate::core::identity::Origin;
use crate::core::limits::PENDING_BYTES_MAX;

use super::backlog::{Backlog, RECEIVED_WAITING_BYTES_MAX};
use crate::store::commit::operation::{NOT_A_WRITE, Request, Ticket};

/// The reason why a request was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotQueued {
    /// The node is closing or closed.
    Closed,
    /// The limit of waiting bytes is reached; try again after the next commit.
    Full,
}

#[derive(Debug)]
struct Waiting {
    backlog: Backlog,
    /// Most bytes of waiting local requests.
    local_bytes_max: usize,
    last_ticket: Ticket,
    last_apart: Ticket,
    closing: bool,
}

impl Waiting {
    fn new(local_bytes_max: usize, received_bytes_max: usize) -> Self {
        Self {
            backlog: Backlog::new(received_bytes_max),
            local_bytes_max,
            last_ticket: 0,
            last_apart: 0,
            closing: false,
        }
    }

    /// True if a local request of that many bytes has no room.
    fn is_full(&self, bytes: usize) -> bool {
        let local = self.backlog.local_bytes();
        local.saturating_add(bytes) > self.local_bytes_max && self.backlog.local_len() > 0
    }
}

/// Work for the committer.
#[derive(Debug)]
pub enum Work {
    /// Requests to commit together.
    Group(Vec<Request>),
    /// The committer was woken, and there is nothing to commit.
    Woken,
    /// Nothing came within the given time.
    Idle,
    /// The queue is closed and empty.
    Closed,
}

/// Longest time after which a thread that yields runs again if no other wants its processor, in microseconds.
const CROWDED_US: u64 = 50;

/// Spin-loop hints between two checks: about a microsecond.
const PAUSES: usize = 16;

/// Demand of others for the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowding {
    /// No other thread wanted the processor.
    Free,
    /// Another thread ran meanwhile.
    Crowded,
}

/// The queue of requests for the committer.
#[derive(Debug)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// True if the committer must check the queue. Set without the lock, cleared only under it.
    awake: AtomicBool,
}

impl Default for Queue {
    fn default() -> Self {
        Self::new(PENDING_BYTES_MAX, RECEIVED_WAITING_BYTES_MAX)
    }
}

impl Queue {
    /// A queue with limits on the bytes of local requests and of received ones; one request of each kind always has
    /// room.
    pub fn new(local_bytes_max: usize, received_bytes_max: usize) -> Self {
        Self {
            waiting: Mutex::new(Waiting::new(local_bytes_max, received_bytes_max)),
            changed: Condvar::default(),
            awake: AtomicBool::default(),
        }
    }

    /// Queues a user's request, and returns its ticket. Does not wake the committer: see [`Self::wake`].
    pub fn submit(
        &self,
        bytes: usize,
        request: impl FnOnce(Ticket) -> Request,
    ) -> Result<Ticket, NotQueued> {
        let mut waiting = self.waiting.lock();
        if waiting.closing {
            return Err(NotQueued::Closed);
        }
        if waiting.is_full(bytes) {
            drop(waiting);
            self.wake();
            return Err(NotQueued::Full);
        }
        waiting.last_ticket += 1;
        let ticket = waiting.last_ticket;
        waiting.backlog.push(request(ticket));
        Ok(ticket)
    }

    /// Queues a rare request, with a ticket numbered apart from those of writes, and wakes the committer. Without
    /// `bytes` there is always room for it.
    pub fn submit_apart(
        &self,
        bytes: usize,
        request: impl FnOnce(Ticket) -> Request,
    ) -> Result<(), NotQueued> {
        let mut waiting = self.waiting.lock();
        if waiting.closing {
            return Err(NotQueued::Closed);
        }
        if bytes > 0 && waiting.is_full(bytes) {
            drop(waiting);
            self.wake();
            return Err(NotQueued::Full);
        }
        waiting.last_apart += 1;
        let request = request(NOT_A_WRITE | waiting.last_apart);
        waiting.backlog.push(request);
        drop(waiting);
        self.wake();
        Ok(())
    }

    /// Queues a request of the machine, and wakes the committer. Bounded by the peers' credit, and by
    /// [`Self::is_crowded_by`] over all peers.
    pub fn push(&self, request: Request) {
        let mut waiting = self.waiting.lock();
        if !waiting.closing {
            waiting.backlog.push(request);
            drop(waiting);
            self.wake();
        }
    }

    /// True if a peer must stop sending until some waiting requests are committed.
    pub fn is_crowded_by(&self, peer: Origin) -> bool {
        let waiting = self.waiting.lock();
        !waiting.closing && waiting.backlog.is_crowded_by(peer)
    }

    /// Wakes the committer, which checks the queue.
    pub fn wake(&self) {
        if !self.awake.swap(true, Ordering::AcqRel) {
            // A thread that is about to sleep holds the lock until it does, so the notification is not lost.
            drop(self.waiting.lock());
            self.changed.notify_one();
        }
    }

    /// Closes the queue: no request is taken any more, and waiting ones are still committed.
    pub fn close(&self) {
        self.waiting.lock().closing = true;
        self.wake();
    }

    /// True if the queue is closed.
    pub fn is_closed(&self) -> bool {
        self.waiting.lock().closing
    }

    /// Spins for a moment while there is no work: a caller that waits for a commit often comes right back, and waking a
    /// sleeping thread takes about as long as a fast disk's sync. Yields to other threads that want the processor, and
    /// returns whether there were any.
    pub fn spin(&self, clock: &SystemClock, moment_us: u64) -> Crowding {
        let mut now = clock.elapsed_us();
        let until = now + moment_us;
        while !self.is_awake() && now < until {
            // Pauses for the other thread of the processor core.
            for _ in 0..PAUSES {
                std::hint::spin_loop();
            }
            if self.is_awake() {
                break;
            }
            std::thread::yield_now();
            let after = clock.elapsed_us();
            if after - now > CROWDED_US {
                return Crowding::Crowded;
            }
            now = after;
        }
        Crowding::Free
    }

    /// True if the queue must be checked.
    pub fn is_awake(&self) -> bool {
        self.awake.load(Ordering::Acquire)
    }

    /// Waits for work, at most for `patience`, and takes it.
    pub fn next(&self, clock: &SystemClock, patience: Option<Duration>) -> Work {
        if self.wait(patience) {
            self.take(clock.monotonic())
        } else {
            Work::Idle
        }
    }

    /// Waits until the queue must be checked, at most for `patience`. Returns true if it must.
    pub fn wait(&self, patience: Option<Duration>) -> bool {
        let mut waiting = self.waiting.lock();
        loop {
            if self.is_awake() {
                return true;
            }
            match patience {
                None => self.changed.wait(&mut waiting),
                Some(patience) => {
                    if self.changed.wait_for(&mut waiting, patience).timed_out() {
                        return self.is_awake();
                    }
                }
            }
        }
    }

    /// Takes the waiting requests that fit one group.
    pub fn take(&self, now: MonotonicMs) -> Work {
        let mut waiting = self.waiting.lock();
        if !waiting.backlog.is_empty() {
            let group = waiting.backlog.take_group(now);
            let is_drained = waiting.backlog.is_empty() && !waiting.closing;
            self.awake.store(!is_drained, Ordering::Release);
            return Work::Group(group);
        }
        if waiting.closing {
            return Work::Closed;
        }
        self.awake.store(false, Ordering::Release);
        Work::Woken
    }

    /// True if one request waits, and the committer was not woken for it.
    pub fn is_lone(&self) -> bool {
        !self.is_awake() && self.waiting.lock().backlog.local_len() == 1
    }

    /// Takes a write of at most that many bytes, if it is the only waiting request and the committer was not woken for
    /// it.
    pub fn take_lone(&self, bytes_max: usize) -> Option<Request> {
        let mut waiting = self.waiting.lock();
        if waiting.closing || self.is_awake() {
            return None;
        }
        waiting.backlog.take_lone(|request| {
            matches!(request, Request::Write { .. }) && request.bytes() <= bytes_max
        })
    }
}
