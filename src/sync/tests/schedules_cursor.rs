//! Cursors: where a feed goes on after restarts, lost disks and copies.

use super::host::{Stop, options};
use super::stage::{MOMENT_MS, keys_sent, manual, stage};
use super::world::World;
use crate::store::commit::operation::{Received, Request};
use crate::sync::identity::identity_conflict::IdentityConflictReason;
use crate::sync::message::{Batch, Cursor, Feed, Positions, Stream};
use crate::sync::replica::Output;

#[test]
fn a_reconnect_with_nothing_new_costs_next_to_nothing() {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.put_many(0, "a", 300);
    world.put_many(1, "b", 300);
    world.run_for(5_000);
    for restarted in [None, Some(0), Some(1)] {
        world.cut(0, 1);
        if let Some(host) = restarted {
            world.stop(host, Stop::PowerCut);
            world.open(host);
        }
        world.run_for(1_000);
        world.forget_what_was_said();
        world.line();
        for (from, to) in [(0, 1), (1, 0)] {
            let said = world.said(from, to);
            assert!(keys_sent(&said).is_empty(), "{said:?}");
            assert!(
                said.len() <= 3,
                "an acknowledgement, an end, and its acknowledgement: {said:?}"
            );
        }
        assert!(world.peer(0, 1).in_sync && world.peer(1, 0).in_sync);
    }
}

#[test]
fn after_a_restart_of_either_side_the_feed_goes_on_where_it_was() {
    for (host, how) in [
        (0, Stop::Killed),
        (0, Stop::Cleanly),
        (1, Stop::PowerCut),
        (1, Stop::Cleanly),
    ] {
        let mut world = stage(&[options(), options()]);
        world.line();
        world.put_many(0, "old", 50);
        world.run_for(3_000);
        world.stop(host, how);
        world.open(host);
        world.put(0, "new", "value");
        world.forget_what_was_said();
        world.line();
        assert_eq!(keys_sent(&world.said(0, 1)), ["new"]);
        world.check_convergence();
    }
}

#[test]
fn a_rolled_back_node_gets_home_what_it_wrote_and_forgot() {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.put(0, "kept", "1");
    world.run_for(3_000);
    world.hosts[0].image = Some(world.hosts[0].storage.image());
    world.put(0, "forgotten", "2");
    world.put(0, "kept", "3");
    world.run_for(3_000);
    world.stop(0, Stop::Killed);
    let mut dice = super::dice::Dice::new(1);
    world.hosts[0].roll_back(&mut dice);
    world.open(0);
    assert_eq!(world.get(0, "kept").as_deref(), Some("1"));
    world.put(0, "reused", "4");
    world.run_for(1_000);
    world.line();
    world.run_for(3_000);
    for host in [0, 1] {
        assert_eq!(world.get(host, "kept").as_deref(), Some("3"));
        assert_eq!(world.get(host, "forgotten").as_deref(), Some("2"));
        assert_eq!(world.get(host, "reused").as_deref(), Some("4"));
    }
    assert_eq!(world.renewals, [(0, IdentityConflictReason::WentBack)]);
    world.check_convergence();
    // Numbers that were given before are not given again under one author.
    world.put(0, "later", "5");
    world.run_for(3_000);
    let author = |key: &[u8]| {
        let entry = world.hosts[0].up().map.entry(key).unwrap();
        entry.unwrap().dot.origin
    };
    assert_ne!(author(b"\0later"), author(b"\0forgotten"));
    assert_eq!(author(b"\0later"), world.hosts[0].up().replica.author());
}

#[test]
fn a_peer_that_lost_its_disk_gets_everything_anew() {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.put_many(0, "a", 20);
    world.put_many(1, "b", 20);
    world.run_for(3_000);
    world.stop(1, Stop::Killed);
    world.hosts[1].storage = crate::disk::memory::MemoryStorage::new();
    world.hosts[1].witness.clear();
    world.open(1);
    world.line();
    assert_eq!(world.hosts[1].up().map.len(), 40);
    world.run_for(3_000);
    world.check_convergence();
}

#[test]
fn a_copied_folder_writes_under_a_new_identity_and_both_go_on() {
    let mut world = stage(&[options(), options(), options()]);
    world.connect(0, 1, 5);
    world.put_many(0, "before", 5);
    world.run_for(3_000);
    world.stop(0, Stop::Cleanly);
    // The third node is a copy of the first, without the lease, which no backup holds.
    world.stop(2, Stop::Cleanly);
    world.hosts[2].storage = world.hosts[0].storage.image().process_killed();
    world.hosts[2].lose_lease();
    world.hosts[2].witness.clear();
    world.open(0);
    world.open(2);
    assert!(world.hosts[2].up().copy_noticed);
    assert!(!world.hosts[0].up().copy_noticed);
    assert_ne!(
        world.hosts[0].up().replica.origin(),
        world.hosts[2].up().replica.origin()
    );
    world.put(0, "after", "original");
    world.put(2, "after-too", "copy");
    world.run_for(1_000);
    world.mesh();
    world.run_for(3_000);
    for host in 0..3 {
        assert_eq!(world.get(host, "after").as_deref(), Some("original"));
        assert_eq!(world.get(host, "after-too").as_deref(), Some("copy"));
    }
    world.check_convergence();
}

