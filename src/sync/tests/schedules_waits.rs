//! Waits for writes to be durable on other nodes, checked against the entries that those hold.

use super::host::{Stop, options};
use super::stage::{manual, stage};
use super::world::World;
use crate::core::identity::Dot;
use crate::sync::delivery::wait_queue::WaitId;
use crate::sync::delivery::waiting::{Subject, Waiting};
use crate::sync::delivery::waits::{Held, Holders};
use crate::sync::options::ReplicaOptions;

fn in_memory() -> ReplicaOptions {
    ReplicaOptions {
        durable: false,
        ..options()
    }
}

impl World {
    /// The dot of a host's last write, as reported to the writer.
    fn last_dot(&self, host: usize) -> Dot {
        let replica = &self.hosts[host].up().replica;
        Dot {
            origin: replica.author,
            sequence: replica.last_sequence,
        }
    }

    /// Writes, and returns the dot of the write.
    pub(super) fn put_named(&mut self, host: usize, key: &str, value: &str) -> Dot {
        self.put(host, key, value);
        self.run_for(self.commit_ms + 1);
        self.last_dot(host)
    }

    pub(super) fn wait(&mut self, host: usize, subject: Subject, holders: Holders) -> WaitId {
        let running = self.hosts[host].up_mut();
        match running
            .replica
            .wait_for(subject, holders, &running.map)
            .unwrap()
        {
            Waiting::Begun(id) => id,
            other => panic!("{subject:?}: {other:?}"),
        }
    }

    pub(super) fn ended(&mut self, host: usize) -> Vec<(WaitId, Held)> {
        self.hosts[host].up_mut().replica.take_ended_waits()
    }

    /// Result of the only wait that has ended, which must be `id`.
    fn ending(&mut self, host: usize, id: WaitId) -> Held {
        let mut ended = self.ended(host);
        assert_eq!(ended.len(), 1, "{ended:?}");
        let (ended_id, held) = ended.remove(0);
        assert_eq!(ended_id, id);
        held
    }

    fn origin(&self, host: usize) -> crate::core::identity::Origin {
        self.hosts[host].up().replica.origin
    }
}

pub(super) fn on(label: &str) -> Holders {
    Holders::Peer(label.to_owned())
}

#[test]
fn a_wait_ends_when_the_peer_holds_the_write_and_not_before() {
    let mut world = stage(&[manual(), options()]);
    world.line();
    let dot = world.put_named(0, "key", "1");
    let id = world.wait(0, Subject::Operation(dot), on("node-1"));
    world.run_for(60_000);
    assert_eq!(world.ended(0), [], "nothing was ticked");
    world.tick(0, false);
    assert_eq!(world.ended(0), [], "it is on its way");
    world.run_for(1_000);
    let held = world.ending(0, id);
    assert_eq!(
        (held.peers, held.is_replaced),
        (vec![world.origin(1)], false)
    );
    assert_eq!(world.get(1, "key").as_deref(), Some("1"));
    // A later wait ends at once.
    let id = world.wait(0, Subject::Operation(dot), on("node-1"));
    world.ending(0, id);
    let id = world.wait(0, Subject::All, Holders::All);
    world.ending(0, id);
}

#[test]
fn a_peer_that_was_never_met_may_still_come() {
    let mut world = stage(&[options(), options()]);
    let dot = world.put_named(0, "key", "1");
    let ids = [
        world.wait(0, Subject::Operation(dot), on("node-1")),
        world.wait(0, Subject::All, Holders::Count(1)),
        world.wait(0, Subject::Operation(dot), Holders::All),
    ];
    let strange = world.wait(0, Subject::All, on("nobody"));
    world.run_for(60_000);
    assert_eq!(world.ended(0), []);
    world.line();
    let mut ended: Vec<WaitId> = world.ended(0).into_iter().map(|(id, _)| id).collect();
    ended.sort_unstable();
    assert_eq!(ended, ids);
    world.hosts[0].up_mut().replica.cancel_wait(strange);
    assert!(world.hosts[0].up().replica.waits.is_empty());
}

#[test]
fn a_write_that_was_never_made_is_not_known() {
    let mut world = stage(&[options()]);
    let dot = world.put_named(0, "key", "1");
    let unknown = [
        Dot { sequence: 0, ..dot },
        Dot {
            sequence: dot.sequence + 1,
            ..dot
        },
        Dot {
            origin: crate::core::identity::Origin([9; 16]),
            ..dot
        },
    ];
    for dot in unknown {
        let running = world.hosts[0].up_mut();
        let waiting = running
            .replica
            .wait_for(Subject::Operation(dot), Holders::All, &running.map);
        assert_eq!(waiting.unwrap(), Waiting::Unknown);
    }
}

