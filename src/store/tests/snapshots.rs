//! A snapshot shows the state at its beginning, during any writes and however slowly it is read.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{commit, operation, seeds};
use crate::core::identity::{Dot, Origin};
use crate::core::stamp::Stamp;
use crate::store::commit::ledger::FeedPosition;
use crate::store::commit::operation::{Received, Request};
use crate::store::entry::{Entry, EntryFlags, Extra};
use crate::store::maintain::recovery::{Opened, in_memory};
use crate::store::state::map::EntryMap;
use crate::store::state::snapshot::{SnapshotId, page};

type Snapshot = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Debug, Clone)]
enum Step {
    Write(u8, Option<u8>),
    Receive(u8, Option<u8>),
    Open,
    Read { snapshot: usize, count: usize },
    Close(usize),
    Settle,
    Merge,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let value = || proptest::option::weighted(0.7, 0_u8..5);
    let step = prop_oneof![
        8 => (0_u8..12, value()).prop_map(|(key, value)| Step::Write(key, value)),
        3 => (0_u8..12, value()).prop_map(|(key, value)| Step::Receive(key, value)),
        2 => Just(Step::Open),
        4 => (0_usize..4, 1_usize..5).prop_map(|(snapshot, count)| Step::Read { snapshot, count }),
        1 => (0_usize..4).prop_map(Step::Close),
        2 => Just(Step::Settle),
        1 => Just(Step::Merge),
    ];
    proptest::collection::vec(step, 1..120)
}

struct Reading {
    snapshot: SnapshotId,
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

/// Reads `count` entries of a snapshot, over as many pages as it takes.
pub(super) fn read(
    map: &EntryMap,
    snapshot: SnapshotId,
    prefix: &[u8],
    after: Option<&[u8]>,
    count: usize,
) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut after = after.map(<[u8]>::to_vec);
    loop {
        let left = count - found.len();
        let page = page(map, snapshot, prefix, after.as_deref(), left).unwrap();
        found.extend(page.entries.into_iter().map(std::borrow::Cow::into_owned));
        if page.next.is_none() || found.len() == count {
            return found;
        }
        assert!(after < page.next, "a page goes on behind the one before");
        after = page.next;
    }
}

