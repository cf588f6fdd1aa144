//! What waits for the committer. Calls put in without waiting; the committer takes everything at once, and
//! sleeps while there is nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::core::clock::{MonotonicMs, SystemClock};
use crate::core::identity::Origin;
use crate::core::limits::PENDING_BYTES_MAX;

use super::backlog::{Backlog, RECEIVED_WAITING_BYTES_MAX};
use crate::store::commit::operation::{NOT_A_WRITE, Request, Ticket};

/// Why a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotQueued {
    /// The node is closing or closed.
    Closed,
    /// As many bytes wait already as may; try again after the next commit.
    Full,
}

#[derive(Debug)]
struct Waiting {
    backlog: Backlog,
    /// Most bytes of local requests that wait.
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

    /// Whether so many bytes of a local request have no room.
    fn is_full(&self, bytes: usize) -> bool {
        let local = self.backlog.local_bytes();
        local.saturating_add(bytes) > self.local_bytes_max && self.backlog.local_len() > 0
    }
}

/// What the committer is to do.
#[derive(Debug)]
pub enum Work {
    /// Commit these together.
    Group(Vec<Request>),
    /// Somebody asked for a look, and there is nothing to commit.
    Woken,
    /// Nothing came for the time that was asked.
    Idle,
    /// Nothing more will come.
    Closed,
}

/// How long it takes at most until a thread that gives way runs again if nobody else wants its processor, in
/// microseconds.
const CROWDED_US: u64 = 50;

/// Pauses of the processor between two looks: about a microsecond.
const PAUSES: usize = 16;

/// Whether others want the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowding {
    /// Nobody does.
    Free,
    /// Somebody had it meanwhile.
    Crowded,
}

/// The queue.
#[derive(Debug)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// Whether the committer has to look. Set without the lock, cleared only under it.
    awake: AtomicBool,
}

impl Default for Queue {
    fn default() -> Self {
        Self::new(PENDING_BYTES_MAX, RECEIVED_WAITING_BYTES_MAX)
    }
}

impl Queue {
    /// A queue for so many bytes of local requests, and of what peers sent; one request of each kind always has a place.
    pub fn new(local_bytes_max: usize, received_bytes_max: usize) -> Self {
        Self {
            waiting: Mutex::new(Waiting::new(local_bytes_max, received_bytes_max)),
            changed: Condvar::default(),
            awake: AtomicBool::default(),
        }
    }

    /// Puts a request of a user in, and gives its ticket. The committer is not woken: see [`Self::wake`].
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

    /// Puts in what is rarely asked for, with a ticket that leaves no gap in those of writes, and wakes the committer.
    /// Without `bytes` there is always room for it.
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

    /// Puts a request of the machine in, and wakes the committer. Peers' credit bounds what comes this way, and
    /// [`Self::is_crowded_by`] over all of them.
    pub fn push(&self, request: Request) {
        let mut waiting = self.waiting.lock();
        if !waiting.closing {
            waiting.backlog.push(request);
            drop(waiting);
            self.wake();
        }
    }

    /// Whether a peer should send no more until some of what waits is committed.
    pub fn is_crowded_by(&self, peer: Origin) -> bool {
        let waiting = self.waiting.lock();
        !waiting.closing && waiting.backlog.is_crowded_by(peer)
    }

    /// The committer looks at the queue.
    pub fn wake(&self) {
        if !self.awake.swap(true, Ordering::AcqRel) {
            // Whoever is about to sleep holds the lock until he does: the call is not lost.
            drop(self.waiting.lock());
            self.changed.notify_one();
        }
    }

    /// Nothing more is taken; what waits is still committed.
    pub fn close(&self) {
        self.waiting.lock().closing = true;
        self.wake();
    }

    /// Whether nothing more is taken.
    pub fn is_closed(&self) -> bool {
        self.waiting.lock().closing
    }

    /// Looks for work for a moment without sleeping: who waits for a commit often comes right back, and waking
    /// a sleeping thread takes about as long as a sync of a fast disk. Others that want the processor get it;
    /// says whether there were any.
    pub fn spin(&self, clock: &SystemClock, moment_us: u64) -> Crowding {
        let mut now = clock.elapsed_us();
        let until = now + moment_us;
        while !self.is_awake() && now < until {
            // The other thread of the same core has work to do.
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

    /// Whether there is something to look at.
    pub fn is_awake(&self) -> bool {
        self.awake.load(Ordering::Acquire)
    }

    /// Waits for work, at most for `patience`, and then takes it.
    pub fn next(&self, clock: &SystemClock, patience: Option<Duration>) -> Work {
        if self.wait(patience) {
            self.take(clock.monotonic())
        } else {
            Work::Idle
        }
    }

    /// Waits until there is something to look at, at most for `patience`; says whether there is.
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

    /// Takes what waits, as much as fits one group.
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

    /// Whether one thing waits and nobody was woken for it.
    pub fn is_lone(&self) -> bool {
        !self.is_awake() && self.waiting.lock().backlog.local_len() == 1
    }

    /// Takes a write of at most so many bytes, if that is all that waits and nobody was woken for it.
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
