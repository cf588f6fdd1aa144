//! Waits for peers that take parts of the keys, which change meanwhile; and comparisons and reports of those parts.

use super::host::Stop;
use super::schedules_compare::{ask, compare};
use super::schedules_scope::{scope, scoped};
use super::schedules_waits::on;
use super::stage::{MOMENT_MS, manual};
use super::world::World;
use crate::core::identity::Origin;
use crate::store::scope::Scope;
use crate::sync::delivery::waiting::Subject;
use crate::sync::delivery::waits::{Held, Holders};
use crate::sync::message::Feed;
use crate::sync::reconcile::comparing::Incomparable;

fn meet(world: &mut World, peer: usize) {
    world.connect(0, peer, 5);
    world.run_for(MOMENT_MS);
}

/// A peer comes back with these prefixes.
fn rescope(world: &mut World, peer: usize, prefixes: &[&str]) {
    world.cut(0, peer);
    world.hosts[peer].scope = scope(prefixes);
    meet(world, peer);
}

/// Another node greets the first host under the label of host `label`.
fn greet(world: &mut World, label: usize, durable: bool, wanted: &Scope) {
    let now = world.now(0);
    let running = world.hosts[label].up_mut();
    let mut greeting = running.replica.greeting(wanted, now, &running.map);
    (greeting.origin, greeting.durable) = (Origin([9; 16]), durable);
    let running = world.hosts[0].up_mut();
    let replica = &mut running.replica;
    replica.connected(1_000, &greeting, &Scope::ALL, now, &running.map);
    while replica.poll().is_some() {}
}

/// Result of the only wait that has ended.
fn ending(world: &mut World) -> Held {
    let mut ended = world.ended(0);
    assert_eq!(ended.len(), 1, "{ended:?}");
    ended.remove(0).1
}

fn put_both(world: &mut World) {
    world.put_named(0, "a/x", "value");
    world.put_named(0, "b/y", "value");
}

#[test]
fn a_peer_that_turns_out_to_take_a_part_does_not_hold_all_rows() {
    let mut world = scoped(&[&[], &["a/"]]);
    put_both(&mut world);
    world.wait(0, Subject::All, on("node-1"));
    meet(&mut world, 1);
    assert!(ending(&mut world).is_outside);
}

#[test]
fn a_peer_that_comes_back_for_a_part_does_not_hold_all_rows() {
    let mut world = scoped(&[&[], &[]]);
    meet(&mut world, 1);
    world.cut(0, 1);
    put_both(&mut world);
    world.wait(0, Subject::All, on("node-1"));
    rescope(&mut world, 1, &["a/"]);
    assert!(ending(&mut world).is_outside);
}

#[test]
fn all_peers_do_not_hold_what_none_of_them_takes() {
    let mut world = scoped(&[&[], &["a/"], &[]]);
    put_both(&mut world);
    world.wait(0, Subject::All, Holders::All);
    meet(&mut world, 1);
    assert!(ending(&mut world).is_outside);
    // The wait succeeds if a peer that takes all rows has come meanwhile.
    let mut world = scoped(&[&[], &["a/"], &[]]);
    put_both(&mut world);
    world.wait(0, Subject::All, Holders::All);
    world.connect(0, 1, 5);
    meet(&mut world, 2);
    let held = ending(&mut world);
    assert!(!held.is_outside && held.peers.len() == 2, "{held:?}");
}

#[test]
fn a_taker_of_all_rows_is_none_once_it_takes_less() {
    let mut world = scoped(&[&[], &["a/"], &[]]);
    meet(&mut world, 1);
    world.cut(0, 1);
    world.put_named(0, "a/2/y", "value");
    world.wait(0, Subject::All, Holders::Count(1));
    rescope(&mut world, 1, &["a/1/"]);
    assert!(ending(&mut world).is_outside);
    meet(&mut world, 2);
    world.wait(0, Subject::All, Holders::Count(1));
    let held = ending(&mut world);
    assert!(!held.is_outside);
    assert_eq!(held.peers, [world.hosts[2].up().replica.origin()]);
}

