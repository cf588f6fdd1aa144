//! Messages are made one at a time: one message of entries for each peer, and the next when that is sent.

use super::host::options;
use super::stage::{MOMENT_MS, stage};
use super::world::World;
use crate::core::identity::Incarnation;
use crate::store::scope::Scope;
use crate::sync::message::{Ack, Cursor, Feed, Positions};
use crate::sync::replica::Output;

/// Number of entries whose values fill a good four messages.
const WRITES: usize = 300;

/// A value of which some sixty fill a message of entries.
fn value(number: usize) -> String {
    format!("{number:02000}")
}

/// Links of the queued messages of entries; all other outputs are dropped.
fn batches(world: &mut World, host: usize) -> Vec<u64> {
    let replica = &mut world.hosts[host].up_mut().replica;
    let mut sent = Vec::new();
    while let Some(output) = replica.poll() {
        if let Output::Send(link, Feed::Batch(_)) = output {
            sent.push(link);
        }
    }
    sent
}

/// Two peers greet the first host, which has much to send, and allow it `credit`.
fn greeted(world: &mut World, credit: u64) {
    for number in 0..WRITES {
        world.put_named(0, &format!("key-{number}"), &value(number));
    }
    world.run_for(MOMENT_MS);
    let now = world.now(0);
    for (peer, link) in [(1, 11), (2, 12)] {
        let running = world.hosts[peer].up_mut();
        let mut greeting = running.replica.greeting(&Scope::ALL, now, &running.map);
        greeting.reconciles = false;
        let running = world.hosts[0].up_mut();
        let (replica, map) = (&mut running.replica, &running.map);
        replica.connected(link, &greeting, &Scope::ALL, now, map);
        let cursor = Cursor {
            incarnation: Incarnation([0; 16]),
            positions: Positions::default(),
        };
        let ack = Ack {
            cursor: Some(cursor),
            credit,
            void: None,
            reconcile: false,
            ..Ack::default()
        };
        replica.received(link, Feed::Ack(ack), false, now, map);
    }
}

#[test]
fn each_peer_is_sent_one_message_of_entries_at_a_time_until_all_is_sent() {
    let mut world = stage(&[options(); 3]);
    greeted(&mut world, 4 << 20);
    let now = world.now(0);
    let mut sent = batches(&mut world, 0);
    // The first peer was told its credit twice: once by its own greeting, once with the other's.
    assert!(sent.len() <= 3, "{sent:?}");
    loop {
        let running = world.hosts[0].up_mut();
        let had_more = running.replica.send_more(now, &running.map);
        let some = batches(&mut world, 0);
        if !had_more {
            assert_eq!(some, []);
            break;
        }
        assert!(some.len() <= 2, "{some:?}");
        sent.extend(some);
    }
    for link in [11, 12] {
        let messages = sent.iter().filter(|to| **to == link).count();
        assert!(messages > 3, "{messages} to {link}");
    }
    let running = world.hosts[0].up_mut();
    running.replica.send_some(now, &running.map);
    assert_eq!(batches(&mut world, 0), [], "all was sent");
}

#[test]
fn large_values_go_out_chunk_by_chunk_to_each_peer_in_turn() {
    let mut world = stage(&[options(); 3]);
    world.put_named(0, "large", &value(1).repeat(1_500));
    greeted(&mut world, 4 << 20);
    let now = world.now(0);
    let (mut chunks, mut had_more) = (0, true);
    while had_more {
        let replica = &mut world.hosts[0].up_mut().replica;
        let mut some = Vec::new();
        while let Some(output) = replica.poll() {
            if let Output::Send(link, Feed::Chunk(_)) = output {
                some.push(link);
            }
        }
        // Sending that began with one greeting may go on with the other's.
        let most = if chunks == 0 { 3 } else { 2 };
        assert!(some.len() <= most, "{some:?}");
        chunks += some.len();
        let running = world.hosts[0].up_mut();
        had_more = running.replica.send_more(now, &running.map);
    }
    assert!(chunks >= 2 * 11, "{chunks}");
}

#[test]
fn who_has_no_credit_is_sent_no_more_and_holds_nobody_up() {
    let mut world = stage(&[options(); 3]);
    greeted(&mut world, 200 << 10);
    let now = world.now(0);
    let mut sent = batches(&mut world, 0);
    for _ in 0..10 {
        let running = world.hosts[0].up_mut();
        if !running.replica.send_more(now, &running.map) {
            break;
        }
        sent.extend(batches(&mut world, 0));
    }
    let running = world.hosts[0].up_mut();
    assert!(!running.replica.send_more(now, &running.map), "it ends");
    sent.sort_unstable();
    assert_eq!(sent, [11, 11, 12, 12]);
}
