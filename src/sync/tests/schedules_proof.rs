//! The comparison of ends: quiet when all is well, and a repair when it is not.

use super::host::options;
use super::stage::{MOMENT_MS, keys_sent, manual, stage};
use super::world::World;
use crate::core::identity::{Dot, Origin};
use crate::core::stamp::Stamp;
use crate::store::entry::{Entry, EntryFlags, Extra};
use crate::sync::message::{DotRange, Feed, Have};

/// Puts an entry into a node's map that no feed will carry: below its cursors, from nobody.
fn smuggle(world: &mut World, host: usize, key: &str) {
    let payload = [b"\0", key.as_bytes(), b"smuggled"].concat();
    let dot = Dot {
        origin: Origin([9; 16]),
        sequence: 1 + world.written.len() as u64,
    };
    let stamp = Stamp(world.now(host).wall.0 << 16);
    let entry = Entry::new(
        payload.into(),
        key.len() + 1,
        EntryFlags::default(),
        dot,
        stamp,
        1,
        Extra::default(),
    )
    .unwrap();
    world.written.insert(dot, vec![entry.clone()]);
    let running = world.hosts[host].up_mut();
    // The place lies in the stream of relayed entries, after all cursors, and is free.
    running.map.install(entry, 1, Some(Origin([3; 16])));
}

#[test]
fn in_a_mesh_each_entry_reaches_each_node_about_once() {
    let count = 2_000;
    for burst in [1, 50, 500] {
        let mut world = stage(&[options(), options(), options()]);
        world.mesh();
        world.forget_what_was_said();
        for number in 0..count {
            world.put(0, &format!("key-{number:05}"), "value");
            if number % burst == burst - 1 {
                world.run_for(7);
            }
        }
        world.run_for(5_000);
        world.check_convergence();
        // Two nodes want each entry once; 1.3 is the goal, and a hint a batch makes nearly all of it.
        assert!(
            world.entries * 10 <= 2 * count * 13,
            "{} entries for {count} in bursts of {burst}",
            world.entries
        );
    }
}

#[test]
fn once_all_is_equal_nobody_speaks_or_syncs() {
    let mut world = stage(&[options(), options(), options(), options()]);
    world.mesh();
    for host in 0..4 {
        world.put_many(host, &format!("of-{host}"), 20);
    }
    world.run_for(5_000);
    world.check_convergence();
    world.forget_what_was_said();
    let calls: Vec<u64> = world
        .hosts
        .iter()
        .map(|host| host.storage.calls())
        .collect();
    world.run_for(24 * 3_600_000);
    assert_eq!(world.messages, 0);
    for (host, calls) in world.hosts.iter().zip(calls) {
        assert_eq!(
            host.storage.calls(),
            calls,
            "{} touches its disk",
            host.name
        );
    }
}

#[test]
fn one_write_costs_few_messages() {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.forget_what_was_said();
    world.put(0, "key", "value");
    world.run_for(10_000);
    // The batch and its acknowledgement, an END each way, and the acknowledgements of the cursors that these move.
    let said: Vec<Feed> = [world.said(0, 1), world.said(1, 0)].concat();
    assert!(said.len() <= 6, "{said:?}");
    world.check_convergence();
}

#[test]
fn states_that_differ_behind_all_cursors_are_mended() {
    for (who, manual_ticks) in [(0, false), (1, false), (0, true), (1, true)] {
        let kind = if manual_ticks { manual() } else { options() };
        let mut world = stage(&[kind, kind]);
        world.line();
        world.put_many(0, "a", 10);
        world.put_many(1, "b", 10);
        world.run_for(1_000);
        for host in [0, 1] {
            world.tick(host, false);
        }
        world.run_for(3_000);
        assert!(world.peer(0, 1).in_sync);
        smuggle(&mut world, who, "hidden");
        world.checks_holdings = false;
        world.put(0, "news", "value");
        world.run_for(1_000);
        world.tick(0, false);
        world.run_for(10_000);
        world.checks_holdings = true;
        assert_eq!(world.get(1 - who, "hidden").as_deref(), Some("smuggled"));
        world.check_convergence();
        assert!(world.closes.is_empty());
    }
}

#[test]
fn what_cannot_be_mended_is_tried_seldom() {
    // The peer refuses an entry silently: it is given the feed anew, to no avail.
    let mut world = stage(&[options(), options()]);
    world.line();
    world.put_many(0, "key", 50);
    world.run_for(5_000);
    smuggle(&mut world, 0, "hidden");
    // No stream sends an entry at place 0.
    let running = world.hosts[0].up_mut();
    let entry = running
        .map
        .entry(b"\0hidden")
        .unwrap()
        .unwrap()
        .into_owned();
    running.map.install(entry, 0, Some(Origin([3; 16])));
    world.forget_what_was_said();
    world.put(0, "news", "value");
    world.run_for(60_000);
    let first = keys_sent(&world.said(0, 1)).len();
    assert!(first <= 110, "{first} entries: the news, and the feed once");
    world.run_for(3_600_000);
    assert!(world.messages < 60, "{} messages", world.messages);
}

#[test]
fn a_repair_that_finds_nothing_backs_off_across_new_writes() {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.put_many(0, "key", 50);
    world.run_for(5_000);
    // The entry is held, but at no place of any stream, and so never sent.
    let payload = b"\0hidden".to_vec();
    let entry = Entry::new(
        payload.into(),
        7,
        EntryFlags::TOMBSTONE,
        Dot {
            origin: Origin([9; 16]),
            sequence: 1,
        },
        Stamp(1),
        1,
        Extra::default(),
    );
    let entry = entry.unwrap();
    world.written.insert(entry.dot, vec![entry.clone()]);
    let running = world.hosts[0].up_mut();
    running.map.install(entry, 0, Some(Origin([3; 16])));
    world.forget_what_was_said();
    for number in 0..100 {
        world.put(0, &format!("news-{number}"), "value");
        world.run_for(5_000);
    }
    // In 500 s there are three repairs: a minute after the first, then two, then four.
    let sent = keys_sent(&world.said(0, 1)).len();
    assert!(
        sent < 100 + 5 * 150,
        "{sent} entries: the feed was sent again and again"
    );
    world.run_for(MOMENT_MS);
}

#[test]
fn who_becomes_equal_by_somebody_else_knows_that_it_is_in_sync() {
    let mut world = stage(&[options(), options(), options()]);
    world.connect(0, 1, 5);
    world.connect(1, 2, 5);
    world.put(1, "before", "value");
    world.run_for(MOMENT_MS);
    world.checks_holdings = false;
    // A wrong hint makes the next write go only to the third host.
    let origin = world.hosts[1].up().replica.origin();
    let wrong = DotRange {
        origin,
        first: 2,
        last: 2,
    };
    let have = Have {
        ranges: vec![wrong],
    };
    let back = world.link(1, 0);
    world.hand_in(1, back, Feed::Have(have), false);
    world.drain(1);
    world.put(1, "key", "value");
    world.run_for(50);
    // The end is told once more, and found unequal for the first time: it was not settled before.
    let link = world.link(0, 1);
    let end = world.hosts[1].up().replica.links[&back].sending.end;
    world.hand_in(0, link, Feed::End(end.unwrap()), false);
    world.drain(0);
    world.connect(0, 2, 5);
    world.run_for(3 * MOMENT_MS);
    // The host that told the end has no news since, and does not tell it again.
    for (host, link) in [(0, link), (1, back)] {
        let is_known = world.hosts[host].up().replica.is_in_sync(link);
        assert!(is_known, "{host} does not know that it is in sync");
    }
    world.check_convergence();
}