#[test]
fn who_waits_for_so_many_is_told_once_so_many_were_there_and_are_no_more() {
    let mut world = scoped(&[&[], &["b/"], &[], &[]]);
    let write = world.put_named(0, "a/x", "value");
    world.wait(0, Subject::Operation(write), Holders::Count(2));
    // While there were never enough of them, others may still come.
    meet(&mut world, 1);
    meet(&mut world, 2);
    assert_eq!(world.ended(0), []);
    // A peer that holds the write counts, whatever its scope becomes.
    rescope(&mut world, 2, &["b/"]);
    assert_eq!(world.ended(0), []);
    // Another peer could hold the write, but does not get it.
    world.connect(0, 3, 500);
    world.run_for(600);
    assert_eq!(world.ended(0), []);
    rescope(&mut world, 3, &["b/"]);
    let held = ending(&mut world);
    assert!(held.is_outside);
    assert_eq!(held.peers, [world.hosts[2].up().replica.origin()]);
}

#[test]
fn it_is_told_too_where_one_takes_the_place_of_a_peer_whose_acknowledgement_does_not_count() {
    for is_durable in [true, false] {
        let mut world = scoped(&[&[], &[]]);
        meet(&mut world, 1);
        world.cut(0, 1);
        let write = world.put_named(0, "a/x", "value");
        world.wait(0, Subject::Operation(write), Holders::Count(1));
        greet(&mut world, 1, is_durable, &Scope::ALL);
        let ended = world.ended(0);
        let is_outside = ended.iter().map(|(_, held)| held.is_outside);
        assert_eq!(
            is_outside.collect::<Vec<_>>(),
            vec![true; usize::from(!is_durable)]
        );
    }
}

#[test]
fn a_peer_takes_all_rows_that_are_waited_for_whatever_was_written_since() {
    let mut world = scoped(&[&[], &["a/"]]);
    world.put_named(0, "a/x", "value");
    world.wait(0, Subject::All, on("node-1"));
    world.wait(0, Subject::All, Holders::Count(1));
    world.wait(0, Subject::All, Holders::All);
    world.put_named(0, "b/y", "value");
    meet(&mut world, 1);
    let ended = world.ended(0);
    assert_eq!(ended.len(), 3);
    assert!(ended.iter().all(|(_, held)| !held.is_outside), "{ended:?}");
}

#[test]
fn a_peer_that_takes_more_than_it_did_holds_all_once_it_has_the_rest() {
    let mut world = scoped(&[&[], &["a/"], &[]]);
    for peer in [1, 2] {
        meet(&mut world, peer);
        world.cut(0, peer);
    }
    put_both(&mut world);
    world.wait(0, Subject::All, Holders::All);
    meet(&mut world, 1);
    world.cut(0, 1);
    world.hosts[1].scope = Scope::ALL;
    world.connect(0, 1, 500);
    world.run_for(600);
    assert_eq!(world.get(1, "b/y"), None);
    world.connect(0, 2, 5);
    while world.get(1, "b/y").is_none() {
        assert_eq!(world.ended(0), []);
        world.run_for(10);
    }
    world.run_for(MOMENT_MS);
    let held = ending(&mut world);
    assert!(!held.is_outside && held.peers.len() == 2, "{held:?}");
}

#[test]
fn who_waits_for_all_does_not_wait_for_a_peer_that_takes_the_key_no_more() {
    let mut world = scoped(&[&[], &["a/"], &["a/"]]);
    for peer in [1, 2] {
        meet(&mut world, peer);
    }
    world.cut(0, 2);
    let dot = world.put_named(0, "a/x", "value");
    world.wait(0, Subject::Operation(dot), Holders::All);
    world.run_for(60_000);
    assert_eq!(world.ended(0), []);
    rescope(&mut world, 2, &["c/"]);
    let held = ending(&mut world);
    assert!(!held.is_outside);
    assert_eq!(held.peers, [world.hosts[1].up().replica.origin()]);
}

