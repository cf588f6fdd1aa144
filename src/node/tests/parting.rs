//! Connections that end, and those that are made again.

use super::pipes::{Pipes, name};
use crate::core::error_kind::ErrorKind;
use crate::core::identity::Origin;
use crate::node::machine::Machine;
use crate::node::machine::address_book::UNREADABLE_MS;
use crate::node::machine::peer_state::PeerState;
use crate::sync::message::{Batch, Feed, Stream};
use crate::sync::replica::PartingReason;
use crate::transport::session::backoff::{RECONNECT_MS_MAX, RECONNECT_MS_MIN};
use crate::transport::session::close::CloseReason;
use crate::transport::session::{HELLO_TIMEOUT_MS, IDLE_MS};
use crate::transport::wire::message::Message;

fn connected() -> (Pipes, u64) {
    let mut net = Pipes::new(3, &[1, 2]);
    let id = net.dial(0, 1);
    net.wait(500);
    assert_eq!(net.outcome(0, id), Some(&Ok(())));
    (net, id)
}

fn state(net: &mut Pipes, node: usize, other: usize) -> PeerState {
    let target = net.target(node, &name(other), other);
    net.members[node]
        .machine
        .directory
        .get(target)
        .unwrap()
        .state
}

#[test]
fn a_lost_peer_is_called_again_with_growing_delays() {
    let (mut net, id) = connected();
    net.cut(0, id);
    assert_eq!(state(&mut net, 0, 1), PeerState::Available);
    let mut last = net.at;
    for attempt in 0..12_u32 {
        let longest = (RECONNECT_MS_MIN << attempt).min(RECONNECT_MS_MAX);
        net.wait(longest + 1);
        assert_eq!(net.members[0].dials.len(), 1, "attempt {attempt}");
        let target = net.members[0].dials.remove(0);
        assert!(net.at - last <= longest + 1);
        net.drive(0, |machine, now, _| {
            machine.directory.unreachable(target, now.monotonic);
        });
        last = net.at;
    }
    assert_eq!(state(&mut net, 0, 1), PeerState::Faulted);
    assert!(
        net.members[1].dials.is_empty(),
        "only who called calls again"
    );
    // After a success the delays are short again.
    let id = net.dial(0, 1);
    net.wait(500);
    assert_eq!(state(&mut net, 0, 1), PeerState::Connected);
    net.cut(0, id);
    net.wait(RECONNECT_MS_MIN + 1);
    assert_eq!(net.members[0].dials.len(), 1);
}

#[test]
fn a_peer_that_cannot_read_its_store_is_called_ever_less_often() {
    let (mut net, _) = connected();
    for attempt in 0..10_u32 {
        let id = net.conversations(1)[0];
        net.drive(1, |machine, _, _| {
            machine.say_goodbye(id, PartingReason::Unreadable);
        });
        net.settle();
        assert!(net.conversations(0).is_empty() && net.conversations(1).is_empty());
        let longest = (RECONNECT_MS_MIN << attempt).min(RECONNECT_MS_MAX);
        net.wait(longest / 2 - 1);
        assert_eq!(net.members[0].dials.len(), 0, "attempt {attempt}");
        net.wait(longest / 2 + 2);
        let target = net.members[0].dials.remove(0);
        net.dial_target(0, target, 1);
        net.settle();
    }
}

#[test]
fn who_cannot_read_its_store_leaves_a_peer_alone_for_long_and_shows_it() {
    let (mut net, _) = connected();
    for _ in 0..3 {
        let id = net.conversations(0)[0];
        net.drive(0, |machine, _, _| {
            machine.say_goodbye(id, PartingReason::Unreadable);
        });
        net.settle();
        assert_eq!(state(&mut net, 0, 1), PeerState::Faulted);
        assert_eq!(
            net.members[0].events.last().unwrap().state,
            PeerState::Faulted
        );
        net.wait(UNREADABLE_MS - 1);
        assert_eq!(net.members[0].dials.len(), 0);
        net.wait(2);
        let target = net.members[0].dials.remove(0);
        net.dial_target(0, target, 1);
        net.settle();
        assert_eq!(state(&mut net, 0, 1), PeerState::Connected);
    }
}

