//! One key's current state: a value or a tombstone, with its author, time and version vector
//! (`docs/internals/replication.md`, section 3).

use std::cmp::Ordering;

use super::lineage::Lineage;
use crate::core::checksum::{content_hash, hash128_pair};
use crate::core::identity::{Dot, Origin};
use crate::core::limits::{
    EXTENSION_BYTES_MAX, KEY_BYTES_MAX, STORED_KEY_BYTES_MAX, VECTOR_ORIGINS_MAX,
    VECTOR_ORIGINS_WRITTEN_MAX,
};
use crate::core::rules::{Rule, is_broken, unless};
use crate::core::stamp::Stamp;

/// The purpose of a key: the byte before it. Part of the order, so each namespace is one run of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Namespace {
    /// Keys of programs. Only these count in `size()` and in the outbox.
    User = 0,
    /// Siblings: losers of concurrent writes, kept until a decision. Replicated.
    Conflict = 1,
    /// Keys of the network itself. Replicated.
    System = 2,
    /// Keys of this node alone. Never replicated.
    Local = 3,
}

/// The end of the replicated keys: each of them is less.
pub const REPLICATED_END: [u8; 1] = [Namespace::Local as u8];

impl Namespace {
    /// The namespace of a stored key; `None` for a byte that this version does not know.
    pub fn of(key: &[u8]) -> Option<Self> {
        match key.first()? {
            0 => Some(Self::User),
            1 => Some(Self::Conflict),
            2 => Some(Self::System),
            3 => Some(Self::Local),
            _ => None,
        }
    }

    /// True if entries of the namespace travel to peers.
    pub fn is_replicated(self) -> bool {
        self != Self::Local
    }
}

/// Properties of an entry, one bit each. Unknown bits are kept and relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EntryFlags(pub u8);

impl EntryFlags {
    /// The key was removed; there is no value.
    pub const TOMBSTONE: Self = Self(1);
    /// The value was written as text and is ASCII.
    pub const ASCII: Self = Self(1 << 1);
    /// The entry is a loser that a conflict policy wrote again.
    pub const REWRITTEN_BY_POLICY: Self = Self(1 << 2);
    /// The author keeps no log: the write is not durable where it was made.
    pub const EPHEMERAL: Self = Self(1 << 3);

    /// True if all bits of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The union of these bits and those of `other`.
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Fields that few entries have, kept apart so that the others stay small.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extra {
    /// The version vector without the author's own dot: for each other origin that wrote this key the newest sequence
    /// that this entry has seen. Ordered by origin, each once, never the author.
    pub vector: Vec<Dot>,
    /// Extension area of a newer version, kept and relayed untouched.
    pub extension: Vec<u8>,
}

/// An entry in its form in memory, log and messages. Key and value lie in one allocation, and the fields that a read
/// needs lie together, in one cache line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[repr(C)]
pub struct Entry {
    payload: Box<[u8]>,
    key_length: u16,
    /// Properties of the entry.
    pub flags: EntryFlags,
    /// Dot of the write.
    pub dot: Dot,
    /// Time of the write, by its author's clock.
    pub stamp: Stamp,
    /// Number of writes to the key on the path of this entry, from 1; counts on through removal.
    pub version: u64,
    extra: Option<Box<Extra>>,
}

impl Entry {
    /// An entry from its parts. `payload` is the namespace byte, the key and then the value; `key_length` counts the
    /// namespace byte. `None` if the length is beyond the payload or the limit, the namespace is missing, a tombstone
    /// has a value, or vector or extension are over their limit or out of order.
    pub fn new(
        payload: Box<[u8]>,
        key_length: usize,
        flags: EntryFlags,
        dot: Dot,
        stamp: Stamp,
        version: u64,
        extra: Extra,
    ) -> Option<Self> {
        let tombstone_with_value =
            flags.contains(EntryFlags::TOMBSTONE) && payload.len() != key_length;
        // The dot in the key of a sibling stands after a key of a user of up to full length.
        let key_length_max = if payload.first() == Some(&(Namespace::User as u8)) {
            KEY_BYTES_MAX + 1
        } else {
            STORED_KEY_BYTES_MAX
        };
        if !(2..=key_length_max).contains(&key_length)
            || key_length > payload.len()
            || tombstone_with_value
        {
            return None;
        }
        let ordered = extra.vector.is_sorted_by(|a, b| a.origin < b.origin)
            && extra.vector.iter().all(|seen| seen.origin != dot.origin);
        if !ordered
            || extra.vector.len() > VECTOR_ORIGINS_MAX
            || extra.extension.len() > EXTENSION_BYTES_MAX
        {
            return None;
        }
        let bare = extra.vector.is_empty() && extra.extension.is_empty();
        Some(Self {
            payload,
            key_length: u16::try_from(key_length).ok()?,
            flags,
            dot,
            stamp,
            version,
            extra: if bare { None } else { Some(Box::new(extra)) },
        })
    }

