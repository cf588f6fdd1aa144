//! States of outbox rows, and waits for them, where peers take parts of the keys.

use super::host::Stop;
use super::schedules_scope::{scope, scoped};
use super::schedules_waits::on;
use super::stage::MOMENT_MS;
use super::world::World;
use crate::store::scope::Scope;
use crate::sync::delivery::waiting::{Subject, Waiting};
use crate::sync::delivery::waits::Holders;
use crate::sync::options::AckPolicy;
use crate::sync::outbox::rows::RowState;

/// One node with all keys, which counts under `policy`; its peers take `a/`, `a/` and `b/`, and everything.
fn hub(policy: AckPolicy) -> World {
    let mut world = scoped(&[&[], &["a/"], &["a/", "b/"], &[]]);
    world.stop(0, Stop::Cleanly);
    world.hosts[0].options.ack_policy = policy;
    world.open(0);
    world
}

fn meet(world: &mut World, peers: &[usize]) {
    for peer in peers {
        world.connect(0, *peer, 5);
    }
    world.run_for(MOMENT_MS);
}

/// The listed keys of rows in a state, joined with spaces.
fn listed(world: &World, state: RowState) -> String {
    let running = world.hosts[0].up();
    let replica = &running.replica;
    let now = world.now(0).monotonic;
    let rows = replica.list_outbox(Some(state), 0, 100, now, &running.map);
    let keys = rows.unwrap().into_iter();
    let keys = keys.map(|row| String::from_utf8(row.key).unwrap());
    keys.collect::<Vec<_>>().join(" ")
}

/// The acknowledged keys, one of each part, with these peers.
fn acknowledged(policy: AckPolicy, peers: &[usize]) -> String {
    let mut world = hub(policy);
    meet(&mut world, peers);
    for key in ["c/1", "a/1", "b/1"] {
        world.put(0, key, "value");
    }
    world.run_for(10_000);
    let listed = listed(&world, RowState::Acknowledged);
    let count = listed.split_whitespace().count() as u64;
    assert_eq!(world.counts(0).acknowledged, count);
    listed
}

#[test]
fn only_who_takes_a_key_acknowledges_it() {
    assert_eq!(acknowledged(AckPolicy::Any, &[1]), "a/1");
    assert_eq!(acknowledged(AckPolicy::Any, &[2]), "a/1 b/1");
    assert_eq!(acknowledged(AckPolicy::Any, &[3]), "c/1 a/1 b/1");
    assert_eq!(acknowledged(AckPolicy::All, &[1, 2, 3]), "c/1 a/1 b/1");
    assert_eq!(acknowledged(AckPolicy::Count(2), &[1, 2, 3]), "a/1 b/1");
    assert_eq!(acknowledged(AckPolicy::Count(2), &[1, 2]), "a/1");
    assert_eq!(acknowledged(AckPolicy::Count(3), &[1, 2, 3]), "a/1");
}

#[test]
fn all_means_each_peer_that_takes_the_key() {
    let mut world = hub(AckPolicy::All);
    meet(&mut world, &[1, 2, 3]);
    world.stop(2, Stop::Cleanly);
    for key in ["a/1", "b/1", "c/1"] {
        world.put(0, key, "value");
    }
    world.run_for(MOMENT_MS);
    assert_eq!(listed(&world, RowState::Acknowledged), "c/1");
    assert_eq!(listed(&world, RowState::InFlight), "a/1 b/1");
    world.open(2);
    meet(&mut world, &[2]);
    assert_eq!(listed(&world, RowState::Acknowledged), "a/1 b/1 c/1");
}

#[test]
fn what_nobody_takes_stays_queued_and_is_neither_retried_nor_failed() {
    let mut world = hub(AckPolicy::Any);
    meet(&mut world, &[1]);
    world.put(0, "z", "value");
    world.put(0, "a/1", "value");
    world.put(0, "z", "again");
    world.run_for(3_600_000);
    let report = world.hosts[0].up().report();
    assert_eq!((report.counts.queued, report.counts.acknowledged), (1, 1));
    assert_eq!((report.counts.failed, report.total_retries), (0, 0));
    assert_eq!(listed(&world, RowState::Queued), "z");
    assert!(world.closes.is_empty());
    assert!(world.peer(0, 1).in_sync);
    // Pruning takes acknowledged rows, and none before them.
    world.tick(0, true);
    let counts = world.counts(0);
    assert_eq!((counts.queued, counts.acknowledged), (1, 0));
    assert_eq!(listed(&world, RowState::Queued), "z");
    // The row stays queued until a peer comes that takes it.
    meet(&mut world, &[3]);
    world.run_for(MOMENT_MS);
    assert_eq!(world.counts(0).queued, 0);
    assert_eq!(world.get(3, "z").as_deref(), Some("again"));
}

