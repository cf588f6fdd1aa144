//! Choice of the requests that go into the next group.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::core::clock::MonotonicMs;
use crate::core::identity::{Dot, Origin};
use crate::core::limits::GROUP_BYTES_TARGET;
use crate::core::stamp::Stamp;
use crate::node::commit::backlog::{
    Backlog, RECEIVED_BESIDE_LOCAL_BYTES, RECEIVED_WAITING_BYTES_MAX,
};
use crate::store::commit::ledger::FeedPosition;
use crate::store::commit::operation::{Operation, Received, Request, Ticket};
use crate::store::entry::{Entry, EntryFlags, Extra};
use crate::store::scope::Scope;

const NOW: MonotonicMs = MonotonicMs(1_000);

const BATCH_BYTES: usize = 128 << 10;

fn local(ticket: Ticket, bytes: usize) -> Request {
    let operation = Operation::put(b"key", &vec![0; bytes], false).unwrap();
    Request::Write { ticket, operation }
}

/// A request with an entry from a peer, of about that many bytes; `token` names it.
fn received(peer: u8, token: u64, bytes: usize) -> Request {
    let key = [b"\0key".as_slice(), &vec![0; bytes]].concat();
    let entry = Entry::new(
        key.into(),
        4,
        EntryFlags::default(),
        Dot::default(),
        Stamp::default(),
        1,
        Extra::default(),
    );
    Request::Received(Received {
        peer: Origin([peer; 16]),
        token,
        from: FeedPosition::default(),
        position: FeedPosition::default(),
        scope: Scope::ALL,
        entries: vec![entry.unwrap()],
    })
}

fn tickets(group: &[Request]) -> Vec<Ticket> {
    group.iter().filter_map(Request::ticket).collect()
}

fn peers(group: &[Request]) -> Vec<u8> {
    let peer = |request: &Request| match request {
        Request::Received(received) => Some(received.peer.0[0]),
        _ => None,
    };
    group.iter().filter_map(peer).collect()
}

fn received_bytes(group: &[Request]) -> usize {
    let received = group.iter().filter(|request| request.token().is_some());
    received.map(Request::bytes).sum()
}

/// A backlog in which forty peers have sent as much as their credit allows.
fn flooded() -> Backlog {
    let mut backlog = Backlog::new(RECEIVED_WAITING_BYTES_MAX);
    for token in 0..32 {
        for peer in 0..40 {
            backlog.push(received(peer, token, BATCH_BYTES));
        }
    }
    backlog
}

#[test]
fn a_local_request_is_in_the_next_group_and_first_whatever_peers_have_sent() {
    let mut backlog = flooded();
    for ticket in 1..=100 {
        backlog.push(local(ticket, 100));
        let group = backlog.take_group(NOW);
        assert_eq!(tickets(&group), [ticket]);
        assert_eq!(group[0].ticket(), Some(ticket), "nothing is ahead of it");
        assert!(received_bytes(&group) <= RECEIVED_BESIDE_LOCAL_BYTES);
        assert!(!peers(&group).is_empty(), "peers get their share beside it");
    }
}

#[test]
fn while_local_requests_come_every_now_and_then_groups_of_peers_stay_small() {
    let mut backlog = flooded();
    backlog.push(local(1, 100));
    backlog.take_group(NOW);
    for _ in 0..10 {
        let group = backlog.take_group(NOW);
        assert!(received_bytes(&group) <= RECEIVED_BESIDE_LOCAL_BYTES);
        assert!(!group.is_empty());
    }
}

#[test]
fn peers_get_whole_groups_where_no_local_write_is_near() {
    let is_whole = |backlog: &mut Backlog, now: u64| {
        let group = backlog.take_group(MonotonicMs(now));
        received_bytes(&group) > GROUP_BYTES_TARGET - 2 * BATCH_BYTES
    };
    let mut backlog = flooded();
    assert!(is_whole(&mut backlog, 1_000), "none has come yet");
    backlog.push(local(1, 100));
    for (now, expected) in [
        (1_001, false),
        (1_002, false),
        (1_250, false),
        (1_251, true),
    ] {
        assert_eq!(is_whole(&mut backlog, now), expected, "at {now}");
    }
}