#[test]
fn a_wait_goes_over_to_the_successor_and_says_so() {
    let mut world = stage(&[manual(), options()]);
    world.line();
    let first = world.put_named(0, "key", "1");
    let before = world.wait(0, Subject::Operation(first), on("node-1"));
    let second = world.put_named(0, "key", "2");
    let third = world.put_named(0, "key", "3");
    let after = world.wait(0, Subject::Operation(first), on("node-1"));
    world.tick(0, false);
    world.run_for(1_000);
    let ended = world.ended(0);
    assert_eq!(ended.len(), 2);
    for (id, held) in ended {
        assert!(id == before || id == after);
        assert_eq!((held.is_replaced, held.successor), (true, Some(third)));
    }
    // A row that is queued after it does not hold up the wait.
    world.put_named(0, "other", "1");
    for dot in [first, second] {
        let id = world.wait(0, Subject::Operation(dot), on("node-1"));
        assert_eq!(world.ending(0, id).successor, Some(third));
    }
}

#[test]
fn what_the_cursor_passes_over_without_having_been_sent_is_not_held() {
    let mut world = stage(&[
        ReplicaOptions {
            batch_size: 1,
            ..manual()
        },
        options(),
    ]);
    world.line();
    let first = world.put_named(0, "a", "1");
    world.put_named(0, "b", "1");
    let one = world.wait(0, Subject::Operation(first), on("node-1"));
    let all = world.wait(0, Subject::All, on("node-1"));
    world.put_named(0, "a", "2");
    world.tick(0, false);
    world.run_for(5_000);
    assert_eq!(world.get(1, "b").as_deref(), Some("1"));
    assert_eq!(world.ended(0), [], "nothing of \"a\" is there");
    world.tick(0, false);
    world.run_for(5_000);
    assert_eq!(world.get(1, "a").as_deref(), Some("2"));
    let ended: Vec<WaitId> = world.ended(0).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ended, [one, all]);
}

#[test]
fn overwriting_without_end_does_not_keep_a_wait_from_ending() {
    let mut world = stage(&[options(), options()]);
    world.line();
    let dot = world.put_named(0, "key", "0");
    let one = world.wait(0, Subject::Operation(dot), on("node-1"));
    let all = world.wait(0, Subject::All, on("node-1"));
    let mut ended = Vec::new();
    // Each write is replaced long before it can be acknowledged.
    for number in 0..40 {
        world.put(0, "key", &number.to_string());
        world.run_for(1);
        ended.extend(world.ended(0).into_iter().map(|(id, _)| id));
    }
    ended.sort_unstable();
    assert_eq!(ended, [one, all]);
}

#[test]
fn what_was_on_its_way_and_is_lost_does_not_count() {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.stall(1, 0, world.at + 3_600_000);
    let dot = world.put_named(0, "a", "1");
    let one = world.wait(0, Subject::Operation(dot), on("node-1"));
    let all = world.wait(0, Subject::All, on("node-1"));
    world.run_for(100);
    // The write is replaced on its way over a connection that is then cut.
    world.put_named(0, "a", "2");
    world.cut(0, 1);
    world.put_named(0, "b", "1");
    assert_eq!(world.ended(0), []);
    world.line();
    assert_eq!(world.get(1, "a").as_deref(), Some("2"));
    let mut ended: Vec<WaitId> = world.ended(0).into_iter().map(|(id, _)| id).collect();
    ended.sort_unstable();
    assert_eq!(ended, [one, all]);
}

#[test]
fn a_write_of_the_peer_itself_ends_the_wait_for_what_it_replaced() {
    let mut world = stage(&[manual(), options(), options()]);
    world.line();
    let dot = world.put_named(0, "key", "mine");
    let nearer = world.wait(0, Subject::Operation(dot), on("node-1"));
    world.run_for(10);
    world.put(1, "key", "theirs");
    world.run_for(5_000);
    let held = world.ending(0, nearer);
    assert!(held.is_replaced);
    assert_eq!(held.successor.unwrap().origin, world.origin(1));
}

#[test]
fn so_many_peers_and_all_of_them() {
    let mut world = stage(&[options(), options(), options(), in_memory()]);
    world.mesh();
    world.cut(0, 2);
    world.cut(1, 2);
    world.cut(3, 2);
    let dot = world.put_named(0, "key", "1");
    let one = world.wait(0, Subject::Operation(dot), Holders::Count(1));
    let two = world.wait(0, Subject::Operation(dot), Holders::Count(2));
    let all = world.wait(0, Subject::All, Holders::All);
    world.run_for(5_000);
    assert_eq!(world.ending(0, one).peers, [world.origin(1)]);
    assert_eq!(world.get(3, "key").as_deref(), Some("1"), "in memory only");
    world.mesh();
    let ended: Vec<WaitId> = world.ended(0).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ended, [two, all]);
}