#[test]
fn a_peer_at_whose_address_another_node_answers_for_a_while_is_called_on_and_ever_less_often() {
    let mut net = Pipes::new(3, &[1, 2, 3]);
    let id = net.dial(0, 1);
    net.wait(500);
    net.cut(0, id);
    let mut target = None;
    for attempt in 0..10_u32 {
        let longest = (RECONNECT_MS_MIN << attempt).min(RECONNECT_MS_MAX);
        net.wait(longest / 2 - 1);
        assert_eq!(net.members[0].dials.len(), 0, "attempt {attempt}");
        net.wait(longest / 2 + 2);
        let called = net.members[0].dials.remove(0);
        net.dial_target(0, called, 2);
        net.settle();
        assert_eq!(state(&mut net, 0, 1), PeerState::Faulted);
        target = Some(called);
    }
    net.wait(RECONNECT_MS_MAX + 1);
    assert_eq!(net.members[0].dials, [target.unwrap()]);
    net.dial_target(0, target.unwrap(), 1);
    net.wait(500);
    assert_eq!(state(&mut net, 0, 1), PeerState::Connected);
}

#[test]
fn each_due_call_is_asked_for_once() {
    let (mut net, id) = connected();
    net.cut(0, id);
    net.wait(600_000);
    assert_eq!(
        net.members[0].dials.len(),
        1,
        "the outcome of the call was never told"
    );
}

#[test]
fn disconnecting_ends_it_on_both_sides_for_good() {
    for who in [0, 1] {
        let (mut net, _) = connected();
        let target = net.target(0, &name(1), 1);
        if who == 0 {
            net.drive(0, |machine, now, map| machine.disconnect(target, now, map));
        } else {
            net.drive(1, Machine::leave_all);
        }
        net.settle();
        assert!(net.conversations(0).is_empty() && net.conversations(1).is_empty());
        net.wait(600_000);
        if who == 0 {
            assert!(
                net.members[0].dials.is_empty(),
                "the user asked to disconnect"
            );
        } else {
            assert_eq!(
                net.members[0].dials.len(),
                1,
                "a peer that closed is called again"
            );
        }
        assert!(net.members[1].dials.is_empty());
        let last = net.members[1].events.last().unwrap();
        assert_eq!(
            (last.node_id.as_str(), last.state),
            ("node-0", PeerState::Available)
        );
    }
}

#[test]
fn disconnecting_during_the_backoff_ends_the_calls() {
    let (mut net, id) = connected();
    net.cut(0, id);
    let target = net.target(0, &name(1), 1);
    net.drive(0, |machine, now, map| machine.disconnect(target, now, map));
    net.wait(600_000);
    assert!(net.members[0].dials.is_empty());
    assert_eq!(state(&mut net, 0, 1), PeerState::Available);
}

#[test]
fn a_call_that_is_lost_before_it_was_ready_does_not_end_the_wish() {
    let (mut net, id) = connected();
    net.cut(0, id);
    net.wait(RECONNECT_MS_MIN + 1);
    for _ in 0..5 {
        assert_eq!(net.members[0].dials.len(), 1);
        let target = net.members[0].dials.remove(0);
        let id = net.dial_target(0, target, 1);
        // The peer accepts, and is gone before it says anything.
        net.cut(0, id);
        assert!(net.refusal(0, id).text.contains("lost"));
        net.wait(RECONNECT_MS_MAX + 1);
    }
    assert_eq!(net.members[0].dials.len(), 1);
}

#[test]
fn a_first_call_that_fails_is_not_repeated_by_itself() {
    let mut net = Pipes::new(3, &[1, 2]);
    let id = net.dial(0, 1);
    net.cut(0, id);
    assert_eq!(net.refusal(0, id).kind, ErrorKind::ConnectionLost);
    net.wait(600_000);
    assert!(net.members[0].dials.is_empty());
    assert_eq!(state(&mut net, 0, 1), PeerState::Faulted);
}

#[test]
fn a_peer_that_says_nothing_is_given_up() {
    let mut net = Pipes::new(3, &[1, 2]);
    let id = net.dial(0, 1);
    net.lines[0][1].arriving.clear();
    net.wait(HELLO_TIMEOUT_MS - 10);
    assert_eq!(net.outcome(0, id), None);
    net.wait(20);
    assert_eq!(net.refusal(0, id).kind, ErrorKind::TimedOut);
}

#[test]
fn a_peer_that_goes_silent_is_given_up_and_called_again() {
    let (mut net, _) = connected();
    net.restart_silently(1);
    net.wait(IDLE_MS + 20_000);
    assert!(net.conversations(0).is_empty());
    assert_eq!(net.members[0].dials.len(), 1);
}

