//! Lineage of authors: the author whose writes another author continues.
//!
//! A node writes under a fresh author id at each opening of its log, so two copies of a folder, and a disk that went
//! back in time, never write under one name. A fresh id alone would hide that a later write of a node follows its
//! earlier ones, so lineage records it: author B continues author A, whose writes up to a sequence B has all seen. It
//! is kept in records of the system namespace (docs/format.md, "Lineage"), which replicate like any entry and ahead of
//! the others.
//!
//! Lineage only ever proves that a write was seen. Where a record is missing, two writes count as concurrent: a conflict
//! too many, and never a write that vanishes.

use hashbrown::HashMap;

use super::entry::{Entry, Namespace};
use crate::core::bytes::{ByteReader, ByteWriter, DecodeError};
use crate::core::identity::{Dot, Origin};
use crate::core::limits::LABEL_BYTES_MAX;
use crate::core::rules::{Rule, is_broken};

/// Most authors that one record names. A record is rewritten by each opening that writes, so it stays small.
pub const AUTHORS_PER_RECORD: usize = 16;

/// Records that one identity keeps, used as a ring: with [`AUTHORS_PER_RECORD`] the last 959 openings that wrote
/// something, in less than 30 kB. A peer that was away for longer sees conflicts that are none.
pub const RECORDS_PER_IDENTITY: u64 = 64;

/// Most authors whose lineage is held in memory, some 4 MB: sixty nodes with a thousand openings each. Writes of
/// further authors count as concurrent with those before.
pub const AUTHORS_MAX: usize = 1 << 16;

/// Most node identities whose label is held in memory: at most 1 MiB of text.
const LABELS_MAX: usize = 4096;

/// First byte of the key of a lineage record, after the namespace.
const KEY_MARK: u8 = b'l';

/// Length of the stored key of a lineage record, in bytes: namespace, mark, identity, place.
const KEY_BYTES: usize = 1 + 1 + 16 + 1;

/// A place in [`Lineage`]: the number of the chain, and of the author in it.
type Place = (usize, usize);

/// An author in a chain.
#[derive(Debug, Clone, Copy)]
struct Member {
    /// The sequence up to which the next author of the chain has seen this author's writes.
    up_to: u64,
    /// The node identity for which the author wrote.
    identity: Origin,
}

/// Authors of which each continues the one before.
#[derive(Debug, Clone, Default)]
struct Chain {
    /// The place of the author that the first one continues, and the sequence up to which it has seen that author's
    /// writes.
    parent: Option<(Place, u64)>,
    members: Vec<Member>,
}

/// The lineage of all authors that records name.
#[derive(Debug, Clone, Default)]
pub struct Lineage {
    chains: Vec<Chain>,
    places: HashMap<Origin, Place>,
    /// The label of each node identity.
    labels: HashMap<Origin, String>,
}

/// A lineage record: authors of one node identity, oldest first, each with the last sequence that the next one has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineageRecord {
    /// The node identity that writes the record.
    pub identity: Origin,
    /// Number of records that the identity had begun before this one.
    pub number: u64,
    /// The node's label when the record was written.
    pub node_id: String,
    /// Number of the authors, the oldest ones, that wrote for a former identity of the node.
    pub foreign: usize,
    /// The authors, each with a sequence. The last sequence has no meaning, because no author continues the last one
    /// yet.
    pub authors: Vec<(Origin, u64)>,
}

impl Lineage {
    /// Adds a record. Returns true if anything of it is new. Statements that contradict known ones are ignored.
    pub fn add(&mut self, record: &LineageRecord) -> bool {
        let known = self.places.len();
        if self.labels.len() < LABELS_MAX {
            self.labels.insert(record.identity, record.node_id.clone());
        }
        let mut is_news = false;
        let mut before: Option<(Origin, u64)> = None;
        for (at, (author, up_to)) in record.authors.iter().enumerate() {
            let identity = (at >= record.foreign.max(1)).then_some(record.identity);
            match before {
                // The identity of this author stands in the record before this one.
                None => {
                    self.enter(*author, None, None);
                }
                Some(parent) => is_news |= self.link(*author, parent, identity),
            }
            before = Some((*author, *up_to));
        }
        is_news || self.places.len() > known
    }

    /// The sequence up to which `author` has seen every write of `ancestor`; `None` if it does not continue it, as far
    /// as is known. An author has seen all writes of its own.
    pub fn seen_up_to(&self, author: Origin, ancestor: Origin) -> Option<u64> {
        if author == ancestor {
            return Some(u64::MAX);
        }
        let sought = *self.places.get(&ancestor)?;
        let mut at = *self.places.get(&author)?;
        // The sequence up to which the writes of the author at `at` were seen; of the authors below it in its chain all
        // were.
        let mut limit = u64::MAX;
        loop {
            if sought.0 == at.0 {
                let in_chain = || Some(self.chains.get(at.0)?.members.get(sought.1)?.up_to);
                return match sought.1.cmp(&at.1) {
                    std::cmp::Ordering::Less => in_chain(),
                    std::cmp::Ordering::Equal => Some(limit),
                    std::cmp::Ordering::Greater => None,
                };
            }
            (at, limit) = self.chains.get(at.0)?.parent?;
        }
    }

