//! Who had read what when it was written: a record of its own, made from what nodes held when they wrote. What the product
//! concludes from dots, vectors and lineage is held against it, in both directions.

use std::collections::{BTreeMap, BTreeSet};

use super::world::World;
use crate::core::identity::{Dot, Origin};
use crate::store::commit::operation::{Operation, Request};
use crate::store::conflict::policy::{loser_of, sibling_key};
use crate::store::entry::{Entry, EntryFlags};
use crate::store::lineage::Authorship;
use crate::store::state::totals::is_user;

/// A write by what it is, so that two under one dot are two: its key, dot, stamp and value.
type Write = (Vec<u8>, Dot, u64, Option<Vec<u8>>);

fn write_of(entry: &Entry) -> Write {
    let value = entry.value().map(<[u8]>::to_vec);
    (entry.key().to_vec(), entry.dot, entry.stamp.0, value)
}

/// What each write had read, of its key.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    read: BTreeMap<Write, BTreeSet<Write>>,
    /// Keys of which somebody has forged a write. What that author had read nobody knows.
    doubtful: BTreeSet<Vec<u8>>,
}

impl Knowledge {
    /// A node has written an entry, with these before its eyes. What it wrote itself of the key it knows, shown or not.
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

    /// Somebody has forged a write.
    pub(super) fn distrust(&mut self, forged: &Entry) {
        self.doubtful.insert(forged.key().to_vec());
    }

    /// Whether all writes of a key were made by nodes.
    pub(super) fn is_sure(&self, key: &[u8]) -> bool {
        !self.doubtful.contains(key)
    }

    /// Whether who wrote `entry` had read `other`, or it is that.
    pub(super) fn knows(&self, entry: &Entry, other: &Entry) -> bool {
        let (entry, other) = (write_of(entry), write_of(other));
        entry == other
            || self
                .read
                .get(&entry)
                .is_some_and(|read| read.contains(&other))
    }

    /// Whether neither knew of the other, and somebody loses something.
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
    /// A node writes a group, of which this is asked and that is planned.
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
                            // Of several that came in one group those that it names: which of them met is not seen
                            // from here.
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
                            // The same may be asked for twice in a group: then only what it names tells which is which.
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
