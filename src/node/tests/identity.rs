//! Nodes that share one identity: detection and separation.

use super::pipes::{Pipes, member, name};
use crate::core::error_kind::ErrorKind;
use crate::core::identity::Incarnation;
use crate::node::machine::on_greeting::TURNED_AWAY_MS;
use crate::sync::identity::identity_conflict::{IdentityConflictReason, RENEWAL_DELAY_MS};
use crate::transport::wire::message::{Goodbye, GoodbyeReason, Message};

fn reasons(net: &Pipes, node: usize) -> Vec<(IdentityConflictReason, &str)> {
    let identity_conflicts = net.members[node].identity_conflicts.iter();
    identity_conflicts
        .map(|identity_conflict| (identity_conflict.reason, identity_conflict.node_id.as_str()))
        .collect()
}

fn hold_the_same(net: &Pipes) -> bool {
    let summary = |node: usize| net.members[node].map.summary();
    (1..net.members.len()).all(|node| summary(node) == summary(0))
}

#[test]
fn two_nodes_with_one_identity_both_take_another_and_go_on_together() {
    for seed in 0..50 {
        let mut net = Pipes::new(seed, &[1, 1]);
        net.put(0, "of-the-first");
        net.put(1, "of-the-second");
        let id = net.dial(0, 1);
        net.settle();
        let refusal = net.refusal(0, id);
        assert_eq!(refusal.kind, ErrorKind::Identity);
        assert!(refusal.text.contains("copy"), "{}", refusal.text);
        assert_eq!(
            reasons(&net, 0),
            [(IdentityConflictReason::Shared, "node-1")]
        );
        assert_eq!(
            reasons(&net, 1),
            [(IdentityConflictReason::Shared, "node-0")]
        );
        let calls = net.call_again();
        assert_eq!(calls.len(), 1, "who has called calls again");
        assert!(net.outcome(0, calls[0].1).unwrap().is_ok());
        assert!(net.has(0, "of-the-second") && net.has(1, "of-the-first"));
        assert!(hold_the_same(&net));
        net.put(0, "later");
        net.wait(1_000);
        assert!(net.has(1, "later"));
        assert_eq!(reasons(&net, 0).len() + reasons(&net, 1).len(), 2);
    }
}

/// Lets nodes call again until a node that is turned away takes another identity.
fn go_on_for_long(net: &mut Pipes) {
    for _ in 0..TURNED_AWAY_MS / 2_000 {
        net.call_again();
    }
}

#[test]
fn of_copies_that_only_meet_a_third_the_later_one_takes_another_identity_in_the_end() {
    for seed in 0..10 {
        let mut net = Pipes::new(seed, &[1, 1, 2]);
        net.part_twins([0, 1]);
        net.put(0, "of-the-first");
        net.put(1, "of-the-second");
        net.dial(0, 2);
        net.settle();
        let id = net.dial(1, 2);
        net.settle();
        assert_eq!(net.refusal(1, id).kind, ErrorKind::Identity);
        assert!(
            net.members
                .iter()
                .all(|member| member.identity_conflicts.is_empty())
        );
        assert_eq!(net.conversations(2).len(), 1, "who came first stays");
        go_on_for_long(&mut net);
        assert_eq!(
            reasons(&net, 1)[0],
            (IdentityConflictReason::Shared, "node-2")
        );
        assert!(net.members[2].identity_conflicts.is_empty());
        for node in 0..3 {
            assert!(net.has(node, "of-the-first") && net.has(node, "of-the-second"));
        }
        assert!(hold_the_same(&net));
        assert_eq!(net.conversations(2).len(), 2);
    }
}

#[test]
fn a_farewell_of_somebody_who_never_greeted_shows_nothing() {
    let mut net = Pipes::new(3, &[1, 2]);
    for _ in 0..3 {
        let id = net.dial(0, 1);
        let goodbye = Goodbye::new(GoodbyeReason::Identity, "a copy", None);
        net.drive(0, |machine, now, map| {
            machine.received(id, Message::Goodbye(goodbye), false, now, map);
        });
        net.wait(TURNED_AWAY_MS);
    }
    assert!(net.members[0].identity_conflicts.is_empty());
}

#[test]
fn who_only_uses_the_name_of_a_node_neither_reaches_it_nor_takes_its_place_elsewhere() {
    let mut net = Pipes::new(3, &[1, 2, 9]);
    net.dial(0, 1);
    net.settle();
    // A stranger that has learned the identity and nothing of the history.
    let mut stranger = member(2, 1, 1);
    let mut ledger = stranger.committer.ledger().clone();
    ledger.epochs.clear();
    ledger.begin_epoch(Incarnation([0xee; 16]));
    stranger.machine.renewed(&ledger, net.now(2), &stranger.map);
    net.members[2] = stranger;
    for to in [1, 0] {
        let id = net.dial(2, to);
        net.settle();
        assert_eq!(net.refusal(2, id).kind, ErrorKind::Identity);
    }
    assert!(
        net.members[..2]
            .iter()
            .all(|member| member.identity_conflicts.is_empty())
    );
    net.put(0, "later");
    net.settle();
    assert!(net.has(1, "later"), "the connection lives on");
}

