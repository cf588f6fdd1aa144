//! Limit on the siblings of one key. Peers can bring any number of them, and each takes room on every node until
//! somebody resolves the conflict.
//!
//! A node that sees more than [`SIBLINGS_MAX`] of a key removes some, each by an ordinary removal of its own: first
//! those that the shown value or a later sibling of the same author has seen, with which no open write is lost; then the
//! open ones with the lowest stamps. Nodes come to the same siblings without agreement: the newest of all are among the
//! newest that each node keeps. Pure, like all of a group.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::policy::{sibling_key, user_key_in, user_key_of};
use super::resolve::Kept;
use crate::core::checksum::key_hash;
use crate::core::identity::{Dot, Origin};
use crate::core::rules::{Rule, is_broken};
use crate::core::stamp::Stamp;
use crate::store::commit::group::{Group, Terms};
use crate::store::commit::ledger::Ledger;
use crate::store::commit::plan_base::PlanBase;
use crate::store::entry::{Entry, Namespace};
use crate::store::error::StoreError;

/// Most siblings of one key that are kept with a value: more than the nodes of the largest mesh that the protocol is
/// made for, of which each can add one while all are apart. Nobody can decide about more, and showing or resolving a
/// conflict reads all of them. Removals that lost are not counted: each takes the room of any removed key.
pub const SIBLINGS_MAX: usize = 128;

/// Siblings that a request removes beyond the number that it brings, in stores that were written without a limit, so
/// that no group takes long. Later requests remove the rest.
const REMOVED_BESIDES: usize = 256;

/// Most keys whose siblings are held in memory because they had too many: some 6 kB each. The siblings of any other key
/// are read once more, with their values.
const FULL_KEYS_MAX: usize = 1024;

/// Siblings of a key: their dots and stamps.
type Siblings = BTreeMap<Dot, Stamp>;

/// Siblings of the keys that had too many, as of the last planned group.
#[derive(Debug, Default)]
pub(in crate::store) struct FullKeys {
    keys: HashMap<Vec<u8>, Siblings>,
}

/// Siblings that a group plans or removes.
#[derive(Debug, Default)]
pub(in crate::store) struct PlannedSiblings {
    /// Stamp of the sibling under each stored key that the group changes; `None` if it is removed.
    changed: BTreeMap<Vec<u8>, Option<Stamp>>,
    /// Siblings of the keys that had too many when this group looked.
    full: HashMap<Vec<u8>, Siblings>,
}

/// A sibling that was removed because its key had too many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedSibling {
    /// The user's key.
    pub key: Vec<u8>,
    /// The write that the sibling kept.
    pub dot: Dot,
    /// True if the sibling was open as far as was checked: neither the shown value nor a later sibling of its author
    /// had seen it.
    pub is_open: bool,
}

/// Stamp of the loser that an entry of the conflict namespace keeps; `None` if it keeps none with a value.
fn kept_at(entry: &Entry) -> Option<Stamp> {
    let is_kept = !entry.is_tombstone() && user_key_of(entry).is_some();
    is_kept.then_some(entry.stamp)
}

fn named_in(stored: &[u8]) -> Option<Dot> {
    let (_, name) = stored.split_last_chunk::<{ crate::core::limits::DOT_BYTES }>()?;
    let (origin, sequence) = name.split_first_chunk::<16>()?;
    Some(Dot {
        origin: Origin(*origin),
        sequence: u64::from_be_bytes(*sequence.first_chunk()?),
    })
}

fn change(siblings: &mut Siblings, stored: &[u8], kept: Option<Stamp>) {
    if let Some(dot) = named_in(stored) {
        match kept {
            Some(stamp) => siblings.insert(dot, stamp),
            None => siblings.remove(&dot),
        };
    }
}

impl FullKeys {
    /// Takes over the changes of a planned group.
    pub(in crate::store) fn follow(&mut self, group: &mut PlannedSiblings) {
        if !self.keys.is_empty() {
            for (stored, kept) in &group.changed {
                let siblings = user_key_in(stored).and_then(|key| self.keys.get_mut(key));
                if let Some(siblings) = siblings {
                    change(siblings, stored, *kept);
                }
            }
        }
        self.keys.extend(std::mem::take(&mut group.full));
        if self.keys.len() > FULL_KEYS_MAX {
            self.keys.clear();
        }
    }

    /// Forgets all keys: a planned group whose changes were taken over was refused.
    pub(in crate::store) fn forget(&mut self) {
        self.keys.clear();
    }
}

impl PlannedSiblings {
    /// Notes a planned entry of the conflict namespace.
    pub(in crate::store) fn note(&mut self, entry: &Entry) {
        let kept = kept_at(entry);
        self.changed.insert(entry.key().to_vec(), kept);
        let siblings = user_key_in(entry.key()).and_then(|key| self.full.get_mut(key));
        if let Some(siblings) = siblings {
            change(siblings, entry.key(), kept);
        }
    }

    /// Planned changes among the siblings of a user's key.
    pub(in crate::store) fn of<'a>(
        &'a self,
        user_key: &'a [u8],
    ) -> impl Iterator<Item = (&'a Vec<u8>, Option<Stamp>)> {
        let begin = [&[Namespace::Conflict as u8], user_key].concat();
        let from = self.changed.range(begin.clone()..);
        from.take_while(move |(key, _)| key.starts_with(&begin))
            .filter(move |(key, _)| user_key_in(key) == Some(user_key))
            .map(|(key, kept)| (key, *kept))
    }
}

