//! Comparisons with a peer on request: their outcomes, and the cases without one.

use super::host::options;
use super::schedules_reconcile::{apart, check_pair, meet, write_apart};
use super::stage::{MOMENT_MS, keys_sent, manual, stage};
use super::world::World;
use crate::sync::message::{DotRange, Feed, Have};
use crate::sync::options::ReplicaOptions;
use crate::sync::reconcile::Outcome;
use crate::sync::reconcile::comparing::{ComparisonId, Incomparable};
use crate::sync::reconcile::outcome::DIFFERING_KEYS_MAX;

type Compared = Result<Outcome, Incomparable>;

pub(super) fn ask(
    world: &mut World,
    host: usize,
    other: usize,
) -> Result<ComparisonId, Incomparable> {
    let link = world.link(host, other);
    let now = world.now(host);
    let running = world.hosts[host].up_mut();
    let asked = running.replica.compare_with(link);
    running.replica.send_some(now, &running.map);
    world.drain(host);
    asked
}

fn reported(world: &mut World, host: usize) -> Vec<(ComparisonId, Compared)> {
    world.hosts[host].up_mut().replica.take_compared()
}

/// Outcome of a comparison that a host asks for now.
pub(super) fn compare(world: &mut World, host: usize, other: usize) -> Outcome {
    let id = ask(world, host, other).unwrap();
    world.run_for(MOMENT_MS);
    let mut reported = reported(world, host);
    let (of, outcome) = reported.pop().expect("it is over");
    assert!(reported.is_empty() && of == id);
    outcome.unwrap()
}

fn keys(outcome: &Outcome) -> Vec<String> {
    let text = |key: &Vec<u8>| String::from_utf8(key.clone()).unwrap();
    outcome.keys.iter().map(text).collect()
}

fn pair(kind: ReplicaOptions, count: usize) -> World {
    let mut world = stage(&[kind, options()]);
    world.line();
    world.put_many(1, "shared", count);
    world.run_for(MOMENT_MS);
    world
}

#[test]
fn whoever_asks_gets_a_comparison() {
    for host in [0, 1] {
        let mut world = apart(options(), 300);
        meet(&mut world);
        check_pair(&world);
        world.forget_what_was_said();
        let outcome = compare(&mut world, host, 1 - host);
        assert!(outcome.is_equal(), "{outcome:?}");
        assert_eq!(outcome.compared, 300);
        assert!(world.messages <= 12, "{}", world.messages);
        check_pair(&world);
    }
}

#[test]
fn what_waits_for_a_tick_is_a_difference_for_both_sides() {
    for count in [0, 3, 300] {
        for host in [0, 1] {
            let mut world = pair(manual(), count);
            world.put(0, "waits", "value");
            world.put(0, "waits-too", "value");
            world.run_for(100);
            let outcome = compare(&mut world, host, 1 - host);
            assert!(!outcome.is_equal(), "{count} {host} {outcome:?}");
            assert_eq!((outcome.sent, outcome.received), (0, 0));
            if host == 0 {
                assert_eq!(outcome.held_back, 2, "{count} {outcome:?}");
                assert_eq!(keys(&outcome), ["waits", "waits-too"]);
            }
            assert!(keys_sent(&world.said(0, 1)).is_empty());
            world.tick(0, false);
            world.run_for(MOMENT_MS);
            check_pair(&world);
            assert!(compare(&mut world, host, 1 - host).is_equal());
        }
    }
}

