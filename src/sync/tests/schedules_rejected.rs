//! Entries that a peer refuses for good: listed, and blocking nothing.

use super::host::{Stop, options};
use super::stage::{manual, stage};
use super::world::World;
use crate::store::commit::operation::Request;
use crate::sync::message::{DotRange, Feed, Have};
use crate::sync::options::ReplicaOptions;

const LIMIT: u64 = 1_000;

fn small() -> ReplicaOptions {
    ReplicaOptions {
        value_bytes_max: LIMIT,
        ..options()
    }
}

/// A node with a value that is too large for its peer, among others that are not.
fn with_rejected() -> World {
    let mut world = stage(&[options(), small()]);
    world.line();
    world.put(0, "before", "1");
    world.run_for(1_000);
    world.put(0, "large", &"x".repeat(5_000));
    world.run_for(1_000);
    world.put(0, "behind", "2");
    world.run_for(3_000);
    world
}

fn counts(world: &World) -> (u64, u64, u64) {
    let counts = world.counts(0);
    (
        counts.acknowledged,
        counts.failed,
        counts.queued + counts.in_flight,
    )
}

#[test]
fn a_value_over_the_peers_limit_is_listed_as_failed_and_blocks_nothing() {
    let mut world = with_rejected();
    assert!(world.closes.is_empty(), "{:?}", world.closes);
    assert_eq!(world.get(1, "behind").as_deref(), Some("2"));
    assert_eq!(world.get(1, "large"), None);
    assert_eq!(counts(&world), (2, 1, 0));
    // The counts stay, and once it is known that nothing else differs no more messages are sent.
    world.run_for(120_000);
    world.forget_what_was_said();
    world.run_for(3_600_000);
    assert_eq!(world.messages, 0);
    assert_eq!(counts(&world), (2, 1, 0));
    assert!(!world.peer(0, 1).in_sync && !world.peer(1, 0).in_sync);
    let running = world.hosts[0].up();
    let status = running.replica.peer_status(&running.map).unwrap();
    assert_eq!(status[0].refused, 1);
}

#[test]
fn it_stays_listed_over_a_restart_and_a_reconnect() {
    let mut world = with_rejected();
    for _ in 0..2 {
        world.stop(0, Stop::PowerCut);
        world.open(0);
        assert_eq!(world.counts(0).failed, 1);
        // The log is flushed before a peer is met, as a node does: peers are told an epoch that is durable.
        world.request(0, Request::Flush { ticket: 1 });
        world.run_for(10);
        world.line();
        assert_eq!(counts(&world), (2, 1, 0));
    }
}

#[test]
fn what_one_peer_refused_others_get_without_another_tick() {
    let mut world = stage(&[manual(), small(), options()]);
    world.connect(0, 1, 5);
    world.run_for(1_000);
    world.put(0, "large", &"x".repeat(5_000));
    world.run_for(1_000);
    world.tick(0, false);
    world.run_for(1_000);
    assert_eq!(counts(&world), (0, 1, 0));
    world.stop(0, Stop::Cleanly);
    world.open(0);
    world.connect(0, 2, 5);
    world.run_for(3_000);
    // Nothing was queued that a program would have ticked for.
    assert!(world.get(2, "large").is_some());
    assert_eq!(counts(&world), (1, 0, 0));
}

#[test]
fn retry_failed_offers_it_again_and_lists_it_again() {
    let mut world = with_rejected();
    assert_eq!(world.retry_failed(0), 1);
    world.run_for(3_000);
    assert!(world.closes.is_empty(), "{:?}", world.closes);
    assert_eq!(counts(&world), (2, 1, 0), "the peer has not got larger");
    // Retrying also works while the peer is away.
    world.cut(0, 1);
    assert_eq!(world.retry_failed(0), 1);
    world.line();
    assert_eq!(counts(&world), (2, 1, 0));
    assert_eq!(world.get(1, "large"), None);
}

#[test]
fn a_peer_that_takes_more_than_before_gets_it() {
    for large in [5_000, 700_000] {
        let mut world = stage(&[options(), small()]);
        world.line();
        world.put(0, "large", &"x".repeat(large));
        world.run_for(1_000);
        world.put(0, "behind", "2");
        world.run_for(3_000);
        assert_eq!(counts(&world), (1, 1, 0));
        world.stop(1, Stop::Cleanly);
        world.hosts[1].options = options();
        world.open(1);
        world.line();
        world.retry_failed(0);
        world.run_for(3_000);
        assert_eq!(world.get(1, "large").map(|value| value.len()), Some(large));
        assert_eq!(counts(&world), (2, 0, 0));
        world.check_convergence();
    }
}

#[test]
fn once_it_is_replaced_by_less_everything_is_well() {
    let mut world = with_rejected();
    world.put(0, "large", "small");
    world.run_for(5_000);
    assert_eq!(world.get(1, "large").as_deref(), Some("small"));
    assert_eq!(counts(&world), (3, 0, 0));
    assert!(world.peer(0, 1).in_sync && world.peer(1, 0).in_sync);
    world.check_convergence();
}

