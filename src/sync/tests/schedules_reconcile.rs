//! Reconciliation: when it begins, what travels, and what may come in between.

use super::dice::Dice;
use super::host::{Stop, options};
use super::stage::{MOMENT_MS, keys_sent, manual, stage};
use super::world::World;
use crate::disk::memory::MemoryStorage;
use crate::sync::message::{Claim, Feed};
use crate::sync::options::ReplicaOptions;

/// Two hosts that never met, and hold the same except for their own writes.
pub(super) fn apart(kind: ReplicaOptions, shared: usize) -> World {
    let mut world = stage(&[kind, kind, options()]);
    world.connect(0, 2, 5);
    world.connect(1, 2, 5);
    world.put_many(2, "shared", shared);
    world.run_for(5_000);
    world.stop(2, Stop::Cleanly);
    assert_eq!(
        world.hosts[0].up().map.summary(),
        world.hosts[1].up().map.summary()
    );
    world
}

/// Writes on both hosts while apart: new keys, and keys that both had.
pub(super) fn write_apart(world: &mut World, count: usize) {
    for host in [0, 1] {
        world.put_many(host, &format!("of-{host}"), count);
        for number in 0..count {
            let key = format!("shared-{number:05}");
            world.put(host, &key, &format!("by {host}"));
        }
    }
    world.run_for(1_000);
}

pub(super) fn meet(world: &mut World) {
    world.forget_what_was_said();
    let renewals = world.renewals.len();
    world.connect(0, 1, 5);
    world.run_for(MOMENT_MS);
    if world.renewals.len() > renewals {
        // A host that has taken another identity has to be connected again.
        world.connect(0, 1, 5);
        world.run_for(MOMENT_MS);
    }
}

/// Checks that the two hosts that met are equal, in sync and acknowledged.
pub(super) fn check_pair(world: &World) {
    assert_eq!(
        world.hosts[0].up().map.summary(),
        world.hosts[1].up().map.summary()
    );
    assert!(world.peer(0, 1).in_sync && world.peer(1, 0).in_sync);
    for host in [0, 1] {
        let counts = world.counts(host);
        assert_eq!(
            (counts.queued, counts.in_flight, counts.failed),
            (0, 0, 0),
            "{host}"
        );
    }
    assert!(world.closes.is_empty(), "{:?}", world.closes);
}

#[test]
fn who_holds_the_same_through_a_third_only_greets() {
    let mut world = apart(options(), 500);
    meet(&mut world);
    for (from, to) in [(0, 1), (1, 0)] {
        let said = world.said(from, to);
        assert!(keys_sent(&said).is_empty(), "{said:?}");
        assert!(said.len() <= 4, "{said:?}");
        let ranges = said.iter().any(|feed| matches!(feed, Feed::Ranges(_)));
        assert!(!ranges, "{said:?}");
    }
    check_pair(&world);
    // It also holds if one of them writes while they greet.
    let mut world = apart(options(), 500);
    world.forget_what_was_said();
    world.connect(0, 1, 5);
    world.put(0, "news", "value");
    world.run_for(MOMENT_MS);
    assert_eq!(keys_sent(&world.said(0, 1)), ["news"]);
    assert!(keys_sent(&world.said(1, 0)).is_empty());
    check_pair(&world);
}

#[test]
fn a_first_meeting_carries_the_difference_both_ways() {
    let mut world = apart(options(), 1_000);
    write_apart(&mut world, 30);
    meet(&mut world);
    let (there, back) = (world.said(0, 1), world.said(1, 0));
    // The keys that both wrote apart go both ways: each side has to see that there was a conflict.
    let sent = keys_sent(&there).len() + keys_sent(&back).len();
    assert_eq!(sent, 30 + 30 + 2 * 30);
    check_pair(&world);
    for host in [0, 1] {
        assert_eq!(world.counts(host).acknowledged, world.counts(host).total());
    }
    // Later writes travel once.
    world.put(0, "later", "value");
    world.run_for(MOMENT_MS);
    assert_eq!(keys_sent(&world.said(0, 1)), ["later"]);
    check_pair(&world);
}

#[test]
fn who_has_nothing_gets_the_feed() {
    let mut world = stage(&[options(), options()]);
    world.put_many(0, "key", 300);
    world.run_for(1_000);
    meet(&mut world);
    let said = world.said(0, 1);
    assert_eq!(keys_sent(&said).len(), 300);
    assert!(!said.iter().any(|feed| matches!(feed, Feed::Ranges(_))));
    check_pair(&world);
}

#[test]
fn a_restored_backup_gets_back_what_it_lost_and_keeps_what_it_wrote() {
    for lose_lease in [false, true] {
        let mut world = stage(&[options(), options()]);
        world.line();
        world.put_many(0, "a", 400);
        world.put_many(1, "b", 400);
        world.run_for(3_000);
        world.hosts[0].image = Some(world.hosts[0].storage.image());
        world.put_many(0, "lost", 7);
        world.run_for(3_000);
        world.stop(0, Stop::Killed);
        world.hosts[0].roll_back(&mut Dice::new(3));
        if lose_lease {
            world.hosts[0].lose_lease();
        }
        world.open(0);
        world.put_many(0, "since", 3);
        world.run_for(1_000);
        meet(&mut world);
        world.run_for(3_000);
        let back = keys_sent(&world.said(1, 0));
        assert!(
            back.len() <= 7 + 3 && back.iter().filter(|key| key.starts_with("lost")).count() == 7,
            "{back:?}"
        );
        let there = keys_sent(&world.said(0, 1));
        assert_eq!(there.len(), 3, "{there:?}");
        check_pair(&world);
        world.check_convergence();
    }
}

