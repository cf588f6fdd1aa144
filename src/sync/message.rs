//! The messages between replicas, as values. `transport::wire` turns them into bytes, and `transport::session` carries
//! them (`docs/internals/replication.md`, section 4).

pub use super::reconcile::ranges::{Claim, Listed, Part, Ranges};
use crate::core::byte_enum::byte_enum;
use crate::core::identity::{Dot, Incarnation, Origin};
use crate::core::rules::{Rule, is_broken};
pub use crate::store::commit::ledger::Epoch;
use crate::store::commit::ledger::FeedPosition;
use crate::store::entry::{Entry, Summary};
use crate::store::scope::Scope;

/// The two streams of a feed. A node's own writes may wait for a tick, and what it relays may wait for a hint
/// that the peer has it already; with one cursor over both, either would hold up the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Stream {
    /// Entries whose author is the sender.
    Own = 0,
    /// Entries that the sender received from others.
    Relay = 1,
}

/// A position in each stream of a feed, as local sequence numbers, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Positions {
    /// In the stream of own writes.
    pub own: u64,
    /// In the stream of relayed entries.
    pub relay: u64,
}

impl Positions {
    /// The position in one stream.
    pub fn get(self, stream: Stream) -> u64 {
        match stream {
            Stream::Own => self.own,
            Stream::Relay => self.relay,
        }
    }

    /// The further position of two in each stream.
    pub fn furthest(self, other: Self) -> Self {
        Self {
            own: self.own.max(other.own),
            relay: self.relay.max(other.relay),
        }
    }

    /// The nearer position of two in each stream.
    pub fn nearest(self, other: Self) -> Self {
        Self {
            own: self.own.min(other.own),
            relay: self.relay.min(other.relay),
        }
    }

    /// The position in one stream, to change it.
    pub fn get_mut(&mut self, stream: Stream) -> &mut u64 {
        match stream {
            Stream::Own => &mut self.own,
            Stream::Relay => &mut self.relay,
        }
    }
}

/// A place in a node's feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// The epoch of the feed that the positions belong to.
    pub incarnation: Incarnation,
    /// The position in each stream.
    pub positions: Positions,
}

impl From<Cursor> for FeedPosition {
    fn from(cursor: Cursor) -> Self {
        Self {
            incarnation: cursor.incarnation,
            own: cursor.positions.own,
            relay: cursor.positions.relay,
        }
    }
}

/// Identity and state of a replica: the replica's half of HELLO.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each says something else of what the replica can do"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The label of the node.
    pub node_id: String,
    /// The identity of the node.
    pub origin: Origin,
    /// The newest epochs of its feed, oldest first; at least one, the last is the current one.
    pub epochs: Vec<Epoch>,
    /// True if what the sender acknowledges is durable on its disk.
    pub durable: bool,
    /// The keys that the sender sends and receives on this connection; the connection carries those in both scopes.
    pub scope: Scope,
    /// Entry count and fingerprint of the sender's state in that scope; both 0 where it is not summed up yet.
    pub summary: Summary,
    /// The last local sequence number that the sender gave.
    pub last_lseq: u64,
    /// Largest value that the sender accepts, in bytes.
    pub value_bytes_max: u64,
    /// The sender's wall clock at this greeting, in milliseconds since 1970.
    pub wall_ms: u64,
    /// True if the sender can reconcile (see [`Ranges`]).
    pub reconciles: bool,
    /// True if the sender's fingerprint covers the content of writes. Fingerprints of an older version cannot be
    /// compared.
    pub sums_content: bool,
    /// True if the sender keeps the received part of a large value and resumes after it (see [`Begun`]).
    pub resumes: bool,
}

/// Entries of one stream of the sender's feed, oldest first; or, with `to` 0, entries of a reconciliation, which move no
/// cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The stream.
    pub stream: Stream,
    /// Position that the receiver's cursor must have reached for this batch to follow on.
    pub from: u64,
    /// Position of the cursor afterwards: all live entries of the stream in (from, to] are here or were known to the
    /// receiver.
    pub to: u64,
    /// The entries.
    pub entries: Vec<Entry>,
}

/// The announcement of an entry whose value follows in [`Chunk`]s on the same connection, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Large {
    /// The stream.
    pub stream: Stream,
    /// Position that the receiver's cursor must have reached, as in [`Batch`].
    pub from: u64,
    /// Position of the cursor once the value is complete, as in [`Batch`].
    pub to: u64,
    /// The entry without its value (its flags say that it has one).
    pub entry: Entry,
    /// Bytes of the value.
    pub value_length: u64,
    /// The content hash of the value and the offset of its first chunk. Sent only to peers that can resume; `None`:
    /// from the start.
    pub resumption: Option<Resumption>,
}

impl Large {
    /// The exact identity of the value, if the announcement tells its content.
    pub fn value_id(&self) -> Option<ValueId> {
        let resumption = self.resumption?;
        Some(ValueId {
            dot: self.entry.dot,
            content: resumption.content,
            length: self.value_length,
        })
    }
}

/// The value that [`Large`] announces, and where its chunks begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumption {
    /// [`Entry::content_hash`] of the whole entry: the receiver checks it once the value is complete.
    pub content: u64,
    /// Bytes that the receiver has reported to have, and that do not come again.
    pub offset: u64,
}

