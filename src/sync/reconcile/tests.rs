//! Property tests of two exchanges with each other over random maps: equal maps at the end, and only the difference
//! travels.

mod pieces;
mod removals;
mod together;
mod trailing;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use proptest::prelude::*;

use super::exchange::{Act, Exchange};
use super::view::{ScopedRanges, View};
use crate::core::identity::{Dot, Origin};
use crate::core::stamp::Stamp;
use crate::store::entry::{Entry, EntryFlags, Extra};
use crate::store::lineage::Lineage;
use crate::store::scope::Scope;
use crate::store::state::map::EntryMap;
use crate::store::state::range_sums::RangeSums;
use crate::sync::message::{Claim, Listed, Part, Positions, Ranges};
use crate::sync::outbox::held_back::HeldBack;

const ALL: Positions = Positions {
    own: u64::MAX,
    relay: u64::MAX,
};

/// One side: its map and range sums, and what it has sent.
struct Side {
    map: EntryMap,
    sums: RangeSums,
    scope: Scope,
    last: u64,
    sent: Vec<Vec<u8>>,
    messages: usize,
    pauses: usize,
    /// Most removals that the exchange remembered at once.
    remembered: usize,
}

fn entry(key: u32, version: u64, origin: u8, value: &[u8]) -> Entry {
    let payload = [&b"\0key-"[..], format!("{key:06}").as_bytes(), value].concat();
    let dot = Dot {
        origin: Origin([origin; 16]),
        sequence: version,
    };
    let flags = if value.is_empty() {
        EntryFlags::TOMBSTONE
    } else {
        EntryFlags::default()
    };
    let stamp = Stamp(version << 16);
    Entry::new(
        payload.into(),
        11,
        flags,
        dot,
        stamp,
        version,
        Extra::default(),
    )
    .unwrap()
}

impl Side {
    fn new() -> Self {
        Self {
            map: EntryMap::default(),
            sums: RangeSums::default(),
            scope: Scope::ALL,
            last: 0,
            sent: Vec::new(),
            messages: 0,
            pauses: 0,
            remembered: 0,
        }
    }

    fn put(&mut self, entry: Entry) {
        let current = self.map.entry(entry.key()).unwrap();
        if current.is_none_or(|current| entry.order(&current).is_gt()) {
            self.last += 1;
            self.map.install(entry, self.last, None);
        }
    }

    fn state(&self) -> BTreeMap<Vec<u8>, Entry> {
        let entries = self.map.range_from(Bound::Unbounded);
        let entries = entries.map(|entry| entry.unwrap().into_owned());
        entries.map(|entry| (entry.key().to_vec(), entry)).collect()
    }

    /// Takes a turn. Returns the message at its end, and the entries sent before and after it.
    fn turn(&mut self, exchange: &mut Exchange) -> (Option<Ranges>, Vec<Entry>) {
        while !self.sums.refresh(&self.map, 100).unwrap() {}
        let (mut said, mut entries) = (None, Vec::new());
        loop {
            let view = View {
                map: &self.map,
                sums: &self.sums,
                scope: &ScopedRanges::new(&self.scope),
                limit: ALL,
                held_back: &HeldBack::default(),
                value_bytes_max: u64::MAX,
            };
            let act = exchange.advance(&view, true).unwrap();
            self.remembered = self.remembered.max(exchange.removals.remembered());
            match act {
                Act::Nothing => return (said, entries),
                Act::Pause => self.pauses += 1,
                Act::Say(ranges) => said = Some(ranges),
                Act::Send(some, _) => {
                    self.messages += 1;
                    self.sent
                        .extend(some.iter().map(|entry| entry.key().to_vec()));
                    entries.extend(some);
                }
                Act::Large(lseq) => {
                    let held = self.map.at(lseq).unwrap().unwrap();
                    self.sent.push(held.entry.key().to_vec());
                    entries.push(held.entry.clone());
                }
            }
        }
    }
}

/// Reconciles. Returns the numbers of turns, of parts and of listed entries.
fn reconcile(sides: &mut [Side; 2]) -> (u64, usize, usize) {
    let counts = [0, 1].map(|side: usize| sides[side].map.summary().count);
    let mut opening = Exchange::opening(1, ALL, counts[0]);
    let (said, entries) = sides[0].turn(&mut opening);
    assert!(entries.is_empty());
    let mut said = said.unwrap();
    let mut exchanges = [opening, Exchange::answering(said.clone(), ALL, counts[1])];
    let (mut parts, mut listed) = (said.parts.len(), 0);
    let mut side = 1;
    loop {
        let (next, entries) = sides[side].turn(&mut exchanges[side]);
        exchanges[1 - side].count_received(&entries, |_| true);
        for entry in entries {
            sides[1 - side].put(entry);
        }
        said = next.expect("who is asked answers");
        parts += said.parts.len();
        for part in &said.parts {
            if let Claim::List(list) = &part.claim {
                listed += list.len();
            }
        }
        let step = said.step;
        exchanges[1 - side].hear(said).unwrap();
        if exchanges.iter().all(Exchange::is_over) {
            return (step, parts, listed);
        }
        side = 1 - side;
    }
}

