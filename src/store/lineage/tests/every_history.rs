//! Every history of one node up to a size, with real stores: each opening may start from any disk that ever existed (a
//! restart, a copy, a disk that went back in time), keeps its identity or takes another one, and writes twice. The test
//! keeps its own account of which write had seen which, and checks every statement of the lineage against it, also for
//! a third node that gets any of the lineage records in any order.
//!
//! `TORTURE_COUNT`, set to any value, selects the large bound.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::super::{Lineage, LineageRecord};
use crate::core::clock::WallMs;
use crate::core::identity::{Dot, Incarnation, Origin};
use crate::core::rules::{Rule, break_rule};
use crate::disk::memory::{DiskImage, MemoryStorage};
use crate::disk::storage::Storage;
use crate::store::commit::committer::Durability;
use crate::store::commit::ledger::FeedPosition;
use crate::store::commit::operation::{Operation, Received, Request};
use crate::store::conflict::policy::ConflictPolicy;
use crate::store::entry::Entry;
use crate::store::maintain::recovery::{self, Seeds};
use crate::store::scope::Scope;
use crate::store::state::totals::is_user;
use crate::store::tests::torture::making::Node as Store;
use crate::store::tests::torture::number;
use crate::wal::files::lease::LEASE_SUFFIX;

const LOG: &str = "a.wal";
const KEY: &[u8] = b"k";
const WRITES: usize = 2;

/// Newest records that arrive in every order.
const RECORDS_IN_ANY_ORDER: usize = 4;

/// Bounds of the histories to generate.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Openings, of any disk each, after the first ones in `restarts`.
    openings: usize,
    /// Openings that happen before, each of the disk of the one before, with a write each.
    restarts: usize,
    /// True if a node may receive everything of another disk between its writes.
    receives: bool,
    durability: Durability,
    /// True if each disk was closed cleanly.
    closes: bool,
    /// True if each disk holds a checkpoint.
    checkpoints: bool,
}

const SMALL: Bounds = Bounds {
    openings: 4,
    restarts: 0,
    receives: false,
    durability: Durability::Synced,
    closes: false,
    checkpoints: false,
};

/// A disk at one moment, with the facts that the test knows about it without the store.
struct Disk {
    image: DiskImage,
    /// For each author the sequence up to which this disk has its writes.
    seen: BTreeMap<Origin, u64>,
    /// Dots of the users' writes that were made on this disk.
    own: BTreeSet<Dot>,
    /// All entries of the disk.
    rows: Vec<Entry>,
}

/// The node that wrote under an author.
struct Author {
    identity: Origin,
    /// For each author the sequence up to which the disk had its writes when it was opened.
    seen: BTreeMap<Origin, u64>,
}

/// Everything that has happened in a history.
#[derive(Clone, Default)]
struct History {
    disks: Vec<Rc<Disk>>,
    authors: BTreeMap<Origin, Rc<Author>>,
    /// Each write of a user with the writes that it had seen.
    writes: BTreeMap<Dot, Rc<(Entry, BTreeSet<Dot>)>>,
    records: Vec<Entry>,
}

/// An open store.
struct Open<'d> {
    store: Store<'d>,
    disk: &'d MemoryStorage,
    author: Origin,
    seen: BTreeMap<Origin, u64>,
    own: BTreeSet<Dot>,
}

fn seeds(number: usize) -> Seeds {
    let number = u8::try_from(number).unwrap() + 1;
    Seeds {
        salt: u64::from(number),
        file_id: [number; 16],
        origin: Origin([number; 16]),
        lease: [number; 16],
        incarnation: Incarnation([number; 16]),
    }
}

impl<'d> Open<'d> {
    fn new(history: &mut History, disk: &'d MemoryStorage, found: &Disk, bounds: Bounds) -> Self {
        let seeds = seeds(history.authors.len());
        let opened = recovery::open(disk, LOG, "node", bounds.durability, 0, &seeds).unwrap();
        let mut store = Store::over(disk, opened);
        store.committer.set_conflict_policy(ConflictPolicy::Manual);
        store.committer.write_records(&[]).unwrap();
        let ledger = store.committer.ledger();
        let author = ledger.authorship.current;
        assert!(
            !history.authors.contains_key(&author),
            "two openings write under one author"
        );
        let known = Author {
            identity: ledger.origin,
            seen: found.seen.clone(),
        };
        history.authors.insert(author, Rc::new(known));
        Self {
            store,
            disk,
            author,
            seen: found.seen.clone(),
            own: found.own.clone(),
        }
    }