/// Identity of one exact large value. A dot alone is not enough: copies of a node may give it twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId {
    /// The entry's dot.
    pub dot: Dot,
    /// [`Entry::content_hash`] of the whole entry.
    pub content: u64,
    /// Bytes of the whole value.
    pub length: u64,
}

impl ValueId {
    /// True if both name the same value.
    pub fn is_same(self, other: Self) -> bool {
        let is_alike = self.dot == other.dot && self.length == other.length;
        is_alike && (self.content == other.content || is_broken(Rule::PartOfAnother))
    }
}

/// The beginning of a large value that a receiver has kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// The value.
    pub id: ValueId,
    /// Bytes of it that the receiver has.
    pub bytes: u64,
}

/// Most parts of one peer's values that are kept and reported to it. One value at a time travels on a connection, so
/// one is the rule; a second leaves room for another order after a reconnect.
pub const BEGUN_MAX: usize = 2;

/// The parts of a peer's values that a receiver has kept, at most [`BEGUN_MAX`].
pub type BegunValues = Vec<Begun>;

/// The next bytes of the value that [`Large`] announced. An empty chunk gives the value up, because the entry was
/// replaced meanwhile; the receiver forgets the announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// At most [`crate::core::limits::CHUNK_BYTES_MAX`] bytes.
    pub bytes: Vec<u8>,
}

/// The end of the sender's feed: everything up to here was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The end of each stream as far as it may be sent now.
    pub positions: Positions,
    /// The sender's state at that point.
    pub summary: Summary,
    /// True if nothing is held back: neither writes that wait for a tick, nor relays that wait for a hint. Only then
    /// do summaries prove anything. A peer that cannot reconcile is told so only where it has refused nothing.
    pub complete: bool,
}

/// Acknowledgement: the receiver's cursor on the sender's feed, durable where the receiver is durable at all, and the
/// credit for more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ack {
    /// The receiver's cursor; `None`: it has none, start from the beginning.
    pub cursor: Option<Cursor>,
    /// The total cost of feed messages (see [`Feed::cost`]) since the connection began that the sender may reach.
    pub credit: u64,
    /// The receiver's earlier cursor, if the sender's greeting shows that the sender never was there: its files have
    /// forgotten what the receiver has seen.
    pub void: Option<Cursor>,
    /// Asks for a reconciliation instead of the feed from its start. Set only for peers that can reconcile.
    pub reconcile: bool,
    /// Number of [`Batch`]es of this connection that moved no position and are durable at the receiver, counted in the
    /// order in which they were sent up to the first that could not be stored.
    pub aside: u64,
    /// Large values of which the receiver has a part. Sent once, with the first acknowledgement.
    pub parts: BegunValues,
}

byte_enum! {
    /// Why an entry is refused.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum RefusalCode {
        /// The value is larger than the receiver accepts.
        ValueTooLarge = 1,
        /// The receiver cannot store it now (its disk is full or failed).
        StorageFailed = 2,
        /// The entry breaks a rule of the protocol.
        Malformed = 3,
        /// The entry names more authors than the receiver's store has room for.
        TooManyAuthors = 4,
        /// A code of a newer version.
        Other = 255,
    }
}

/// A refused write, named by key and dot: the receiver does not know its place in the sender's feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedWrite {
    /// The stored key of the write.
    pub key: Vec<u8>,
    /// The dot of the write.
    pub dot: Dot,
}

/// Most writes that one NACK names: with the longest keys it takes a quarter of a frame. More go into several.
pub const REFUSED_WRITES_MAX: usize = 256;

/// The local sequence number in a NACK about writes whose places only their sender knows. A node that does not know
/// named writes finds nothing there, and ignores it.
pub const PLACE_UNKNOWN: u64 = u64::MAX;

/// Refusal of entries; the feed goes on after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nack {
    /// The stream of the entries.
    pub stream: Stream,
    /// The entry's local sequence number at the sender: the batch's `to` if it held one entry, [`PLACE_UNKNOWN`]
    /// otherwise. Used only where no writes are named, because `to` has also moved over entries that the sender passed
    /// over.
    pub lseq: u64,
    /// Reason of the refusal.
    pub code: RefusalCode,
    /// True if sending the entry again may help.
    pub retryable: bool,
    /// The refused writes, at most [`REFUSED_WRITES_MAX`]; empty from a node that does not name them.
    pub writes: Vec<RefusedWrite>,
}

/// A range of sequence numbers of one origin, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DotRange {
    /// The author of the dots.
    pub origin: Origin,
    /// The lowest sequence number.
    pub first: u64,
    /// The highest sequence number.
    pub last: u64,
}

impl DotRange {
    /// True if the dot lies in the range.
    #[cfg(test)]
    pub fn contains(self, dot: Dot) -> bool {
        self.origin == dot.origin && (self.first..=self.last).contains(&dot.sequence)
    }
}

/// Dots that the sender has just installed from other nodes: a hint against duplicates, never a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Have {
    /// The ranges, in any order.
    pub ranges: Vec<DotRange>,
}

/// All messages that replicas exchange once they have greeted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feed {
    /// Entries.
    Batch(Batch),
    /// Announcement of a large value.
    Large(Large),
    /// The next bytes of a large value.
    Chunk(Chunk),
    /// End of the feed.
    End(End),
    /// Acknowledgement and credit.
    Ack(Ack),
    /// Refusal of entries.
    Nack(Nack),
    /// Hint against duplicates.
    Have(Have),
    /// A step of a reconciliation.
    Ranges(Ranges),
}
