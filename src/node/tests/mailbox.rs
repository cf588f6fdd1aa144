//! What waits for a busy program is bounded, and the newest of each key is told, or that something was not.

use std::collections::BTreeMap;

use crate::node::api::mailbox::{Event, MERGED_BYTES_MAX, Mailbox, WAITING_BYTES_MAX};
use crate::node::events::{Change, IdentityEvent};

fn change(key: u64, version: u64, bytes: usize) -> Change {
    Change {
        key: key.to_be_bytes().to_vec(),
        value: Some(vec![0; bytes]),
        ascii: false,
        version,
        node_id: None,
    }
}

/// All that waits, one call each; fails if the calls are not as many as were asked for.
fn reported(mailbox: &mut Mailbox, calls: usize) -> Vec<Event> {
    let reported: Vec<Event> = (0..calls).map(|_| mailbox.take().unwrap()).collect();
    assert_eq!(mailbox.take(), None);
    reported
}

fn newest(reported: &[Event]) -> BTreeMap<Vec<u8>, u64> {
    let changes = reported.iter().flat_map(|event| match event {
        Event::Changed(changes) => changes.clone(),
        _ => Vec::new(),
    });
    changes.map(|change| (change.key, change.version)).collect()
}

fn bytes(reported: &[Event]) -> usize {
    let size = |event: &Event| match event {
        Event::Changed(changes) => changes
            .iter()
            .map(|change| change.value.as_ref().map_or(0, Vec::len))
            .sum(),
        _ => 0,
    };
    reported.iter().map(size).sum()
}

#[test]
fn what_a_program_can_take_is_told_one_by_one_in_order() {
    let (mut mailbox, mut calls) = (Mailbox::default(), 0);
    for version in 1..=1_000 {
        calls += mailbox.push(Event::Changed(vec![change(version % 3, version, 100)]));
    }
    assert_eq!(calls, 1_000);
    for (version, event) in (1..).zip(reported(&mut mailbox, calls)) {
        assert_eq!(
            event,
            Event::Changed(vec![change(version % 3, version, 100)])
        );
    }
}

#[test]
fn more_than_may_wait_is_merged_by_key_and_the_newest_is_told() {
    let (mut mailbox, mut calls) = (Mailbox::default(), 0);
    for version in 1..=200_000 {
        calls += mailbox.push(Event::Changed(vec![change(version % 10, version, 1_000)]));
    }
    let reported = reported(&mut mailbox, calls);
    assert!(bytes(&reported) <= WAITING_BYTES_MAX + MERGED_BYTES_MAX);
    let newest: Vec<u64> = newest(&reported).into_values().collect();
    assert!(
        newest.iter().all(|version| *version > 199_990),
        "{newest:?}"
    );
    let Some(Event::Failed(failure)) = reported.last() else {
        panic!("nobody is told: {:?}", reported.last());
    };
    assert_eq!(failure.kind, "events_merged");
    assert!(
        failure.message.contains(" 0 events were not told"),
        "{}",
        failure.message
    );
    // And then it is as before.
    assert_eq!(mailbox.push(Event::Changed(vec![change(1, 1, 10)])), 1);
    assert_eq!(mailbox.take(), Some(Event::Changed(vec![change(1, 1, 10)])));
}

#[test]
fn what_cannot_be_merged_is_counted_and_told() {
    let (mut mailbox, mut calls) = (Mailbox::default(), 0);
    for key in 0..100_000 {
        calls += mailbox.push(Event::Changed(vec![change(key, 1, 1_000)]));
    }
    calls += mailbox.push(Event::Identity(IdentityEvent::CopyNoticed));
    let reported = reported(&mut mailbox, calls);
    assert!(bytes(&reported) <= WAITING_BYTES_MAX + MERGED_BYTES_MAX);
    let left_out = 100_000 - newest(&reported).len();
    assert!(
        reported.contains(&Event::Identity(IdentityEvent::CopyNoticed)),
        "always told"
    );
    let is_counted = reported.iter().any(|event| {
        matches!(event, Event::Failed(failure)
            if failure.message.contains(&format!("{left_out} events were not told")))
    });
    assert!(left_out > 0 && is_counted, "{left_out}");
}

#[test]
fn a_node_with_little_memory_keeps_fewer_events() {
    let (mut mailbox, mut calls) = (Mailbox::default(), 0);
    mailbox.limit(1 << 20);
    for key in 0..10_000 {
        calls += mailbox.push(Event::Changed(vec![change(key, 1, 1_000)]));
    }
    assert!(bytes(&reported(&mut mailbox, calls)) <= 2 << 20);
}
