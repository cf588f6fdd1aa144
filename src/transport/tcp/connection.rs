//! One TCP connection: sending from any thread, closing, and the task that owns it.

#![allow(clippy::disallowed_methods, reason = "this is where sockets are")]

use parking_lot::Mutex;
use socket2::SockRef;
use std::fmt;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::Shared;
use super::events::ConnectionId;
use super::outgoing::{Outgoing, Phase, Written};
use super::reader::Reader;
use super::writer::write_queued;
use crate::transport::session::Role;
use crate::transport::session::close::CloseReason;
use crate::transport::session::half_open::HalfOpenSlot;
use crate::transport::wire::codec::encode;
use crate::transport::wire::message::{Goodbye, GoodbyeReason, Message};

/// Why a frame was not accepted for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// The connection is ending or has ended.
    #[error("the connection is closed")]
    Closed,
    /// Too many bytes wait already: the peer does not read, and this call closes the connection.
    #[error("too much waits for the peer")]
    Full,
}

/// A connection, shared between its task and the threads that send on it.
pub struct Connection {
    id: ConnectionId,
    role: Role,
    remote: SocketAddr,
    outgoing: Mutex<Outgoing>,
    outgoing_bytes_max: usize,
    half_open: Mutex<Option<HalfOpenSlot>>,
    greeted: AtomicBool,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    /// Wakes the writer when bytes wait, or the phase has changed.
    pub(super) queued: Notify,
    /// Wakes the task that owns the connection when the phase has changed.
    pub(super) ending: Notify,
    /// Wakes the reader that waits after the first message.
    pub(super) greeting: Notify,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("role", &self.role)
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// The id of the connection.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The side of the connection that this node is on.
    #[cfg(test)]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The peer's address.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Sends whole frames, in the order of calls, from any thread and without waiting: bytes that the system does not
    /// take at once are queued. If the queue would exceed its limit, the connection is closed.
    pub fn send(&self, frame: &[u8]) -> Result<(), SendError> {
        let mut outgoing = self.outgoing.lock();
        if outgoing.phase != Phase::Open {
            return Err(SendError::Closed);
        }
        let rest = if outgoing.len() == 0 {
            match outgoing.write_through(frame) {
                Ok(taken) => {
                    self.bytes_sent.fetch_add(taken as u64, Ordering::Relaxed);
                    frame.get(taken..).unwrap_or_default()
                }
                Err(kind) => {
                    self.end(&mut outgoing, Phase::Closed(CloseReason::Lost(kind)));
                    return Err(SendError::Closed);
                }
            }
        } else {
            frame
        };
        if rest.is_empty() {
            return Ok(());
        }
        if outgoing.len() + rest.len() > self.outgoing_bytes_max {
            self.end(&mut outgoing, Phase::Closed(CloseReason::QueueFull));
            return Err(SendError::Full);
        }
        outgoing.push(rest);
        drop(outgoing);
        self.queued.notify_one();
        Ok(())
    }

    /// Ends the connection: at once, or after the queue is sent (for at most the lingering time). The event `closed`
    /// follows. A second call can only hasten it.
    pub fn close(&self, after_flush: bool) {
        if after_flush {
            self.end_after_flush(CloseReason::Requested);
        } else {
            self.end_now(CloseReason::Requested);
        }
    }

    /// Bytes that wait to be sent.
    #[cfg(test)]
    pub fn outgoing_bytes(&self) -> usize {
        self.outgoing.lock().len()
    }

    /// Marks the peer as greeted and accepted: frames may be large from now on, reading goes on after HELLO, and the
    /// connection's half-open place is free.
    pub fn greeted(&self) {
        self.greeted.store(true, Ordering::Release);
        drop(self.half_open.lock().take());
        self.greeting.notify_one();
    }

    /// Bytes that the system has taken for the peer so far.
    #[cfg(test)]
    pub fn bytes_sent(&self) -> u64 {
        self.bytes_sent.load(Ordering::Relaxed)
    }

    /// Bytes that have come from the peer so far.
    #[cfg(test)]
    pub fn bytes_received(&self) -> u64 {
        self.bytes_received.load(Ordering::Relaxed)
    }

    pub(super) fn is_greeted(&self) -> bool {
        self.greeted.load(Ordering::Acquire)
    }

    pub(super) fn phase(&self) -> Phase {
        self.outgoing.lock().phase
    }

