//! What a node is asked to write, and what came of it.

use super::ledger::{FeedPosition, KnownIdentityConflict, PeerRecord};
use crate::core::identity::{Dot, Origin};
use crate::core::limits::{GROUP_BYTES_TARGET, KEY_BYTES_MAX};
use crate::store::entry::{Entry, EntryFlags, Namespace};
use crate::store::error::StoreError;
use crate::store::scope::Scope;

/// Names a request of this process, in the order of the calls; 0: nobody waits for it.
pub type Ticket = u64;

/// Set in the ticket of a request that is not a write: such tickets are numbered apart, so that those of
/// writes have no gaps.
pub const NOT_A_WRITE: Ticket = 1 << 63;

/// A write to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    payload: Box<[u8]>,
    key_length: u16,
    flags: EntryFlags,
}

impl Operation {
    /// Sets a key of a user. `ascii` says that the value is text and ASCII.
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

    /// Removes a key of a user.
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

    /// Whether it removes.
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

/// Whether a key of a user may be stored.
///
/// # Errors
/// If it is empty or longer than [`KEY_BYTES_MAX`].
pub fn check_key(key: &[u8]) -> Result<(), StoreError> {
    if key.is_empty() {
        Err(StoreError::KeyEmpty)
    } else if key.len() > KEY_BYTES_MAX {
        Err(StoreError::KeyTooLong { bytes: key.len() })
    } else {
        Ok(())
    }
}

/// Entries that came from a peer, and where its feed is held up to with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The peer.
    pub peer: Origin,
    /// Who asked for the acknowledgement; handed back with the commit.
    pub token: u64,
    /// Where its feed has to be held up to before, or this leaves a hole; the default: it begins the feed.
    pub from: FeedPosition,
    /// Where its feed is held up to once this is durable; the default: where it was, whatever that is. So come the
    /// entries of a reconciliation.
    pub position: FeedPosition,
    /// What those positions are about.
    pub scope: Scope,
    /// The entries.
    pub entries: Vec<Entry>,
}

/// A write of this node that settles a conflict: it knows the losers, and removes them where they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// Who waits.
    pub ticket: Ticket,
    /// The write.
    pub operation: Operation,
    /// The losers.
    pub losers: Vec<Dot>,
}

/// What the committer is asked to make durable. One request is never torn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// One write of this node.
    Write {
        /// Who waits.
        ticket: Ticket,
        /// The write.
        operation: Operation,
    },
    /// Several writes of this node, all or none.
    Batch {
        /// Who waits.
        ticket: Ticket,
        /// The writes, in order.
        operations: Vec<Operation>,
    },
    /// One write of this node that settles a conflict.
    Resolve(Resolution),
    /// Entries from a peer.
    Received(Received),
    /// What is known of a peer changed. Nothing is synced for it: who has to know that it is durable asks for something
    /// else behind it that is.
    Peer {
        /// The peer.
        peer: Origin,
        /// All that is known.
        record: PeerRecord,
    },
    /// Nothing is to be remembered of a peer any more. Not told to the log: the next checkpoint leaves it out, and until
    /// then it is forgotten again at each open.
    ForgetPeer {
        /// The peer.
        peer: Origin,
    },
    /// Rows up to this local sequence are pruned.
    Pruned {
        /// The local sequence.
        lseq: u64,
    },
    /// Own writes up to this local sequence are released by a tick. Nothing is synced for it: what is lost with the power
    /// waits for another tick.
    Released {
        /// The local sequence.
        lseq: u64,
    },
    /// The node has reason to doubt its identity.
    IdentityConflict(KnownIdentityConflict),
    /// Make everything before this durable, whatever `autoFlush` says.
    Flush {
        /// Who waits.
        ticket: Ticket,
    },
}

/// Fixed cost of an operation in a group, in bytes, an upper bound of what an entry record adds to key and
/// value when its vector is small.
const OPERATION_OVERHEAD_BYTES: usize = 64;

impl Request {
    /// Who waits for it, if anybody does.
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

    /// The connection that is owed an acknowledgement for it, if one is.
    pub fn token(&self) -> Option<u64> {
        if let Self::Received(received) = self {
            Some(received.token)
        } else {
            None
        }
    }

    /// How many entries it makes at the most, but for siblings.
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

    /// About how many bytes it takes in a group.
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
            // Without entries it moves a cursor, which takes its place too.
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

/// How many of the requests at the front of a queue fit one group: at least one, together at most
/// [`GROUP_BYTES_TARGET`].
pub fn group_length<'a>(requests: impl Iterator<Item = &'a Request>) -> usize {
    let mut bytes = 0;
    let fits = |request: &&Request| {
        bytes += request.bytes();
        bytes <= GROUP_BYTES_TARGET
    };
    requests.take_while(fits).count().max(1)
}

/// What a write did to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum WriteStatus {
    /// A put to a key that had no value; for a removal: there was none, and nothing was written.
    Created = 0,
    /// A put over another value; for a removal: it was removed.
    Updated = 1,
    /// A put of the same bytes. Still an operation: the later write must win.
    Unchanged = 2,
}

/// What came of one request that somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The request.
    pub ticket: Ticket,
    /// What it did.
    pub status: WriteStatus,
    /// The key's version afterwards; for a batch, how many operations it had.
    pub version: u64,
    /// The operation's sequence, 0 if there was none to do; for a batch, of its last.
    pub sequence: u64,
}
