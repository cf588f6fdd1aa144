//! What is sent ahead of its place in the feed, because it would wait there for too long.

use super::host::options;
use super::stage::{keys_sent, stage};
use super::world::World;
use crate::sync::options::RELAY_DELAY_MS;

/// How long a write takes besides over a hub: two commits and two lines.
const WAYS_MS: u64 = 50;

/// Host 0 writes one key again and again; after each write so long passes.
fn rewrite(world: &mut World, every_ms: u64, for_ms: u64, mut look: impl FnMut(&World, u64)) {
    let began = world.at;
    let mut number = 0;
    while world.at < began + for_ms {
        world.put(0, "hot", &world.at.to_string());
        number += 1;
        for _ in 0..every_ms {
            world.run_for(1);
            look(world, number);
        }
    }
}

#[test]
fn a_key_that_is_rewritten_all_the_time_shows_a_recent_value_behind_a_hub() {
    for every_ms in [10, 50, 100, 140, 149, 151] {
        let mut world = stage(&[options(); 3]);
        world.line();
        let began = world.at;
        rewrite(&mut world, every_ms, 5_000, |world, _| {
            let bound_ms = 2 * RELAY_DELAY_MS + 2 * every_ms + 2 * WAYS_MS;
            if world.at < began + bound_ms {
                return;
            }
            let seen = world.get(2, "hot").expect("it has seen some of it");
            let seen: u64 = seen.parse().unwrap();
            assert!(
                world.at - seen <= bound_ms,
                "every {every_ms}: at {} the last that was seen is of {seen}",
                world.at
            );
        });
        world.run_for(60_000);
        world.check_convergence();
    }
}

#[test]
fn in_a_full_mesh_each_write_of_such_a_key_travels_about_once() {
    for every_ms in [20, 100, 140] {
        let mut world = stage(&[options(); 4]);
        world.mesh();
        world.forget_what_was_said();
        let mut writes = 0;
        rewrite(&mut world, every_ms, 5_000, |_, number| writes = number);
        world.run_for(1_000);
        let relayed: usize = [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)]
            .into_iter()
            .map(|(from, to)| keys_sent(&world.said(from, to)).len())
            .sum();
        let writes = usize::try_from(writes).unwrap();
        assert!(
            relayed * 10 <= writes,
            "{relayed} of {writes} are passed on"
        );
        world.run_for(60_000);
        world.check_convergence();
    }
}

#[test]
fn a_key_that_is_rewritten_all_the_time_arrives_over_a_line_that_was_cut() {
    let mut world = stage(&[options(); 3]);
    world.line();
    rewrite(&mut world, 100, 1_000, |_, _| {});
    world.cut(1, 2);
    rewrite(&mut world, 100, 400, |_, _| {});
    world.connect(1, 2, 5);
    world.run_for(60_000);
    assert_eq!(world.get(2, "hot"), world.get(0, "hot"));
    world.check_convergence();
}
