//! The outbox row by row, as users list it.

use super::host::{Stop, options};
use super::stage::{manual, stage};
use super::world::World;
use crate::sync::options::{AckPolicy, ReplicaOptions};
use crate::sync::outbox::rows::{OutboxRow, RowState, Trouble};
use crate::sync::outbox::watermarks::OutboxCounts;

const STATES: [RowState; 4] = [
    RowState::Queued,
    RowState::InFlight,
    RowState::Acknowledged,
    RowState::Failed,
];

fn small() -> ReplicaOptions {
    ReplicaOptions {
        value_bytes_max: 1_000,
        ..options()
    }
}

impl World {
    fn rows(&self, host: usize, wanted: Option<RowState>) -> Vec<OutboxRow> {
        self.rows_after(host, wanted, 0, usize::MAX)
    }

    fn rows_after(
        &self,
        host: usize,
        wanted: Option<RowState>,
        after: u64,
        limit: usize,
    ) -> Vec<OutboxRow> {
        let running = self.hosts[host].up();
        let now = self.now(host).monotonic;
        running
            .replica
            .list_outbox(wanted, after, limit, now, &running.map)
            .unwrap()
    }

    /// Checks that the lists agree with each other and with the counters.
    fn check_rows(&self, host: usize) {
        let all = self.rows(host, None);
        assert!(all.is_sorted_by_key(|row| row.lseq));
        let mut counts = OutboxCounts::default();
        for state in STATES {
            let rows = self.rows(host, Some(state));
            let of_all: Vec<OutboxRow> = all
                .iter()
                .filter(|row| row.state == state)
                .cloned()
                .collect();
            assert_eq!(rows, of_all);
            let count = rows.len() as u64;
            match state {
                RowState::Queued => counts.queued = count,
                RowState::InFlight => counts.in_flight = count,
                RowState::Acknowledged => counts.acknowledged = count,
                RowState::Failed => counts.failed = count,
            }
        }
        assert_eq!(counts, self.counts(host));
        for page in [1, 2, 3] {
            let mut pages = Vec::new();
            loop {
                let after = pages.last().map_or(0, |row: &OutboxRow| row.lseq);
                let some = self.rows_after(host, None, after, page);
                assert!(some.len() <= page);
                if some.is_empty() {
                    break;
                }
                pages.extend(some);
            }
            assert_eq!(pages, all);
        }
    }
}

fn keys(rows: &[OutboxRow]) -> Vec<String> {
    let keys = rows.iter().map(|row| &row.key);
    keys.map(|key| String::from_utf8_lossy(key).into_owned())
        .collect()
}

#[test]
fn rows_pass_through_their_states() {
    let mut world = stage(&[manual(), options()]);
    world.put_many(0, "key", 7);
    world.write(0, b"key-00001", None);
    world.run_for(100);
    world.check_rows(0);
    let queued = world.rows(0, Some(RowState::Queued));
    assert_eq!(queued.len(), 7);
    assert_eq!(queued[6].key, b"key-00001");
    assert!(queued[6].is_removal && queued[6].version == 2 && queued[6].attempts == 0);
    world.line();
    world.tick(0, false);
    world.check_rows(0);
    let in_flight = world.rows(0, Some(RowState::InFlight));
    assert_eq!((in_flight.len(), in_flight[0].attempts), (7, 1));
    world.put(0, "later", "1");
    world.run_for(1_000);
    world.check_rows(0);
    assert_eq!(world.rows(0, Some(RowState::Acknowledged)).len(), 7);
    assert_eq!(keys(&world.rows(0, Some(RowState::Queued))), ["later"]);
    world.tick(0, true);
    world.check_rows(0);
    assert_eq!(world.rows(0, Some(RowState::Acknowledged)), []);
}

#[test]
fn what_is_not_answered_says_how_often_it_was_tried_and_when_it_is_next() {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.stall(1, 0, world.at + 3_600_000);
    world.put(0, "key", "1");
    world.run_for(10_500);
    let rows = world.rows(0, None);
    assert_eq!((rows[0].state, rows[0].attempts), (RowState::Queued, 1));
    let next = rows[0].next_retry_in_ms.expect("it is tried again");
    assert!((1..=5_625).contains(&next), "{next}");
    assert_eq!(rows[0].troubles.len(), 1);
    assert_eq!(rows[0].troubles[0].node_id, "node-1");
    assert_eq!(rows[0].troubles[0].trouble, Trouble::Unanswered);
    world.run_for(next + 10);
    let rows = world.rows(0, None);
    assert_eq!((rows[0].state, rows[0].attempts), (RowState::InFlight, 2));
    // After the last retry the row has failed.
    world.run_for(3_000_000);
    let rows = world.rows(0, Some(RowState::Failed));
    assert_eq!((rows.len(), rows[0].attempts), (1, 6));
    assert_eq!(rows[0].troubles[0].trouble, Trouble::Unanswered);
    world.check_rows(0);
    assert_eq!(world.retry_failed(0), 1);
    let rows = world.rows(0, None);
    assert_eq!((rows[0].state, rows[0].attempts), (RowState::Queued, 0));
    assert_eq!(rows[0].troubles, []);
    // The row is delivered when the peer returns, without a command.
    world.line();
    assert_eq!(world.rows(0, None)[0].state, RowState::Acknowledged);
}

