//! Events that wait for a busy program are bounded, and the newest change of each key is delivered, or a notice that
//! some are missing.

use std::collections::BTreeMap;

use crate::core::clock::WallMs;
use crate::core::error_kind::ErrorKind;
use crate::node::api::mailbox::{Event, MERGED_BYTES_MAX, Mailbox, WAITING_BYTES_MAX};
use crate::node::conflict::{Conflict, Version};
use crate::node::events::{Change, IdentityEvent};
use crate::node::failure::{ErrorCode, Failure};
use crate::node::machine::conversation::PeerEvent;
use crate::node::machine::peer_state::PeerState;

fn change(key: u64, version: u64, bytes: usize) -> Change {
    Change {
        key: key.to_be_bytes().to_vec(),
        value: Some(vec![0; bytes]),
        ascii: false,
        version,
        node_id: None,
    }
}

/// All waiting events, one call each; fails if the number of calls is not the one asked for.
fn told(mailbox: &mut Mailbox, calls: usize) -> Vec<Event> {
    let told: Vec<Event> = (0..calls).map(|_| mailbox.take().unwrap()).collect();
    assert_eq!(mailbox.take(), None);
    told
}

fn newest(told: &[Event]) -> BTreeMap<Vec<u8>, u64> {
    let changes = told.iter().flat_map(|event| match event {
        Event::Changed(changes) => changes.clone(),
        _ => Vec::new(),
    });
    changes.map(|change| (change.key, change.version)).collect()
}

fn bytes(told: &[Event]) -> usize {
    let size = |event: &Event| match event {
        Event::Changed(changes) => changes
            .iter()
            .map(|change| change.value.as_ref().map_or(0, Vec::len))
            .sum(),
        _ => 0,
    };
    told.iter().map(size).sum()
}

#[test]
fn what_a_program_can_take_is_told_one_by_one_in_order() {
    let (mut mailbox, mut calls) = (Mailbox::default(), 0);
    for version in 1..=1_000 {
        calls += mailbox.push(Event::Changed(vec![change(version % 3, version, 100)]));
    }
    assert_eq!(calls, 1_000);
    for (version, event) in (1..).zip(told(&mut mailbox, calls)) {
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
    let told = told(&mut mailbox, calls);
    assert!(bytes(&told) <= WAITING_BYTES_MAX + MERGED_BYTES_MAX);
    let newest: Vec<u64> = newest(&told).into_values().collect();
    assert!(
        newest.iter().all(|version| *version > 199_990),
        "{newest:?}"
    );
    let Some(Event::Failed(failure)) = told.last() else {
        panic!("nobody is told: {:?}", told.last());
    };
    assert_eq!(failure.kind, ErrorKind::EventsMerged);
    assert!(
        failure.message.contains(" 0 events were not told"),
        "{}",
        failure.message
    );
    // Afterwards everything is as before.
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
    let told = told(&mut mailbox, calls);
    assert!(bytes(&told) <= WAITING_BYTES_MAX + MERGED_BYTES_MAX);
    let left_out = 100_000 - newest(&told).len();
    assert!(
        told.contains(&Event::Identity(IdentityEvent::CopyNoticed)),
        "always told"
    );
    let is_counted = told.iter().any(|event| {
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
    assert!(bytes(&told(&mut mailbox, calls)) <= 2 << 20);
}

fn version(bytes: usize) -> Version {
    Version {
        node_id: "n".repeat(200),
        value: Some(vec![0; bytes]),
        ascii: false,
        at: WallMs(0),
        is_current: false,
    }
}

/// Bytes of texts and values in a waiting event of any kind.
fn content_bytes(event: &Event) -> usize {
    let value = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
    match event {
        Event::Changed(changes) => {
            let bytes = |change: &Change| {
                let label = change.node_id.as_ref().map_or(0, String::len);
                change.key.len() + label + value(&change.value)
            };
            changes.iter().map(bytes).sum()
        }
        Event::Conflicted(conflicts) => {
            let bytes = |conflict: &Conflict| {
                let versions = conflict.versions.iter();
                let versions =
                    versions.map(|version| version.node_id.len() + value(&version.value));
                conflict.key.len() + versions.sum::<usize>()
            };
            conflicts.iter().map(bytes).sum()
        }
        Event::Peer(peer) => peer.node_id.len() + peer.host.len(),
        Event::Identity(_) => 0,
        Event::Failed(failure) => {
            failure.message.len() + failure.context.as_ref().map_or(0, String::len)
        }
    }
}

#[test]
fn events_of_each_kind_wait_in_bounded_memory_and_those_left_out_are_counted() {
    let text = "x".repeat(1_000);
    let failure = Failure::new(ErrorCode::Sync, ErrorKind::Protocol, &text[..]).about(&text[..]);
    let kinds = [
        Event::Changed(vec![Change {
            key: text.clone().into_bytes(),
            node_id: Some(text.clone()),
            ..change(1, 1, 0)
        }]),
        Event::Conflicted(vec![Conflict {
            key: text.clone().into_bytes(),
            versions: vec![version(0), version(1_000)],
        }]),
        Event::Peer(PeerEvent {
            node_id: text.clone(),
            host: text.clone(),
            port: 1,
            state: PeerState::Connected,
            skew_ms: None,
        }),
        Event::Failed(failure),
    ];
    for kind in kinds {
        let (mut mailbox, mut calls, pushed) = (Mailbox::default(), 0, 40_000_usize);
        for _ in 0..pushed {
            calls += mailbox.push(kind.clone());
        }
        let told = told(&mut mailbox, calls);
        let bytes: usize = told.iter().map(content_bytes).sum();
        assert!(bytes <= WAITING_BYTES_MAX + MERGED_BYTES_MAX, "{bytes}");
        let as_they_were = told.iter().filter(|event| **event == kind).count();
        let Some(Event::Failed(counts)) = told.last() else {
            panic!("nobody is told of the others: {:?}", told.last());
        };
        let merged = pushed - as_they_were;
        let is_counted = [
            format!("{merged} changes were told only"),
            format!(" {merged} events were not told"),
        ];
        assert!(
            is_counted
                .iter()
                .any(|words| counts.message.contains(words)),
            "{}",
            counts.message
        );
    }
}

/// Takes one event, and checks that no change is delivered after a newer one of its key.
fn take_newer(mailbox: &mut Mailbox, newest: &mut BTreeMap<Vec<u8>, u64>) {
    if let Some(Event::Changed(changes)) = mailbox.take() {
        for change in changes {
            let before = newest.insert(change.key, change.version);
            assert!(before < Some(change.version), "a newer one was told before");
        }
    }
}

#[test]
fn the_last_that_is_told_of_a_key_is_its_newest_change_however_slowly_they_are_taken() {
    let (mut mailbox, mut newest, mut waiting) = (Mailbox::default(), BTreeMap::new(), 0);
    for version in 0..4_000 {
        waiting += mailbox.push(Event::Changed(vec![change(version % 10, version, 10_000)]));
        // The program is busy at first, and then takes changes a third as fast as they come.
        if version > 2_500 && version % 3 == 0 {
            waiting -= 1;
            take_newer(&mut mailbox, &mut newest);
        }
    }
    for _ in 0..waiting {
        take_newer(&mut mailbox, &mut newest);
    }
    assert!(newest.values().all(|version| *version >= 3_990));
}