fn check(sides: &mut [Side; 2]) -> (u64, usize, usize) {
    let [a, b] = [0, 1].map(|side: usize| sides[side].state());
    let keys: BTreeSet<_> = a.keys().chain(b.keys()).cloned().collect();
    let greater = |mine: &BTreeMap<Vec<u8>, Entry>, theirs: &BTreeMap<Vec<u8>, Entry>| {
        let is_due = |key: &&Vec<u8>| {
            let theirs = theirs.get(*key);
            let is_due = |mine: &Entry| {
                theirs.is_none_or(|theirs| {
                    let apart = Listed::of(theirs).is_concurrent_with(mine, &Lineage::default());
                    mine.order(theirs).is_gt() || apart && mine != theirs
                })
            };
            mine.get(*key).is_some_and(is_due)
        };
        keys.iter().filter(is_due).cloned().collect::<Vec<_>>()
    };
    let due = [greater(&a, &b), greater(&b, &a)];
    let cost = reconcile(sides);
    assert_eq!(sides[0].state(), sides[1].state());
    for (side, due) in sides.iter_mut().zip(due) {
        side.sent.sort();
        assert_eq!(
            side.sent, due,
            "exactly what the other lacks, holds smaller or wrote apart"
        );
    }
    cost
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn two_maps_end_up_equal_and_only_the_difference_travels(
        shared in 0_u32..3000,
        step in 1_u32..4,
        mine in proptest::collection::vec((0_u32..9000, 1_u64..4, 0_usize..3), 0..200),
        theirs in proptest::collection::vec((0_u32..9000, 1_u64..4, 0_usize..3), 0..200),
        blocks in proptest::collection::vec((0_u32..9000, 0_u32..400, any::<bool>()), 0..3),
    ) {
        let mut sides = [Side::new(), Side::new()];
        for key in 0..shared {
            for side in &mut sides {
                side.put(entry(key * step, 2, 9, b"shared"));
            }
        }
        for (side, writes) in [(0, mine), (1, theirs)] {
            for (key, version, kind) in writes {
                let value: &[u8] = [&b"one"[..], b"two", b""][kind];
                let origin = 1 + u8::try_from(side).unwrap();
                sides[side].put(entry(key, version, origin, value));
            }
        }
        for (first, length, side) in blocks {
            for key in first..first + length {
                sides[usize::from(side)].put(entry(key, 3, 7, b"block"));
            }
        }
        check(&mut sides);
    }
}

#[test]
fn who_has_nothing_gets_everything_without_a_list() {
    for empty in [0, 1] {
        let mut sides = [Side::new(), Side::new()];
        for key in 0..5000 {
            sides[1 - empty].put(entry(key, 1, 9, b"value"));
        }
        let (steps, parts, listed) = check(&mut sides);
        assert!(
            steps <= 4 && parts <= 64 && listed == 0,
            "{steps}, {parts}, {listed}"
        );
    }
}

#[test]
fn two_stretches_of_keys_cost_little_more_than_their_entries() {
    let mut sides = [Side::new(), Side::new()];
    for key in 0..10_000 {
        sides[0].put(entry(key, 1, 1, b"value"));
        sides[1].put(entry(20_000 + key, 1, 2, b"value"));
    }
    let (steps, parts, listed) = check(&mut sides);
    assert!(
        steps <= 8 && parts <= 200 && listed <= 64,
        "{steps}, {parts}, {listed}"
    );
}

#[test]
fn a_large_difference_takes_many_turns_of_bounded_size() {
    let mut sides = [Side::new(), Side::new()];
    for key in 0..60_000 {
        sides[usize::try_from(key % 2).unwrap()].put(entry(key, 1, 1, b"value"));
    }
    let (steps, _, listed) = check(&mut sides);
    assert!(listed <= 60_000, "{listed}");
    assert!(steps < 150, "{steps}");
}

#[test]
fn few_differences_in_many_entries_are_found_in_few_turns() {
    let mut sides = [Side::new(), Side::new()];
    for key in 0..200_000 {
        for side in &mut sides {
            side.put(entry(key, 1, 9, b"value"));
        }
    }
    for number in 0..100 {
        sides[usize::try_from(number % 2).unwrap()].put(entry(number * 1999, 2, 1, b"new"));
    }
    let (steps, parts, listed) = check(&mut sides);
    assert!(steps <= 16, "{steps} turns");
    // About 28 bytes each.
    assert!(
        parts <= 5_000 && listed <= 3_200,
        "{parts} parts, {listed} listed"
    );
}