#[test]
fn counts_are_the_same_after_an_opening() {
    let mut world = hub(AckPolicy::Any);
    meet(&mut world, &[1]);
    for number in 0..20 {
        world.put(0, &format!("a/{number}"), "value");
        world.put(0, &format!("b/{number}"), "value");
        world.put(0, "b/same", &number.to_string());
    }
    world.run_for(10_000);
    let counts = world.counts(0);
    assert_eq!((counts.acknowledged, counts.queued), (20, 21));
    world.put_many(0, "a/many", 9_000);
    world.put_many(0, "b/many", 9_000);
    world.run_for(10_000);
    let counts = world.counts(0);
    assert_eq!((counts.acknowledged, counts.queued), (9_020, 9_021));
    world.stop(0, Stop::Cleanly);
    world.open(0);
    assert_eq!(world.counts(0), counts);
    meet(&mut world, &[1]);
    assert_eq!(world.counts(0), counts);
    // A peer that takes more keys than before must have them before they count.
    world.cut(0, 1);
    world.hosts[1].scope = Scope::ALL;
    meet(&mut world, &[1]);
    world.run_for(MOMENT_MS);
    assert_eq!(world.counts(0).acknowledged, 18_041);
    world.cut(0, 1);
    world.hosts[1].scope = scope(&["b/"]);
    meet(&mut world, &[1]);
    assert_eq!(world.counts(0).acknowledged, 9_021);
}

#[test]
fn who_waits_for_a_peer_that_does_not_take_the_key_is_told_so() {
    let mut world = hub(AckPolicy::Any);
    let early = world.put_named(0, "b/early", "value");
    let early = world.wait(0, Subject::Operation(early), on("node-1"));
    meet(&mut world, &[1]);
    let ended = world.ended(0);
    assert_eq!(ended.len(), 1);
    assert!(ended[0].0 == early && ended[0].1.is_outside);
    let inside = world.put_named(0, "a/1", "value");
    let outside = world.put_named(0, "b/1", "value");
    let mut wait = |subject, holders| {
        let running = world.hosts[0].up_mut();
        running
            .replica
            .wait_for(subject, holders, &running.map)
            .unwrap()
    };
    assert_eq!(
        wait(Subject::Operation(outside), on("node-1")),
        Waiting::Outside
    );
    assert_eq!(wait(Subject::All, on("node-1")), Waiting::Outside);
    assert_eq!(wait(Subject::All, Holders::Count(1)), Waiting::Outside);
    assert_eq!(wait(Subject::All, Holders::All), Waiting::Outside);
    let Waiting::Begun(inside) = wait(Subject::Operation(inside), on("node-1")) else {
        panic!("it is taken");
    };
    let Waiting::Begun(anybody) = wait(Subject::Operation(outside), Holders::Count(1)) else {
        panic!("somebody may come");
    };
    world.run_for(MOMENT_MS);
    let ended = world.ended(0);
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert!(ended[0].0 == inside && !ended[0].1.is_outside);
    meet(&mut world, &[2]);
    world.run_for(MOMENT_MS);
    let ended = world.ended(0);
    assert!(ended.len() == 1 && ended[0].0 == anybody, "{ended:?}");
    // Each peer is asked only for the rows that it takes.
    let Waiting::Begun(all) = ({
        let running = world.hosts[0].up_mut();
        let replica = &mut running.replica;
        replica
            .wait_for(Subject::All, Holders::All, &running.map)
            .unwrap()
    }) else {
        panic!("somebody takes each key");
    };
    assert_eq!(world.ended(0)[0].0, all);
}

#[test]
fn hints_and_refusals_are_about_what_a_peer_takes() {
    let mut world = scoped(&[&[], &["a/"], &[]]);
    world.stop(1, Stop::Cleanly);
    world.hosts[1].options.value_bytes_max = 10;
    world.open(1);
    world.connect(0, 1, 5);
    world.connect(0, 2, 5);
    world.run_for(MOMENT_MS);
    world.forget_what_was_said();
    world.put(2, "b/1", "value");
    world.run_for(MOMENT_MS);
    let hints = world.said(0, 1).into_iter();
    let hints = hints.filter(|feed| matches!(feed, crate::sync::message::Feed::Have(_)));
    assert_eq!(
        hints.count(),
        0,
        "of what it does not take it is told nothing"
    );
    world.put(0, "b/large", "larger than it takes");
    world.put(0, "a/large", "larger than it takes");
    world.run_for(10_000);
    let refused = |world: &World| {
        let running = world.hosts[0].up();
        let status = running.replica.peer_status(&running.map).unwrap();
        let refused = status.iter().filter(|peer| peer.node_id == "node-1");
        refused.map(|peer| peer.refused).sum::<u64>()
    };
    assert_eq!(refused(&world), 1);
    assert!(!world.peer(0, 1).in_sync);
    world.cut(0, 1);
    world.hosts[1].scope = scope(&["a/x"]);
    meet(&mut world, &[1]);
    assert_eq!(refused(&world), 0);
    assert!(world.peer(0, 1).in_sync);
}
