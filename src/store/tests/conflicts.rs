//! Concurrent writes, rule by rule.

use std::collections::BTreeMap;

use super::super::entry::{Namespace, vector_over};
use super::super::lineage::Lineage;
use super::*;
use crate::core::limits::VECTOR_ORIGINS_WRITTEN_MAX;
use crate::store::commit::operation::Resolution;
use crate::store::conflict::open_conflicts::OpenConflict;
use crate::store::conflict::policy::{
    ConflictPolicy::{self, KeepLocal, LastWriteWins, Manual},
    loser_of,
};
use crate::store::conflict::sibling_limit::DroppedSibling;

pub(super) fn origin(number: u64) -> Origin {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    Origin(bytes)
}

fn dot(author: u64, sequence: u64) -> Dot {
    Dot {
        origin: origin(author),
        sequence,
    }
}

fn entry(dot: Dot, stamp: u64, value: &[u8], vector: Vec<Dot>) -> Entry {
    let extra = Extra {
        vector,
        extension: Vec::new(),
    };
    let payload = [&b"\0k"[..], value].concat();
    let flags = EntryFlags::default();
    Entry::new(payload.into(), 2, flags, dot, Stamp(stamp), 1, extra).unwrap()
}

#[test]
fn two_writes_are_concurrent_if_neither_knew_the_other() {
    let first = entry(dot(1, 5), 10, b"a", Vec::new());
    let later = entry(dot(1, 9), 11, b"b", Vec::new());
    let other = entry(dot(2, 1), 12, b"c", Vec::new());
    let knows = entry(dot(2, 2), 13, b"d", vec![dot(1, 5)]);
    assert!(
        !first.is_concurrent_with(&first, &Lineage::default()),
        "received again"
    );
    assert!(
        !first.is_concurrent_with(&later, &Lineage::default()),
        "of one author"
    );
    assert!(
        first.is_concurrent_with(&other, &Lineage::default())
            && other.is_concurrent_with(&first, &Lineage::default())
    );
    assert!(
        knows.follows(&first, &Lineage::default()) && !first.follows(&knows, &Lineage::default())
    );
    assert!(
        knows.is_concurrent_with(&later, &Lineage::default()),
        "it knew an older one"
    );
}

#[test]
fn what_a_full_vector_has_forgotten_counts_as_seen_and_what_it_replaced_is_never_forgotten() {
    let many = VECTOR_ORIGINS_WRITTEN_MAX as u64 + 10;
    let all = (1..=many).map(|author| dot(author, 1));
    for replaced in [dot(1, 7), dot(many, 7)] {
        let lineage = Lineage::default();
        let vector = vector_over(origin(many + 1), &[replaced], all.clone(), &lineage);
        assert_eq!(vector.len(), VECTOR_ORIGINS_WRITTEN_MAX);
        assert!(vector.is_sorted_by(|a, b| a.origin < b.origin));
        assert!(vector.contains(&replaced));
        let full = entry(dot(many + 1, 1), 100, b"x", vector);
        assert!((1..=many).all(|author| full.follows(
            &entry(dot(author, 1), 9, b"y", Vec::new()),
            &Lineage::default()
        )));
        let newer = entry(dot(many + 2, 1), 101, b"y", Vec::new());
        assert!(
            full.is_concurrent_with(&newer, &Lineage::default()),
            "nobody forgets what is later"
        );
        let known_older = entry(dot(many / 2, 2), 9, b"y", Vec::new());
        assert!(
            full.is_concurrent_with(&known_older, &Lineage::default()),
            "it names an older one"
        );
    }
}

pub(super) fn received(entries: Vec<Entry>) -> Request {
    Request::Received(Received {
        peer: Origin([9; 16]),
        token: 1,
        from: FeedPosition::default(),
        position: FeedPosition::default(),
        scope: crate::store::scope::Scope::ALL,
        entries,
    })
}

/// A node without a disk, links or a clock.
pub(super) struct Writer {
    pub(super) committer: Committer,
    pub(super) map: EntryMap,
    wall: u64,
    losers: Vec<Entry>,
    pub(super) dropped: Vec<DroppedSibling>,
}

