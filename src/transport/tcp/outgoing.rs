//! The outgoing queue of a connection, and the phase of its end.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;

use crate::transport::session::close::CloseReason;

/// Room that an empty queue keeps, in bytes.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// Phase of a connection's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The connection is in use.
    Open,
    /// The queue is still sent, then the connection ends.
    Flushing(CloseReason),
    /// The connection ends at once.
    Closed(CloseReason),
}

/// Result of writing from the queue.
#[derive(Debug)]
pub(super) enum Written {
    /// Nothing is left in the queue.
    All,
    /// Some bytes were sent.
    Some,
    /// The system takes no more now.
    Blocked,
    /// The connection is broken.
    Failed(io::ErrorKind),
}

/// The sending half of a connection, under its mutex.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) phase: Phase,
    stream: Option<Arc<TcpStream>>,
    queue: VecDeque<u8>,
}

impl Outgoing {
    pub(super) fn new(stream: Arc<TcpStream>) -> Self {
        Self {
            phase: Phase::Open,
            stream: Some(stream),
            queue: VecDeque::new(),
        }
    }

    /// Bytes in the queue.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Writes `bytes` past the queue, which must be empty. Returns the number of bytes that the system took.
    pub(super) fn write_through(&self, bytes: &[u8]) -> Result<usize, io::ErrorKind> {
        let Some(stream) = &self.stream else {
            return Err(io::ErrorKind::NotConnected);
        };
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            match stream.try_write(rest) {
                Ok(count) => taken += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.kind()),
            }
        }
        Ok(taken)
    }

    /// Adds bytes to the end of the queue.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.queue.extend(bytes);
    }

    /// Writes once from the queue; the second value is the number of bytes sent.
    pub(super) fn write_some(&mut self) -> (Written, usize) {
        if self.queue.is_empty() {
            return (Written::All, 0);
        }
        let Some(stream) = &self.stream else {
            return (Written::Failed(io::ErrorKind::NotConnected), 0);
        };
        match stream.try_write(self.queue.as_slices().0) {
            Ok(count) => {
                self.queue.drain(..count);
                if self.queue.is_empty() && self.queue.capacity() > KEPT_BYTES_MAX {
                    self.queue.shrink_to(KEPT_BYTES_MAX);
                }
                (Written::Some, count)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => (Written::Blocked, 0),
                kind => (Written::Failed(kind), 0),
            },
        }
    }

    /// Drops the queue and gives the socket up: nothing is sent any more.
    pub(super) fn release(&mut self) -> Option<Arc<TcpStream>> {
        self.queue = VecDeque::new();
        self.stream.take()
    }
}
