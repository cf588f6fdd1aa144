//! A view shows what there was when it began, whatever is written and however slowly it is read.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{commit, operation, seeds};
use crate::core::identity::{Dot, Origin};
use crate::core::stamp::Stamp;
use crate::store::entry::{Entry, EntryFlags, Extra};
use crate::store::ledger::FeedPosition;
use crate::store::map::EntryMap;
use crate::store::operation::{Received, Request};
use crate::store::recovery::{Opened, in_memory};
use crate::store::view::{ViewId, page};

type Snapshot = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Debug, Clone)]
enum Step {
    Write(u8, Option<u8>),
    Receive(u8, Option<u8>),
    Open,
    Read { view: usize, count: usize },
    Close(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let value = || proptest::option::weighted(0.7, 0_u8..5);
    let step = prop_oneof![
        8 => (0_u8..12, value()).prop_map(|(key, value)| Step::Write(key, value)),
        3 => (0_u8..12, value()).prop_map(|(key, value)| Step::Receive(key, value)),
        2 => Just(Step::Open),
        4 => (0_usize..4, 1_usize..5).prop_map(|(view, count)| Step::Read { view, count }),
        1 => (0_usize..4).prop_map(Step::Close),
    ];
    proptest::collection::vec(step, 1..120)
}

struct Reading {
    view: ViewId,
    expected: Snapshot,
    after: Option<Vec<u8>>,
}

fn snapshot(map: &EntryMap) -> Snapshot {
    let entries = map.range_from(std::ops::Bound::Unbounded);
    entries
        .map(Result::unwrap)
        .filter_map(|entry| Some((entry.key().to_vec(), entry.value()?.to_vec())))
        .collect()
}

/// Reads the next page, and takes what it read from what is still expected.
fn read_on(map: &EntryMap, reading: &mut Reading, count: usize) {
    let found = page(map, reading.view, &[0], reading.after.as_deref(), count).unwrap();
    let expected: Vec<_> = reading.expected.iter().take(count).collect();
    assert_eq!(found.len(), expected.len());
    for (entry, (key, value)) in found.iter().zip(&expected) {
        assert_eq!(
            (entry.key(), entry.value()),
            (key.as_slice(), Some(value.as_slice()))
        );
    }
    if let Some(last) = found.last() {
        reading.after = Some(last.key().to_vec());
        let rest = reading.expected.split_off(last.key());
        reading.expected = rest.into_iter().skip(1).collect();
    }
}

fn received(key: u8, value: Option<u8>, number: u64) -> Entry {
    let mut payload = vec![0, b'k', key];
    payload.extend(value);
    let flags = if value.is_none() {
        EntryFlags::TOMBSTONE
    } else {
        EntryFlags::default()
    };
    let dot = Dot {
        origin: Origin([5; 16]),
        sequence: number,
    };
    // Some lie behind what is held, some before it.
    let stamp = Stamp((1_700_000_000_000 + (number % 7)) << 16);
    Entry::new(payload.into(), 3, flags, dot, stamp, 1, Extra::default()).unwrap()
}

proptest! {
    #[test]
    fn each_view_is_the_state_of_its_beginning(steps in steps()) {
        let Opened { mut committer, mut map, .. } = in_memory("node", &seeds(0));
        let mut readings: Vec<Reading> = Vec::new();
        let mut number = 0;
        for step in steps {
            number += 1;
            match step {
                Step::Write(key, value) => {
                    let operation = operation(key, value);
                    commit(&mut committer, &mut map, vec![Request::Write { ticket: number, operation }]);
                }
                Step::Receive(key, value) => {
                    let received = Received {
                        peer: Origin([5; 16]),
                        token: 1,
                        from: FeedPosition::default(),
                        position: FeedPosition::default(),
scope: crate::store::scope::Scope::ALL,
                        entries: vec![received(key, value, number)],
                    };
                    commit(&mut committer, &mut map, vec![Request::Received(received)]);
                }
                Step::Open => readings.push(Reading {
                    view: map.open_view(),
                    expected: snapshot(&map),
                    after: None,
                }),
                Step::Read { view, count } => {
                    if let Some(reading) = readings.get_mut(view) {
                        read_on(&map, reading, count);
                    }
                }
                Step::Close(view) => {
                    if view < readings.len() {
                        let closed = readings.remove(view).view;
                        map.close_view(closed);
                        prop_assert!(page(&map, closed, &[0], None, 10).unwrap().is_empty());
                    }
                }
            }
        }
        for mut reading in readings {
            while !reading.expected.is_empty() {
                read_on(&map, &mut reading, 3);
            }
            prop_assert!(page(&map, reading.view, &[0], reading.after.as_deref(), 10).unwrap().is_empty());
        }
    }
}

#[test]
fn a_page_holds_only_what_has_the_prefix_and_lies_behind_the_place() {
    let Opened {
        mut committer,
        mut map,
        ..
    } = in_memory("node", &seeds(0));
    for key in ["a", "b", "ba", "bb", "bc", "c"] {
        let operation = crate::store::operation::Operation::put(key.as_bytes(), b"v", true);
        let operation = operation.unwrap();
        commit(
            &mut committer,
            &mut map,
            vec![Request::Write {
                ticket: 1,
                operation,
            }],
        );
    }
    let view = map.open_view();
    let keys = |prefix: &str, after: Option<&str>, limit| -> Vec<String> {
        let stored = |key: &str| [b"\0", key.as_bytes()].concat();
        let after = after.map(stored);
        page(&map, view, &stored(prefix), after.as_deref(), limit)
            .unwrap()
            .iter()
            .map(|entry| String::from_utf8_lossy(&entry.key()[1..]).into_owned())
            .collect()
    };
    assert_eq!(keys("b", None, 10), ["b", "ba", "bb", "bc"]);
    assert_eq!(keys("b", Some("ba"), 10), ["bb", "bc"]);
    assert_eq!(keys("b", Some("a"), 2), ["b", "ba"]);
    assert_eq!(keys("b", Some("c"), 10), [""; 0]);
    assert_eq!(keys("", None, 10).len(), 6);
    assert_eq!(keys("bz", None, 10), [""; 0]);
}