impl Writer {
    pub(super) fn new(author: u64, policy: ConflictPolicy) -> Self {
        let seeds = Seeds {
            origin: origin(author),
            ..seeds(0)
        };
        let Opened {
            mut committer, map, ..
        } = in_memory("node", &seeds);
        committer.set_conflict_policy(policy);
        Self {
            committer,
            map,
            wall: WALL.0 + author,
            losers: Vec::new(),
            dropped: Vec::new(),
        }
    }

    pub(super) fn commit(&mut self, requests: Vec<Request>) {
        self.commit_uncounted(requests);
        assert_eq!(self.map.totals(), self.map.recount().unwrap());
    }

    /// Commits as [`Self::commit`] does, without checking the totals over all entries.
    pub(super) fn commit_uncounted(&mut self, mut requests: Vec<Request>) {
        while !requests.is_empty() {
            self.wall += 3;
            let wall = WallMs(self.wall);
            let mut committed = self.committer.commit(requests, &self.map, wall).unwrap();
            while !install_some(&mut committed, &mut self.map).is_empty() {}
            self.losers.append(&mut committed.losers);
            self.dropped.append(&mut committed.dropped);
            requests = committed.rest;
        }
    }

    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) {
        let operation = Operation::put(key, value, false).unwrap();
        self.commit(vec![Request::Write {
            ticket: 1,
            operation,
        }]);
    }

    pub(super) fn all(&self) -> Vec<Entry> {
        let all = self.map.range_from(std::ops::Bound::Unbounded);
        all.map(|entry| entry.unwrap().into_owned()).collect()
    }

    pub(super) fn all_own(&self) -> Vec<Entry> {
        let author = self.committer.ledger().origin;
        let all = self.all().into_iter();
        all.filter(|entry| entry.dot.origin == author).collect()
    }

    pub(super) fn receive(&mut self, entries: Vec<Entry>) {
        self.commit(vec![received(entries)]);
    }

    pub(super) fn conflicts(&self) -> Vec<OpenConflict> {
        let page = self.map.sibling_page(&[], false, None, loser_of).unwrap();
        assert_eq!(page.next, None);
        let mut kept: BTreeMap<Vec<u8>, Vec<Entry>> = BTreeMap::new();
        for loser in page.losers {
            kept.entry(loser.key().to_vec()).or_default().push(loser);
        }
        let open = kept
            .into_values()
            .map(|losers| self.map.open_conflict(losers));
        open.filter_map(|open| open.unwrap()).collect()
    }

    pub(super) fn resolve(&mut self, key: &[u8], value: &[u8]) {
        let page = self.map.sibling_page(key, true, None, loser_of).unwrap();
        self.commit(vec![Request::Resolve(Resolution {
            ticket: 1,
            operation: Operation::put(key, value, false).unwrap(),
            losers: page.losers.iter().map(|loser| loser.dot).collect(),
        })]);
    }
}

/// Two nodes that both wrote `k`, the second later, and the entry that each holds then.
fn pair(policies: [ConflictPolicy; 2]) -> (Writer, Writer, Entry, Entry) {
    let mut first = Writer::new(1, policies[0]);
    let mut second = Writer::new(2, policies[1]);
    first.put(b"k", b"one");
    second.put(b"k", b"two");
    let (a, b) = (first.all()[0].clone(), second.all()[0].clone());
    assert!(a.order(&b).is_lt());
    (first, second, a, b)
}

#[test]
fn a_loser_is_told_once_however_often_it_comes() {
    let (_, mut second, a, _) = pair([LastWriteWins; 2]);
    second.receive(vec![a.clone()]);
    second.receive(vec![a.clone(), a.clone()]);
    assert_eq!(second.losers, [a]);
}

/// A write of the first node as it comes back: under its dot and stamp, with another content that wins or loses.
fn damaged(own: &Entry, wins: bool) -> Entry {
    let contents = (0..u8::MAX).map(|byte| entry(own.dot, own.stamp.0, &[byte], Vec::new()));
    let other = contents.filter(|other| other.value() != own.value());
    let mut found = other.filter(|other| other.order(own).is_gt() == wins);
    found.next().unwrap()
}

