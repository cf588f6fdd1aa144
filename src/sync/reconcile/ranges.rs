//! Messages of a range-based set reconciliation (Meyer 2022; `docs/internals/replication.md`, rule 4), as values.

use std::cmp::Ordering;

use crate::core::identity::Dot;
use crate::core::stamp::Stamp;
use crate::store::entry::{Entry, Summary};
use crate::store::lineage::Lineage;

/// Most parts of one message: bounds the sums that a receiver has to make for it.
pub const PARTS_MAX: usize = 2048;

/// Most entries that one part lists, or asks for.
pub const LISTED_MAX: usize = 64;

/// Most bytes of all keys of one message, the ends of parts included: on the wire a key omits the prefix that it
/// shares with the one before, so the length of the message does not bound them.
pub const RANGES_KEY_BYTES_MAX: usize = 256 << 10;

/// One step of a reconciliation. The two sides take turns; a message without parts says that nothing is open on its
/// sender's side, and that everything it was sent is durable there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges {
    /// Number of the reconciliation: the side that opens it counts them on its connection.
    pub exchange: u64,
    /// 1 opens, and each answer adds one.
    pub step: u64,
    /// Consecutive ranges of keys, the first from the lowest key on. Everything after the last is settled.
    pub parts: Vec<Part>,
}

/// A range of keys, and a claim about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Exclusive end of the range; empty: it reaches to the last key.
    pub to: Vec<u8>,
    /// The claim about the range.
    pub claim: Claim,
}

/// Claim of a side about a range of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Settled: nothing is open.
    Settled,
    /// Entry count and fingerprint of the sender's entries in the range.
    Sum(Summary),
    /// All entries that the sender may send, in key order.
    List(Vec<Listed>),
    /// The sender has nothing here: send all entries.
    All,
    /// Send the entries of these keys.
    These(Vec<Vec<u8>>),
}

/// An entry in a list: its key, and the fields that decide the order of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The stored key.
    pub key: Vec<u8>,
    /// The stamp of the write.
    pub stamp: Stamp,
    /// The dot of the write.
    pub dot: Dot,
    /// The hash of the content, see [`Entry::content_hash`]; `None` for a tombstone.
    pub content_hash: Option<u64>,
    /// The version vector without the entry's own dot; usually empty.
    pub vector: Vec<Dot>,
}

impl Listed {
    /// The listed form of an entry.
    pub fn of(entry: &Entry) -> Self {
        Self {
            key: entry.key().to_vec(),
            stamp: entry.stamp,
            dot: entry.dot,
            content_hash: entry.content_hash(),
            vector: entry.vector().to_vec(),
        }
    }

    /// True if neither it nor `entry`, of the same key, was written with the other known; see
    /// [`Entry::is_concurrent_with`].
    pub fn is_concurrent_with(&self, entry: &Entry, lineage: &Lineage) -> bool {
        if self.dot == entry.dot {
            return self.content_hash != entry.content_hash();
        }
        let seen = self.vector.iter().chain([&self.dot]);
        let has_seen = |dot: Dot| {
            let mut of_author = seen.clone().filter(|seen| seen.origin == dot.origin);
            of_author.any(|seen| seen.sequence >= dot.sequence)
                || seen.clone().any(|seen| lineage.has_seen(seen.origin, dot))
        };
        !has_seen(entry.dot) && !entry.has_seen(self.dot, lineage)
    }

    /// Compares the listed entry with one of the same key, in the one total order.
    pub fn order(&self, entry: &Entry) -> Ordering {
        let kind = |hash: Option<u64>| (hash.is_none(), hash);
        (self.stamp, self.dot)
            .cmp(&(entry.stamp, entry.dot))
            .then_with(|| kind(self.content_hash).cmp(&kind(entry.content_hash())))
    }
}