    fn held(&self) -> Option<Entry> {
        let key = [&[0], KEY].concat();
        let held = self.store.map.entry(&key).unwrap();
        held.map(std::borrow::Cow::into_owned)
    }

    fn rows(&self) -> Vec<Entry> {
        let rows = self.store.map.range_from(std::ops::Bound::Unbounded);
        rows.map(|row| row.unwrap().into_owned()).collect()
    }

    fn write(&mut self, history: &mut History) {
        let before = self.held();
        let operation = Operation::put(KEY, &self.author.0, false).unwrap();
        self.commit(Request::Write {
            ticket: 1,
            operation,
        });
        let mut read = self.own.clone();
        if let Some(before) = before {
            read.extend(&history.writes[&before.dot].1);
            read.insert(before.dot);
        }
        let made = self.rows().into_iter();
        for entry in made.filter(|entry| entry.dot.origin == self.author) {
            let seen = self.seen.entry(self.author).or_default();
            if entry.dot.sequence <= *seen {
                continue;
            }
            if is_user(&entry) {
                self.own.insert(entry.dot);
                let write = Rc::new((entry.clone(), read.clone()));
                history.writes.insert(entry.dot, write);
            } else if LineageRecord::of(&entry).is_some() {
                history.records.push(entry);
            }
        }
        let last = self.store.committer.ledger().last_sequence;
        self.seen.insert(self.author, last);
    }

    fn receive(&mut self, entries: Vec<Entry>) {
        self.commit(Request::Received(Received {
            peer: Origin([255; 16]),
            token: 1,
            from: FeedPosition::default(),
            position: FeedPosition::default(),
            scope: Scope::ALL,
            entries,
        }));
    }

    fn commit(&mut self, request: Request) {
        let mut asked = vec![request];
        while !asked.is_empty() {
            let (store, map) = (&mut self.store.committer, &mut self.store.map);
            let mut committed = store.commit(asked, map, WallMs(1_700_000_000_000)).unwrap();
            while !crate::store::commit::install::install_some(&mut committed, map).is_empty() {}
            asked = committed.rest;
        }
    }

    /// Adds the disk as it is now to those that another opening may start from.
    fn leave(&self, history: &mut History, bounds: Bounds) {
        let mut image = self.disk.image();
        if bounds.closes || bounds.checkpoints {
            let disk = image.process_killed();
            let epoch = seeds(200);
            let opened = recovery::open(&disk, LOG, "node", bounds.durability, 0, &epoch);
            let mut store = Store::over(&disk, opened.unwrap());
            if bounds.checkpoints {
                store.advance().unwrap();
                while store.is_making() {
                    store.advance().unwrap();
                }
            }
            if bounds.closes {
                store.committer.close().unwrap();
            }
            image = disk.image();
        }
        history.disks.push(Rc::new(Disk {
            image,
            seen: self.seen.clone(),
            own: self.own.clone(),
            rows: self.rows(),
        }));
    }
}

/// Visits all histories that continue this one. Returns their number.
fn go_through(history: &History, bounds: Bounds, openings: usize) -> u64 {
    if openings == 0 {
        history.check_third_nodes();
        return 1;
    }
    let mut histories = 0;
    for found in history.disks.clone() {
        for keeps_identity in [true, false] {
            let sources = history.disks.iter().filter(|_| bounds.receives);
            let sources = sources.map(|source| source.rows.as_slice());
            for source in std::iter::once(&[][..]).chain(sources) {
                let mut next = history.clone();
                next.open(&found, keeps_identity, source, bounds);
                histories += go_through(&next, bounds, openings - 1);
            }
        }
    }
    histories
}

impl History {
    /// The history of a node before any generated opening: its restarts.
    fn begin(bounds: Bounds) -> Self {
        let mut history = Self::default();
        let mut found = Rc::new(Disk {
            image: MemoryStorage::new().image(),
            seen: BTreeMap::new(),
            own: BTreeSet::new(),
            rows: Vec::new(),
        });
        for _ in 0..=bounds.restarts {
            history.disks.clear();
            history.open(&found, true, &[], bounds);
            found = Rc::clone(history.disks.last().unwrap());
        }
        history
    }