#[test]
fn memory_counts_only_where_it_will_do() {
    let lenient = ReplicaOptions {
        memory_will_do: true,
        ..options()
    };
    for (own, is_enough) in [(options(), false), (lenient, true), (in_memory(), true)] {
        let mut world = stage(&[own, in_memory()]);
        world.line();
        let dot = world.put_named(0, "key", "1");
        world.wait(0, Subject::Operation(dot), on("node-1"));
        world.wait(0, Subject::All, Holders::Count(1));
        world.run_for(5_000);
        assert_eq!(world.ended(0).len(), if is_enough { 2 } else { 0 });
        assert_eq!(world.counts(0).acknowledged, u64::from(is_enough));
    }
}

#[test]
fn a_refused_write_is_not_held_until_the_peer_takes_it() {
    let small = ReplicaOptions {
        value_bytes_max: 1_000,
        ..options()
    };
    let mut world = stage(&[options(), small]);
    world.line();
    let dot = world.put_named(0, "large", &"x".repeat(5_000));
    world.put_named(0, "behind", "1");
    let one = world.wait(0, Subject::Operation(dot), on("node-1"));
    let all = world.wait(0, Subject::All, on("node-1"));
    world.run_for(60_000);
    assert_eq!(world.get(1, "behind").as_deref(), Some("1"));
    assert_eq!(world.ended(0), []);
    world.stop(1, Stop::Cleanly);
    world.hosts[1].options.value_bytes_max = 1 << 20;
    world.open(1);
    world.line();
    world.run_for(5_000);
    let mut ended: Vec<WaitId> = world.ended(0).into_iter().map(|(id, _)| id).collect();
    ended.sort_unstable();
    assert_eq!(ended, [one, all]);
}

#[test]
fn a_refused_write_that_is_replaced_by_one_that_fits_ends_the_waits() {
    let small = ReplicaOptions {
        value_bytes_max: 1_000,
        ..options()
    };
    let mut world = stage(&[options(), small]);
    world.line();
    let dot = world.put_named(0, "large", &"x".repeat(5_000));
    world.wait(0, Subject::Operation(dot), on("node-1"));
    world.wait(0, Subject::All, on("node-1"));
    world.run_for(5_000);
    assert_eq!(world.ended(0), []);
    world.put(0, "large", "small");
    world.run_for(5_000);
    assert_eq!(world.ended(0).len(), 2);
}

#[test]
fn the_name_of_a_write_is_good_after_a_restart() {
    let mut world = stage(&[options(), options()]);
    let kept = world.put_named(0, "kept", "1");
    let replaced = world.put_named(0, "replaced", "1");
    world.put_named(0, "replaced", "2");
    world.stop(0, Stop::PowerCut);
    world.open(0);
    let id = world.wait(0, Subject::Operation(kept), on("node-1"));
    let running = world.hosts[0].up_mut();
    let unknown =
        running
            .replica
            .wait_for(Subject::Operation(replaced), Holders::All, &running.map);
    assert_eq!(unknown.unwrap(), Waiting::Unknown);
    world.line();
    assert!(!world.ending(0, id).is_replaced);
}

#[test]
fn every_write_is_found_by_its_name_among_many() {
    let mut world = stage(&[options(), options()]);
    world.line();
    for round in 0..5 {
        world.put_many(0, &format!("mine-{round}"), 40);
        world.put_many(1, &format!("theirs-{round}"), 40);
        world.run_for(500);
    }
    let last = world.last_dot(0).sequence;
    let map = &world.hosts[0].up().map;
    for sequence in 1..=last {
        let lseq = map.own_row_of(sequence).unwrap().expect("it is there");
        assert_eq!(map.at(lseq).unwrap().unwrap().entry.dot.sequence, sequence);
    }
    assert_eq!(map.own_row_of(last + 1).unwrap(), None);
}

#[test]
fn waits_that_ended_leave_nothing_behind_for_peers_that_stay_away() {
    let mut world = stage(&[options(), options(), options()]);
    world.mesh();
    world.stop(2, Stop::Cleanly);
    for _ in 0..50 {
        let dot = world.put_named(0, "key", "1");
        for _ in 0..100 {
            world.wait(0, Subject::Operation(dot), Holders::Count(1));
        }
        world.run_for(100);
        assert_eq!(world.ended(0).len(), 100);
    }
    assert_eq!(world.hosts[0].up_mut().replica.waits.places(), 0);
}
