//! Concurrent writes of one key: the definition of a conflict, the policies, and the entry that keeps a loser
//! (`docs/internals/replication.md`, section 3). Pure, and equal on every node.

use crate::core::identity::{Dot, Origin};
use crate::core::limits::{DOT_BYTES, VERSION_MAX};
use crate::core::rules::{Rule, is_broken, unless};
use crate::core::stamp::Stamp;
use crate::store::entry::{Entry, EntryFlags, Extra, Namespace, vector_over};
use crate::store::lineage::Lineage;
use crate::store::state::totals::is_user;

/// Policy of a node for concurrent writes of one key. Nodes may have different policies, and converge all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConflictPolicy {
    /// The later write becomes the value. The other one is reported and gone.
    #[default]
    LastWriteWins,
    /// A write of this node that would lose is written again, over the winner.
    KeepLocal,
    /// A write of another node that would lose against a write of this node is written again, over the winner.
    KeepRemote,
    /// The later write is the value until somebody resolves the conflict. The other one is kept as a sibling, on all
    /// nodes.
    Manual,
}

/// True if two entries are conflicting writes of users: concurrent, with different values. Equal content written on
/// both sides is no conflict, because nothing is lost with either of them.
pub(in crate::store) fn is_conflict(a: &Entry, b: &Entry, lineage: &Lineage) -> bool {
    is_user(a) && a.is_concurrent_with(b, lineage) && a.value() != b.value()
}

impl ConflictPolicy {
    /// True if the node that writes as `author` writes the loser again. Only the author of one of the two may, or a
    /// later author of its node, and only for a write that is no such re-write itself: each write is re-written at most
    /// once, so nodes with opposing policies cannot loop.
    pub(in crate::store) fn asserts(
        self,
        author: Origin,
        winner: &Entry,
        loser: &Entry,
        lineage: &Lineage,
    ) -> bool {
        let own = match self {
            Self::KeepLocal => loser,
            Self::KeepRemote => winner,
            Self::LastWriteWins | Self::Manual => return false,
        };
        if is_broken(Rule::AssertionNotMade) {
            return false;
        }
        let is_own = lineage.is_own(author, own.dot) || is_broken(Rule::AssertionByOthers);
        let is_first = !own.flags.contains(EntryFlags::REWRITTEN_BY_POLICY);
        is_own && (is_first || is_broken(Rule::AssertionRepeated))
    }
}

/// The loser written again, as a write that has seen both. `flags` are those of all writes of this node.
pub(in crate::store) fn assertion(
    loser: &Entry,
    winner: &Entry,
    (dot, stamp): (Dot, Stamp),
    lineage: &Lineage,
    flags: EntryFlags,
) -> Option<Entry> {
    let seen = winner.vector().iter().chain(loser.vector()).copied();
    let extra = Extra {
        vector: vector_over(dot.origin, &[winner.dot, loser.dot], seen, lineage),
        extension: loser.extension().to_vec(),
    };
    let content = EntryFlags(loser.flags.0 & !EntryFlags::EPHEMERAL.0);
    let payload = [loser.key(), loser.value().unwrap_or_default()].concat();
    let made = unless(
        Rule::AssertionUnflagged,
        EntryFlags::REWRITTEN_BY_POLICY,
        flags,
    );
    Entry::new(
        payload.into(),
        loser.key().len(),
        content.with(flags).with(made),
        dot,
        stamp,
        winner
            .version
            .max(loser.version)
            .saturating_add(1)
            .min(VERSION_MAX),
        extra,
    )
}

/// The stored key under which the write `dot` of a user's key is kept when it loses.
pub fn sibling_key(key: &[u8], dot: Dot) -> Vec<u8> {
    let mut stored = Vec::with_capacity(1 + key.len() + DOT_BYTES);
    stored.push(Namespace::Conflict as u8);
    stored.extend_from_slice(key);
    stored.extend_from_slice(&dot.origin.0);
    stored.extend_from_slice(&dot.sequence.to_be_bytes());
    stored
}

/// A loser as a sibling: the write under a stored key that contains its dot, so that every node that keeps it keeps an
/// equal entry.
pub fn kept(loser: &Entry) -> Option<Entry> {
    let dot = unless(Rule::KeptInOnePlace, loser.dot, Dot::default());
    let key = sibling_key(loser.key().get(1..)?, dot);
    under_key(loser, &key, loser.value().unwrap_or_default())
}

/// The write of a user that a sibling keeps; `None` for any other entry, such as the removal of a sibling.
pub fn loser_of(kept: &Entry) -> Option<Entry> {
    let value = kept.value().unwrap_or_default();
    under_key(kept, &stored_user_key(kept)?, value)
}

/// The write of a user that a sibling keeps, without its value: enough to compare version vectors.
pub fn bare_loser_of(kept: &Entry) -> Option<Entry> {
    under_key(kept, &stored_user_key(kept)?, &[])
}

fn stored_user_key(kept: &Entry) -> Option<Vec<u8>> {
    Some([&[Namespace::User as u8], user_key_of(kept)?].concat())
}

/// The user's key of a sibling; `None` for any other entry.
pub(in crate::store) fn user_key_of(kept: &Entry) -> Option<&[u8]> {
    sibling_user_key(kept.key(), kept.dot)
}

/// The user's key in the stored key of an entry that was written as `dot`, if that is a sibling.
pub fn sibling_user_key(stored: &[u8], dot: Dot) -> Option<&[u8]> {
    let (key, name) = parts_of_sibling(stored)?;
    let is_itself = name.starts_with(&dot.origin.0) && name.ends_with(&dot.sequence.to_be_bytes());
    is_itself.then_some(key)
}

/// True if an entry is the removal of a sibling whose conflict was resolved.
pub fn is_sibling_removal(entry: &Entry) -> bool {
    entry.is_tombstone() && user_key_in(entry.key()).is_some() && user_key_of(entry).is_none()
}

/// The user's key in the stored key of a sibling or of its removal.
pub fn user_key_in(stored: &[u8]) -> Option<&[u8]> {
    parts_of_sibling(stored).map(|(key, _)| key)
}

/// The author of the loser to which a stored key of the conflict namespace belongs.
pub(in crate::store) fn sibling_author(stored: &[u8]) -> Option<Origin> {
    let (_, name) = parts_of_sibling(stored)?;
    name.first_chunk().copied().map(Origin)
}

fn parts_of_sibling(stored: &[u8]) -> Option<(&[u8], &[u8; DOT_BYTES])> {
    let (namespace, rest) = stored.split_first()?;
    let (key, name) = rest.split_last_chunk::<DOT_BYTES>()?;
    let is_kept = *namespace == Namespace::Conflict as u8 && !key.is_empty();
    is_kept.then_some((key, name))
}

/// A copy of a write under another stored key.
fn under_key(entry: &Entry, key: &[u8], value: &[u8]) -> Option<Entry> {
    let extra = Extra {
        vector: entry.vector().to_vec(),
        extension: entry.extension().to_vec(),
    };
    Entry::new(
        [key, value].concat().into(),
        key.len(),
        entry.flags,
        entry.dot,
        entry.stamp,
        entry.version,
        extra,
    )
}