#[test]
fn another_content_under_a_dot_that_is_held_is_a_conflict_with_it() {
    for wins in [false, true] {
        let mut node = Writer::new(1, LastWriteWins);
        node.put(b"k", b"one");
        let own = node.all()[0].clone();
        let other = damaged(&own, wins);
        assert!(own.is_concurrent_with(&other, &Lineage::default()));
        node.receive(vec![other.clone()]);
        let [held] = node.all().try_into().unwrap();
        assert_eq!(held.value() == other.value(), wins);
        assert_eq!(node.losers, [if wins { own } else { other }]);
    }
}

#[test]
fn of_two_contents_under_one_dot_manual_keeps_both_and_keep_local_its_own() {
    for wins in [false, true] {
        let mut node = Writer::new(1, ConflictPolicy::Manual);
        node.put(b"k", b"one");
        let own = node.all()[0].clone();
        let other = damaged(&own, wins);
        node.receive(vec![other.clone()]);
        let (winner, loser) = if wins { (&other, &own) } else { (&own, &other) };
        let all = node.all();
        assert_eq!(all.len(), 2, "the value and a sibling");
        let values: Vec<_> = all.iter().map(Entry::value).collect();
        assert!(values.contains(&winner.value()) && values.contains(&loser.value()));
    }
    let mut node = Writer::new(1, KeepLocal);
    node.put(b"k", b"one");
    let other = damaged(&node.all()[0], true);
    node.receive(vec![other]);
    assert_eq!(node.all()[0].value(), Some(&b"one"[..]));
}

#[test]
fn an_assertion_takes_the_place_of_both_in_one_entry() {
    let (mut first, _, a, b) = pair([KeepLocal, LastWriteWins]);
    first.receive(vec![b.clone()]);
    let [held] = first.all().try_into().unwrap();
    assert_eq!((held.value(), held.dot), (Some(&b"one"[..]), dot(1, 2)));
    assert!(held.follows(&a, &Lineage::default()) && held.follows(&b, &Lineage::default()));
    assert!(held.order(&b).is_gt() && held.version == 2);
    assert!(held.flags.contains(EntryFlags::REWRITTEN_BY_POLICY));
    assert_eq!(
        first.losers,
        std::slice::from_ref(&b),
        "what it was written against"
    );
    // The loser arrives again, by another way.
    first.receive(vec![b]);
    assert_eq!(first.all(), [held]);
}

#[test]
fn an_assertion_is_not_made_once_more() {
    let (mut first, _, _, b) = pair([KeepLocal, LastWriteWins]);
    first.receive(vec![b]);
    let mut third = Writer::new(3, LastWriteWins);
    third.wall += 1_000;
    third.put(b"k", b"three");
    let c = third.all()[0].clone();
    first.receive(vec![c.clone()]);
    assert_eq!(first.all(), [c], "the order decides");
}

#[test]
fn a_plain_write_over_an_assertion_is_plain() {
    let (mut first, _, _, b) = pair([KeepLocal, LastWriteWins]);
    first.receive(vec![b]);
    first.put(b"k", b"four");
    assert!(
        !first.all()[0]
            .flags
            .contains(EntryFlags::REWRITTEN_BY_POLICY)
    );
}

#[test]
fn whoever_keeps_a_loser_keeps_the_same_entry() {
    let (mut first, mut second, a, b) = pair([Manual; 2]);
    let mut third = Writer::new(3, Manual);
    third.receive(vec![a.clone(), b.clone()]);
    first.receive(vec![b.clone()]);
    second.receive(vec![a.clone()]);
    assert_eq!(first.all(), second.all());
    assert_eq!(first.all(), third.all());
    assert_eq!(first.map.len(), 1);
    let [open] = first.conflicts().try_into().unwrap();
    assert_eq!((open.current, open.losers), (b, vec![a]));
    assert_eq!(first.map.own_rows(0, u64::MAX).unwrap(), 0);
}

