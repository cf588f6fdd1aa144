//! Resolutions of conflicts leave in one go, where own writes wait for ticks.

use super::host::{Host, Stop};
use super::stage::{MOMENT_MS, manual};
use super::world::World;
use crate::store::commit::committer::Durability;
use crate::store::conflict::policy::ConflictPolicy::Manual;

fn open_conflicts(world: &World, host: usize) -> usize {
    world.hosts[host].up().conflicts().len()
}

/// Three hosts that each wrote `doc`, and all know the conflict.
fn in_conflict() -> World {
    let hosts = (0..3).map(|place| {
        let mut host = Host::new(&format!("node-{place}"), manual(), Durability::Synced);
        host.policy = Manual;
        host
    });
    let mut world = World::new(7, hosts.collect());
    for host in 0..3 {
        world.put(host, "doc", &format!("of {host}"));
        world.run_for(MOMENT_MS);
    }
    world.mesh();
    for host in 0..3 {
        world.tick(host, false);
    }
    world.run_for(60_000);
    assert_eq!([0, 1, 2].map(|host| open_conflicts(&world, host)), [1; 3]);
    world
}

/// A tick of the host that settled it removes the conflict everywhere, and brings all the value.
fn check_that_a_tick_settles(world: &mut World, value: &str) {
    world.tick(0, false);
    world.run_for(60_000);
    assert_eq!([0, 1, 2].map(|host| open_conflicts(world, host)), [0; 3]);
    assert_eq!(world.get(2, "doc"), Some(value.to_owned()));
    world.run_for(7_200_000);
    world.check_convergence();
}

#[test]
fn losers_stay_with_all_until_what_settles_them_leaves_with_a_tick() {
    let mut world = in_conflict();
    world.put(0, "other", "before");
    world.resolve(0, b"doc", b"settled");
    world.run_for(60_000);
    assert_eq!(
        [0, 1, 2].map(|host| open_conflicts(&world, host)),
        [0, 1, 1]
    );
    // The conflict stays as it is over another opening, and a comparison of everything.
    world.stop(0, Stop::PowerCut);
    world.open(0);
    world.mesh();
    world.run_for(600_000);
    assert_eq!(
        [0, 1, 2].map(|host| open_conflicts(&world, host)),
        [0, 1, 1]
    );
    check_that_a_tick_settles(&mut world, "settled");
}

#[test]
fn they_stay_also_where_what_settles_them_was_replaced_before_it_left() {
    let mut world = in_conflict();
    world.resolve(0, b"doc", b"settled");
    world.run_for(MOMENT_MS);
    world.put(0, "doc", "and changed");
    world.run_for(60_000);
    assert_eq!(
        [0, 1, 2].map(|host| open_conflicts(&world, host)),
        [0, 1, 1]
    );
    check_that_a_tick_settles(&mut world, "and changed");
}