    /// Opens a store from a disk, writes, takes in everything of another disk, and writes once more.
    fn open(&mut self, found: &Disk, keeps_identity: bool, source: &[Entry], bounds: Bounds) {
        let disk = found.image.process_killed();
        if !keeps_identity {
            disk.remove(&format!("{LOG}{LEASE_SUFFIX}")).unwrap();
        }
        let mut open = Open::new(self, &disk, found, bounds);
        open.leave(self, bounds);
        for write in 0..WRITES {
            if write > 0 && !source.is_empty() {
                open.receive(source.to_vec());
            }
            open.write(self);
            open.leave(self, bounds);
            self.check(open.store.map.lineage(), None);
        }
    }

    /// Checks a third node that gets any of the newest records in any order, before or after the old ones.
    fn check_third_nodes(&self) {
        let records = self.records.iter().filter_map(LineageRecord::of);
        let records: Vec<LineageRecord> = records.collect();
        let (old, new) = records.split_at(records.len().saturating_sub(RECORDS_IN_ANY_ORDER));
        self.check_orders(new, old, Lineage::default(), &mut Vec::new());
        if !old.is_empty() {
            let mut lineage = Lineage::default();
            for record in old {
                lineage.add(record);
            }
            self.check_orders(new, &[], lineage, &mut old.iter().collect());
        }
        self.check_losses();
    }

    fn check_orders<'r>(
        &self,
        left: &'r [LineageRecord],
        last: &'r [LineageRecord],
        mut lineage: Lineage,
        reported: &mut Vec<&'r LineageRecord>,
    ) {
        self.check(&lineage, Some(reported));
        let is_reported =
            |record: &LineageRecord| reported.iter().any(|other| std::ptr::eq(*other, record));
        let next: Vec<&LineageRecord> = left.iter().filter(|record| !is_reported(record)).collect();
        for record in &next {
            let mut lineage = lineage.clone();
            lineage.add(record);
            reported.push(record);
            self.check_orders(left, last, lineage, reported);
            reported.pop();
        }
        if next.is_empty() {
            for record in last {
                lineage.add(record);
            }
            self.check_complete(&lineage);
        }
    }

    /// Checks that every statement of the lineage is true and, with the records that it was made from, that it states
    /// everything in them.
    fn check(&self, lineage: &Lineage, reported: Option<&[&LineageRecord]>) {
        let links: BTreeMap<Origin, (Origin, u64)> = reported
            .into_iter()
            .flatten()
            .flat_map(|record| record.authors.windows(2))
            .map(|pair| (pair[1].0, pair[0]))
            .collect();
        let named = reported.into_iter().flatten().flat_map(|record| {
            let behind = record.foreign.max(1);
            record.authors.iter().skip(behind).map(|(author, _)| author)
        });
        let named: BTreeSet<&Origin> = named.collect();
        for (author, known) in &self.authors {
            for ancestor in self.authors.keys().filter(|other| *other != author) {
                let said = lineage.seen_up_to(*author, *ancestor);
                let truth = known.seen.get(ancestor).copied();
                assert!(
                    said.is_none_or(|said| said == truth.unwrap_or(0)),
                    "{author} is said to have seen {said:?} of {ancestor}, and has seen {truth:?}"
                );
                if reported.is_some() {
                    let mut at = (*author, None);
                    while let Some((parent, up_to)) = links.get(&at.0).filter(|_| at.0 != *ancestor)
                    {
                        at = (*parent, Some(*up_to));
                    }
                    let walked = at.1.filter(|_| at.0 == *ancestor);
                    assert_eq!(said, walked, "{author} and {ancestor}");
                }
            }
            let said = lineage.identity_of(*author);
            assert!(
                said == known.identity || said == *author && !named.contains(author),
                "{author} is said to have written for {said}, and wrote for {}",
                known.identity
            );
        }
        for (later, read) in self.writes.values().map(Rc::as_ref) {
            for (earlier, _) in self.writes.values().map(Rc::as_ref) {
                assert!(
                    later.dot == earlier.dot
                        || !later.follows(earlier, lineage)
                        || read.contains(&earlier.dot),
                    "{later:?} is said to follow {earlier:?}, which its author had not read"
                );
            }
        }
    }

    /// Checks that with all records no seen write counts as unseen.
    fn check_complete(&self, lineage: &Lineage) {
        for (later, read) in self.writes.values().map(Rc::as_ref) {
            for earlier in read.iter().map(|dot| &self.writes[dot].0) {
                assert!(
                    later.follows(earlier, lineage),
                    "{later:?} is said not to follow {earlier:?}, which its author had read"
                );
            }
        }
        for (author, known) in &self.authors {
            for (ancestor, up_to) in known.seen.iter().filter(|_| self.has_written(*author)) {
                assert_eq!(lineage.seen_up_to(*author, *ancestor), Some(*up_to));
            }
        }
    }

    fn has_written(&self, author: Origin) -> bool {
        self.writes.keys().any(|dot| dot.origin == author)
    }

    /// Checks that where only the newest record of each place is left, every missing statement was in a record that a
    /// copy overwrote.
    fn check_losses(&self) {
        let mut newest: BTreeMap<&[u8], &Entry> = BTreeMap::new();
        for record in &self.records {
            let known = newest.entry(record.key()).or_insert(record);
            if record.order(known).is_gt() {
                *known = record;
            }
        }
        let mut lineage = Lineage::default();
        for record in newest.values() {
            lineage.add(&LineageRecord::of(record).unwrap());
        }
        self.check(&lineage, None);
        let has_seen = |later: Origin, earlier: Origin| {
            later == earlier || self.authors[&later].seen.contains_key(&earlier)
        };
        let is_lost = |author: Origin| {
            self.records.iter().any(|record| {
                let left = newest[record.key()].dot.origin;
                let names = LineageRecord::of(record).unwrap().authors;
                names.iter().skip(1).any(|(named, _)| *named == author)
                    && !has_seen(left, record.dot.origin)
            })
        };
        for (author, known) in self
            .authors
            .iter()
            .filter(|(author, _)| self.has_written(**author))
        {
            for (ancestor, up_to) in &known.seen {
                let is_reported = lineage.seen_up_to(*author, *ancestor) == Some(*up_to);
                let between = self
                    .authors
                    .keys()
                    .filter(|other| has_seen(*author, **other) && has_seen(**other, *ancestor));
                assert!(
                    is_reported || between.copied().any(is_lost),
                    "{author} has seen {up_to} of {ancestor}, and no copy is why nobody is told"
                );
            }
        }
    }
}