#[test]
fn what_no_program_wrote_keeps_no_peer_waiting() {
    let mut backlog = flooded();
    backlog.push(Request::Flush { ticket: 1 });
    backlog.take_group(NOW);
    let group = backlog.take_group(NOW);
    assert!(received_bytes(&group) > GROUP_BYTES_TARGET - 2 * BATCH_BYTES);
}

#[test]
fn peers_take_turns() {
    let mut backlog = Backlog::new(RECEIVED_WAITING_BYTES_MAX);
    for token in 0..100 {
        backlog.push(received(1, token, BATCH_BYTES));
    }
    backlog.push(received(2, 0, 10));
    backlog.push(received(3, 0, 10));
    let group = backlog.take_group(NOW);
    assert_eq!(peers(&group)[..3], [1, 2, 3]);
}

#[test]
fn what_is_too_large_to_go_beside_local_requests_is_in_the_group_behind() {
    let mut backlog = Backlog::new(RECEIVED_WAITING_BYTES_MAX);
    backlog.push(received(1, 0, 40 << 20));
    let mut ticket = 0;
    let mut waited = 0;
    loop {
        ticket += 1;
        backlog.push(local(ticket, 100));
        let group = backlog.take_group(NOW);
        if !peers(&group).is_empty() {
            assert_eq!(group.len(), 1, "no local request waits for it in its group");
            break;
        }
        waited += 1;
        assert!(waited < 3, "local requests starve it");
    }
    assert_eq!(tickets(&backlog.take_group(NOW)), [ticket]);
}

#[test]
fn a_stream_of_local_requests_leaves_peers_their_share() {
    let mut backlog = Backlog::new(RECEIVED_WAITING_BYTES_MAX);
    backlog.push(received(1, 0, BATCH_BYTES));
    for ticket in 1..=8 {
        backlog.push(local(ticket, GROUP_BYTES_TARGET - 100));
    }
    let groups: Vec<_> = (0..2).map(|_| peers(&backlog.take_group(NOW))).collect();
    assert_eq!(groups.concat(), [1]);
}

#[test]
fn what_waits_of_all_peers_is_bounded_and_who_waits_for_nothing_may_send() {
    let mut backlog = Backlog::new(RECEIVED_WAITING_BYTES_MAX);
    let mut waiting = 0;
    for token in 0..1_000 {
        for peer in 0..40 {
            if !backlog.is_crowded_by(Origin([peer; 16])) {
                let request = received(peer, token, BATCH_BYTES);
                waiting += request.bytes();
                backlog.push(request);
            }
        }
    }
    let a_message_each = 41 * (BATCH_BYTES + 100);
    assert!(
        waiting <= RECEIVED_WAITING_BYTES_MAX + a_message_each,
        "{waiting}"
    );
    assert!(!backlog.is_crowded_by(Origin([77; 16])));
    while !backlog.is_empty() {
        backlog.take_group(NOW);
    }
    assert!((0..40).all(|peer| !backlog.is_crowded_by(Origin([peer; 16]))));
}

proptest! {
    #[test]
    fn everything_goes_out_once_in_the_order_of_its_kind(
        steps in proptest::collection::vec((0u8..6, 0usize..300_000, any::<bool>()), 1..120)
    ) {
        let mut backlog = Backlog::new(RECEIVED_WAITING_BYTES_MAX);
        let mut expected: BTreeMap<Option<u8>, Vec<u64>> = BTreeMap::new();
        let mut seen: BTreeMap<Option<u8>, Vec<u64>> = BTreeMap::new();
        let mut take = |backlog: &mut Backlog| {
            let group = backlog.take_group(NOW);
            for request in &group {
                let peer = peers(std::slice::from_ref(request)).first().copied();
                let number = request.ticket().or(request.token()).unwrap();
                seen.entry(peer).or_default().push(number);
            }
            !group.is_empty()
        };
        for (number, (who, bytes, takes)) in (1..).zip(steps) {
            let peer = (who > 0).then_some(who);
            backlog.push(match peer {
                Some(peer) => received(peer, number, bytes),
                None => local(number, bytes),
            });
            expected.entry(peer).or_default().push(number);
            if takes {
                prop_assert!(take(&mut backlog));
            }
        }
        while !backlog.is_empty() {
            prop_assert!(take(&mut backlog), "something waits, and nothing is taken");
        }
        prop_assert_eq!(seen, expected);
    }
}