#[test]
fn a_kept_loser_that_arrives_before_its_winner_is_no_conflict_yet() {
    let (_, mut second, a, b) = pair([Manual; 2]);
    second.receive(vec![a.clone()]);
    let kept = second.all().pop().unwrap();
    assert_eq!(Namespace::of(kept.key()), Some(Namespace::Conflict));
    let mut third = Writer::new(3, LastWriteWins);
    third.receive(vec![kept]);
    assert!(third.conflicts().is_empty());
    third.receive(vec![a]);
    assert!(third.conflicts().is_empty(), "it is the value");
    third.receive(vec![b]);
    assert_eq!(third.conflicts().len(), 1);
}

#[test]
fn a_resolution_knows_all_and_removes_what_was_kept_for_good() {
    let (mut first, _, a, b) = pair([Manual; 2]);
    first.receive(vec![b.clone()]);
    let before = first.all();
    first.resolve(b"k", b"three");
    let after = first.all();
    assert!(first.conflicts().is_empty());
    let settled = &after[0];
    assert!(settled.follows(&a, &Lineage::default()) && settled.follows(&b, &Lineage::default()));
    assert_eq!(settled.value(), Some(&b"three"[..]));
    assert!(after[1].is_tombstone() && after[1].order(&before[1]).is_gt());
    // The entry from which it was made arrives again.
    first.receive(before);
    first.receive(vec![a, b]);
    assert_eq!(first.all(), after);
}

#[test]
fn a_resolution_leaves_a_loser_that_it_did_not_know_of() {
    let (mut first, _, _, b) = pair([Manual; 2]);
    first.receive(vec![b]);
    let mut third = Writer::new(3, Manual);
    third.put(b"k", b"three");
    first.resolve(b"k", b"settled");
    let all = first.all();
    third.receive(all);
    let [open] = third.conflicts().try_into().unwrap();
    assert_eq!(open.current.value(), Some(&b"settled"[..]));
    assert_eq!(open.losers[0].value(), Some(&b"three"[..]));
}

#[test]
fn prefixes_and_whole_keys_find_their_losers_only() {
    let mut first = Writer::new(1, Manual);
    let mut second = Writer::new(2, Manual);
    let keys: [&[u8]; 5] = [b"a", b"ab", b"abc", b"b", &[b'a', 0, 0xff]];
    for key in keys {
        first.put(key, b"1");
        second.put(key, b"2");
    }
    let all = first.all();
    second.receive(all);
    let found = |prefix: &[u8], is_whole| {
        let page = second.map.sibling_page(prefix, is_whole, None, loser_of);
        page.unwrap().losers.len()
    };
    assert_eq!(
        (found(b"", false), found(b"a", false), found(b"ab", false)),
        (5, 4, 2)
    );
    assert_eq!(
        (found(b"a", true), found(b"ab", true), found(b"", true)),
        (1, 1, 0)
    );
}

