//! A peer whose label another identity had before it.

use super::host::{Stop, options};
use super::stage::{MOMENT_MS, stage};
use super::world::World;
use crate::core::identity::Origin;
use crate::store::scope::Scope;
use crate::sync::identity::identity_conflict::{IdentityConflict, IdentityConflictReason};
use crate::sync::options::{AckPolicy, ReplicaOptions};

fn held_by_all() -> ReplicaOptions {
    ReplicaOptions {
        ack_policy: AckPolicy::All,
        ..options()
    }
}

fn is_all_acknowledged(world: &World, host: usize) -> bool {
    let counts = world.counts(host);
    counts.total() > 0 && counts.acknowledged == counts.total()
}

#[test]
fn a_peer_of_another_identity_takes_the_place_of_the_one_before() {
    for how in [Stop::Cleanly, Stop::PowerCut] {
        let mut world = stage(&[held_by_all(), options(), options()]);
        world.connect(0, 1, 5);
        world.connect(0, 2, 5);
        world.put(0, "before", "1");
        world.run_for(MOMENT_MS);
        assert!(is_all_acknowledged(&world, 0));
        let identity_conflict = IdentityConflict {
            reason: IdentityConflictReason::Shared,
            node_id: String::new(),
        };
        world.renew(1, &identity_conflict);
        world.put(0, "apart", "1");
        world.run_for(MOMENT_MS);
        assert!(!is_all_acknowledged(&world, 0), "the one before counts yet");
        world.connect(0, 1, 5);
        world.run_for(MOMENT_MS);
        assert!(is_all_acknowledged(&world, 0), "{:?}", world.counts(0));
        // One of the two counts after another opening, before anybody is met.
        world.stop(0, how);
        world.open(0);
        if matches!(how, Stop::Cleanly) {
            assert!(is_all_acknowledged(&world, 0), "{:?}", world.counts(0));
        }
        let running = world.hosts[0].up();
        let status = running.replica.peer_status(&running.map).unwrap();
        let names: Vec<&str> = status.iter().map(|peer| &peer.node_id[..]).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        world.put(0, "after", "1");
        world.connect(0, 1, 5);
        world.run_for(MOMENT_MS);
        assert!(!is_all_acknowledged(&world, 0), "the third is away");
        world.connect(0, 2, 5);
        world.run_for(MOMENT_MS);
        assert!(is_all_acknowledged(&world, 0));
    }
}

#[test]
fn a_peer_whose_old_connection_seems_to_hold_takes_its_place_once_it_is_gone() {
    let mut world = stage(&[held_by_all(), options()]);
    world.line();
    world.put(0, "before", "1");
    world.run_for(MOMENT_MS);
    let now = world.now(0);
    let mut greeting = {
        let running = world.hosts[1].up_mut();
        running.replica.greeting(&Scope::ALL, now, &running.map)
    };
    greeting.origin = Origin([9; 16]);
    let running = world.hosts[0].up_mut();
    let link = 1_000;
    running
        .replica
        .connected(link, &greeting, &Scope::ALL, now, &running.map);
    let is_superseded = |world: &World| {
        let replica = &world.hosts[0].up().replica;
        let origin = world.hosts[1].up().replica.origin();
        replica.peers[&origin].is_superseded
    };
    assert!(!is_superseded(&world), "two that are connected are two");
    while world.hosts[0].up_mut().replica.poll().is_some() {}
    world.cut(0, 1);
    assert!(is_superseded(&world));
    let running = world.hosts[0].up_mut();
    running.replica.disconnected(link, &running.map);
    world.line();
    assert!(!is_superseded(&world), "it is back");
}
