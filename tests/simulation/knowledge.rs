//! An independent record of the writes that each write had read, made from the entries that nodes held when they
//! wrote. The product's conclusions from dots, vectors and lineage are checked against it, in both directions.

use std::collections::{BTreeMap, BTreeSet};

use super::world::World;
use crate::core::identity::{Dot, Origin};
use crate::store::commit::operation::{Operation, Request};
use crate::store::conflict::policy::{loser_of, sibling_key};
use crate::store::entry::{Entry, EntryFlags};
use crate::store::lineage::Authorship;
use crate::store::state::totals::is_user;

/// Exact identity of a write, so that two under one dot are distinct: its key, dot, stamp and value.
type Write = (Vec<u8>, Dot, u64, Option<Vec<u8>>);

fn write_of(entry: &Entry) -> Write {
    let value = entry.value().map(<[u8]>::to_vec);
    (entry.key().to_vec(), entry.dot, entry.stamp.0, value)
}

/// The writes of the same key that each write had read.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    read: BTreeMap<Write, BTreeSet<Write>>,
    /// Keys with a forged write: it is unknown what its author had read.
    doubtful: BTreeSet<Vec<u8>>,
}

impl Knowledge {
    /// Records that a node has written an entry while it held `over`. It also knows its own earlier writes of the key,
    /// shown or not.
    fn note(&mut self, entry: &Entry, over: &[Entry], authorship: &Authorship) {
        let is_own = |dot: &Dot| {
            let mut before = authorship.before.iter();
            let is_present = dot.origin == entry.dot.origin && dot.sequence < entry.dot.sequence;
            is_present
                || before.any(|(author, last)| *author == dot.origin && dot.sequence <= *last)
        };
        let known = self
            .read
            .keys()
            .filter(|(key, dot, ..)| key == entry.key() && is_own(dot));
        let mut read: BTreeSet<Write> = known.cloned().collect();
        for before in over {
            let before = write_of(before);
            read.extend(self.read.get(&before).into_iter().flatten().cloned());
            read.insert(before);
        }
        self.read
            .entry(write_of(entry))
            .or_default()
            .append(&mut read);
    }

    /// Records that a write of a key was forged.
    pub(super) fn distrust(&mut self, forged: &Entry) {
        self.doubtful.insert(forged.key().to_vec());
    }

    /// True if all writes of a key were made by nodes.
    pub(super) fn is_sure(&self, key: &[u8]) -> bool {
        !self.doubtful.contains(key)
    }

    /// True if the author of `entry` had read `other`, or the two are equal.
    pub(super) fn knows(&self, entry: &Entry, other: &Entry) -> bool {
        let (entry, other) = (write_of(entry), write_of(other));
        entry == other
            || self
                .read
                .get(&entry)
                .is_some_and(|read| read.contains(&other))
    }

    /// True if neither write knew of the other, and a value would be lost.
    pub(super) fn is_conflict(&self, a: &Entry, b: &Entry) -> bool {
        is_user(a) && !self.knows(a, b) && !self.knows(b, a) && a.value() != b.value()
    }

    /// The writes that an entry had read.
    pub(super) fn read_by(&self, entry: &Entry) -> impl Iterator<Item = Dot> + '_ {
        let read = self.read.get(&write_of(entry)).into_iter().flatten();
        read.map(|(_, dot, ..)| *dot)
    }
}

fn is_made_by(entry: &Entry, operation: &Operation) -> bool {
    operation.key() == entry.key()
        && operation.is_removal() == entry.is_tombstone()
        && operation.value() == entry.value().unwrap_or_default()
}

fn operations_of(request: &Request) -> &[Operation] {
    match request {
        Request::Write { operation, .. } => std::slice::from_ref(operation),
        Request::Batch { operations, .. } => operations,
        Request::Resolve(resolution) => std::slice::from_ref(&resolution.operation),
        _ => &[],
    }
}

impl World<'_> {
    /// Records the writes of a group, with the requests `asked` and the entries `planned`.
    pub(super) fn learn_writes(
        &mut self,
        node: usize,
        asked: &[Request],
        planned: &[(Entry, Option<Origin>)],
    ) {
        let map = &self.nodes[node].up().store.map;
        let authorship = self.nodes[node]
            .up()
            .store
            .committer
            .ledger()
            .authorship
            .clone();
        let mut newest: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
        for (entry, from) in planned {
            let held = |newest: &BTreeMap<Vec<u8>, Entry>, key: &[u8]| {
                let held = || map.entry(key).ok().flatten();
                let held = || held().map(std::borrow::Cow::into_owned);
                newest.get(key).cloned().or_else(held)
            };
            if from.is_none() && is_user(entry) {
                let mut over: Vec<Entry> = held(&newest, entry.key()).into_iter().collect();
                for request in asked {
                    match request {
                        Request::Received(received)
                            if entry.flags.contains(EntryFlags::REWRITTEN_BY_POLICY) =>
                        {
                            // Of several entries received in one group only those that the vector names count: it
                            // cannot be seen from here which of them met.
                            let is_met = |came: &&Entry| {
                                came.key() == entry.key() && entry.vector().contains(&came.dot)
                            };
                            over.extend(received.entries.iter().filter(is_met).cloned());
                        }
                        Request::Resolve(resolution)
                            if is_made_by(entry, &resolution.operation) =>
                        {
                            let losers = resolution.losers.iter();
                            let kept = losers.map(|loser| sibling_key(&entry.key()[1..], *loser));
                            let kept = kept.filter_map(|key| loser_of(&held(&newest, &key)?));
                            // An equal operation may be requested twice in a group: then only the vector tells which
                            // entry is which.
                            let alike = asked.iter().flat_map(operations_of);
                            let alike = alike.filter(|other| is_made_by(entry, other)).count();
                            let lineage = map.lineage();
                            over.extend(
                                kept.filter(|loser| {
                                    alike == 1 || entry.has_seen(loser.dot, lineage)
                                }),
                            );
                        }
                        _ => {}
                    }
                }
                self.knowledge.note(entry, &over, &authorship);
            }
            newest.insert(entry.key().to_vec(), entry.clone());
        }
    }
}
