//! What replicas say to each other, as values. How it looks as bytes is `transport::codec`'s, which session
//! it rides on is `transport::session`'s (PROTOCOL section 4).

pub use super::reconcile::ranges::{Claim, Listed, Part, Ranges};
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

/// A position in each stream of a feed, as local sequences: everything up to and including it.
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

/// A place in somebody's feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// The epoch of the feed that the positions belong to.
    pub incarnation: Incarnation,
    /// Where in it.
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

/// Who a replica is and what it holds: the replica's half of HELLO.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each says something else of what the replica can do"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The label.
    pub node_id: String,
    /// The author of its dots.
    pub origin: Origin,
    /// The newest stretches of its feed, oldest first; at least one, the last is the current one.
    pub epochs: Vec<Epoch>,
    /// Whether what it acknowledges is durable there.
    pub durable: bool,
    /// What it sends and receives on this connection, as far as the peer does too.
    pub scope: Scope,
    /// Count and fingerprint of its state in that scope; both 0 where that is not summed up yet.
    pub summary: Summary,
    /// The last local sequence it gave.
    pub last_lseq: u64,
    /// Largest value it accepts, in bytes.
    pub value_bytes_max: u64,
    /// Wall clock when this was said, in milliseconds since 1970.
    pub wall_ms: u64,
    /// Whether it can reconcile (see [`Ranges`]).
    pub reconciles: bool,
    /// Whether what its state sums up to covers what was written. Sums of an older version cannot be compared.
    pub sums_content: bool,
    /// Whether it keeps the part of a large value that has come, and goes on behind it (see [`Begun`]).
    pub resumes: bool,
}

/// Entries of one stream of the sender's feed, oldest first; or, with `to` 0, entries of a reconciliation, which move no
/// cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The stream.
    pub stream: Stream,
    /// Where the receiver's cursor must at least be for this to follow on.
    pub from: u64,
    /// Where it is afterwards: all live entries of the stream in (from, to] are here or were known there.
    pub to: u64,
    /// The entries.
    pub entries: Vec<Entry>,
}

/// The announcement of an entry whose value follows in [`Chunk`]s on the same connection, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Large {
    /// The stream.
    pub stream: Stream,
    /// As in [`Batch`].
    pub from: u64,
    /// As in [`Batch`].
    pub to: u64,
    /// The entry without its value (its flags say that it has one).
    pub entry: Entry,
    /// Bytes of the value.
    pub value_length: u64,
    /// What the value is and where its chunks begin. Only said to who can resume; `None`: at the start.
    pub resumption: Option<Resumption>,
}

impl Large {
    /// Names the value exactly, if the announcement tells its content.
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
    /// Bytes that the receiver has told to have, and that do not come again.
    pub offset: u64,
}

/// Names one exact large value. A dot alone does not: copies of a node may give it twice.
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
    /// Whether both name the same value.
    pub fn is_same(self, other: Self) -> bool {
        let is_alike = self.dot == other.dot && self.length == other.length;
        is_alike && (self.content == other.content || is_broken(Rule::PartOfAnother))
    }
}

/// The beginning of a large value that a receiver has kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// Which value.
    pub id: ValueId,
    /// Bytes of it that are there.
    pub bytes: u64,
}

/// Parts that are kept of one peer's values, and told to it, at the most. One value at a time travels on a connection, so
/// one is the rule; a second leaves room for another order after a reconnect.
pub const BEGUN_MAX: usize = 2;

/// The parts of a peer's values that a receiver has kept, at most [`BEGUN_MAX`].
pub type BegunValues = Vec<Begun>;

/// The next bytes of the value that [`Large`] announced. Without bytes: given up, because the entry was
/// replaced meanwhile; the receiver forgets the announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// At most [`crate::core::limits::CHUNK_BYTES_MAX`] of them.
    pub bytes: Vec<u8>,
}

/// The feed was sent up to here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The end of each stream as far as it may be sent now.
    pub positions: Positions,
    /// The sender's state at that point.
    pub summary: Summary,
    /// Whether nothing is held back: neither writes that wait for a tick, nor relays that wait for a hint. Only then do
    /// summaries prove anything. A peer that cannot reconcile is told so only where it has refused nothing.
    pub complete: bool,
}

/// How far I hold your feed, durably where I am durable at all, and how much more you may send.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ack {
    /// My cursor on your feed; `None`: I have none, start from the beginning.
    pub cursor: Option<Cursor>,
    /// The total cost of feed messages (see [`Feed::cost`]) since the connection began that you may reach.
    pub credit: u64,
    /// Where I was on your feed before, if that is not there any more as you greet: your files have forgotten what
    /// I have seen.
    pub void: Option<Cursor>,
    /// Let us reconcile, instead of sending the feed from its start. Only said to who can.
    pub reconcile: bool,
    /// How many [`Batch`]es that move no position came on this connection and are durable here, counted in the order in
    /// which they were sent up to the first that could not be stored.
    pub aside: u64,
    /// Large values of yours of which a part is here. Said once, with the first of these messages.
    pub parts: BegunValues,
}

/// Why an entry is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
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

/// A write that is refused, by what its sender finds it by: the receiver does not know its place in the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedWrite {
    /// Its stored key.
    pub key: Vec<u8>,
    /// Its dot.
    pub dot: Dot,
}

/// Writes that one NACK names at the most: with the longest keys it takes a quarter of a frame. More go into several.
pub const REFUSED_WRITES_MAX: usize = 256;

/// The local sequence of a NACK about writes whose places only their sender knows. A node that knows no names finds nothing
/// there, and passes it over.
pub const PLACE_UNKNOWN: u64 = u64::MAX;

/// Entries are refused; the feed goes on behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nack {
    /// The stream.
    pub stream: Stream,
    /// The entry's local sequence at the sender: the batch's `to` if it held one entry, [`PLACE_UNKNOWN`] otherwise. Counts
    /// only where no writes are named: what the sender passed over behind the entry has moved `to` too.
    pub lseq: u64,
    /// Why.
    pub code: RefusalCode,
    /// Whether sending it again may help.
    pub retryable: bool,
    /// The writes, at most [`REFUSED_WRITES_MAX`]; none from a node that does not name them.
    pub writes: Vec<RefusedWrite>,
}

/// Sequences of one origin, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DotRange {
    /// The author.
    pub origin: Origin,
    /// The lowest sequence.
    pub first: u64,
    /// The highest.
    pub last: u64,
}

impl DotRange {
    /// Whether the dot lies in it.
    pub fn contains(self, dot: Dot) -> bool {
        self.origin == dot.origin && (self.first..=self.last).contains(&dot.sequence)
    }
}

/// Dots just installed from others: a hint against duplicates, never a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Have {
    /// In any order.
    pub ranges: Vec<DotRange>,
}

/// Everything that replicas say once they have greeted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feed {
    /// Entries.
    Batch(Batch),
    /// A large entry begins.
    Large(Large),
    /// A large entry goes on.
    Chunk(Chunk),
    /// The end is reached.
    End(End),
    /// Acknowledgement and credit.
    Ack(Ack),
    /// An entry is refused.
    Nack(Nack),
    /// A hint.
    Have(Have),
    /// A step of a reconciliation.
    Ranges(Ranges),
}