#[test]
fn copies_that_only_others_connect_are_both_told_by_what_those_pass_on() {
    for seed in 0..20 {
        let mut net = Pipes::new(seed, &[1, 1, 2, 3]);
        net.part_twins([0, 1]);
        net.put(0, "of-the-first");
        net.put(1, "of-the-second");
        net.dial(0, 2);
        net.dial(1, 3);
        net.settle();
        assert!(
            net.members
                .iter()
                .all(|member| member.identity_conflicts.is_empty())
        );
        net.dial(2, 3);
        for _ in 0..3 {
            net.settle();
            net.wait(1_000);
            net.call_again();
        }
        let [first, second] = [0, 1].map(|node| reasons(&net, node));
        assert_eq!((first.len(), first[0].1), (1, "node-2"), "seed {seed}");
        assert_eq!((second.len(), second[0].1), (1, "node-3"), "seed {seed}");
        for node in 0..4 {
            assert!(net.has(node, "of-the-first") && net.has(node, "of-the-second"));
        }
        assert!(hold_the_same(&net));
        net.put(0, "later");
        net.wait(3 * RENEWAL_DELAY_MS);
        assert!(net.has(1, "later"));
        let identity_conflicts = net
            .members
            .iter()
            .map(|member| member.identity_conflicts.len());
        assert_eq!(identity_conflicts.sum::<usize>(), 2, "nobody is told twice");
    }
}

#[test]
fn a_copy_that_was_opened_later_is_no_restart() {
    for seed in 0..20 {
        let mut net = Pipes::new(seed, &[1, 1, 2]);
        // The second has the files of the first from an earlier time, and has continued from there.
        net.members[1] = member(1, 1, 2);
        net.dial(0, 2);
        net.settle();
        net.dial(1, 2);
        net.settle();
        assert!(
            net.members
                .iter()
                .all(|member| member.identity_conflicts.is_empty())
        );
        go_on_for_long(&mut net);
        assert_eq!(
            reasons(&net, 0),
            [(IdentityConflictReason::Shared, "node-2")]
        );
        assert!(reasons(&net, 1).is_empty());
        assert_eq!(net.conversations(2).len(), 2, "seed {seed}");
        net.put(0, "of-the-first");
        net.put(1, "of-the-second");
        net.wait(2_000);
        assert!(hold_the_same(&net));
    }
}

#[test]
fn what_a_node_said_before_it_restarted_replaces_nothing_when_it_comes_late() {
    let mut net = Pipes::new(3, &[1, 2, 1]);
    net.members[2] = member(2, 1, 1);
    net.members[0] = member(0, 1, 2);
    net.dial(0, 1);
    net.settle();
    // The third stands for the rest of the first one's earlier life.
    net.dial(2, 1);
    net.settle();
    assert!(
        net.members
            .iter()
            .all(|member| member.identity_conflicts.is_empty())
    );
    net.put(0, "later");
    net.settle();
    assert!(net.has(1, "later"), "the connection lives on");
}

#[test]
fn a_restart_is_no_copy() {
    let mut net = Pipes::new(7, &[1, 2]);
    net.dial(1, 0);
    net.settle();
    net.restart_silently(1);
    net.dial(1, 0);
    net.settle();
    assert!(
        net.members
            .iter()
            .all(|member| member.identity_conflicts.is_empty())
    );
}

#[test]
fn who_goes_on_claiming_an_identity_cannot_have_it_renewed_all_the_time() {
    let mut net = Pipes::new(3, &[1, 1]);
    net.dial(0, 1);
    net.settle();
    assert_eq!(reasons(&net, 0).len(), 1);
    // The other continues under this node's present identity, and with its history.
    let claim = |net: &mut Pipes| {
        let mut other = member(1, 1, 1);
        let mut ledger = net.members[0].committer.ledger().clone();
        ledger.begin_epoch(Incarnation([0xf0; 16]));
        other.machine.renewed(&ledger, net.now(1), &other.map);
        net.members[1] = other;
        let target = net.target(1, &name(0), 0);
        net.dial_target(1, target, 0);
        net.settle();
    };
    for _ in 0..10 {
        claim(&mut net);
    }
    assert_eq!(reasons(&net, 0).len(), 1);
    net.wait(RENEWAL_DELAY_MS);
    claim(&mut net);
    assert_eq!(reasons(&net, 0).len(), 2);
}