    pub(super) fn count_received(&self, bytes: usize) {
        self.bytes_received
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Writes some of the queued bytes.
    pub(super) fn write_some(&self) -> (Written, Phase) {
        let mut outgoing = self.outgoing.lock();
        let (written, count) = outgoing.write_some();
        self.bytes_sent.fetch_add(count as u64, Ordering::Relaxed);
        (written, outgoing.phase)
    }

    /// Ends the connection at once. The first reason stays.
    pub(super) fn end_now(&self, reason: CloseReason) {
        self.end(&mut self.outgoing.lock(), Phase::Closed(reason));
    }

    /// Ends the connection after the queue is sent. The first reason stays.
    pub(super) fn end_after_flush(&self, reason: CloseReason) {
        self.end(&mut self.outgoing.lock(), Phase::Flushing(reason));
    }

    fn end(&self, outgoing: &mut Outgoing, next: Phase) {
        outgoing.phase = match (outgoing.phase, next) {
            (Phase::Open, next) => next,
            (Phase::Flushing(first), Phase::Closed(_)) => Phase::Closed(first),
            _ => return,
        };
        self.queued.notify_one();
        self.ending.notify_one();
    }
}

/// Starts a connection on a connected socket: reports that it is open, and spawns its task.
pub(super) fn start(
    shared: &Arc<Shared>,
    stream: TcpStream,
    role: Role,
    remote: SocketAddr,
    half_open: Option<HalfOpenSlot>,
    purpose: u64,
) -> Arc<Connection> {
    // Small frames must not wait for acknowledgements of earlier ones. If the system refuses this, sending is slow,
    // but not wrong.
    let _ = stream.set_nodelay(true);
    let stream = Arc::new(stream);
    let connection = Arc::new(Connection {
        id: shared.next_id(),
        role,
        remote,
        outgoing: Mutex::new(Outgoing::new(Arc::clone(&stream))),
        outgoing_bytes_max: shared.settings.outgoing_bytes_max,
        half_open: Mutex::new(half_open),
        greeted: AtomicBool::new(false),
        bytes_sent: AtomicU64::new(0),
        bytes_received: AtomicU64::new(0),
        queued: Notify::new(),
        ending: Notify::new(),
        greeting: Notify::new(),
    });
    shared.live.send_modify(|count| *count += 1);
    let ending = Ending {
        shared: Arc::clone(shared),
        connection: Arc::clone(&connection),
    };
    shared.events.opened(&connection, role, purpose);
    tokio::spawn(run(ending, stream));
    connection
}

/// Owns a connection until it has ended, then cleans up and reports it; also when its task is dropped by a runtime
/// that shuts down, or panics in a callback.
struct Ending {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection.end_now(CloseReason::Requested);
        let (phase, stream) = {
            let mut outgoing = connection.outgoing.lock();
            (outgoing.phase, outgoing.release())
        };
        if let Some(stream) = stream {
            // The socket may be closed already.
            let _ = SockRef::from(&*stream).shutdown(Shutdown::Both);
        }
        drop(connection.half_open.lock().take());
        let reason = match phase {
            Phase::Open => CloseReason::Requested,
            Phase::Flushing(reason) | Phase::Closed(reason) => reason,
        };
        self.shared.events.closed(connection.id, reason);
        self.shared.live.send_modify(|count| *count -= 1);
    }
}

async fn run(ending: Ending, stream: Arc<TcpStream>) {
    converse(&ending, stream).await;
    let shared = Arc::clone(&ending.shared);
    drop(ending);
    forget_kept_later(&shared);
}

/// Forgets the kept parts of large values of ended connections once they have been kept for too long. One task does it
/// for all of them, however many connections a peer opens and ends.
fn forget_kept_later(shared: &Arc<Shared>) {
    let Some(due) = shared.unfinished.expire(shared.clock.monotonic()) else {
        return;
    };
    if shared.is_forgetting.swap(true, Ordering::AcqRel) {
        return;
    }
    let waiting_for = Arc::downgrade(shared);
    let mut wait_ms = due.since(shared.clock.monotonic());
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(wait_ms.max(1))).await;
            let Some(shared) = waiting_for.upgrade() else {
                return;
            };
            let now = shared.clock.monotonic();
            match shared
                .unfinished
                .expire(now)
                .or_else(|| shared.stop_forgetting(now))
            {
                Some(next) => wait_ms = next.since(now),
                None => return,
            }
        }
    });
}

/// Reads and writes until the connection has ended. The socket is not held here afterwards.
async fn converse(ending: &Ending, stream: Arc<TcpStream>) {
    let connection = &ending.connection;
    let settings = &ending.shared.settings;
    let mut writer = Writer(tokio::spawn(write_queued(
        Arc::clone(connection),
        Arc::clone(&stream),
        Duration::from_millis(settings.stall_timeout_ms),
    )));
    let mut reader = Reader::new(Arc::clone(&ending.shared), Arc::clone(connection), stream);
    if let Err(reason) = reader.read_until_ending().await {
        if reason.is_violation() && connection.is_greeted() {
            let goodbye = Goodbye::new(GoodbyeReason::Malformed, reason.to_string(), None);
            say_goodbye(connection, goodbye);
            connection.end_after_flush(reason);
        } else if reason == CloseReason::NotAccepted {
            // The owner that did not accept the message may have queued a reason.
            connection.end_after_flush(reason);
        } else {
            connection.end_now(reason);
        }
    }
    if matches!(connection.phase(), Phase::Flushing(_)) {
        let limit = Duration::from_millis(settings.linger_ms);
        let all_taken = linger_until_taken(connection, &mut writer, &mut reader);
        // The result does not matter: either everything was sent, or the time is over.
        let _ = tokio::time::timeout(limit, all_taken).await;
    }
    writer.stop().await;
}

/// Waits until the writer has sent everything, shuts down writing, and reads on until the peer has closed too: a
/// socket that is closed with unread bytes resets the connection, and bytes that the peer has not read yet may be lost
/// with it.
async fn linger_until_taken(connection: &Connection, writer: &mut Writer, reader: &mut Reader) {
    let all_taken = async {
        writer.finished().await;
        if reader.shut_down_writing() {
            reader.discard_until_closed().await;
        }
    };
    let hastened = async {
        while matches!(connection.phase(), Phase::Flushing(_)) {
            connection.ending.notified().await;
        }
    };
    tokio::select! {
        () = all_taken => {}
        () = hastened => {}
    }
}

fn say_goodbye(connection: &Connection, goodbye: Goodbye) {
    let mut frame = Vec::new();
    if encode(&Message::Goodbye(goodbye), &mut frame).is_ok() {
        // A peer that cannot be told is closed without a word.
        let _ = connection.send(&frame);
    }
}

/// The writing task; it ends with its connection's task.
struct Writer(JoinHandle<()>);

impl Writer {
    /// Waits for the end of the task. It fails only if the task is stopped or the runtime is gone, which is an end as
    /// well.
    async fn finished(&mut self) {
        if !self.0.is_finished() {
            let _ = (&mut self.0).await;
        }
    }

    async fn stop(&mut self) {
        self.0.abort();
        self.finished().await;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
