//! Entries that follow an answer: both sides send at once, and an empty message that was sent before they came
//! proves nothing.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::{ALL, Side, entry};
use crate::core::limits::CHUNK_BYTES_MAX;
use crate::store::entry::Entry;
use crate::store::scope::Scope;
use crate::sync::message::Ranges;
use crate::sync::outbox::held_back::HeldBack;
use crate::sync::reconcile::exchange::{Act, Exchange};
use crate::sync::reconcile::view::{ScopedRanges, View};

enum Said {
    Entries(Vec<Entry>),
    Ranges(Ranges),
}

/// Two sides with a delayed line between them, and delayed commits.
struct Pair {
    sides: [Side; 2],
    exchanges: [Option<Exchange>; 2],
    /// Messages and entries of each side that are on their way.
    lines: [VecDeque<Said>; 2],
    /// Entries that arrived and are not durable yet.
    arrived: [Vec<Entry>; 2],
    have_sent_at_once: bool,
}

impl Pair {
    fn new(sides: [Side; 2]) -> Self {
        let opening = Exchange::opening(1, ALL, sides[0].map.summary().count);
        Self {
            sides,
            exchanges: [Some(opening), None],
            lines: Default::default(),
            arrived: Default::default(),
            have_sent_at_once: false,
        }
    }

    /// Takes the next step that a side can take by itself. Returns true if there was one.
    fn advance(&mut self, at: usize) -> bool {
        let (side, Some(exchange)) = (&mut self.sides[at], &mut self.exchanges[at]) else {
            return false;
        };
        if exchange.looks_at_sums() {
            while !side.sums.refresh(&side.map, 100).unwrap() {}
        }
        let view = View {
            map: &side.map,
            sums: &side.sums,
            scope: &ScopedRanges::new(&Scope::ALL),
            limit: ALL,
            held_back: &HeldBack::default(),
            value_bytes_max: u64::MAX,
        };
        let said = match exchange
            .advance(&view, self.arrived[at].is_empty())
            .unwrap()
        {
            Act::Nothing => return false,
            Act::Pause => return self.advance(at),
            Act::Say(ranges) => Said::Ranges(ranges),
            Act::Send(entries, _) => Said::Entries(entries),
            Act::Large(lseq) => {
                let held = side.map.at(lseq).unwrap().unwrap();
                Said::Entries(vec![held.entry.clone()])
            }
        };
        self.lines[at].push_back(said);
        let has_entries = |line: &VecDeque<Said>| {
            let mut said = line.iter();
            said.any(|said| matches!(said, Said::Entries(_)))
        };
        self.have_sent_at_once |= self.lines.iter().all(has_entries);
        true
    }

    fn deliver(&mut self, to: usize) -> bool {
        match self.lines[1 - to].pop_front() {
            None => return false,
            Some(Said::Entries(entries)) => self.arrived[to].extend(entries),
            Some(Said::Ranges(ranges)) => match &mut self.exchanges[to] {
                Some(exchange) => exchange.hear(ranges).unwrap(),
                none => {
                    let count = self.sides[to].map.summary().count;
                    *none = Some(Exchange::answering(ranges, ALL, count));
                }
            },
        }
        true
    }

    fn commit(&mut self, at: usize) -> bool {
        let arrived = std::mem::take(&mut self.arrived[at]);
        let some = !arrived.is_empty();
        if let Some(exchange) = &mut self.exchanges[at] {
            exchange.count_received(&arrived, |_| true);
        }
        for entry in arrived {
            self.sides[at].put(entry);
        }
        some
    }

    fn act(&mut self, step: usize) -> bool {
        match step / 2 {
            0 => self.advance(step % 2),
            1 => self.deliver(step % 2),
            _ => self.commit(step % 2),
        }
    }

    fn check(&self) {
        for at in [0, 1] {
            let exchange = self.exchanges[at].as_ref();
            if exchange.is_some_and(Exchange::has_heard_nothing) {
                let mut on_its_way = self.lines[at].iter();
                let is_under_way = on_its_way.any(|said| matches!(said, Said::Entries(_)));
                assert!(
                    !is_under_way && self.arrived[1 - at].is_empty(),
                    "{at} takes for durable what is not"
                );
            }
        }
    }

    fn is_over(&self) -> bool {
        let is_over =
            |exchange: &Option<Exchange>| exchange.as_ref().is_some_and(Exchange::is_over);
        self.exchanges.iter().all(is_over)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn nothing_is_taken_for_durable_that_is_still_on_its_way(
        counts in (0_u32..6000, 0_u32..6000, 0_u32..300),
        stride in 1_u32..4,
        steps in proptest::collection::vec(0_usize..6, 1..400),
    ) {
        let mut sides = [Side::new(), Side::new()];
        for key in 0..counts.0 {
            sides[0].put(entry(key * stride, 1, 1, b"value"));
        }
        for key in 0..counts.1 {
            sides[1].put(entry(6000 + key * stride, 1, 2, b"value"));
        }
        for key in 0..counts.2 {
            for side in [0_u8, 1] {
                sides[usize::from(side)].put(entry(50_000 + key, 1 + u64::from(side), 1 + side, b"both"));
            }
        }
        let mut pair = Pair::new(sides);
        let mut steps = steps.into_iter().cycle();
        while !pair.is_over() {
            let step = steps.next().unwrap();
            let goes_on = pair.act(step) || (0..6).any(|step| pair.act(step));
            prop_assert!(goes_on, "it stands still");
            pair.check();
        }
        prop_assert_eq!(pair.sides[0].state(), pair.sides[1].state());
    }
}

#[test]
fn both_send_at_once_what_the_other_has_nothing_of() {
    let mut sides = [Side::new(), Side::new()];
    for key in 0..5000 {
        sides[0].put(entry(key, 1, 1, b"value"));
        sides[1].put(entry(20_000 + key, 1, 2, b"value"));
    }
    let mut pair = Pair::new(sides);
    while !pair.is_over() {
        // Each side says everything it can before anything else arrives.
        for at in [0, 1] {
            while pair.advance(at) {}
        }
        for at in [0, 1] {
            pair.deliver(at);
            pair.commit(at);
        }
        pair.check();
    }
    assert!(pair.have_sent_at_once);
    assert_eq!(pair.sides[0].state(), pair.sides[1].state());
}

#[test]
fn a_value_that_goes_in_chunks_follows_between_others() {
    let mut sides = [Side::new(), Side::new()];
    let large = vec![7; CHUNK_BYTES_MAX + 1];
    for key in 0..200 {
        let value: &[u8] = if key % 50 == 20 { &large } else { b"value" };
        sides[0].put(entry(key, 1, 1, value));
        sides[1].put(entry(20_000 + key, 1, 2, b"value"));
    }
    let mut pair = Pair::new(sides);
    while !pair.is_over() {
        assert!((0..6).any(|step| pair.act(step)), "it stands still");
        pair.check();
    }
    assert_eq!(pair.sides[0].state(), pair.sides[1].state());
}