    /// True if `author` has seen a write of another author, because it continues that one. False for its own writes,
    /// whose order their sequences give.
    pub fn has_seen(&self, author: Origin, dot: Dot) -> bool {
        let up_to = if author == dot.origin {
            None
        } else {
            self.seen_up_to(author, dot.origin)
        };
        up_to.is_some_and(|up_to| dot.sequence <= up_to || is_broken(Rule::LineageUnbounded))
    }

    /// True if a write was made by `author`, or by an author that it continues.
    pub fn is_own(&self, author: Origin, dot: Dot) -> bool {
        author == dot.origin || self.has_seen(author, dot)
    }

    /// The node identity for which an author wrote; the author itself where no record says it, as in a node's first
    /// opening.
    pub fn identity_of(&self, author: Origin) -> Origin {
        let member =
            |(chain, at): &Place| Some(self.chains.get(*chain)?.members.get(*at)?.identity);
        self.places.get(&author).and_then(member).unwrap_or(author)
    }

    /// The label of the node for which an author wrote; `None` if no record names it.
    pub fn label_of(&self, author: Origin) -> Option<&str> {
        let label = self.labels.get(&self.identity_of(author));
        label.map(String::as_str)
    }

    /// True if nothing is known of an author.
    pub fn is_unknown(&self, author: Origin) -> bool {
        !self.places.contains_key(&author)
    }

    /// Enters an author after `parent`, or in a chain of its own; a known author stays where it is. `None` if there is
    /// no room for more.
    fn enter(
        &mut self,
        author: Origin,
        identity: Option<Origin>,
        parent: Option<(Place, u64)>,
    ) -> Option<Place> {
        if let Some(place) = self.places.get(&author) {
            return Some(*place);
        }
        if self.places.len() >= AUTHORS_MAX {
            return None;
        }
        let identity = identity.unwrap_or(author);
        let member = Member { up_to: 0, identity };
        if let Some(((chain, at), up_to)) = parent
            && let Some(chain_of) = self.chains.get_mut(chain)
            && chain_of.members.len() == at + 1
        {
            if let Some(last) = chain_of.members.last_mut() {
                last.up_to = up_to;
            }
            chain_of.members.push(member);
            self.places.insert(author, (chain, at + 1));
            return Some((chain, at + 1));
        }
        let place = (self.chains.len(), 0);
        self.chains.push(Chain {
            parent,
            members: vec![member],
        });
        self.places.insert(author, place);
        Some(place)
    }

    /// Notes that `author` continues `parent`, and wrote for `identity` if that is given. Returns true if `author` got
    /// its parent by this. False if there is no room, if it has a parent already, or if it would be its own ancestor;
    /// the identity of a known author is set all the same.
    fn link(
        &mut self,
        author: Origin,
        (parent, up_to): (Origin, u64),
        identity: Option<Origin>,
    ) -> bool {
        let Some(parent_at) = self.enter(parent, None, None) else {
            return false;
        };
        let Some((chain, at)) = self.places.get(&author).copied() else {
            let parent = Some((parent_at, up_to));
            return self.enter(author, identity, parent).is_some();
        };
        let members = self.chains.get_mut(chain).map(|chain| &mut chain.members);
        if let Some(identity) = identity
            && let Some(member) = members.and_then(|members| members.get_mut(at))
        {
            member.identity = identity;
        }
        let goes_round = self.seen_up_to(parent, author).is_some();
        match self.chains.get_mut(chain) {
            Some(chain) if at == 0 && chain.parent.is_none() && !goes_round => {
                chain.parent = Some((parent_at, up_to));
                true
            }
            _ => false,
        }
    }
}

impl LineageRecord {
    /// The record's stored key: each identity has [`RECORDS_PER_IDENTITY`] of them, used in turn.
    pub fn key(&self) -> Vec<u8> {
        let mut key = vec![Namespace::System as u8, KEY_MARK];
        key.extend_from_slice(&self.identity.0);
        let place = self.number % RECORDS_PER_IDENTITY;
        key.push(u8::try_from(place).unwrap_or(u8::MAX));
        key
    }

    /// The record's value.
    pub fn value(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(4 + self.authors.len() * 20);
        value.put_varint(self.number);
        value.put_length(self.foreign);
        value.put_prefixed(self.node_id.as_bytes());
        put_authors(&mut value, &self.authors);
        value
    }

