//! Entries sent ahead of their place in the feed, because they would wait there for too long.

use super::host::options;
use super::stage::{keys_sent, stage};
use super::wire::Packet;
use super::world::World;
use crate::sync::message::Feed;
use crate::sync::options::RELAY_DELAY_MS;

/// Time that a write takes over a hub besides waiting: two commits and two lines.
const WAYS_MS: u64 = 50;

/// Host 0 writes one key again and again, every `every_ms`.
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

/// A world with a first sync over a line that takes seconds for the entries there are.
fn first_sync(prefix: &str) -> World {
    let mut world = stage(&[options(); 3]);
    for number in 0..400 {
        world.put(0, &format!("{prefix}-{number}"), &"x".repeat(100_000));
    }
    world.run_for(2_000);
    world.connect(0, 1, 5);
    world
}

/// Lets the line to host 1 carry one message each `every_ms`.
fn slow_down(world: &mut World, every_ms: u64) {
    let wire = world.wire_between(0, 1).unwrap();
    let end = world.wires[wire].ends.iter_mut().find(|end| end.host == 1);
    let mut last = None;
    for (due, _) in &mut end.unwrap().arriving {
        *due = last.map_or(*due, |last| (*due).max(last + every_ms));
        last = Some(*due);
    }
}

#[test]
fn a_new_write_shows_while_much_that_is_old_is_on_its_way() {
    let mut world = first_sync("old");
    let began = world.at;
    let mut written = None;
    while world.get(1, "new").is_none() {
        slow_down(&mut world, 20);
        world.run_for(1);
        if written.is_none() && world.at > began + 1_000 {
            world.put(0, "new", "here");
            written = Some(world.at);
        }
        assert!(
            world.get(1, "old-399").is_none(),
            "it waits behind all that is old"
        );
    }
    let took = world.at - written.unwrap();
    assert!(took < 2_000, "{took}");
    world.connect(0, 2, 5);
    world.run_for(60_000);
    world.check_convergence();
}

#[test]
fn a_write_that_is_passed_on_shows_while_much_that_is_old_is_on_its_way() {
    let mut world = first_sync("old");
    world.connect(0, 2, 5);
    let began = world.at;
    let mut written = None;
    while world.get(1, "new").is_none() {
        slow_down(&mut world, 20);
        world.run_for(1);
        if written.is_none() && world.at > began + 1_000 {
            world.put(2, "new", "here");
            written = Some(world.at);
        }
        assert!(
            world.get(1, "old-399").is_none(),
            "it waits behind all that is old"
        );
    }
    let took = world.at - written.unwrap();
    assert!(took < 3_000, "{took}");
    world.run_for(60_000);
    world.check_convergence();
}

#[test]
fn what_was_sent_ahead_and_could_not_be_stored_is_sent_again() {
    let mut world = stage(&[options(); 2]);
    world.line();
    world.put(0, "film", &"x".repeat(30_000_000));
    world.put_many(0, "note", 10);
    world.run_for(7);
    world.hosts[1].storage.set_capacity_bytes(Some(0));
    world.run_for(300);
    world.hosts[1].storage.set_capacity_bytes(None);
    world.run_for(60_000);
    assert_eq!(world.get(1, "note-00009").as_deref(), Some("value"));
    assert!(world.get(1, "film").is_some());
    world.check_convergence();
}

/// Runs for `for_ms` while host 1 behaves like an older build, which does not confirm batches that move no position.
fn run_unconfirmed(world: &mut World, for_ms: u64) {
    for _ in 0..for_ms {
        let wire = world.wire_between(0, 1).unwrap();
        let ends = world.wires[wire].ends.iter_mut();
        for (_, packet) in ends.flat_map(|end| &mut end.arriving) {
            if let Packet::Feed(Feed::Ack(ack)) = packet {
                ack.aside = 0;
            }
        }
        world.run_for(1);
    }
}

#[test]
fn what_was_sent_ahead_is_forgotten_once_its_stream_has_come_to_it_though_nobody_confirms_it() {
    let mut world = stage(&[options(); 2]);
    world.line();
    for number in 0..7 {
        world.put(0, "film", &"x".repeat(30_000_000 + number));
        world.put(0, &format!("note-{number}"), "here");
        run_unconfirmed(&mut world, 500);
    }
    let mut links = world.hosts[0].up().replica.links.values();
    let sending = &links.next().unwrap().sending;
    assert!(sending.aside_batches >= 7, "{}", sending.aside_batches);
    let kept = sending.asides.len();
    assert!(kept <= 5, "{kept} batches are remembered");
    world.run_for(60_000);
    world.check_convergence();
}