impl Group {
    /// Removes siblings of the keys for which an entry was planned since the place `begin`, where there are too many.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be; the whole group is void then.
    pub(in crate::store) fn bound_siblings(
        &mut self,
        begin: usize,
        base: PlanBase<'_>,
        ledger: &mut Ledger,
        terms: &Terms<'_>,
    ) -> Result<(), StoreError> {
        let came = self.planned.get(begin..).unwrap_or_default().iter();
        let kept = came.filter(|planned| {
            let is_kept = planned.entry.key().first() == Some(&(Namespace::Conflict as u8));
            is_kept && kept_at(&planned.entry).is_some()
        });
        let keys: Vec<&[u8]> = kept
            .filter_map(|planned| user_key_of(&planned.entry))
            .collect();
        let mut left = keys.len() + REMOVED_BESIDES;
        let keys: BTreeSet<Vec<u8>> = keys.into_iter().map(<[u8]>::to_vec).collect();
        for user_key in keys {
            if is_broken(Rule::SiblingsUnbounded) || !self.has_too_many(&user_key, base, terms)? {
                continue;
            }
            for (dot, is_open) in self.surplus_of(&user_key, base, terms)? {
                if left == 0 {
                    return Ok(());
                }
                left -= 1;
                self.drop_sibling(&user_key, dot, base, ledger, terms)?;
                if !is_broken(Rule::SiblingsDroppedUntold) {
                    let key = user_key.clone();
                    self.dropped.push(DroppedSibling { key, dot, is_open });
                }
            }
        }
        Ok(())
    }

    /// True if a key has too many siblings. The group holds them afterwards.
    fn has_too_many(
        &mut self,
        user_key: &[u8],
        base: PlanBase<'_>,
        terms: &Terms<'_>,
    ) -> Result<bool, StoreError> {
        if !self.siblings.full.contains_key(user_key) {
            let found = match terms.full_keys.keys.get(user_key) {
                Some(known) => {
                    let mut siblings = known.clone();
                    for (stored, kept) in self.siblings.of(user_key) {
                        change(&mut siblings, stored, kept);
                    }
                    Some(siblings)
                }
                None => self.read_siblings(user_key, base, terms)?,
            };
            let Some(found) = found else {
                return Ok(false);
            };
            self.siblings.full.insert(user_key.to_vec(), found);
        }
        let siblings = self.siblings.full.get(user_key);
        Ok(siblings.is_some_and(|siblings| siblings.len() > terms.siblings_max))
    }

    /// The siblings of a key with their stamps; `None` if they cannot be too many: then only their names are read.
    fn read_siblings(
        &self,
        user_key: &[u8],
        base: PlanBase<'_>,
        terms: &Terms<'_>,
    ) -> Result<Option<Siblings>, StoreError> {
        let mut keys = base.live_kept_keys(user_key)?;
        for (stored, kept) in self.siblings.of(user_key) {
            if kept.is_some() {
                keys.insert(stored.clone());
            } else {
                keys.remove(stored);
            }
        }
        if keys.len() <= terms.siblings_max {
            return Ok(None);
        }
        let mut siblings = Siblings::new();
        for stored in keys {
            let found = self.find(&stored, key_hash(&stored), base)?;
            change(&mut siblings, &stored, found.entry().and_then(kept_at));
        }
        Ok(Some(siblings))
    }

    /// The siblings of a key that are too many, in the order of their removal, each with a flag: true if it is open, so
    /// that a write is lost with it.
    fn surplus_of(
        &self,
        user_key: &[u8],
        base: PlanBase<'_>,
        terms: &Terms<'_>,
    ) -> Result<Vec<(Dot, bool)>, StoreError> {
        let stored = [&[Namespace::User as u8], user_key].concat();
        let found = self.find(&stored, key_hash(&stored), base)?;
        let lineage = self.lineage_over(base);
        let Some(siblings) = self.siblings.full.get(user_key) else {
            return Ok(Vec::new());
        };
        let is_known = |dot: Dot| {
            // A sibling that is also the shown value counts as unseen: the write that it lost against is not here yet.
            let is_shown = |shown: &Entry| shown.dot != dot && shown.has_seen(dot, lineage);
            let (author, sequence) = (dot.origin, dot.sequence.saturating_add(1));
            let later = Dot { sequence, ..dot };
            let last = Dot {
                origin: author,
                sequence: u64::MAX,
            };
            found.entry().is_some_and(is_shown) || siblings.range(later..=last).next().is_some()
        };
        let (known, open): (Vec<Dot>, Vec<Dot>) = siblings.keys().partition(|dot| is_known(**dot));
        let mut open: Vec<(Stamp, Dot)> = open
            .into_iter()
            .filter_map(|dot| Some((*siblings.get(&dot)?, dot)))
            .collect();
        open.sort_unstable();
        open.truncate(open.len().saturating_sub(terms.siblings_max));
        let known = known.into_iter().map(|dot| (dot, false));
        Ok(known
            .chain(open.into_iter().map(|(_, dot)| (dot, true)))
            .collect())
    }

    /// Plans the removal of one sibling.
    fn drop_sibling(
        &mut self,
        user_key: &[u8],
        dot: Dot,
        base: PlanBase<'_>,
        ledger: &mut Ledger,
        terms: &Terms<'_>,
    ) -> Result<(), StoreError> {
        self.declare_author(base, ledger, (terms.wall, terms.common))?;
        let key = sibling_key(user_key, dot);
        let hash = key_hash(&key);
        let found = self.find(&key, hash, base)?;
        let Some((seen, stamp, version)) = found
            .entry()
            .map(|held| (held.vector().to_vec(), held.stamp, held.version))
        else {
            return Ok(());
        };
        let base_row = found.into_base_row();
        let kept = Kept {
            key,
            hash,
            base_row,
            dot,
            seen,
            stamp,
            version,
        };
        self.remove_siblings(kept, base, ledger, terms);
        Ok(())
    }
}