/// Reads the next page, and removes its entries from the expected rest.
fn read_on(map: &EntryMap, reading: &mut Reading, count: usize) {
    let found = read(map, reading.snapshot, &[0], reading.after.as_deref(), count);
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
    // Some of these stamps lie after the held ones, some before.
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
                    snapshot: map.open_snapshot(),
                    expected: snapshot(&map),
                    after: None,
                }),
                Step::Read { snapshot, count } => {
                    if let Some(reading) = readings.get_mut(snapshot) {
                        read_on(&map, reading, count);
                    }
                }
                Step::Close(snapshot) => {
                    if snapshot < readings.len() {
                        let closed = readings.remove(snapshot).snapshot;
                        map.close_snapshot(closed);
                        prop_assert!(read(&map, closed, &[0], None, 10).is_empty());
                    }
                }
                Step::Settle => map.sort_some(),
                Step::Merge => {
                    map.merge_undo();
                }
            }
        }
        for mut reading in readings {
            while !reading.expected.is_empty() {
                read_on(&map, &mut reading, 3);
            }
            prop_assert!(read(&map, reading.snapshot, &[0], reading.after.as_deref(), 10).is_empty());
            map.close_snapshot(reading.snapshot);
        }
        prop_assert_eq!(map.snapshots().kept(), 0);
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
        let operation = crate::store::commit::operation::Operation::put(key.as_bytes(), b"v", true);
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
    let snapshot = map.open_snapshot();
    let keys = |prefix: &str, after: Option<&str>, limit| -> Vec<String> {
        let stored = |key: &str| [b"\0", key.as_bytes()].concat();
        let after = after.map(stored);
        read(&map, snapshot, &stored(prefix), after.as_deref(), limit)
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

/// A node in memory that writes keys, all with one value, or removes them.
struct Writing {
    opened: Opened,
}

impl Writing {
    fn new() -> Self {
        Self {
            opened: in_memory("node", &seeds(0)),
        }
    }

    fn write(&mut self, keys: std::ops::Range<u8>, value: Option<u8>) {
        for key in keys {
            let operation = operation(key, value);
            let request = Request::Write {
                ticket: 1,
                operation,
            };
            let Opened { committer, map, .. } = &mut self.opened;
            commit(committer, map, vec![request]);
        }
    }

    fn kept(&self) -> usize {
        self.opened.map.snapshots().kept()
    }
}

#[test]
fn what_is_replaced_is_kept_once_however_many_views_need_it() {
    let mut node = Writing::new();
    node.write(0..20, Some(1));
    let map = &mut node.opened.map;
    let snapshots: Vec<SnapshotId> = (0..40).map(|_| map.open_snapshot()).collect();
    for value in 2..5 {
        node.write(0..20, Some(value));
    }
    assert_eq!(node.kept(), 20);
    for snapshot in &snapshots {
        let found = read(&node.opened.map, *snapshot, &[0], None, 100);
        assert_eq!(found.len(), 20);
        assert!(found.iter().all(|entry| entry.value() == Some(&[1; 40])));
    }
    let map = &mut node.opened.map;
    let reported = map.snapshots().kept_bytes().clone();
    assert!(reported.load(std::sync::atomic::Ordering::Relaxed) > 20 * 40);
    for snapshot in snapshots {
        map.close_snapshot(snapshot);
    }
    assert_eq!(node.kept(), 0);
    assert_eq!(reported.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn views_that_come_and_go_leave_nothing_to_one_that_stays() {
    let mut node = Writing::new();
    node.write(0..10, Some(0));
    let old = node.opened.map.open_snapshot();
    for round in 1..60 {
        let short = node.opened.map.open_snapshot();
        node.write(0..10, Some(round));
        let now = node.opened.map.open_snapshot();
        node.write(0..5, None);
        node.opened.map.close_snapshot(short);
        node.opened.map.close_snapshot(now);
        // Writers clear up as they go: there is never much more than the old snapshot needs.
        assert!(
            node.kept() <= 40,
            "{} entries in round {round}",
            node.kept()
        );
    }
    let found = read(&node.opened.map, old, &[0], None, 100);
    assert_eq!(found.len(), 10);
    assert!(found.iter().all(|entry| entry.value() == Some(&[0; 40])));
}

#[test]
fn a_page_looks_at_what_it_gives_and_not_at_what_was_removed() {
    let mut node = Writing::new();
    node.write(0..200, Some(1));
    for is_settled_before in [true, false] {
        while is_settled_before && node.opened.map.unsorted() > 0 {
            node.opened.map.sort_some();
        }
        node.write(0..199, None);
        while node.opened.map.unsorted() > 0 {
            node.opened.map.sort_some();
        }
        let map = &mut node.opened.map;
        let snapshot = map.open_snapshot();
        let found = page(map, snapshot, &[0], None, 1).unwrap();
        assert_eq!((found.entries.len(), found.looked_at), (1, 1));
        map.close_snapshot(snapshot);
        node.write(0..199, Some(2));
    }
}

#[test]
fn what_came_and_went_since_a_view_began_is_not_gone_through() {
    let mut node = Writing::new();
    node.write(0..1, Some(1));
    node.write(200..201, Some(1));
    let snapshot = node.opened.map.open_snapshot();
    node.write(1..200, Some(2));
    node.write(1..200, None);
    while node.opened.map.unsorted() > 0 {
        node.opened.map.sort_some();
    }
    let found = page(&node.opened.map, snapshot, &[0], None, 10).unwrap();
    assert_eq!((found.entries.len(), found.looked_at), (2, 2));
}

#[test]
fn a_page_that_would_pass_over_much_is_given_in_parts() {
    let mut node = Writing::new();
    node.write(200..201, Some(1));
    let snapshot = node.opened.map.open_snapshot();
    node.write(0..200, Some(2));
    let first = page(&node.opened.map, snapshot, &[0], None, 10).unwrap();
    assert!(first.entries.is_empty() && first.next.is_some());
    assert_eq!(read(&node.opened.map, snapshot, &[0], None, 10).len(), 1);
}
