//! What waits for the committer. Calls put in without waiting; the committer takes everything at once, and
//! sleeps while there is nothing.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::core::limits::PENDING_BYTES_MAX;
use crate::store::commit::group_length;
use crate::store::operation::{NOT_A_WRITE, Request, Ticket};

/// Why a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotQueued {
    /// The node is closing or closed.
    Closed,
    /// More than [`PENDING_BYTES_MAX`] wait already; try again after the next commit.
    Full,
}

#[derive(Debug, Default)]
struct Waiting {
    requests: VecDeque<Request>,
    bytes: usize,
    last_ticket: Ticket,
    last_flush: Ticket,
    awake: bool,
    closing: bool,
}

/// What the committer is to do.
#[derive(Debug)]
pub enum Work {
    /// Commit these together.
    Group(Vec<Request>),
    /// Nothing came for the time that was asked.
    Idle,
    /// Nothing more will come.
    Closed,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Queue {
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
        if waiting.bytes.saturating_add(bytes) > PENDING_BYTES_MAX && !waiting.requests.is_empty() {
            waiting.awake = true;
            self.changed.notify_one();
            return Err(NotQueued::Full);
        }
        waiting.last_ticket += 1;
        let ticket = waiting.last_ticket;
        let request = request(ticket);
        waiting.bytes += request.bytes();
        waiting.requests.push_back(request);
        Ok(ticket)
    }

    /// Asks for everything before to be made durable, and wakes the committer. The ticket is told to `waiting`
    /// before the committer can see it.
    pub fn submit_flush(&self, waits: impl FnOnce(Ticket)) -> Result<(), NotQueued> {
        let mut waiting = self.waiting.lock();
        if waiting.closing {
            return Err(NotQueued::Closed);
        }
        waiting.last_flush += 1;
        let ticket = NOT_A_WRITE | waiting.last_flush;
        waits(ticket);
        waiting.requests.push_back(Request::Flush { ticket });
        waiting.awake = true;
        self.changed.notify_one();
        Ok(())
    }

    /// Puts a request of the machine in, and wakes the committer. Peers' credit bounds what comes this way.
    pub fn push(&self, request: Request) {
        let mut waiting = self.waiting.lock();
        if !waiting.closing {
            waiting.bytes += request.bytes();
            waiting.requests.push_back(request);
            waiting.awake = true;
            self.changed.notify_one();
        }
    }

    /// The committer looks at the queue.
    pub fn wake(&self) {
        let mut waiting = self.waiting.lock();
        if !waiting.awake {
            waiting.awake = true;
            self.changed.notify_one();
        }
    }

    /// Nothing more is taken; what waits is still committed.
    pub fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closing = true;
        waiting.awake = true;
        self.changed.notify_all();
    }

    /// Whether nothing more is taken.
    pub fn is_closed(&self) -> bool {
        self.waiting.lock().closing
    }

    /// Waits for work, at most for `patience`.
    pub fn next(&self, patience: Option<Duration>) -> Work {
        let mut waiting = self.waiting.lock();
        loop {
            if waiting.awake {
                if !waiting.requests.is_empty() {
                    return Work::Group(take_group(&mut waiting));
                }
                if waiting.closing {
                    return Work::Closed;
                }
                waiting.awake = false;
            }
            match patience {
                None => self.changed.wait(&mut waiting),
                Some(patience) => {
                    if self.changed.wait_for(&mut waiting, patience).timed_out() && !waiting.awake {
                        return Work::Idle;
                    }
                }
            }
        }
    }
}

fn take_group(waiting: &mut Waiting) -> Vec<Request> {
    let count = group_length(waiting.requests.iter());
    let group: Vec<Request> = waiting.requests.drain(..count).collect();
    let bytes: usize = group.iter().map(Request::bytes).sum();
    waiting.bytes = waiting.bytes.saturating_sub(bytes);
    group
}
