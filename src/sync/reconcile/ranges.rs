//! What is said in a reconciliation (PROTOCOL rule 4), as values.

use std::cmp::Ordering;

use crate::core::identity::Dot;
use crate::core::stamp::Stamp;
use crate::store::entry::{Entry, Summary};
use crate::store::lineage::Lineage;

/// Most parts of one message: bounds what a receiver has to add up for it.
pub const PARTS_MAX: usize = 2048;

/// Most entries that one part lists, or asks for.
pub const LISTED_MAX: usize = 64;

/// Most bytes of all keys of one message, those that end parts too: on the wire keys are told as what they do not share
/// with the one before, so its length does not bound them.
pub const RANGES_KEY_BYTES_MAX: usize = 256 << 10;

/// One step of a reconciliation. The two sides take turns; a message without parts says that nothing is open on its
/// sender's side, and that all it was sent is durable there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges {
    /// Which reconciliation: who opens it counts them on its connection.
    pub exchange: u64,
    /// 1 opens, and each answer counts one on.
    pub step: u64,
    /// Ranges of keys that follow each other, the first from the lowest key on. What is behind the last is settled.
    pub parts: Vec<Part>,
}

/// A range of keys, and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The key that it ends before; empty: it reaches to the end.
    pub to: Vec<u8>,
    /// What is said.
    pub claim: Claim,
}

/// What is said of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: it is settled.
    Settled,
    /// What it sums up to here.
    Sum(Summary),
    /// Everything that may travel from here, in key order.
    List(Vec<Listed>),
    /// Send all that you have: there is nothing here.
    All,
    /// Send these.
    These(Vec<Vec<u8>>),
}

/// An entry in a list: its key, and what decides the order of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The stored key.
    pub key: Vec<u8>,
    /// When it was made.
    pub stamp: Stamp,
    /// The write that made it.
    pub dot: Dot,
    /// The hash of its content, see [`Entry::content_hash`]; `None` for a tombstone.
    pub content_hash: Option<u64>,
    /// Its version vector but for its own dot; usually nothing.
    pub vector: Vec<Dot>,
}

impl Listed {
    /// How an entry is listed.
    pub fn of(entry: &Entry) -> Self {
        Self {
            key: entry.key().to_vec(),
            stamp: entry.stamp,
            dot: entry.dot,
            content_hash: entry.content_hash(),
            vector: entry.vector().to_vec(),
        }
    }

    /// Whether neither it nor `entry`, of the same key, was written with the other known.
    pub fn is_concurrent_with(&self, entry: &Entry, lineage: &Lineage) -> bool {
        let seen = self.vector.iter().chain([&self.dot]);
        let has_seen = |dot: Dot| {
            let mut of_author = seen.clone().filter(|seen| seen.origin == dot.origin);
            of_author.any(|seen| seen.sequence >= dot.sequence)
                || seen.clone().any(|seen| lineage.has_seen(seen.origin, dot))
        };
        !has_seen(entry.dot) && !entry.has_seen(self.dot, lineage)
    }

    /// How the listed entry compares to one of the same key, in the one total order.
    pub fn order(&self, entry: &Entry) -> Ordering {
        let kind = |hash: Option<u64>| (hash.is_none(), hash);
        (self.stamp, self.dot)
            .cmp(&(entry.stamp, entry.dot))
            .then_with(|| kind(self.content_hash).cmp(&kind(entry.content_hash())))
    }
}
