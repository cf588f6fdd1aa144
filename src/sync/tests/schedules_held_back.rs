//! A settled conflict that waits for a tick holds back its own removals only: everything else is relayed.

use super::host::{Host, Stop, options};
use super::stage::{MOMENT_MS, manual};
use super::world::World;
use crate::store::commit::committer::Durability;
use crate::store::conflict::policy::ConflictPolicy::Manual;
use crate::store::entry::Namespace;

/// Three hosts in a line. The middle one waits for ticks: it has settled a conflict that all know, and written
/// something else, and was not ticked since.
fn settled_without_tick() -> World {
    let hosts = [options(), manual(), options()];
    let hosts = hosts.iter().enumerate().map(|(place, options)| {
        let mut host = Host::new(&format!("node-{place}"), *options, Durability::Synced);
        host.policy = Manual;
        host
    });
    let mut world = World::new(7, hosts.collect());
    for host in 0..3 {
        world.put(host, "doc", &format!("of {host}"));
        world.run_for(MOMENT_MS);
    }
    world.line();
    world.tick(1, false);
    world.run_for(60_000);
    assert!((0..3).all(|host| has_conflict(&world, host)));
    world.put(1, "waits", "for a tick");
    world.resolve(1, b"doc", b"settled");
    world.run_for(MOMENT_MS);
    assert!(!has_conflict(&world, 1) && holds(&world, 1, "doc", "settled"));
    world
}

fn has_conflict(world: &World, host: usize) -> bool {
    !world.hosts[host].up().conflicts().is_empty()
}

fn holds(world: &World, host: usize, key: &str, value: &str) -> bool {
    world.get(host, key).as_deref() == Some(value)
}

/// Losers of the conflict that a host keeps.
fn kept(world: &World, host: usize) -> usize {
    let map = &world.hosts[host].up().map;
    let kept = map.range_from(std::ops::Bound::Included(&[Namespace::Conflict as u8]));
    kept.filter(|entry| !entry.as_ref().unwrap().is_tombstone())
        .count()
}

#[test]
fn what_is_relayed_does_not_wait_for_a_tick_behind_a_conflict_that_was_settled_without_one() {
    let mut world = settled_without_tick();
    world.put(0, "later", "1");
    world.run_for(MOMENT_MS);
    assert!(holds(&world, 2, "later", "1"));
    assert_eq!(
        (kept(&world, 0), kept(&world, 2)),
        (2, 2),
        "nothing goes ahead of its row"
    );
    world.tick(1, false);
    world.run_for(MOMENT_MS);
    for host in [0, 2] {
        assert!(holds(&world, host, "doc", "settled") && kept(&world, host) == 0);
    }
    world.run_for(60_000);
    world.check_convergence();
}

#[test]
fn what_was_passed_over_is_sent_with_its_row_whatever_was_acknowledged_behind_it_before() {
    for (cuts, restarts) in [(true, false), (false, true), (true, true)] {
        let mut world = settled_without_tick();
        world.put(0, "later", "1");
        world.run_for(60_000);
        assert!(holds(&world, 2, "later", "1"));
        if cuts {
            world.cut(0, 1);
            world.cut(1, 2);
        }
        if restarts {
            world.stop(1, Stop::Killed);
            world.open(1);
        }
        world.line();
        assert_eq!((kept(&world, 0), kept(&world, 2)), (2, 2));
        world.tick(1, false);
        world.run_for(MOMENT_MS);
        // No comparison of states was needed for it.
        for host in [0, 2] {
            assert!(holds(&world, host, "doc", "settled") && kept(&world, host) == 0);
        }
        world.run_for(60_000);
        world.check_convergence();
    }
}

#[test]
fn it_follows_a_row_that_has_moved_behind_it_before_it_left() {
    let mut world = settled_without_tick();
    world.put(1, "between", "1");
    world.put(1, "doc", "settled anew");
    world.put(0, "later", "1");
    world.run_for(MOMENT_MS);
    assert!(holds(&world, 2, "later", "1"));
    world.hosts[1].options.batch_size = 1;
    for _ in 0..3 {
        assert_eq!((kept(&world, 0), kept(&world, 2)), (2, 2));
        assert!(!holds(&world, 2, "doc", "settled anew"));
        world.hosts[1].up_mut().replica.options.batch_size = 1;
        world.tick(1, false);
        world.run_for(MOMENT_MS);
    }
    world.run_for(MOMENT_MS);
    for host in [0, 2] {
        assert!(holds(&world, host, "doc", "settled anew") && kept(&world, host) == 0);
    }
    world.run_for(60_000);
    world.check_convergence();
}

#[test]
fn while_something_waits_a_comparison_brings_everything_else() {
    let mut world = settled_without_tick();
    world.cut(1, 2);
    world.put(0, "later", "1");
    world.run_for(MOMENT_MS);
    world.connect(1, 2, 5);
    world.run_for(5);
    let link = world.link(2, 1);
    while world.hosts[2].up_mut().replica.compare_with(link).is_err() {
        world.run_for(5);
    }
    world.run_for(MOMENT_MS);
    let compared = world.hosts[2].up_mut().replica.take_compared();
    assert_eq!(compared.len(), 1, "it has come to an end");
    assert!(holds(&world, 2, "later", "1"));
    assert_eq!(kept(&world, 2), 2);
}