    /// The stored key: namespace byte and key.
    pub fn key(&self) -> &[u8] {
        self.payload.split_at(usize::from(self.key_length)).0
    }

    /// The value; `None` for a tombstone.
    pub fn value(&self) -> Option<&[u8]> {
        if self.is_tombstone() {
            None
        } else {
            Some(self.payload.split_at(usize::from(self.key_length)).1)
        }
    }

    /// Bytes of the value, 0 for a tombstone.
    pub fn value_length(&self) -> usize {
        self.payload.len() - usize::from(self.key_length)
    }

    /// Bytes of the value that count against a peer's limit for values: 0 for keys of the network itself, which are
    /// small and have to reach every node.
    pub fn limited_length(&self) -> usize {
        let is_system = self.key().first() == Some(&(Namespace::System as u8));
        if is_system { 0 } else { self.value_length() }
    }

    /// Memory of the entry besides the structure itself, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        let extra = self.extra.as_deref();
        let extra = extra.map_or(0, |extra| {
            let vector = size_of::<Dot>() * extra.vector.len();
            size_of::<Extra>() + vector + extra.extension.len()
        });
        self.payload.len() + extra
    }

    /// True if the entry is a removal.
    pub fn is_tombstone(&self) -> bool {
        self.flags.contains(EntryFlags::TOMBSTONE)
    }

    /// The version vector without the author's own dot.
    pub fn vector(&self) -> &[Dot] {
        self.extra.as_deref().map_or(&[], |extra| &extra.vector)
    }

    /// Extension area of a newer version, kept untouched.
    pub fn extension(&self) -> &[u8] {
        self.extra.as_deref().map_or(&[], |extra| &extra.extension)
    }

    /// True if this entry's author had seen the write `dot` of this key: by its vector, by its own dot, or because one
    /// of those authors continues the author of `dot`.
    pub fn has_seen(&self, dot: Dot, lineage: &Lineage) -> bool {
        if self.dot.origin == dot.origin {
            return self.dot.sequence >= dot.sequence;
        }
        if let Some(sequence) = self.seen_of(dot.origin)
            && sequence >= dot.sequence
        {
            return true;
        }
        if lineage.is_unknown(dot.origin) {
            return false;
        }
        let mut seen = self.vector().iter().chain(std::iter::once(&self.dot));
        seen.any(|seen| lineage.has_seen(seen.origin, dot))
    }

    /// The newest sequence of another origin that the author had seen on this key.
    fn seen_of(&self, origin: Origin) -> Option<u64> {
        let vector = self.vector();
        let place = vector.binary_search_by(|seen| seen.origin.cmp(&origin));
        place
            .ok()
            .and_then(|place| vector.get(place))
            .map(|seen| seen.sequence)
    }

    /// True if this entry was written with `other`, of one key, seen. A full vector may have forgotten origins: an
    /// older write of an origin that it does not name counts as seen, because otherwise nobody could ever resolve a
    /// conflict with a write for which no vector has room.
    pub fn follows(&self, other: &Self, lineage: &Lineage) -> bool {
        self.has_seen(other.dot, lineage)
            || self.vector().len() >= VECTOR_ORIGINS_WRITTEN_MAX
                && self.stamp > other.stamp
                && self.seen_of(other.dot.origin).is_none()
    }

    /// True if neither of two entries of one key was written with the other seen. Two writes of one author are never
    /// concurrent, because an author has seen its own writes. Two contents under one dot always are: the author wrote at
    /// most one of them, and the other was forged, damaged on the way, or made by a copy of the process.
    pub fn is_concurrent_with(&self, other: &Self, lineage: &Lineage) -> bool {
        if self.dot == other.dot {
            return self.content_hash() != other.content_hash();
        }
        !self.follows(other, lineage) && !other.follows(self, lineage)
    }