#[test]
fn a_rejected_entry_of_another_author_is_nobodys_row_and_blocks_nothing() {
    let mut world = stage(&[options(), options(), small()]);
    world.line();
    world.put(0, "large", &"x".repeat(5_000));
    world.run_for(1_000);
    world.put(0, "behind", "2");
    world.run_for(3_000);
    assert_eq!(world.get(2, "behind").as_deref(), Some("2"));
    assert_eq!(world.get(2, "large"), None);
    assert_eq!(world.counts(1).total(), 0);
    world.put(0, "large", "small");
    world.run_for(5_000);
    assert_eq!(world.get(2, "large").as_deref(), Some("small"));
    world.check_convergence();
}

#[test]
fn more_refusals_than_are_remembered_do_not_take_for_ever() {
    let mut world = stage(&[options(), small()]);
    let large = "x".repeat(2_000);
    let count = crate::store::record::REJECTED_MAX + 100;
    for number in 0..count {
        world.put(0, &format!("large-{number:05}"), &large);
    }
    world.put(0, "last", "small");
    world.run_for(1_000);
    world.line();
    world.run_for(3_000);
    assert_eq!(world.get(1, "last").as_deref(), Some("small"));
    assert_eq!(world.counts(0).failed, count as u64);
}

#[test]
fn a_refusal_is_on_record_before_the_peer_can_pass_over_it() {
    // Tried with an earlier refusal on record, and without one.
    for earlier in [false, true] {
        for moment in 0..40 {
            let mut world = stage(&[options(), small()]);
            world.line();
            if earlier {
                world.put(0, "earlier", &"x".repeat(5_000));
                world.run_for(3_000);
            }
            world.put(0, "large", &"x".repeat(5_000));
            world.put(0, "behind", "2");
            world.run_for(moment);
            world.stop(0, Stop::PowerCut);
            world.open(0);
            let is_there = world.get(0, "large").is_some();
            // The time is long enough to send everything, and too short for a comparison to find a forgotten entry.
            world.connect(0, 1, 1);
            world.run_for(60);
            let failed = u64::from(is_there) + u64::from(earlier);
            assert_eq!(world.counts(0).failed, failed, "{earlier} {moment}");
        }
    }
}

#[test]
fn a_first_meeting_has_refusals_on_record_before_its_cursor() {
    for moment in 0..80 {
        let mut world = stage(&[options(), small()]);
        world.put_many(0, "shared", 40);
        world.put_many(1, "other", 40);
        world.put(0, "large", &"x".repeat(5_000));
        world.run_for(1_000);
        world.connect(0, 1, 5);
        world.run_for(moment);
        world.stop(0, Stop::PowerCut);
        world.open(0);
        let acknowledged = world.counts(0).acknowledged;
        world.connect(0, 1, 1);
        world.run_for(60);
        assert_eq!(world.counts(0).failed, 1, "{moment} {acknowledged}");
    }
}

#[test]
fn a_refusal_does_not_keep_other_differences_from_being_found() {
    let mut world = with_rejected();
    world.run_for(120_000);
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
    // A repair was made before: the next one waits.
    world.run_for(240_000);
    assert_eq!(world.get(1, "hidden").as_deref(), Some("value"));
    assert_eq!(counts(&world), (3, 1, 0));
    world.run_for(600_000);
    world.forget_what_was_said();
    world.run_for(3_600_000);
    assert_eq!(world.messages, 0);
}

#[test]
fn what_a_copied_folder_has_refused_never_counts_as_acknowledged_by_the_copy() {
    for is_larger in [false, true] {
        let limit = if is_larger { options() } else { small() };
        let mut world = stage(&[options(), small(), limit]);
        world.connect(0, 1, 5);
        world.put(0, "before", "1");
        world.put(0, "large", &"x".repeat(5_000));
        world.run_for(3_000);
        assert_eq!(counts(&world), (1, 1, 0));
        world.stop(1, Stop::Cleanly);
        world.stop(2, Stop::Cleanly);
        world.hosts[2].storage = world.hosts[1].storage.image().process_killed();
        world.hosts[2].lose_lease();
        world.hosts[2].witness.clear();
        world.open(2);
        assert!(world.hosts[2].up().copy_noticed);
        world.connect(0, 2, 5);
        for _ in 0..3_000 {
            world.run_for(1);
            let is_there = world.get(2, "large").is_some();
            let acknowledged = world.counts(0).acknowledged;
            assert!(acknowledged <= 1 + u64::from(is_there), "{is_larger}");
        }
        assert_eq!(world.get(2, "large").is_some(), is_larger);
        let failed = u64::from(!is_larger);
        assert_eq!(counts(&world), (2 - failed, failed, 0));
    }
}