#[test]
fn quiet_connections_live_on_pings() {
    let (mut net, id) = connected();
    net.wait(24 * 3_600_000);
    assert_eq!(net.conversations(0), [id]);
    assert_eq!(net.conversations(1).len(), 1);
}

#[test]
fn a_peer_that_breaks_the_rules_is_dropped_with_the_reason() {
    let (mut net, id) = connected();
    let gap = Message::Feed(Feed::Batch(Batch {
        stream: Stream::Own,
        from: 70,
        to: 80,
        entries: Vec::new(),
    }));
    net.drive(0, |machine, now, map| {
        machine.received(id, gap, false, now, map);
    });
    net.settle();
    assert!(net.conversations(0).is_empty() && net.conversations(1).is_empty());
    assert_eq!(
        net.members[0].events.last().unwrap().state,
        PeerState::Faulted
    );
}

#[test]
fn strangers_that_speak_before_they_greet_are_dropped() {
    let mut net = Pipes::new(3, &[1, 2]);
    let id = net.dial(0, 1);
    let ping = Message::Ping {
        nonce: 1,
        wall_ms: 1,
    };
    net.drive(0, |machine, now, map| {
        machine.received(id, ping, false, now, map);
    });
    assert_eq!(net.refusal(0, id).kind, ErrorKind::Protocol);
    assert!(net.members[0].events.is_empty(), "nobody came");
}

#[test]
fn what_is_told_of_conversations_that_are_over_is_passed_over() {
    let (mut net, id) = connected();
    net.cut(0, id);
    let settled = net.members[0].settled.len();
    net.drive(0, |machine, now, map| {
        let ping = Message::Ping {
            nonce: 1,
            wall_ms: 1,
        };
        machine.received(id, ping, false, now, map);
        machine.closed(id, CloseReason::PeerClosed, now, map);
        machine.heard(id, now);
        machine.charged(id, 1 << 40, now);
        machine.refused(id, Stream::Own, 1, crate::sync::message::RefusalCode::Other);
        machine.replica.received_durably(
            id,
            Origin([2; 16]),
            crate::store::commit::ledger::FeedPosition::default(),
            &crate::store::scope::Scope::ALL,
            now,
        );
        machine.replica.received_in_vain(id);
    });
    assert_eq!(net.members[0].settled.len(), settled);
    let id = net.dial(0, 1);
    net.settle();
    assert_eq!(net.outcome(0, id), Some(&Ok(())));
}

/// Asks the peer for a sign of life, as a second call does, and returns the number of answers after a while.
fn answers_after(net: &mut Pipes, wait_ms: u64) -> usize {
    let settled = net.members[0].settled.len();
    net.drive(0, |machine, now, _| {
        assert!(machine.ask_for_life(&name(1), now).is_some());
    });
    net.wait(wait_ms);
    net.members[0].settled.len() - settled
}

#[test]
fn a_peer_that_is_connected_answers_whoever_calls_it_again() {
    let (mut net, id) = connected();
    assert_eq!(answers_after(&mut net, 500), 1);
    assert_eq!(net.outcome(0, id), Some(&Ok(())));
    net.drive(0, |machine, now, map| {
        machine.leave_if_silent(id, now, map);
    });
    assert_eq!(net.conversations(0), [id], "it has answered");
}

#[test]
fn whoever_calls_a_peer_again_is_answered_when_the_connection_gives_way_to_another_one() {
    let (mut net, id) = connected();
    net.restart_silently(1);
    let settled = net.members[0].settled.len();
    net.drive(0, |machine, now, _| {
        assert!(machine.ask_for_life(&name(1), now).is_some());
    });
    net.dial(1, 0);
    net.settle();
    assert!(!net.conversations(0).contains(&id), "it was replaced");
    let answers = &net.members[0].settled[settled..];
    assert!(answers.contains(&(id, Ok(()))), "{answers:?}");
}

#[test]
fn a_connection_that_is_dead_without_a_word_ends_when_the_peer_is_called_again() {
    let (mut net, id) = connected();
    net.restart_silently(1);
    assert_eq!(answers_after(&mut net, 5_000), 0);
    assert_eq!(net.conversations(0), [id], "it is not idle for long enough");
    net.drive(0, |machine, now, map| {
        machine.leave_if_silent(id, now, map);
    });
    assert!(net.conversations(0).is_empty());
    let target = net.target(0, &name(1), 1);
    net.dial_target(0, target, 1);
    net.wait(500);
    assert_eq!(state(&mut net, 0, 1), PeerState::Connected);
}
