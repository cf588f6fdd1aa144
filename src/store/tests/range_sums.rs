//! Range sums against a recount: of random maps, and in the lives of stores with checkpoints.

use std::ops::{Bound, ControlFlow};

use proptest::prelude::*;

use super::super::entry::{Entry, EntryFlags, Extra, Namespace, Summary};
use crate::core::identity::{Dot, Origin};
use crate::core::stamp::Stamp;
use crate::store::entry::REPLICATED_END;
use crate::store::state::map::EntryMap;
use crate::store::state::range_sums::RangeSums;

fn recount(map: &EntryMap, from: &[u8], to: &[u8]) -> (Summary, Vec<Vec<u8>>) {
    let (mut summary, mut keys) = (Summary::default(), Vec::new());
    for entry in map.range_from(Bound::Included(from)) {
        let entry = entry.unwrap();
        if entry.key() >= to {
            break;
        }
        assert!(Namespace::of(entry.key()).is_some_and(Namespace::is_replicated));
        summary.add(&entry);
        keys.push(entry.key().to_vec());
    }
    (summary, keys)
}

/// Checks the sums of a map against a recount of all kinds of ranges.
pub(super) fn check(sums: &mut RangeSums, map: &EntryMap) {
    while !sums.refresh(map, 3).unwrap() {}
    let (_, keys) = recount(map, &[], &REPLICATED_END);
    let mut bounds: Vec<Vec<u8>> = vec![Vec::new(), vec![0, b'k'], REPLICATED_END.to_vec()];
    bounds.extend(keys.iter().step_by(1 + keys.len() / 7).cloned());
    bounds.extend(keys.last().map(|key| [&key[..], &[0]].concat()));
    bounds.sort();
    for (place, from) in bounds.iter().enumerate() {
        for to in &bounds[place..] {
            let (summary, keys) = recount(map, from, to);
            assert_eq!(sums.sum(map, from, to).unwrap(), summary);
            let mut walked = Vec::new();
            sums.walk(map, from, to, |held| {
                walked.push(held.entry.key().to_vec());
                ControlFlow::Continue(())
            })
            .unwrap();
            assert_eq!(walked, keys);
            if from == to {
                continue;
            }
            let mut begin = from.clone();
            let parts = sums.split(map, from, to, 4).unwrap();
            let most = keys.len().div_ceil(2) as u64 + 2;
            for (end, sum) in &parts {
                assert!(begin < *end);
                assert_eq!(*sum, recount(map, &begin, end).0);
                assert!(
                    sum.count <= most,
                    "{} of {} in one of {parts:?}",
                    sum.count,
                    keys.len()
                );
                begin.clone_from(end);
            }
            assert_eq!(begin, *to);
            assert!(parts.len() <= 5);
        }
    }
    assert_eq!(sums.sum(map, &[], &REPLICATED_END).unwrap(), map.summary());
}

fn entry(namespace: u8, key: u16, number: u64) -> Entry {
    let payload = [&[namespace][..], &key.to_be_bytes(), b"value"].concat();
    let dot = Dot {
        origin: Origin([5; 16]),
        sequence: number,
    };
    let flags = EntryFlags::default();
    let extra = Extra::default();
    Entry::new(payload.into(), 3, flags, dot, Stamp(number), number, extra).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn sums_follow_the_map(
        rounds in proptest::collection::vec(
            proptest::collection::vec((0_u8..4, 0_u16..600), 0..400), 1..4,
        ),
    ) {
        let mut map = EntryMap::default();
        let mut sums = RangeSums::default();
        let mut number = 0;
        for round in rounds {
            for (namespace, key) in round {
                number += 1;
                map.install(entry(namespace, key, number), number, None);
            }
            check(&mut sums, &map);
        }
    }
}

#[test]
fn what_does_not_add_up_is_forgotten() {
    let mut map = EntryMap::default();
    let mut sums = RangeSums::default();
    for number in 1..=200 {
        map.install(
            entry(0, u16::try_from(number).unwrap(), number),
            number,
            None,
        );
    }
    check(&mut sums, &map);
    // A place that was passed already, where no change can be.
    map.install(entry(0, 999, 7), 7, None);
    assert!(sums.refresh(&map, usize::MAX).unwrap());
    assert_ne!(sums.sum(&map, &[], &REPLICATED_END).unwrap(), map.summary());
    sums.forget_if_wrong(&map).unwrap();
    check(&mut sums, &map);
}
