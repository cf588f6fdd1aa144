//! Meetings: the resulting connections, and the answers to callers.

use super::pipes::{Pipes, name};
use crate::core::error_kind::ErrorKind;
use crate::node::machine::conversation::ConversationId;
use crate::node::machine::peer_state::PeerState;

impl Pipes {
    /// True if two conversations are the two ends of one pipe.
    pub(super) fn are_ends_of_one(
        &self,
        a: (usize, ConversationId),
        b: (usize, ConversationId),
    ) -> bool {
        let (first, second) = (self.place_of(a.0, a.1), self.place_of(b.0, b.1));
        first.is_some() && first.map(|(pipe, _)| pipe) == second.map(|(pipe, _)| pipe)
    }
}

#[test]
fn two_nodes_meet_and_hold_the_same() {
    for seed in 0..50 {
        let mut net = Pipes::new(seed, &[1, 2]);
        net.put(0, "a");
        net.put(1, "b");
        let id = net.dial(0, 1);
        net.settle();
        assert_eq!(net.outcome(0, id), Some(&Ok(())));
        net.wait(1_000);
        assert!(net.has(1, "a") && net.has(0, "b"));
        let summaries: Vec<_> = net
            .members
            .iter()
            .map(|member| member.map.summary())
            .collect();
        assert_eq!(summaries[0], summaries[1]);
        for (node, other) in [(0, 1), (1, 0)] {
            let reported: Vec<_> = net.members[node]
                .events
                .iter()
                .map(|event| (event.node_id.clone(), event.state))
                .collect();
            assert_eq!(reported, [(name(other), PeerState::Connected)]);
        }
    }
}

#[test]
fn a_node_that_calls_itself_is_told_so_and_does_not_try_again() {
    for seed in 0..50 {
        let mut net = Pipes::new(seed, &[1]);
        let target = net.target(0, &name(0), 0);
        let id = net.dial_target(0, target, 0);
        net.settle();
        assert_eq!(
            net.refusal(0, id).kind,
            ErrorKind::SelfConnection,
            "seed {seed}"
        );
        assert!(net.conversations(0).is_empty());
        net.wait(600_000);
        assert!(net.members[0].dials.is_empty());
    }
}

#[test]
fn a_node_that_is_another_than_was_called_is_refused_naming_both() {
    for seed in 0..50 {
        let mut net = Pipes::new(seed, &[1, 2]);
        let target = net.target(0, "somebody", 1);
        let id = net.dial_target(0, target, 1);
        net.settle();
        let refusal = net.refusal(0, id);
        assert_eq!(refusal.kind, ErrorKind::WrongNode);
        assert!(refusal.text.contains("somebody") && refusal.text.contains("node-1"));
        net.wait(600_000);
        for node in [0, 1] {
            assert!(net.conversations(node).is_empty());
            assert!(net.members[node].dials.is_empty());
        }
        // A call with the right name still works.
        let id = net.dial(0, 1);
        net.settle();
        assert_eq!(net.outcome(0, id), Some(&Ok(())));
    }
}

#[test]
fn when_both_call_one_connection_lives_and_both_callers_have_what_they_wanted() {
    for seed in 0..400 {
        for origins in [[1, 2], [2, 1]] {
            let mut net = Pipes::new(seed, &origins);
            let calls = [net.dial(0, 1), net.dial(1, 0)];
            net.settle();
            let (left, right) = (net.conversations(0), net.conversations(1));
            assert_eq!(
                (left.len(), right.len()),
                (1, 1),
                "seed {seed}, {origins:?}"
            );
            assert!(
                net.are_ends_of_one((0, left[0]), (1, right[0])),
                "seed {seed}"
            );
            for (node, call) in calls.into_iter().enumerate() {
                assert_eq!(
                    net.outcome(node, call),
                    Some(&Ok(())),
                    "seed {seed}, node {node}"
                );
                let settled = net.members[node]
                    .settled
                    .iter()
                    .filter(|(id, _)| *id == call);
                assert_eq!(settled.count(), 1, "a call is settled once");
            }
            net.put(0, "a");
            net.put(1, "b");
            net.wait(2_000);
            assert!(net.has(1, "a") && net.has(0, "b"), "seed {seed}");
            // The caller that lost the tie shows the peer as connected, and calls it again when it is lost.
            let live = net.conversations(0)[0];
            net.cut(0, live);
            net.wait(60_000);
            for node in [0, 1] {
                assert!(
                    !net.members[node].dials.is_empty(),
                    "seed {seed}: {node} has given up"
                );
            }
        }
    }
}

#[test]
fn crossing_calls_of_three_nodes_end_in_one_connection_for_each_pair() {
    for seed in 0..100 {
        let mut net = Pipes::new(seed, &[3, 1, 2]);
        for (from, to) in [(0, 1), (1, 0), (1, 2), (2, 1), (2, 0), (0, 2), (0, 1)] {
            net.dial(from, to);
        }
        net.settle();
        net.wait(3_000);
        for node in 0..3 {
            assert_eq!(net.conversations(node).len(), 2, "seed {seed}, node {node}");
        }
        net.put(0, "a");
        net.wait(3_000);
        assert!(net.has(1, "a") && net.has(2, "a"));
    }
}

#[test]
fn a_second_call_to_a_connected_peer_replaces_the_first() {
    for seed in 0..50 {
        let mut net = Pipes::new(seed, &[1, 2]);
        let first = net.dial(0, 1);
        net.settle();
        let second = net.dial(0, 1);
        net.settle();
        assert_eq!(net.outcome(0, first), Some(&Ok(())));
        assert_eq!(net.outcome(0, second), Some(&Ok(())));
        assert_eq!(net.conversations(0), [second]);
        net.put(0, "a");
        net.wait(1_000);
        assert!(net.has(1, "a"));
    }
}

#[test]
fn a_peer_that_restarted_is_met_anew_though_the_old_connection_seems_to_live() {
    for seed in 0..50 {
        for caller in [0, 1] {
            let mut net = Pipes::new(seed, &[1, 2]);
            net.dial(0, 1);
            net.settle();
            net.put(0, "before");
            net.wait(1_000);
            net.restart_silently(1);
            let id = net.dial(caller, 1 - caller);
            net.settle();
            assert_eq!(net.outcome(caller, id), Some(&Ok(())));
            // It has forgotten its own rows, is told so, and continues under another identity.
            assert_eq!(net.members[1].identity_conflicts.len(), 1);
            assert!(!net.call_again().is_empty());
            assert_eq!(net.conversations(0).len(), 1);
            net.put(1, "after");
            net.wait(2_000);
            assert!(net.has(0, "after") && net.has(1, "before"), "seed {seed}");
        }
    }
}