#[test]
fn a_cursor_beyond_the_stretch_that_it_names_is_void() {
    let mut world = stage(&[manual(), manual()]);
    world.line();
    world.put_many(0, "lost", 8);
    world.run_for(1_000);
    world.hosts[0].image = Some(world.hosts[0].storage.image());
    world.put_many(0, "lost-too", 8);
    world.run_for(1_000);
    world.tick(0, false);
    world.run_for(3_000);
    assert_eq!(world.hosts[1].up().map.len(), 16);
    world.stop(0, Stop::Killed);
    let mut dice = super::dice::Dice::new(2);
    world.hosts[0].roll_back(&mut dice);
    world.open(0);
    // Host 0 writes as many rows as were lost, so that a cursor without its epoch would pass for valid.
    world.put_many(0, "other", 8);
    world.run_for(1_000);
    world.tick(0, false);
    world.forget_what_was_said();
    world.line();
    let said = world.said(1, 0);
    let first = said.iter().find_map(|feed| match feed {
        Feed::Ack(ack) => Some(ack.cursor),
        _ => None,
    });
    assert_eq!(
        first,
        Some(None),
        "the peer asks for the feed from its start"
    );
    world.tick(0, false);
    world.run_for(MOMENT_MS);
    assert_eq!(world.get(1, "other-00007").as_deref(), Some("value"));
    assert_eq!(world.get(0, "lost-too-00003").as_deref(), Some("value"));
    world.tick(0, false);
    world.run_for(3_000);
    world.check_convergence();
}

#[test]
fn what_was_acknowledged_on_another_connection_since_the_greeting_is_not_lost() {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.put(0, "first", "1");
    world.run_for(MOMENT_MS);
    // Host 0 greets, and writes before the greeting arrives.
    let (scope, now) = (world.hosts[0].scope.clone(), world.now(0));
    let running = world.hosts[0].up_mut();
    let greeting = running.replica.greeting(&scope, now, &running.map);
    world.put(0, "second", "2");
    world.run_for(MOMENT_MS);
    world.cut(0, 1);
    let now = world.now(1);
    let running = world.hosts[1].up_mut();
    running
        .replica
        .connected(99, &greeting, &scope, now, &running.map);
    let mut void = None;
    while let Some(output) = running.replica.poll() {
        if let Output::Send(99, Feed::Ack(ack)) = output {
            void = void.or(ack.void);
        }
    }
    running.replica.disconnected(99, &running.map);
    let void = void.expect("as far as the peer can see it has forgotten");
    assert!(!world.hosts[0].up().replica.has_forgotten(void));
    let beyond = Cursor {
        positions: Positions {
            own: void.positions.own + 1,
            ..void.positions
        },
        ..void
    };
    assert!(world.hosts[0].up().replica.has_forgotten(beyond));
}

/// Hands an empty batch of the first node to the second. Returns the request to its committer.
fn hears(world: &mut World, stream: Stream, from: u64, to: u64) -> Option<Received> {
    let batch = Batch {
        stream,
        from,
        to,
        entries: Vec::new(),
    };
    let link = world.link(1, 0);
    world.hand_in(1, link, Feed::Batch(batch), false);
    let replica = &mut world.hosts[1].up_mut().replica;
    let polled = std::iter::from_fn(|| replica.poll());
    let asked = polled.filter_map(|output| match output {
        Output::Commit(Request::Received(received)) => Some(received),
        _ => None,
    });
    asked.last()
}

#[test]
fn what_is_stored_behind_a_second_refusal_is_not_asked_for_again() {
    let mut world = stage(&[options(), options()]);
    world.line();
    let (link, now) = (world.link(1, 0), world.now(1));
    hears(&mut world, Stream::Own, 0, 2).unwrap();
    hears(&mut world, Stream::Own, 2, 3).unwrap();
    // The first batch fails; the other stream goes on; then the second one has nothing to follow on.
    world.hosts[1].up_mut().replica.received_in_vain(link);
    let relayed = hears(&mut world, Stream::Relay, 0, 4).unwrap();
    let replica = &mut world.hosts[1].up_mut().replica;
    replica.received_in_vain(link);
    replica.received_durably(link, relayed.peer, relayed.position, &relayed.scope, now);
    let own = hears(&mut world, Stream::Own, 0, 2).unwrap();
    assert_eq!((own.position.own, own.position.relay), (2, 4));
    let more = hears(&mut world, Stream::Relay, 4, 5).expect("nothing is missing before it");
    assert_eq!((more.position.own, more.position.relay), (2, 5));
}
