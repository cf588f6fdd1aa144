//! Events that the driver reports to the owner of the connections.

use std::fmt;
use std::sync::Arc;

use super::connection::Connection;
use crate::sync::message::{BegunValues, RefusalCode, Stream};
use crate::transport::session::Role;
use crate::transport::session::close::CloseReason;
use crate::transport::wire::message::Message;

/// Id of a connection, never given twice within a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.0)
    }
}

/// Answer of the owner to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reception {
    /// The message was not accepted: the connection is to be closed.
    Refused,
    /// The message was accepted.
    Taken,
    /// The message was accepted, and nothing more should be read for [`ConnectionEvents::pause_ms`].
    Paused,
}

/// Events of connections. All calls for one connection come one after another, on threads of the runtime that must not
/// be blocked for long; `closed` is the last of them.
pub trait ConnectionEvents: Send + Sync + 'static {
    /// A connection is open. Nothing was read from it yet: this is the moment to send HELLO. `purpose` is the number
    /// that the dialler gave; 0 for an accepted connection.
    fn opened(&self, connection: &Arc<Connection>, role: Role, purpose: u64);

    /// A message came. Nothing is read after the first one until [`Connection::greeted`] is called. LARGE and CHUNK
    /// are never reported here: a complete value comes as a BATCH of one entry that is `is_charged`, because its parts
    /// were reported by [`Self::charged`] already.
    fn received(&self, id: ConnectionId, message: Message, is_charged: bool) -> Reception;

    /// Hands over the kept parts of a peer's large values, right before its HELLO is reported.
    fn keeps(&self, _id: ConnectionId, _parts: BegunValues) {}

    /// Milliseconds for which nothing more should be read from a connection. Asked after a message was
    /// [`Reception::Paused`], and again once that time is over: a peer that sends more than its share waits, and sees
    /// a socket that takes nothing.
    fn pause_ms(&self, _id: ConnectionId) -> u64 {
        0
    }

    /// Bytes of any kind came. Reported when they come, but at most every few hundred milliseconds.
    fn heard(&self, id: ConnectionId);

    /// A LARGE or a CHUNK was read, and used or skipped. It cost the sender `cost` (see
    /// [`crate::sync::message::Feed::cost`]), which may be granted again.
    fn charged(&self, id: ConnectionId, cost: u64);

    /// The large value announced up to `lseq_to` in `stream` is refused; its chunks are skipped.
    fn refused(&self, id: ConnectionId, stream: Stream, lseq_to: u64, code: RefusalCode);

    /// The connection has ended; reported exactly once for each that was opened.
    fn closed(&self, id: ConnectionId, reason: CloseReason);
}
