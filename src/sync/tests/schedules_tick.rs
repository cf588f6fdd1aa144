//! Ticks: the rows that they release and count, and the traffic that they do not hold up.

use super::host::{Stop, options};
use super::stage::{keys_sent, manual, stage};
use crate::sync::options::ReplicaOptions;
use crate::sync::outbox::watermarks::OutboxCounts;

fn queued(queued: u64) -> OutboxCounts {
    OutboxCounts {
        queued,
        ..OutboxCounts::default()
    }
}

fn acknowledged(acknowledged: u64) -> OutboxCounts {
    OutboxCounts {
        acknowledged,
        ..OutboxCounts::default()
    }
}

#[test]
fn without_a_peer_a_tick_uses_no_attempt() {
    let mut world = stage(&[manual()]);
    world.put_many(0, "key", 5);
    world.run_for(1_000);
    for _ in 0..20 {
        let report = world.tick(0, true);
        assert_eq!((report.batch, report.sent, report.connected), (5, 0, 0));
        assert_eq!((report.retried, report.pruned), (0, 0));
        world.run_for(60_000);
    }
    assert_eq!(world.counts(0), queued(5));
}

#[test]
fn an_empty_outbox_ticks_in_vain() {
    let mut world = stage(&[manual(), manual()]);
    world.line();
    assert_eq!(world.tick(0, true).batch, 0);
    assert_eq!(world.counts(0), queued(0));
}

#[test]
fn what_one_peer_has_the_next_one_gets_without_another_tick() {
    let mut world = stage(&[manual(), manual(), manual()]);
    world.connect(0, 1, 5);
    world.run_for(1_000);
    world.put(0, "key", "value");
    world.run_for(100);
    world.tick(0, false);
    world.run_for(100);
    // The host is killed before the acknowledgement is on disk.
    world.stop(0, Stop::Killed);
    world.open(0);
    world.connect(0, 1, 5);
    world.connect(0, 2, 5);
    world.run_for(2_000);
    assert_eq!(world.get(2, "key").as_deref(), Some("value"));
}

#[test]
fn own_writes_wait_for_a_tick_and_then_are_durable_on_the_peer() {
    let mut world = stage(&[manual(), manual()]);
    world.line();
    world.put_many(0, "key", 3);
    world.run_for(30_000);
    assert_eq!(world.counts(0), queued(3));
    assert_eq!(world.hosts[1].up().map.len(), 0);
    let report = world.tick(0, false);
    assert_eq!((report.batch, report.sent, report.connected), (3, 3, 1));
    assert_eq!(world.counts(0).in_flight, 3);
    world.run_for(1_000);
    assert_eq!(world.counts(0), acknowledged(3));
    assert_eq!(world.hosts[1].up().map.len(), 3);
    let report = world.tick(0, true);
    assert_eq!((report.batch, report.pruned), (0, 3));
    assert_eq!(world.counts(0).total(), 0);
    assert_eq!(world.hosts[0].up().map.len(), 3);
}

#[test]
fn batch_size_bounds_what_one_tick_releases() {
    let few = ReplicaOptions {
        batch_size: 4,
        ..manual()
    };
    let mut world = stage(&[few, manual()]);
    world.line();
    world.put_many(0, "key", 10);
    world.run_for(1_000);
    for (batch, left) in [(4, 6), (4, 2), (2, 0), (0, 0)] {
        let report = world.tick(0, false);
        assert_eq!((report.batch, report.sent), (batch, batch));
        world.run_for(1_000);
        assert_eq!(world.counts(0).queued, left);
    }
    assert_eq!(world.counts(0), acknowledged(10));
}

#[test]
fn a_tick_releases_for_peers_that_come_later_only_what_it_could_send() {
    let mut world = stage(&[manual(), manual()]);
    world.put_many(0, "early", 2);
    world.run_for(1_000);
    assert_eq!(world.tick(0, false).batch, 2);
    world.line();
    assert_eq!(world.counts(0), queued(2), "nobody was there to send it to");
    assert_eq!(world.tick(0, false).sent, 2);
    world.run_for(1_000);
    assert_eq!(world.counts(0), acknowledged(2));
}

#[test]
fn what_is_relayed_does_not_wait_for_the_ticks_of_own_writes() {
    let mut world = stage(&[options(), manual(), options()]);
    world.line();
    world.put_many(1, "unticked", 3);
    world.run_for(1_000);
    world.put(0, "from-0", "a");
    world.put(2, "from-2", "b");
    world.run_for(2_000);
    assert_eq!(world.get(2, "from-0").as_deref(), Some("a"));
    assert_eq!(world.get(0, "from-2").as_deref(), Some("b"));
    assert_eq!(world.counts(1), queued(3));
    assert_eq!(world.get(0, "unticked-00000"), None);
    world.tick(1, false);
    world.run_for(2_000);
    assert_eq!(world.get(0, "unticked-00000").as_deref(), Some("value"));
    world.check_convergence();
}

#[test]
fn pruning_loses_nothing_for_a_peer_that_was_never_met() {
    let mut world = stage(&[manual(), manual(), manual()]);
    world.connect(0, 1, 5);
    world.run_for(1_000);
    world.put_many(0, "key", 6);
    world.run_for(1_000);
    world.tick(0, false);
    world.run_for(1_000);
    assert_eq!(world.tick(0, true).pruned, 6);
    world.connect(0, 2, 5);
    world.run_for(2_000);
    assert_eq!(world.hosts[2].up().map.len(), 6, "released is released");
    assert_eq!(world.counts(0).total(), 0, "pruned rows do not come back");
}

#[test]
fn a_replaced_write_counts_with_its_successor_and_is_never_shipped() {
    let mut world = stage(&[manual(), manual()]);
    world.line();
    for number in 0..20 {
        world.put(0, "key", &format!("value-{number}"));
        world.run_for(10);
    }
    world.run_for(1_000);
    assert_eq!(world.counts(0), queued(1));
    world.forget_what_was_said();
    assert_eq!(world.tick(0, false).sent, 1);
    world.run_for(1_000);
    assert_eq!(keys_sent(&world.said(0, 1)), ["key"]);
    assert_eq!(world.get(1, "key").as_deref(), Some("value-19"));
}

#[test]
fn automatic_sync_switched_on_sends_what_waits() {
    let mut world = stage(&[manual(), manual()]);
    world.line();
    world.put(0, "key", "value");
    world.run_for(1_000);
    let now = world.now(0);
    let running = world.hosts[0].up_mut();
    running.replica.set_automatic(true, now, &running.map);
    world.drain(0);
    world.run_for(1_000);
    assert_eq!(world.counts(0), acknowledged(1));
}

#[test]
fn the_state_of_the_outbox_outlives_a_restart() {
    use super::host::Stop;
    let mut world = stage(&[manual(), manual()]);
    world.line();
    world.put_many(0, "sent", 3);
    world.run_for(1_000);
    world.tick(0, false);
    world.run_for(3_000);
    world.tick(0, true);
    world.put_many(0, "more", 2);
    world.run_for(1_000);
    world.tick(0, false);
    world.run_for(3_000);
    world.put_many(0, "waiting", 4);
    world.run_for(1_000);
    let before = world.counts(0);
    assert_eq!((before.acknowledged, before.queued), (2, 4));
    world.stop(0, Stop::Cleanly);
    world.open(0);
    assert_eq!(world.counts(0), before);
}
