//! Acknowledgements that come late or never.

use super::host::options;
use super::stage::{keys_sent, manual, stage};
use super::world::{GAVE_UP, World};
use crate::sync::message::{Feed, Nack, RefusalCode, Stream};

/// Two nodes, of which the second hears nothing until `until`.
fn deaf_until(until: u64) -> World {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.forget_what_was_said();
    world.stall(1, 0, until);
    world.put(0, "key", "value");
    world
}

fn batches_at(world: &mut World) -> Vec<u64> {
    let said = world.said_when(0, 1).into_iter();
    said.filter(|(_, feed)| matches!(feed, Feed::Batch(_)))
        .map(|(at, _)| at)
        .collect()
}

#[test]
fn the_delay_doubles_to_its_limit_and_then_the_write_has_failed() {
    let mut world = deaf_until(10_000_000);
    let begin = world.at;
    world.run_for(30_000);
    let counts = world.counts(0);
    assert_eq!((counts.failed, counts.queued + counts.in_flight), (0, 1));
    world.run_for(170_000);
    let sent = batches_at(&mut world);
    assert_eq!(sent.len(), 6, "once, and five retries: {sent:?}");
    assert!(sent[0] < begin + 100);
    let timeout = options().ack_timeout_ms;
    for (pair, delay) in sent.windows(2).zip([5_000, 10_000, 20_000, 30_000, 30_000]) {
        let waited = pair[1] - pair[0] - timeout;
        assert!(
            (delay..=delay + delay / 8).contains(&waited),
            "{waited} for {delay}"
        );
    }
    assert_eq!(world.closes, [GAVE_UP]);
    let counts = world.counts(0);
    assert_eq!((counts.failed, counts.total()), (1, 1));
    assert_eq!(world.hosts[0].up().report().total_retries, 5);
    assert_eq!(world.tick(0, true).retried, 5);
    assert_eq!(world.tick(0, true).retried, 0, "each is told once");
    assert_eq!(world.get(0, "key").as_deref(), Some("value"));
}

#[test]
fn what_has_failed_is_delivered_when_the_peer_returns() {
    let mut world = deaf_until(10_000_000);
    world.run_for(200_000);
    assert_eq!(world.counts(0).failed, 1);
    world.line();
    assert_eq!(world.get(1, "key").as_deref(), Some("value"));
    assert_eq!(world.counts(0).acknowledged, 1);
    world.check_convergence();
}

#[test]
fn retry_failed_queues_what_has_failed() {
    let mut world = deaf_until(10_000_000);
    world.run_for(200_000);
    assert_eq!(world.retry_failed(0), 1);
    let counts = world.counts(0);
    assert_eq!((counts.failed, counts.queued), (0, 1));
}

#[test]
fn an_acknowledgement_behind_the_timeout_counts() {
    for late in [10_500, 14_000, 16_500, 29_000] {
        let begin = 2_000;
        let mut world = deaf_until(begin + late);
        world.run_for(60_000);
        assert!(world.closes.is_empty(), "{late}: {:?}", world.closes);
        assert_eq!(world.counts(0).acknowledged, 1, "{late}");
        world.check_convergence();
    }
}

#[test]
fn acknowledgements_that_are_under_way_when_the_timer_ends_count_too() {
    // The peer hears everything, but is heard late.
    let mut world = stage(&[options(), options()]);
    world.line();
    world.stall(0, 1, world.at + 13_000);
    for number in 0..5 {
        world.put(0, &format!("key-{number}"), "value");
        world.run_for(1_500);
    }
    world.run_for(60_000);
    assert!(world.closes.is_empty(), "{:?}", world.closes);
    assert_eq!(world.counts(0).acknowledged, 5);
    world.check_convergence();
}

#[test]
fn what_is_refused_in_two_parts_was_one_attempt() {
    let mut world = deaf_until(10_000_000);
    world.run_for(1_000);
    let link = world.link(0, 1);
    for stream in [Stream::Own, Stream::Relay] {
        let nack = Nack {
            stream,
            lseq: 0,
            code: RefusalCode::StorageFailed,
            retryable: true,
            writes: Vec::new(),
        };
        world.hand_in(0, link, Feed::Nack(nack), false);
        world.drain(0);
    }
    let refused = world.at;
    world.run_for(6_000);
    let sent = batches_at(&mut world);
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!((5_000..5_700).contains(&(sent[1] - refused)), "{sent:?}");
}

#[test]
fn a_quiet_hour_is_no_overdue_acknowledgement() {
    let mut world = stage(&[manual(), manual()]);
    world.line();
    world.put(1, "passed-over", "1");
    world.run_for(1_000);
    world.tick(1, false);
    world.run_for(3_600_000);
    // The write goes nowhere but into the feed, and an END passes it over.
    world.put(0, "key", "value");
    world.run_for(1_000);
    world.tick(0, false);
    world.run_for(5_000);
    assert_eq!(world.hosts[0].up().report().total_retries, 0);
    assert_eq!(world.hosts[1].up().report().total_retries, 0);
}

#[test]
fn a_lost_connection_charges_no_attempt() {
    let mut world = stage(&[options(), options()]);
    for _ in 0..20 {
        world.line();
        world.stall(1, 0, world.at + 5_000);
        world.put(0, "key", "value");
        world.run_for(500);
        assert_eq!(world.counts(0).in_flight, 1);
        world.cut(0, 1);
        assert_eq!((world.counts(0).queued, world.counts(0).failed), (1, 0));
        // Neither node is left waiting for the other.
        world.run_for(1_000);
    }
    world.line();
    assert_eq!(world.counts(0).acknowledged, 1);
    assert_eq!(world.hosts[0].up().report().total_retries, 0);
}

#[test]
fn a_full_disk_of_the_peer_delays_and_loses_nothing() {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.commit_ms = 200;
    world.hosts[1].storage.set_capacity_bytes(Some(0));
    // The values fill many batches, and are larger than the space that the log has written ahead.
    for number in 0..60 {
        world.put(0, &format!("key-{number:03}"), &"v".repeat(40_000));
    }
    world.run_for(12_000);
    assert!(world.counts(0).acknowledged < 60);
    world.hosts[1].storage.set_capacity_bytes(None);
    world.run_for(60_000);
    assert!(world.closes.is_empty(), "{:?}", world.closes);
    assert_eq!(world.counts(0).acknowledged, 60);
    world.check_convergence();
}

#[test]
fn a_broken_disk_of_the_peer_is_asked_seldom_and_in_the_end_given_up() {
    let mut world = stage(&[options(), options()]);
    world.line();
    let storage = world.hosts[1].storage.clone();
    storage.fail_from(storage.calls() + 1, std::io::ErrorKind::Other);
    world.forget_what_was_said();
    world.put(0, "key", "value");
    world.run_for(600_000);
    assert_eq!(world.closes, [GAVE_UP]);
    assert!(world.messages < 40, "{} messages", world.messages);
    assert_eq!(world.counts(0).failed, 1);
    assert_eq!(keys_sent(&world.said(0, 1)).len(), 6);
}