    /// The version vector of a write by `author` that replaces this entry: everything seen here, without the part that
    /// the author's own dot and lineage cover.
    pub fn vector_for_successor(&self, author: Origin, lineage: &Lineage) -> Vec<Dot> {
        if self.extra.is_none() && lineage.is_own(author, self.dot) {
            return Vec::new();
        }
        let seen = self.vector().iter().copied();
        vector_over(author, &[self.dot], seen, lineage)
    }

    /// The total order of entries of one key, equal on every node: stamp, origin, sequence, kind, and a hash of the
    /// content, so that even two contents under one dot are ordered alike everywhere.
    pub fn order(&self, other: &Self) -> Ordering {
        (self.stamp, self.dot, self.is_tombstone())
            .cmp(&(other.stamp, other.dot, other.is_tombstone()))
            .then_with(|| {
                let by_content = self.content_hash().cmp(&other.content_hash());
                unless(Rule::OrderWithoutContent, by_content, Ordering::Equal)
            })
    }

    /// Hash of the part that programs see: flags and bytes of the value; `None` for a tombstone.
    pub fn content_hash(&self) -> Option<u64> {
        self.value().map(|value| content_hash(self.flags.0, value))
    }

    /// The entry's share of the fingerprint: a hash of key, stamp, origin, sequence, kind and content.
    pub fn fingerprint(&self) -> u128 {
        let mut fixed = [0_u8; FINGERPRINT_FIXED];
        let kind = [u8::from(self.is_tombstone())];
        let stamp = self.stamp.0.to_le_bytes();
        let sequence = self.dot.sequence.to_le_bytes();
        let content = self.content_hash().unwrap_or(0);
        let content = unless(Rule::FingerprintWithoutContent, content, 0).to_le_bytes();
        let mut rest = fixed.as_mut_slice();
        for part in [&stamp[..], &self.dot.origin.0, &sequence, &kind, &content] {
            let (head, tail) = rest.split_at_mut(part.len());
            head.copy_from_slice(part);
            rest = tail;
        }
        hash128_pair(&fixed, self.key())
    }
}

/// The version vector of a write by `author` over writes that must not be forgotten, and over everything in `seen`: the
/// newest sequence of each other origin, at most [`VECTOR_ORIGINS_WRITTEN_MAX`] of them, without those whose writes
/// `author` has seen by its lineage.
pub(super) fn vector_over(
    author: Origin,
    replaced: &[Dot],
    seen: impl IntoIterator<Item = Dot>,
    lineage: &Lineage,
) -> Vec<Dot> {
    let seen = seen.into_iter();
    let seen = seen.filter(|_| !is_broken(Rule::VectorForgotten));
    let mut vector: Vec<Dot> = seen.chain(replaced.iter().copied()).collect();
    vector.retain(|dot| dot.origin != author);
    vector.sort_unstable_by(|a, b| (a.origin, b.sequence).cmp(&(b.origin, a.sequence)));
    vector.dedup_by_key(|dot| dot.origin);
    vector.retain(|dot| !lineage.has_seen(author, *dot));
    let mut surplus = vector.len().saturating_sub(VECTOR_ORIGINS_WRITTEN_MAX);
    vector.retain(|dot| {
        let may_go = surplus > 0 && !replaced.iter().any(|kept| kept.origin == dot.origin);
        surplus -= usize::from(may_go);
        !may_go
    });
    vector.truncate(VECTOR_ORIGINS_MAX);
    vector
}

/// Bytes of the fingerprint's input before the key.
const FINGERPRINT_FIXED: usize = 8 + 16 + 8 + 1 + 8;

/// Count and fingerprint of a set of entries: the sum modulo 2^128 of their shares. Equal summaries mean equal state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Number of entries, tombstones included.
    pub count: u64,
    /// Sum of the entries' shares.
    pub fingerprint: u128,
}

impl Summary {
    /// Adds an entry.
    pub fn add(&mut self, entry: &Entry) {
        self.count += 1;
        self.fingerprint = self.fingerprint.wrapping_add(entry.fingerprint());
    }

    /// The summary of this set and a disjoint other one.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            count: self.count.wrapping_add(other.count),
            fingerprint: self.fingerprint.wrapping_add(other.fingerprint),
        }
    }

    /// Removes an entry that was added before.
    pub fn remove(&mut self, entry: &Entry) {
        self.count -= 1;
        self.fingerprint = self.fingerprint.wrapping_sub(entry.fingerprint());
    }
}