#[test]
fn own_writes_wait_for_their_tick() {
    let mut world = apart(manual(), 200);
    for host in [0, 1] {
        world.tick(host, false);
    }
    write_apart(&mut world, 20);
    meet(&mut world);
    for (from, to) in [(0, 1), (1, 0)] {
        let said = world.said(from, to);
        assert!(keys_sent(&said).is_empty(), "{:?}", keys_sent(&said));
        for feed in &said {
            let Feed::Ranges(ranges) = feed else { continue };
            for part in &ranges.parts {
                let keys: Vec<_> = match &part.claim {
                    Claim::List(list) => list.iter().map(|listed| listed.key.clone()).collect(),
                    Claim::These(keys) => keys.clone(),
                    _ => Vec::new(),
                };
                let own = format!("of-{from}");
                let is_own = |key: &Vec<u8>| key[1..].starts_with(own.as_bytes());
                assert!(!keys.iter().any(is_own), "{part:?}");
            }
        }
    }
    for host in [0, 1] {
        let counts = world.counts(host);
        assert_eq!((counts.queued, counts.in_flight), (40, 0));
        world.tick(host, false);
        world.run_for(MOMENT_MS);
    }
    check_pair(&world);
    let sent = keys_sent(&world.said(0, 1)).len() + keys_sent(&world.said(1, 0)).len();
    assert!(sent <= 80, "each own write once: {sent}");
}

#[test]
fn a_connection_that_breaks_anywhere_begins_anew() {
    for breaks_after in 0..14 {
        let mut world = apart(options(), 300);
        write_apart(&mut world, 15);
        world.forget_what_was_said();
        world.connect(0, 1, 5);
        let mut heard = 0;
        for _ in 0..2_000 {
            world.run_for(1);
            heard = world.messages;
            if heard >= breaks_after {
                break;
            }
        }
        assert!(heard >= breaks_after);
        world.cut(0, 1);
        world.run_for(500);
        let how = [Stop::Killed, Stop::PowerCut][usize::try_from(breaks_after).unwrap() % 2];
        world.stop(1, how);
        world.open(1);
        world.connect(0, 1, 5);
        world.run_for(MOMENT_MS);
        check_pair(&world);
        let sent = keys_sent(&world.said(0, 1)).len() + keys_sent(&world.said(1, 0)).len();
        assert!(
            sent <= 2 * 60,
            "{sent} entries, broken after {breaks_after}"
        );
    }
}

#[test]
fn writes_while_it_runs_follow_in_the_feed() {
    for seed in 0..20 {
        let mut world = apart(options(), 400);
        write_apart(&mut world, 25);
        world.commit_ms = 20;
        world.forget_what_was_said();
        world.connect(0, 1, 10);
        for round in 0..60 {
            let host = (round + seed) % 2;
            world.put(
                host,
                &format!("shared-{:05}", (round * 37 + seed) % 400),
                "while",
            );
            world.put(host, &format!("new-{round}"), "while");
            world.run_for(3);
        }
        world.run_for(3 * MOMENT_MS);
        check_pair(&world);
        let sent = keys_sent(&world.said(0, 1)).len() + keys_sent(&world.said(1, 0)).len();
        assert!(sent < 75 + 2 * 120 + 60, "{sent}");
    }
}

#[test]
fn large_values_and_removals_are_carried_too() {
    let mut world = apart(options(), 100);
    for host in [0, 1] {
        world.put(host, &format!("large-{host}"), &"x".repeat(700_000));
        world.put(host, &format!("small-{host}"), "value");
        world.put(host, &format!("larger-{host}"), &"y".repeat(900_000));
        world.write(host, format!("shared-0000{host}").as_bytes(), None);
    }
    world.run_for(1_000);
    meet(&mut world);
    world.run_for(3_000);
    check_pair(&world);
    assert_eq!(
        world.get(0, "larger-1").map(|value| value.len()),
        Some(900_000)
    );
    assert_eq!(
        world.get(1, "large-0").map(|value| value.len()),
        Some(700_000)
    );
    assert_eq!(world.get(0, "shared-00001"), None);
    let sent = keys_sent(&world.said(0, 1)).len() + keys_sent(&world.said(1, 0)).len();
    assert_eq!(sent, 8);
}

#[test]
fn a_node_without_a_log_reconciles_too() {
    let memory = ReplicaOptions {
        durable: false,
        ..options()
    };
    let mut world = stage(&[memory, options()]);
    world.put_many(0, "a", 200);
    world.put_many(1, "b", 200);
    world.run_for(1_000);
    meet(&mut world);
    assert_eq!(keys_sent(&world.said(0, 1)).len(), 200);
    assert_eq!(keys_sent(&world.said(1, 0)).len(), 200);
    assert_eq!(
        world.hosts[0].up().map.summary(),
        world.hosts[1].up().map.summary()
    );
    assert!(world.peer(0, 1).in_sync && world.peer(1, 0).in_sync);
}

#[test]
fn a_peer_that_lost_its_disk_needs_no_list() {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.put_many(0, "a", 100);
    world.run_for(3_000);
    world.stop(1, Stop::Killed);
    world.hosts[1].storage = MemoryStorage::new();
    world.hosts[1].witness.clear();
    world.open(1);
    meet(&mut world);
    world.run_for(3_000);
    let said = world.said(0, 1);
    assert_eq!(keys_sent(&said).len(), 100);
    check_pair(&world);
}
