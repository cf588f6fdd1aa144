//! What a driver tells whoever owns the connections.

use std::fmt;
use std::sync::Arc;

use super::connection::Connection;
use crate::sync::message::{Lane, RefusalCode};
use crate::transport::close::CloseReason;
use crate::transport::message::Message;
use crate::transport::session::Role;

/// Names a connection for as long as its transport lives; never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(super) u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.0)
    }
}

/// What happens on connections. All calls for one connection come one after another (from threads of the
/// runtime, which they must not block for long); `closed` is the last of them.
pub trait ConnectionEvents: Send + Sync + 'static {
    /// A connection is there. Nothing was read from it yet: this is the moment to send HELLO.
    fn opened(&self, connection: &Arc<Connection>, role: Role);

    /// A message came whose body had `body_len` bytes; `false` closes the connection. Nothing is read behind
    /// the first one until [`Connection::greeted`] is called. LARGE and CHUNK never come here: a value that is
    /// complete comes as a BATCH of one entry with a `body_len` of 0, because its parts were reported by
    /// [`Self::chunk_consumed`] already.
    fn received(&self, id: ConnectionId, message: Message, body_len: usize) -> bool;

    /// Bytes came, of whatever kind.
    fn heard(&self, id: ConnectionId);

    /// A LARGE (`entries` is 1) or a CHUNK (0) was taken off the wire, used or skipped. It cost the sender
    /// `credit::feed_cost(body_len, entries)`, which may be given again.
    fn chunk_consumed(&self, id: ConnectionId, body_len: usize, entries: usize);

    /// The large value announced up to `lseq_to` in `lane` is not taken; its chunks are skipped.
    fn refused(&self, id: ConnectionId, lane: Lane, lseq_to: u64, code: RefusalCode);

    /// The connection has ended; exactly once for each that was opened.
    fn closed(&self, id: ConnectionId, reason: CloseReason);
}