#[test]
fn who_refused_a_row_is_told_with_the_reason() {
    let mut world = stage(&[options(), small()]);
    world.line();
    world.put(0, "fits", "1");
    world.put(0, "large", &"x".repeat(5_000));
    world.put(0, "behind", "1");
    world.run_for(3_000);
    world.check_rows(0);
    let failed = world.rows(0, Some(RowState::Failed));
    assert_eq!(keys(&failed), ["large"]);
    assert_eq!(failed[0].troubles[0].node_id, "node-1");
    assert_eq!(failed[0].troubles[0].trouble.as_str(), "value_too_large");
    // The reason is listed also after pruning, and after a restart.
    world.tick(0, true);
    world.check_rows(0);
    assert_eq!(keys(&world.rows(0, None)), ["large"]);
    world.run_for(1_000);
    world.stop(0, Stop::Cleanly);
    world.open(0);
    world.check_rows(0);
    assert_eq!(keys(&world.rows(0, None)), ["large"]);
}

#[test]
fn a_row_that_enough_others_hold_has_not_failed_whoever_refuses_it() {
    let policies = [
        (AckPolicy::Any, RowState::Acknowledged),
        (AckPolicy::Count(1), RowState::Acknowledged),
        (AckPolicy::Count(2), RowState::Failed),
        (AckPolicy::All, RowState::Failed),
    ];
    for (ack_policy, state) in policies {
        let own = ReplicaOptions {
            ack_policy,
            ..options()
        };
        let mut world = stage(&[own, small(), options()]);
        world.connect(0, 1, 5);
        world.run_for(1_000);
        world.put(0, "large", &"x".repeat(5_000));
        world.run_for(3_000);
        assert_eq!(world.rows(0, None)[0].state, RowState::Failed);
        world.connect(0, 2, 5);
        world.run_for(3_000);
        world.check_rows(0);
        let rows = world.rows(0, None);
        assert_eq!(rows[0].state, state, "{ack_policy:?}");
        // The refusal stays on record either way.
        assert_eq!(rows[0].troubles[0].node_id, "node-1");
        let status = world.hosts[0].up();
        let status = status.replica.peer_status(&status.map).unwrap();
        let mut refused: Vec<(String, u64)> = status
            .into_iter()
            .map(|peer| (peer.node_id, peer.refused))
            .collect();
        refused.sort();
        assert_eq!(
            refused,
            [("node-1".to_owned(), 1), ("node-2".to_owned(), 0)]
        );
    }
}

#[test]
fn how_far_each_peer_is_is_known_of_those_that_are_away_too() {
    let mut world = stage(&[options(), options(), options()]);
    world.mesh();
    world.put_many(0, "both", 3);
    world.run_for(3_000);
    world.stop(2, Stop::Cleanly);
    world.put_many(0, "one", 5);
    world.run_for(3_000);
    let of = |world: &World, name: &str| {
        let running = world.hosts[0].up();
        let status = running.replica.peer_status(&running.map).unwrap();
        status
            .into_iter()
            .find(|peer| peer.node_id == name)
            .unwrap()
    };
    let near = of(&world, "node-1");
    assert!(near.connected && near.in_sync && near.durable);
    assert_eq!((near.lag.entries, near.lag.bytes_estimate), (0, 0));
    assert_eq!(near.sent, near.acknowledged);
    let away = of(&world, "node-2");
    assert!(!away.connected && !away.in_sync && away.durable);
    // Stored keys are a byte longer: "one-00000" and "value".
    assert_eq!(away.lag.entries, 5);
    assert!((60..90).contains(&away.lag.bytes_estimate), "{away:?}");
    world.stop(0, Stop::Cleanly);
    world.open(0);
    assert_eq!(of(&world, "node-2").lag.entries, 5);
    assert!(!of(&world, "node-1").in_sync);
}
