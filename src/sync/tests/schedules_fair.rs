//! Fair shares: the work that one small message causes is done in pieces, and a peer that asks for too much waits.

use super::host::{Stop, options};
use super::schedules_scope::scoped;
use super::stage::{keys_sent, stage};
use super::world::World;
use crate::sync::message::{Ack, Feed};
use crate::sync::options::{ReplicaOptions, WINDOW_COST};

/// Place up to which a host has scanned its feed for another.
fn gone_over(world: &World, host: usize, other: usize) -> u64 {
    let link = world.link(host, other);
    world.hosts[host].up().replica.links[&link].sending.sent.own
}

fn ask_for_the_whole_feed(world: &mut World, host: usize, other: usize) {
    let ack = Ack {
        cursor: None,
        credit: WINDOW_COST,
        void: None,
        reconcile: false,
        ..Ack::default()
    };
    let link = world.link(host, other);
    world.hand_in(host, link, Feed::Ack(ack), false);
    world.drain(host);
}

#[test]
fn rows_that_are_not_for_a_peer_are_passed_over_in_pieces() {
    let mut world = scoped(&[&[], &["nothing/"]]);
    world.is_old = true;
    world.put_many(0, "a", 30_000);
    world.run_for(2_000);
    world.connect(0, 1, 1);
    let (mut pieces, mut before) = (0, 0);
    for _ in 0..1_000 {
        world.run_for(1);
        if world.hosts[0].up().replica.links.is_empty() {
            continue;
        }
        let at = gone_over(&world, 0, 1);
        // The budget of one millisecond, and the savings of the bucket.
        assert!(at - before <= 3 * 4_096, "{before} -> {at}");
        pieces += u64::from(at > before);
        before = at;
    }
    assert!(before >= 30_000, "all of it in the end: {before}");
    assert!(pieces >= 5, "{pieces}");
    world.put(0, "nothing/more", "1");
    world.run_for(3_000);
    assert_eq!(world.get(1, "nothing/more").as_deref(), Some("1"));
}

#[test]
fn who_asks_for_the_whole_feed_all_the_time_gets_it_now_and_then() {
    let mut world = stage(&[options(), options()]);
    world.is_old = true;
    world.line();
    world.put_many(0, "a", 20);
    world.run_for(3_000);
    world.forget_what_was_said();
    for _ in 0..3_000 {
        ask_for_the_whole_feed(&mut world, 0, 1);
        world.run_for(1);
    }
    world.run_for(30_000);
    let sent = keys_sent(&world.said(0, 1)).len();
    // The feed begins at once, after one second, and after two more.
    assert!((20..=4 * 20).contains(&sent), "{sent}");
    world.put(0, "b", "1");
    world.run_for(60_000);
    assert_eq!(world.get(1, "b").as_deref(), Some("1"), "and it goes on");
    world.check_convergence();
}

/// A host with many values, and one that takes none of them.
fn many_too_large(count: usize) -> World {
    let small = ReplicaOptions {
        value_bytes_max: 0,
        ..options()
    };
    let mut world = stage(&[options(), small]);
    world.put_many(0, "a", count);
    world.run_for(5_000);
    world
}

fn listed(world: &World, host: usize) -> usize {
    let peers = &world.hosts[host].up().replica.peers;
    peers.values().map(|peer| peer.rejected.len()).sum()
}

#[test]
fn of_who_took_nothing_and_left_little_is_kept_and_nothing_counts_as_failed() {
    let mut world = many_too_large(5_000);
    world.is_old = true;
    world.connect(0, 1, 1);
    world.run_for(30);
    // From now on the peer's acknowledgements never come.
    world.stall(0, 1, u64::MAX);
    world.run_for(5_000);
    assert!(listed(&world, 0) > 0);
    world.cut(0, 1);
    world.run_for(2_000);
    assert!(listed(&world, 0) <= 64, "{}", listed(&world, 0));
    assert_eq!(world.counts(0).failed, 0);
    world.stop(0, Stop::Killed);
    world.open(0);
    assert_eq!(world.counts(0).failed, 0, "after a restart");
}

#[test]
fn what_a_peer_does_not_take_is_listed_as_it_acknowledges_what_came_before() {
    let mut world = many_too_large(3_000);
    world.is_old = true;
    world.put(0, "last", "");
    world.run_for(1_000);
    world.connect(0, 1, 1);
    world.run_for(10_000);
    assert_eq!(world.get(1, "last").as_deref(), Some(""));
    assert_eq!(world.counts(0).failed, 3_000);
    // The rows count again as soon as the peer shows that it has passed over them.
    world.stop(0, Stop::PowerCut);
    world.open(0);
    world.connect(0, 1, 1);
    world.run_for(1_000);
    assert_eq!(world.counts(0).failed, 3_000);
}