#[test]
fn what_a_wrong_hint_hid_is_found_named_and_sent() {
    for host in [0, 1] {
        let mut world = pair(options(), 300);
        world.checks_holdings = false;
        let origin = world.hosts[0].up().replica.origin();
        let range = DotRange {
            origin,
            first: 1,
            last: 100,
        };
        let have = Feed::Have(Have {
            ranges: vec![range],
        });
        let link = world.link(0, 1);
        world.hand_in(0, link, have, false);
        world.put(0, "hidden", "value");
        world.run_for(20);
        assert_eq!(world.get(1, "hidden"), None);
        let outcome = compare(&mut world, host, 1 - host);
        let (sent, received) = if host == 0 { (1, 0) } else { (0, 1) };
        assert_eq!((outcome.sent, outcome.received), (sent, received));
        assert_eq!(keys(&outcome), ["hidden"]);
        assert_eq!(world.get(1, "hidden").as_deref(), Some("value"));
        check_pair(&world);
    }
}

#[test]
fn what_a_peer_does_not_take_is_told_as_such() {
    let small = ReplicaOptions {
        value_bytes_max: 100,
        ..options()
    };
    let mut world = stage(&[options(), small]);
    world.line();
    world.put(0, "small", "value");
    world.put(0, "large", &"x".repeat(200));
    world.run_for(MOMENT_MS);
    let outcome = compare(&mut world, 0, 1);
    let moved = (outcome.sent, outcome.received, outcome.held_back);
    assert_eq!((moved, outcome.refused), ((0, 0, 0), 1));
    assert_eq!(keys(&outcome), ["large"]);
    assert!(!compare(&mut world, 1, 0).is_equal());
    assert!(world.closes.is_empty());
}

#[test]
fn what_is_under_way_is_no_difference() {
    for host in [0, 1] {
        let mut world = pair(options(), 300);
        let asked = ask(&mut world, host, 1 - host).unwrap();
        // Once after the request, and once in the middle of the comparison.
        world.put(host, "news", "value");
        world.run_for(6);
        let again = ask(&mut world, host, 1 - host).unwrap();
        world.run_for(MOMENT_MS);
        let reported = reported(&mut world, host);
        let ids: Vec<ComparisonId> = reported.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [asked, again]);
        let last = reported[1].1.as_ref().unwrap();
        assert!(last.is_equal(), "{last:?}");
        assert_eq!(last.compared, 301);
        check_pair(&world);
    }
}

#[test]
fn many_keys_are_counted_and_some_are_named() {
    let mut world = apart(manual(), 200);
    meet(&mut world);
    world.put_many(0, "of-0", 150);
    world.run_for(100);
    let outcome = compare(&mut world, 0, 1);
    assert_eq!(outcome.held_back, 150);
    assert_eq!(outcome.keys.len(), DIFFERING_KEYS_MAX);
    assert!(outcome.has_more_keys);
}

#[test]
fn nobody_waits_for_a_peer_that_is_gone_or_too_old() {
    let mut world = pair(options(), 10);
    let id = ask(&mut world, 0, 1).unwrap();
    let given_up = ask(&mut world, 0, 1).unwrap();
    let running = world.hosts[0].up_mut();
    running.replica.cancel_comparison(given_up);
    let link = world.link(0, 1);
    world.cut(0, 1);
    assert_eq!(reported(&mut world, 0), [(id, Err(Incomparable::Gone))]);
    let replica = &mut world.hosts[0].up_mut().replica;
    assert_eq!(replica.compare_with(link), Err(Incomparable::Gone));
    world.is_old = true;
    world.line();
    assert_eq!(ask(&mut world, 0, 1), Err(Incomparable::TooOld));
}

#[test]
fn a_comparison_is_told_after_a_disk_that_failed_in_its_middle() {
    let mut world = apart(options(), 300);
    meet(&mut world);
    world.cut(0, 1);
    write_apart(&mut world, 40);
    world.connect(0, 1, 5);
    world.run_for(8);
    let id = ask(&mut world, 0, 1).unwrap();
    world.hosts[0].storage.set_capacity_bytes(Some(0));
    world.run_for(100);
    world.hosts[0].storage.set_capacity_bytes(None);
    world.run_for(60_000);
    let reported = reported(&mut world, 0);
    assert_eq!(reported.len(), 1);
    assert_eq!(reported[0].0, id);
    check_pair(&world);
}