fn histories(bounds: Bounds) -> u64 {
    go_through(&History::begin(bounds), bounds, bounds.openings - 1)
}

fn is_large() -> bool {
    number("TORTURE_COUNT").is_some()
}

#[test]
fn no_history_has_lineage_say_that_a_write_was_seen_which_was_not() {
    let openings = if is_large() { 5 } else { 4 };
    let found = |durability, closes, checkpoints| Bounds {
        openings,
        durability,
        closes,
        checkpoints,
        ..SMALL
    };
    let all = [
        Bounds { openings, ..SMALL },
        found(Durability::Written, false, false),
        found(Durability::Written, true, false),
        found(Durability::Synced, false, true),
        // One record is full, and the next one begins.
        Bounds {
            restarts: super::super::AUTHORS_PER_RECORD - 2,
            openings: openings - 1,
            ..SMALL
        },
    ];
    let mut count = 0;
    for bounds in all {
        let histories = histories(bounds);
        println!("{histories} of {bounds:?}");
        count += histories;
    }
    println!("all histories: {count} cases");
}

#[test]
fn no_exchange_between_copies_has_lineage_say_that_a_write_was_seen_which_was_not() {
    let bounds = Bounds {
        openings: if is_large() { 4 } else { 3 },
        receives: true,
        ..SMALL
    };
    println!("all histories: {} cases", histories(bounds));
}

#[test]
fn lineage_without_a_bound_is_found() {
    for rule in [Rule::LineageUnbounded, Rule::AuthorKept] {
        break_rule(Some(rule));
        let bounds = Bounds {
            openings: 3,
            ..SMALL
        };
        let found = std::panic::catch_unwind(|| histories(bounds));
        break_rule(None);
        assert!(found.is_err(), "{rule:?} is not found");
    }
}
