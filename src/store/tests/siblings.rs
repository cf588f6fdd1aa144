//! Open siblings: the result equals that of comparing each with each, in linear time.

use proptest::prelude::*;

use crate::core::clock::SystemClock;
use crate::core::identity::{Dot, Origin};
use crate::core::stamp::Stamp;
use crate::store::conflict::siblings::open_among;
use crate::store::entry::{Entry, EntryFlags, Extra};
use crate::store::lineage::Lineage;

fn write(origin: u32, sequence: u64, stamp: u64, seen: &[(u32, u64)]) -> Entry {
    let author = |number: u32| {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        Origin(bytes)
    };
    let mut vector: Vec<Dot> = seen
        .iter()
        .filter(|(other, _)| *other != origin)
        .map(|(other, sequence)| Dot {
            origin: author(*other),
            sequence: *sequence,
        })
        .collect();
    vector.sort_by_key(|dot| dot.origin);
    vector.dedup_by_key(|dot| dot.origin);
    let dot = Dot {
        origin: author(origin),
        sequence,
    };
    let extra = Extra {
        vector,
        extension: Vec::new(),
    };
    let payload = [&b"\0doc"[..], &sequence.to_le_bytes()].concat();
    Entry::new(
        payload.into(),
        4,
        EntryFlags::default(),
        dot,
        Stamp(stamp),
        1,
        extra,
    )
    .unwrap()
}

/// Open siblings by the definition: a comparison of each with each.
fn open_by_definition(current: &Entry, siblings: &[Entry]) -> Vec<Entry> {
    let concurrent = |one: &&Entry| one.is_concurrent_with(current, &Lineage::default());
    let mut open: Vec<Entry> = siblings.iter().filter(concurrent).cloned().collect();
    open.sort_by(|a, b| b.order(a));
    let known = |at: usize| {
        open[..at]
            .iter()
            .any(|later| later.follows(&open[at], &Lineage::default()))
    };
    (0..open.len())
        .filter(|at| !known(*at))
        .map(|at| open[at].clone())
        .collect()
}

proptest! {
    #[test]
    fn those_are_open_that_nothing_later_has_seen(
        drawn in proptest::collection::vec(
            (0u32..5, 1u64..6, 1u64..30, proptest::collection::vec((0u32..5, 1u64..6), 0..4)),
            0..12,
        ),
        seen in proptest::collection::vec((0u32..5, 1u64..6), 0..4),
    ) {
        let current = write(9, 1, 100, &seen);
        let siblings: Vec<Entry> = drawn
            .iter()
            .map(|(origin, sequence, stamp, seen)| write(*origin, *sequence, *stamp, seen))
            .collect();
        let expected = open_by_definition(&current, &siblings);
        let found = open_among(current, siblings, &Lineage::default()).map(|open| open.losers).unwrap_or_default();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn sixty_thousand_siblings_of_one_key_are_looked_at_in_a_moment() {
    let siblings: Vec<Entry> = (0..60_000)
        .map(|number| write(number, 1, u64::from(number), &[]))
        .collect();
    let current = write(1 << 20, 1, 1 << 20, &[]);
    let clock = SystemClock::new();
    let began = clock.monotonic();
    let open = open_among(current, siblings, &Lineage::default()).unwrap();
    assert_eq!(open.losers.len(), 60_000);
    // A comparison of each with each takes minutes.
    let took_ms = clock.monotonic().since(began);
    assert!(took_ms < 5_000, "{took_ms}");
}
