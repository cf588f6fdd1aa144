//! What a driver tells whoever owns the connections.

use std::fmt;
use std::sync::Arc;

use super::connection::Connection;
use crate::sync::message::{BegunValues, RefusalCode, Stream};
use crate::transport::session::Role;
use crate::transport::session::close::CloseReason;
use crate::transport::wire::message::Message;

/// Names a connection for as long as its transport lives; never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.0)
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reception {
    /// It was not taken: the connection is to be closed.
    Refused,
    /// It was taken.
    Taken,
    /// It was taken, and nothing more should be read for [`ConnectionEvents::pause_ms`].
    Paused,
}

/// What happens on connections. All calls for one connection come one after another (from threads of the
/// runtime, which they must not block for long); `closed` is the last of them.
pub trait ConnectionEvents: Send + Sync + 'static {
    /// A connection is there. Nothing was read from it yet: this is the moment to send HELLO.
    /// `purpose` is what the dialler gave; 0 for a connection that was accepted.
    fn opened(&self, connection: &Arc<Connection>, role: Role, purpose: u64);

    /// A message came. Nothing is read behind
    /// the first one until [`Connection::greeted`] is called. LARGE and CHUNK never come here: a value that is
    /// complete comes as a BATCH of one entry that is `is_charged`, because its parts were reported by
    /// [`Self::charged`] already.
    fn received(&self, id: ConnectionId, message: Message, is_charged: bool) -> Reception;

    /// A peer greets, of whose large values these parts are here. Comes right before its HELLO does.
    fn keeps(&self, _id: ConnectionId, _parts: BegunValues) {}

    /// For how many milliseconds nothing more should be read from a connection. Asked where a message [`Reception::Paused`]
    /// it, and again once that time is over: a peer that sends more than its share waits, and sees a socket that takes
    /// nothing.
    fn pause_ms(&self, _id: ConnectionId) -> u64 {
        0
    }

    /// Bytes came, of whatever kind: told when they do, and not more often than is of use.
    fn heard(&self, id: ConnectionId);

    /// A LARGE or a CHUNK was taken off the wire, used or skipped. It cost the sender `cost` (see
    /// [`crate::sync::message::Feed::cost`]), which may be given again.
    fn charged(&self, id: ConnectionId, cost: u64);

    /// The large value announced up to `lseq_to` in `stream` is not taken; its chunks are skipped.
    fn refused(&self, id: ConnectionId, stream: Stream, lseq_to: u64, code: RefusalCode);

    /// The connection has ended; exactly once for each that was opened.
    fn closed(&self, id: ConnectionId, reason: CloseReason);
}
