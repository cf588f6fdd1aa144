//! Requests to the committer, and their receipts.

use super::ledger::{FeedPosition, KnownIdentityConflict, PeerRecord};
use crate::core::identity::{Dot, Origin};
use crate::core::limits::{GROUP_BYTES_TARGET, KEY_BYTES_MAX};
use crate::store::entry::{Entry, EntryFlags, Namespace};
use crate::store::error::StoreError;
use crate::store::scope::Scope;

/// Number of a request of this process, in the order of the calls; 0: no caller waits for it.
pub type Ticket = u64;

/// Bit in the ticket of a request that is not a write: such tickets are numbered apart, so that the tickets of writes
/// have no gaps.
pub const NOT_A_WRITE: Ticket = 1 << 63;

/// A write to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    payload: Box<[u8]>,
    key_length: u16,
    flags: EntryFlags,
}

impl Operation {
    /// A put of a user's key. `ascii`: the value is text and ASCII.
    ///
    /// # Errors
    /// If the key is empty or too long.
    pub fn put(key: &[u8], value: &[u8], ascii: bool) -> Result<Self, StoreError> {
        let flags = if ascii {
            EntryFlags::ASCII
        } else {
            EntryFlags::default()
        };
        Self::new(key, value, flags)
    }

    /// A removal of a user's key.
    ///
    /// # Errors
    /// If the key is empty or too long.
    pub fn remove(key: &[u8]) -> Result<Self, StoreError> {
        Self::new(key, &[], EntryFlags::TOMBSTONE)
    }

    fn new(key: &[u8], value: &[u8], flags: EntryFlags) -> Result<Self, StoreError> {
        check_key(key)?;
        let mut payload = Vec::with_capacity(1 + key.len() + value.len());
        payload.push(Namespace::User as u8);
        payload.extend_from_slice(key);
        payload.extend_from_slice(value);
        let key_length = u16::try_from(key.len() + 1)
            .map_err(|_| StoreError::KeyTooLong { bytes: key.len() })?;
        Ok(Self {
            payload: payload.into_boxed_slice(),
            key_length,
            flags,
        })
    }

    /// The stored key.
    pub fn key(&self) -> &[u8] {
        self.payload.split_at(usize::from(self.key_length)).0
    }

    /// The value; empty for a removal.
    pub fn value(&self) -> &[u8] {
        self.payload.split_at(usize::from(self.key_length)).1
    }

    /// True if the operation removes the key.
    pub fn is_removal(&self) -> bool {
        self.flags.contains(EntryFlags::TOMBSTONE)
    }

    /// Bytes of key and value.
    pub fn bytes(&self) -> usize {
        self.payload.len()
    }

    pub(in crate::store) fn into_parts(self) -> (Box<[u8]>, usize, EntryFlags) {
        (self.payload, usize::from(self.key_length), self.flags)
    }
}

/// Checks that a key of a user may be stored.
///
/// # Errors
/// If the key is empty or longer than [`KEY_BYTES_MAX`].
pub fn check_key(key: &[u8]) -> Result<(), StoreError> {
    if key.is_empty() {
        Err(StoreError::KeyEmpty)
    } else if key.len() > KEY_BYTES_MAX {
        Err(StoreError::KeyTooLong { bytes: key.len() })
    } else {
        Ok(())
    }
}

/// Entries from a peer, and the position up to which its feed is held with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The peer that sent the entries.
    pub peer: Origin,
    /// Number of the connection that waits for the acknowledgement; handed back with the commit.
    pub token: u64,
    /// Position up to which the peer's feed must be held before, so that no hole is left; the default: the entries
    /// begin the feed.
    pub from: FeedPosition,
    /// Position up to which the peer's feed is held once the entries are durable; the default: unchanged, as for the
    /// entries of a reconciliation.
    pub position: FeedPosition,
    /// Scope of these positions.
    pub scope: Scope,
    /// The entries, in feed order.
    pub entries: Vec<Entry>,
}

/// A write of this node that resolves a conflict: its version vector covers the losers, and their siblings are removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// Ticket of the waiting caller.
    pub ticket: Ticket,
    /// The write that becomes the key's value.
    pub operation: Operation,
    /// Dots of the losers.
    pub losers: Vec<Dot>,
}