#[test]
fn the_losers_of_a_key_are_found_without_going_through_those_of_longer_keys() {
    let mut nodes = [1, 2, 3].map(|number| Writer::new(number, Manual));
    for node in &mut nodes {
        node.put(b"a", b"apart");
        for number in 0..300 {
            node.put(format!("a-{number:05}").as_bytes(), &[1]);
        }
        node.put(b"b", b"apart");
    }
    let [first, second, third] = &mut nodes;
    // The content must differ for a conflict.
    second.put(b"a", b"second");
    third.put(b"a", b"third");
    for number in 0..300 {
        second.put(format!("a-{number:05}").as_bytes(), &[2]);
        third.put(format!("a-{number:05}").as_bytes(), &[3]);
    }
    for other in [second, third] {
        for entries in other.all().chunks(500) {
            first.receive(entries.to_vec());
        }
    }
    let page = first.map.sibling_page(b"a", true, None, loser_of).unwrap();
    let values: Vec<_> = page
        .losers
        .iter()
        .map(|loser| loser.value().unwrap())
        .collect();
    assert_eq!(values.len(), 2);
    assert_eq!(page.next, None, "one page has all");
    let mut all = 0;
    let mut after = None;
    loop {
        let page = first
            .map
            .sibling_page(b"a", false, after.as_deref(), loser_of);
        let page = page.unwrap();
        all += page.losers.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(all, 2 + 600);
}

#[test]
fn a_resolution_that_was_overtaken_is_told_as_any_write_is_and_what_it_settled_stays_settled() {
    for resolved_first in [true, false] {
        let mut first = Writer::new(1, Manual);
        let mut second = Writer::new(2, Manual);
        first.put(b"k", b"one");
        second.put(b"k", b"two");
        second.receive(first.all());
        let mut third = Writer::new(3, LastWriteWins);
        third.receive(second.all());
        assert_eq!(third.conflicts().len(), 1);
        third.resolve(b"k", b"settled");
        assert!(third.conflicts().is_empty());
        let mut fourth = Writer::new(4, LastWriteWins);
        fourth.wall += 10_000;
        fourth.put(b"k", b"later");
        let (resolved, later) = (third.all(), fourth.all());
        if resolved_first {
            third.receive(later);
        } else {
            fourth.receive(resolved);
        }
        let reported = if resolved_first { &third } else { &fourth };
        let last = reported.losers.last().unwrap();
        assert_eq!(
            last.value(),
            Some(&b"settled"[..]),
            "nothing is gone in silence"
        );
        // In any order of exchange both nodes end up with equal entries, and nothing is open.
        let (of_third, of_fourth) = (third.all(), fourth.all());
        third.receive(of_fourth);
        fourth.receive(of_third);
        assert_eq!(third.map.summary(), fourth.map.summary());
        for node in [&third, &fourth] {
            let current = node.map.entry(b"\0k").unwrap().unwrap();
            assert_eq!(current.value(), Some(&b"later"[..]));
            let page = node.map.sibling_page(b"k", true, None, loser_of).unwrap();
            assert!(page.losers.is_empty() && node.conflicts().is_empty());
        }
    }
}

/// Versions of `k` that a node shows: the current one, then the losers.
fn shown(node: &Writer) -> Vec<String> {
    let text = |entry: &Entry| String::from_utf8_lossy(entry.value().unwrap_or(b"-")).into_owned();
    let conflicts = node.conflicts();
    let all = conflicts
        .iter()
        .flat_map(|one| std::iter::once(&one.current).chain(&one.losers));
    all.map(text).collect()
}

#[test]
fn under_manual_a_resolution_that_was_overtaken_is_kept_and_what_it_settled_stays_settled() {
    for resolved_first in [true, false] {
        let mut first = Writer::new(1, Manual);
        let mut second = Writer::new(2, Manual);
        first.put(b"k", b"one");
        second.put(b"k", b"two");
        second.receive(first.all());
        let mut third = Writer::new(3, Manual);
        third.receive(second.all());
        third.resolve(b"k", b"settled");
        let mut fourth = Writer::new(4, Manual);
        fourth.wall += 10_000;
        fourth.put(b"k", b"later");
        let (resolved, later) = (third.all(), fourth.all());
        if resolved_first {
            third.receive(later);
            fourth.receive(third.all());
        } else {
            fourth.receive(resolved);
            third.receive(fourth.all());
        }
        second.receive(third.all());
        for node in [&second, &third, &fourth] {
            assert_eq!(shown(node), ["later", "settled"], "{resolved_first}");
        }
    }
}

#[test]
fn who_never_saw_a_resolution_that_is_gone_asks_about_what_it_settled() {
    let mut first = Writer::new(1, Manual);
    let mut second = Writer::new(2, Manual);
    first.put(b"k", b"one");
    second.put(b"k", b"two");
    second.receive(first.all());
    let mut third = Writer::new(3, LastWriteWins);
    third.receive(second.all());
    third.resolve(b"k", b"settled");
    let mut fourth = Writer::new(4, Manual);
    fourth.wall += 10_000;
    fourth.put(b"k", b"later");
    second.receive(fourth.all());
    third.receive(fourth.all());
    assert_eq!(third.losers.last().unwrap().value(), Some(&b"settled"[..]));
    second.receive(third.all());
    assert_eq!(shown(&second), ["later", "two"]);
}
