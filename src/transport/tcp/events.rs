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
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.0)
    }
}

/// What happens on connections. All calls for one connection come one after another (from threads of the
/// runtime, which they must not block for long); `closed` is the last of them.
pub trait ConnectionEvents: Send + Sync + 'static {
    /// A connection is there. Nothing was read from it yet: this is the moment to send HELLO.
    /// `purpose` is what the dialler gave; 0 for a connection that was accepted.
    fn opened(&self, connection: &Arc<Connection>, role: Role, purpose: u64);

    /// A message came; `false` closes the connection. Nothing is read behind
    /// the first one until [`Connection::greeted`] is called. LARGE and CHUNK never come here: a value that is
    /// complete comes as a BATCH of one entry that is `is_charged`, because its parts were reported by
    /// [`Self::charged`] already.
    fn received(&self, id: ConnectionId, message: Message, is_charged: bool) -> bool;

    /// Bytes came, of whatever kind.
    fn heard(&self, id: ConnectionId);

    /// A LARGE or a CHUNK was taken off the wire, used or skipped. It cost the sender `cost` (see
    /// [`crate::sync::message::Feed::cost`]), which may be given again.
    fn charged(&self, id: ConnectionId, cost: u64);

    /// The large value announced up to `lseq_to` in `lane` is not taken; its chunks are skipped.
    fn refused(&self, id: ConnectionId, lane: Lane, lseq_to: u64, code: RefusalCode);

    /// The connection has ended; exactly once for each that was opened.
    fn closed(&self, id: ConnectionId, reason: CloseReason);
}