#[test]
fn who_speaks_out_of_turn_or_without_end_is_told_so() {
    let mut exchange = Exchange::opening(1, ALL, 100);
    let say = |step| Ranges {
        exchange: 1,
        step,
        parts: vec![Part {
            to: Vec::new(),
            claim: Claim::All,
        }],
    };
    assert!(exchange.hear(say(2)).is_err(), "it is not the peer's turn");
    let mut side = Side::new();
    side.put(entry(1, 1, 1, b"value"));
    let mut step = 0;
    let refused = loop {
        side.turn(&mut exchange);
        assert!(exchange.hear(say(step + 3)).is_err(), "a step is left out");
        step += 2;
        if let Err(reason) = exchange.hear(say(step)) {
            break reason;
        }
        assert!(step < 200, "it goes on for ever");
    };
    assert_eq!(refused, "a reconciliation without an end");
}

/// Copy of a write whose vector names another write as seen.
fn over(entry: &Entry, seen: Dot) -> Entry {
    let extra = Extra {
        vector: vec![seen],
        extension: Vec::new(),
    };
    let payload = [entry.key(), entry.value().unwrap()].concat();
    let (length, flags) = (entry.key().len(), entry.flags);
    let (dot, stamp, version) = (entry.dot, entry.stamp, entry.version);
    Entry::new(payload.into(), length, flags, dot, stamp, version, extra).unwrap()
}

/// Two sides that share a hundred keys. The first holds newer entries of some after the returned limit, the second
/// holds one.
fn sides_with_secrets() -> ([Side; 2], Positions) {
    let mut sides = [Side::new(), Side::new()];
    for side in &mut sides {
        for key in 0..100 {
            side.put(entry(key, 1, 9, b"shared"));
        }
    }
    // These are newer here, and may not be sent yet.
    let from = sides[0].last;
    let shared = Dot {
        origin: Origin([9; 16]),
        sequence: 1,
    };
    for key in [7, 50, 200] {
        sides[0].put(over(&entry(key, 5, 1, b"secret"), shared));
    }
    sides[1].put(over(&entry(60, 2, 2, b"news"), shared));
    let limit = Positions {
        own: from,
        relay: u64::MAX,
    };
    (sides, limit)
}

/// Keys that a message lists or asks for.
fn keys_in(ranges: &Ranges) -> Vec<Vec<u8>> {
    let keys = ranges.parts.iter().map(|part| match &part.claim {
        Claim::List(list) => list.iter().map(|listed| listed.key.clone()).collect(),
        Claim::These(keys) => keys.clone(),
        _ => Vec::new(),
    });
    keys.flatten().collect()
}

#[test]
fn what_is_held_back_is_neither_listed_nor_sent_nor_asked_for() {
    let (mut sides, limit) = sides_with_secrets();
    let mut exchange = Exchange::opening(1, ALL, sides[0].map.summary().count);
    let mut answering = None;
    let (mut said, mut asked) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        while !sides[0].sums.refresh(&sides[0].map, 100).unwrap() {}
        let view = View {
            map: &sides[0].map,
            sums: &sides[0].sums,
            scope: &ScopedRanges::new(&Scope::ALL),
            limit,
            held_back: &HeldBack::default(),
            value_bytes_max: u64::MAX,
        };
        match exchange.advance(&view, true).unwrap() {
            Act::Nothing => break,
            Act::Pause => {}
            Act::Send(entries, _) => said.extend(entries),
            Act::Large(_) => panic!("there is nothing large"),
            Act::Say(ranges) => {
                asked.extend(keys_in(&ranges));
                let answering = match &mut answering {
                    None => answering.insert(Exchange::answering(ranges, ALL, 101)),
                    Some(answering) => {
                        answering.hear(ranges).unwrap();
                        answering
                    }
                };
                let (next, entries) = sides[1].turn(answering);
                for entry in entries {
                    sides[0].put(entry);
                }
                if let Some(next) = next {
                    exchange.hear(next).unwrap();
                }
            }
        }
    }
    assert!(exchange.is_over() && answering.unwrap().is_over());
    assert_eq!(said, []);
    let secret = |key: &Vec<u8>| {
        [7, 50, 200]
            .iter()
            .any(|secret| *key == entry(*secret, 1, 1, b"x").key())
    };
    assert!(!asked.iter().any(secret), "{asked:?}");
    assert_eq!(
        sides[0]
            .map
            .entry(entry(60, 1, 1, b"x").key())
            .unwrap()
            .unwrap()
            .version,
        2
    );
}