#[test]
fn who_waits_for_all_does_not_wait_for_a_peer_whose_place_was_taken() {
    let mut world = scoped(&[&[], &[], &[]]);
    for peer in [1, 2] {
        meet(&mut world, peer);
    }
    world.cut(0, 2);
    let dot = world.put_named(0, "a/x", "value");
    world.wait(0, Subject::Operation(dot), Holders::All);
    world.wait(0, Subject::All, Holders::All);
    world.run_for(MOMENT_MS);
    assert_eq!(world.ended(0), []);
    greet(&mut world, 2, false, &Scope::ALL);
    let ended = world.ended(0);
    assert_eq!(ended.len(), 2);
    assert!(ended.iter().all(|(_, held)| !held.is_outside), "{ended:?}");
}

#[test]
fn one_of_two_peers_of_a_label_that_takes_the_key_is_enough() {
    let mut world = scoped(&[&[], &["a/"]]);
    world.stop(0, Stop::Cleanly);
    world.hosts[0].options = manual();
    world.open(0);
    meet(&mut world, 1);
    let dot = world.put_named(0, "a/x", "value");
    world.wait(0, Subject::Operation(dot), on("node-1"));
    greet(&mut world, 1, true, &scope(&["c/"]));
    assert_eq!(world.ended(0), []);
    let running = world.hosts[0].up_mut();
    running.replica.disconnected(1_000, &running.map);
    world.tick(0, false);
    world.run_for(MOMENT_MS);
    assert!(!ending(&mut world).is_outside);
}

#[test]
fn a_tick_has_nothing_to_do_with_what_nobody_takes() {
    let mut world = scoped(&[&[], &["a/"]]);
    world.stop(0, Stop::Cleanly);
    world.hosts[0].options = manual();
    world.open(0);
    world.put_many(0, "z", 3);
    world.run_for(100);
    assert_eq!(world.tick(0, false).batch, 3, "somebody may come");
    meet(&mut world, 1);
    world.put_named(0, "a/x", "value");
    assert_eq!(world.tick(0, false).batch, 1);
    world.run_for(MOMENT_MS);
    assert_eq!(world.get(1, "a/x").as_deref(), Some("value"));
    assert_eq!(world.tick(0, false).batch, 0);
    assert_eq!(world.counts(0).queued, 3);
}

#[test]
fn sides_with_nothing_in_common_cannot_be_compared() {
    let mut world = scoped(&[&["a/"], &["b/"]]);
    world.line();
    for host in [0, 1] {
        assert_eq!(ask(&mut world, host, 1 - host), Err(Incomparable::Outside));
    }
    world.run_for(MOMENT_MS);
    assert!(world.closes.is_empty());
}

#[test]
fn a_comparison_counts_what_the_connection_carries() {
    for host in [0, 1] {
        let mut world = scoped(&[&[], &["a/"]]);
        world.put_many(0, "a/", 5);
        world.put_many(0, "b/", 100);
        world.put_many(1, "c/", 100);
        world.line();
        // A key outside of the connection's scope has changed since the sums were made.
        for writer in [0, 1] {
            world.put_named(writer, "d/late", "value");
        }
        assert_eq!(compare(&mut world, host, 1 - host).compared, 5);
    }
}

#[test]
fn writes_that_are_not_for_a_peer_do_not_keep_the_end_from_it() {
    let mut world = scoped(&[&[], &["a/"]]);
    world.put(0, "a/x", "value");
    world.line();
    world.forget_what_was_said();
    for number in 0..100 {
        world.put(0, &format!("b/{number}"), "value");
        world.run_for(50);
    }
    let said = world.said(0, 1);
    let ends = said.iter().filter(|feed| matches!(feed, Feed::End(_)));
    let ends = ends.count();
    assert!((3..=5).contains(&ends), "{ends}");
    assert_eq!(said.len(), ends, "and nothing else is said");
}
