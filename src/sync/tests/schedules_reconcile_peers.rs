//! Reconciliation with peers that are old, full, small, or break its rules.

use super::host::{Stop, options};
use super::schedules_reconcile::{apart, check_pair, meet, write_apart};
use super::stage::{MOMENT_MS, keys_sent, stage};
use crate::sync::message::{Ack, Claim, Feed, Part, Ranges};
use crate::sync::options::ReplicaOptions;

#[test]
fn a_full_disk_has_it_begin_anew_later() {
    for host in [0, 1] {
        let mut world = apart(options(), 300);
        write_apart(&mut world, 15);
        // The values are larger than the space that the log has written ahead.
        for number in 0..60 {
            let key = format!("large-{number:03}");
            world.put(1 - host, &key, &"v".repeat(40_000));
        }
        world.run_for(1_000);
        world.hosts[host].storage.set_capacity_bytes(Some(0));
        world.connect(0, 1, 5);
        world.run_for(MOMENT_MS);
        assert_eq!(
            world.counts(1 - host).acknowledged,
            0,
            "no cursor passes over what could not be stored"
        );
        world.forget_what_was_said();
        world.run_for(10_000);
        assert!(
            world.messages < 150,
            "they go round in circles: {}",
            world.messages
        );
        world.hosts[host].storage.set_capacity_bytes(None);
        world.run_for(60_000);
        check_pair(&world);
        assert_eq!(
            world.counts(1 - host).acknowledged,
            world.counts(1 - host).total()
        );
    }
}

#[test]
fn while_its_disk_is_full_they_try_ever_less_often_and_both_show_why() {
    for host in [0, 1] {
        let mut world = apart(options(), 300);
        write_apart(&mut world, 15);
        for number in 0..60 {
            let key = format!("large-{number:03}");
            world.put(1 - host, &key, &"v".repeat(40_000));
        }
        world.run_for(1_000);
        world.hosts[host].storage.set_capacity_bytes(Some(0));
        world.log = Some(Vec::new());
        world.connect(0, 1, 5);
        world.run_for(60_000);
        let refusals = world.said_when(host, 1 - host).into_iter();
        let refusals = refusals.filter(|(_, feed)| matches!(feed, Feed::Nack(_)));
        let refusals: Vec<u64> = refusals.map(|(at, _)| at).collect();
        let pauses: Vec<u64> = refusals.windows(2).map(|two| two[1] - two[0]).collect();
        assert!((2..8).contains(&pauses.len()), "{refusals:?}");
        assert!(pauses[1] > pauses[0] * 3 / 2, "{pauses:?}");
        for (place, reason) in [(host, "not_stored"), (1 - host, "storage_failed")] {
            let running = world.hosts[place].up();
            let rows = running.replica.peer_status(&running.map).unwrap();
            assert_eq!(rows[0].last_error, Some(reason), "{host}, {place}");
            assert!(rows[0].attempts > 1 && running.report().total_retries > 0);
        }
        world.hosts[host].storage.set_capacity_bytes(None);
        world.connect(0, 1, 5);
        world.run_for(60_000);
        check_pair(&world);
        let running = world.hosts[1 - host].up();
        let rows = running.replica.peer_status(&running.map).unwrap();
        assert_eq!((rows[0].attempts, rows[0].last_error), (0, None));
    }
}

#[test]
fn what_a_peer_cannot_take_is_rejected() {
    let small = ReplicaOptions {
        value_bytes_max: 1_000,
        ..options()
    };
    let mut world = apart(options(), 50);
    world.stop(1, Stop::Cleanly);
    world.hosts[1].options = small;
    world.open(1);
    world.put(0, "large", &"x".repeat(5_000));
    world.put(0, "fits", "value");
    world.put(1, "other", "value");
    world.run_for(1_000);
    meet(&mut world);
    assert_eq!(world.get(1, "fits").as_deref(), Some("value"));
    assert_eq!(world.get(0, "other").as_deref(), Some("value"));
    let counts = world.counts(0);
    assert_eq!((counts.failed, counts.queued, counts.in_flight), (1, 0, 0));
    assert!(world.closes.is_empty(), "{:?}", world.closes);
    let said = world.messages;
    world.run_for(3_600_000);
    assert!(world.messages - said < 5, "they go on talking");
}

#[test]
fn an_older_peer_gets_the_feed_from_its_start() {
    let mut world = apart(options(), 100);
    world.is_old = true;
    write_apart(&mut world, 5);
    meet(&mut world);
    let said = world.said(0, 1);
    assert!(!said.iter().any(|feed| matches!(feed, Feed::Ranges(_))));
    assert!(keys_sent(&said).len() > 100);
    check_pair(&world);
}

#[test]
fn who_opens_from_the_wrong_side_is_shut_out() {
    let mut world = stage(&[options(), options()]);
    world.line();
    let origins = [0, 1].map(|host: usize| world.hosts[host].up().replica.origin());
    let opener = usize::from(origins[1] < origins[0]);
    let link = world.link(opener, 1 - opener);
    let everything = Part {
        to: Vec::new(),
        claim: Claim::All,
    };
    let opening = Ranges {
        exchange: 1,
        step: 1,
        parts: vec![everything],
    };
    world.hand_in(opener, link, Feed::Ranges(opening), false);
    world.drain(opener);
    assert_eq!(
        world.closes,
        ["a reconciliation that was opened from the wrong side"]
    );
}

#[test]
fn who_never_opens_holds_up_only_itself() {
    let mut world = stage(&[options(), options(), options()]);
    world.mesh();
    let origins = [0, 1].map(|host: usize| world.hosts[host].up().replica.origin());
    let waits = usize::from(origins[0] < origins[1]);
    let link = world.link(waits, 1 - waits);
    // The peer announces that it will open, and does not.
    let ack = Ack {
        cursor: None,
        credit: 0,
        reconcile: true,
        void: None,
        ..Ack::default()
    };
    world.hand_in(waits, link, Feed::Ack(ack), false);
    world.drain(waits);
    world.put_many(waits, "key", 20);
    world.run_for(MOMENT_MS);
    assert_eq!(world.get(2, "key-00019").as_deref(), Some("value"));
}

#[test]
fn who_hears_the_last_words_too_late_has_it_opened_again() {
    for host in [0, 1] {
        for wait_ms in (5..80).step_by(5) {
            let mut world = apart(options(), 20);
            write_apart(&mut world, 3);
            world.connect(0, 1, 5);
            world.run_for(wait_ms);
            let until = world.at + 15_000;
            world.stall(host, 1 - host, until);
            world.run_for(120_000);
            check_pair(&world);
        }
    }
}