/// A request to the committer: everything of it becomes durable, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// One write of this node.
    Write {
        /// Ticket of the waiting caller.
        ticket: Ticket,
        /// The write.
        operation: Operation,
    },
    /// Several writes of this node, all or none.
    Batch {
        /// Ticket of the waiting caller.
        ticket: Ticket,
        /// The writes, in order.
        operations: Vec<Operation>,
    },
    /// One write of this node that resolves a conflict.
    Resolve(Resolution),
    /// Entries from a peer.
    Received(Received),
    /// The record of a peer has changed. Causes no sync: a caller that must know that it is durable asks for something
    /// else after it that is.
    Peer {
        /// The peer.
        peer: Origin,
        /// The whole new record.
        record: PeerRecord,
    },
    /// A peer is to be forgotten. Not written to the log: the next checkpoint leaves the peer out, and until then it is
    /// forgotten again at each opening.
    ForgetPeer {
        /// The peer.
        peer: Origin,
    },
    /// Acknowledged rows up to this local sequence were pruned from the outbox.
    Pruned {
        /// Local sequence of the last pruned row.
        lseq: u64,
    },
    /// Own writes up to this local sequence are released by a tick. Causes no sync: a release that is lost in a power
    /// cut waits for another tick.
    Released {
        /// Local sequence of the last released row.
        lseq: u64,
    },
    /// An identity conflict was noticed.
    IdentityConflict(KnownIdentityConflict),
    /// Make everything before this durable, whatever `autoFlush` says.
    Flush {
        /// Ticket of the waiting caller.
        ticket: Ticket,
    },
}

/// Fixed cost of an operation in a group, in bytes: an upper bound of an entry record without key and value, as long as
/// its vector is small.
const OPERATION_OVERHEAD_BYTES: usize = 64;

impl Request {
    /// Ticket of the caller that waits for the request; `None` if no caller does.
    pub fn ticket(&self) -> Option<Ticket> {
        match self {
            Self::Write { ticket, .. } | Self::Batch { ticket, .. } | Self::Flush { ticket } => {
                Some(*ticket)
            }
            Self::Resolve(resolution) => Some(resolution.ticket),
            Self::Received(_)
            | Self::Peer { .. }
            | Self::ForgetPeer { .. }
            | Self::Released { .. }
            | Self::IdentityConflict(_)
            | Self::Pruned { .. } => None,
        }
    }

    /// Token of the connection that waits for the acknowledgement of the request; `None` if none does.
    pub fn token(&self) -> Option<u64> {
        if let Self::Received(received) = self {
            Some(received.token)
        } else {
            None
        }
    }

    /// Most entries that the request makes, without the siblings that conflicts add.
    pub fn entries(&self) -> usize {
        match self {
            Self::Write { .. } => 1,
            Self::Resolve(resolution) => 1 + resolution.losers.len(),
            Self::Batch { operations, .. } => operations.len(),
            Self::Received(received) => received.entries.len(),
            Self::Peer { .. }
            | Self::ForgetPeer { .. }
            | Self::Released { .. }
            | Self::IdentityConflict(_)
            | Self::Pruned { .. }
            | Self::Flush { .. } => 0,
        }
    }

    /// Approximate bytes of the request in a group.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Write { operation, .. } => operation.bytes() + OPERATION_OVERHEAD_BYTES,
            Self::Resolve(Resolution {
                operation, losers, ..
            }) => {
                let removal = 2 * OPERATION_OVERHEAD_BYTES + operation.key().len();
                operation.bytes() + OPERATION_OVERHEAD_BYTES + losers.len() * removal
            }
            Self::Batch { operations, .. } => operations
                .iter()
                .map(|operation| operation.bytes() + OPERATION_OVERHEAD_BYTES)
                .sum(),
            // A request without entries moves a cursor, which takes room too.
            Self::Received(received) => received
                .entries
                .iter()
                .map(|entry| entry.key().len() + entry.value_length() + OPERATION_OVERHEAD_BYTES)
                .fold(OPERATION_OVERHEAD_BYTES, usize::saturating_add),
            Self::Peer { .. }
            | Self::ForgetPeer { .. }
            | Self::Released { .. }
            | Self::IdentityConflict(_)
            | Self::Pruned { .. }
            | Self::Flush { .. } => OPERATION_OVERHEAD_BYTES,
        }
    }
}

/// Number of requests at the front of a queue that form one group: at least one, together at most
/// [`GROUP_BYTES_TARGET`].
pub fn group_length<'a>(requests: impl Iterator<Item = &'a Request>) -> usize {
    let mut bytes = 0;
    let fits = |request: &&Request| {
        bytes += request.bytes();
        bytes <= GROUP_BYTES_TARGET
    };
    requests.take_while(fits).count().max(1)
}

/// Effect of a write on its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum WriteStatus {
    /// A put to a key that had no value; for a removal: the key had no value, and nothing was written.
    Created = 0,
    /// A put over another value; for a removal: the value was removed.
    Updated = 1,
    /// A put of a value equal to the present one. Still an operation: the later write must win.
    Unchanged = 2,
}

/// Outcome of one request that a caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Ticket of the request.
    pub ticket: Ticket,
    /// Effect of the write on its key.
    pub status: WriteStatus,
    /// The key's version afterwards; for a batch, its number of operations.
    pub version: u64,
    /// The operation's sequence, 0 if nothing was written; for a batch, that of its last operation.
    pub sequence: u64,
}