    /// Decodes the record that an entry holds; `None` for any other entry, and for a malformed one.
    pub fn of(entry: &Entry) -> Option<Self> {
        let identity = identity_in(entry.key())?;
        let mut reader = ByteReader::new(entry.value()?);
        let number = reader.varint().ok()?;
        let foreign = reader.length(AUTHORS_PER_RECORD, "authors").ok()?;
        let node_id = reader.text(LABEL_BYTES_MAX, "node id").ok()?.to_owned();
        let authors = read_authors(&mut reader).ok()?;
        reader.finish().ok()?;
        let record = Self {
            identity,
            number,
            node_id,
            foreign,
            authors,
        };
        (record.key() == entry.key()).then_some(record)
    }
}

/// The identity in a stored key, if it is the key of a lineage record.
#[inline]
pub fn identity_in(key: &[u8]) -> Option<Origin> {
    let rest = key.strip_prefix(&KEY_PREFIX)?;
    let (identity, _) = rest.split_first_chunk::<16>()?;
    (key.len() == KEY_BYTES).then_some(Origin(*identity))
}

/// First bytes of all keys of lineage records.
pub const KEY_PREFIX: [u8; 2] = [Namespace::System as u8, KEY_MARK];

/// Appends authors with their sequences.
pub(super) fn put_authors(out: &mut Vec<u8>, authors: &[(Origin, u64)]) {
    out.put_length(authors.len());
    for (author, up_to) in authors {
        out.extend_from_slice(&author.0);
        out.put_varint(*up_to);
    }
}

/// Reads authors with their sequences.
pub(super) fn read_authors(reader: &mut ByteReader<'_>) -> Result<Vec<(Origin, u64)>, DecodeError> {
    let count = reader.length(AUTHORS_PER_RECORD, "authors")?;
    (0..count)
        .map(|_| Ok((Origin(reader.array()?), reader.varint()?)))
        .collect()
}

/// The author under which a node writes, and the authors that it continues.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authorship {
    /// The author of this node's writes from now on.
    pub current: Origin,
    /// True once anything was written under the current author.
    pub has_written: bool,
    /// True once this opening has put its lineage on record.
    pub is_declared: bool,
    /// Number of lineage records that were begun before the present one.
    pub record_number: u64,
    /// The authors before the current one that its record names, oldest first, with the last sequence of each.
    pub before: Vec<(Origin, u64)>,
    /// Number of those authors that wrote for a former identity of the node.
    pub foreign: usize,
}

impl Authorship {
    /// The first author of a node.
    pub fn new(author: Origin) -> Self {
        Self {
            current: author,
            ..Self::default()
        }
    }

    /// Continues under another author; `last_sequence` is the last one given under the author before.
    pub fn go_on_as(&mut self, author: Origin, last_sequence: u64) {
        let last = (self.current, last_sequence);
        self.current = author;
        self.is_declared = false;
        if !std::mem::take(&mut self.has_written) {
            return;
        }
        // The first record keeps a place for the identity, see `Self::record`.
        let reserved = usize::from(self.record_number == 0);
        if self.before.len() + reserved + 1 >= AUTHORS_PER_RECORD {
            self.before.clear();
            self.foreign = 0;
            self.record_number += 1;
        }
        self.before.push(last);
    }

    /// Makes the node write for another identity from now on, and count its records anew. The authors before are named
    /// again: a copy of the node may have overwritten the record that names them.
    pub fn begin_identity(&mut self) {
        self.foreign = self.before.len();
        self.record_number = 0;
    }

    /// True if the node writes under `author`, or wrote under it recently.
    pub fn names(&self, author: Origin) -> bool {
        let mut before = self.before.iter();
        author == self.current || before.any(|(named, _)| *named == author)
    }

    /// True if the current author's lineage has to be put on record with its first write for `identity`: it continues
    /// another author, or it is not the author that every node takes for the identity itself.
    pub fn is_undeclared(&self, identity: Origin) -> bool {
        !self.is_declared && (!self.before.is_empty() || self.current != identity)
    }

    /// The record to write for the node with this identity and label. The first author of a record is named without its
    /// identity, so the first record of an identity begins with the identity as an author: also where its first
    /// openings wrote nothing under that, of which the next author has then seen everything, up to 0.
    pub fn record(&self, identity: Origin, node_id: &str) -> LineageRecord {
        let present = std::iter::once((self.current, 0));
        let begins_with = self
            .before
            .first()
            .map_or(self.current, |(first, _)| *first);
        let begins_elsewhere = begins_with != identity;
        let is_first = self.record_number == 0 && self.foreign == 0 && begins_elsewhere;
        let first = is_first.then_some((identity, 0)).into_iter();
        LineageRecord {
            identity,
            number: self.record_number,
            foreign: self.foreign,
            node_id: node_id.to_owned(),
            authors: first
                .chain(self.before.iter().copied())
                .chain(present)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
