//! Answers to long messages come in pieces, between which other work has its turn.

use super::{ALL, Side, entry};
use crate::store::entry::Summary;
use crate::store::scope::Scope;
use crate::sync::message::{Claim, Part, Positions, Ranges};
use crate::sync::reconcile::exchange::{Act, Exchange};
use crate::sync::reconcile::view::{ScopedRanges, View};

#[test]
fn a_long_message_is_answered_in_pieces() {
    let mut side = Side::new();
    for key in 0..4_000 {
        side.put(entry(key, 1, 1, b"x"));
    }
    let parts = (1..=1_000).map(|part| Part {
        to: if part == 1_000 {
            Vec::new()
        } else {
            format!("\0key-{:06}", part * 4).into_bytes()
        },
        claim: Claim::Sum(Summary {
            count: 1 << 20,
            fingerprint: 1,
        }),
    });
    let opening = Ranges {
        exchange: 1,
        step: 1,
        parts: parts.collect(),
    };
    let mut exchange = Exchange::answering(opening, ALL, 4_000);
    let (said, _) = side.turn(&mut exchange);
    assert!(!said.unwrap().parts.is_empty());
    assert!(side.pauses >= 5, "{}", side.pauses);
}

#[test]
fn ranges_of_which_nothing_may_travel_are_gone_through_in_pieces() {
    let mut side = Side::new();
    for key in 0..20_000 {
        side.put(entry(key, 1, 1, b"x"));
    }
    while !side.sums.refresh(&side.map, 100_000).unwrap() {}
    let view = View {
        map: &side.map,
        sums: &side.sums,
        scope: &ScopedRanges::new(&Scope::ALL),
        held_back: &crate::sync::outbox::held_back::HeldBack::default(),
        limit: Positions::default(),
        value_bytes_max: u64::MAX,
    };
    let opening = Ranges {
        exchange: 1,
        step: 1,
        parts: vec![Part {
            to: Vec::new(),
            claim: Claim::All,
        }],
    };
    let mut exchange = Exchange::answering(opening, ALL, 20_000);
    let mut pauses = 0;
    loop {
        match exchange.advance(&view, true).unwrap() {
            Act::Pause => pauses += 1,
            Act::Say(_) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(pauses >= 4, "{pauses}");
}
