//! Values that travel in chunks.

use super::host::{Stop, options};
use super::stage::{MOMENT_MS, keys_sent, stage};
use super::world::World;
use crate::core::clock::{MonotonicMs, Now, WallMs};
use crate::core::identity::{Incarnation, Origin};
use crate::core::limits::CHUNK_BYTES_MAX;
use crate::core::rules::{Rule, break_rule};
use crate::disk::memory::MemoryStorage;
use crate::disk::storage::Storage;
use crate::store::commit::committer::Durability;
use crate::store::commit::install::install_some;
use crate::store::commit::operation::{Operation, Request};
use crate::store::maintain::checkpoint::CheckpointJob;
use crate::store::maintain::recovery::{Seeds, open, put_in_place};
use crate::store::scope::Scope;
use crate::store::state::map::EntryMap;
use crate::store::state::rebase::Rebase;
use crate::sync::message::{Ack, Cursor, Feed, Positions, RefusalCode, Stream};
use crate::sync::replica::{Output, Replica};

fn text(bytes: usize, seed: usize) -> String {
    let digits = (0..bytes).map(|place| {
        let digit = (place * 7 + seed) % 10;
        char::from(b'0' + u8::try_from(digit).unwrap())
    });
    digits.collect()
}

fn chunks(said: &[Feed]) -> Vec<usize> {
    let of = |feed: &Feed| match feed {
        Feed::Chunk(chunk) => Some(chunk.bytes.len()),
        _ => None,
    };
    said.iter().filter_map(of).collect()
}

#[test]
fn values_around_the_limits_of_chunk_and_window_arrive_whole() {
    let sizes = [
        0,
        1,
        CHUNK_BYTES_MAX - 1,
        CHUNK_BYTES_MAX,
        CHUNK_BYTES_MAX + 1,
        2 * CHUNK_BYTES_MAX,
        (4 << 20) - 1,
        (4 << 20) + 1,
        11_000_000,
    ];
    let mut world = stage(&[options(), options()]);
    world.line();
    for (place, size) in sizes.into_iter().enumerate() {
        world.put(0, &format!("key-{place}"), &text(size, place));
        world.put(1, &format!("back-{place}"), &text(size, place + 1));
    }
    world.run_for(20_000);
    for (place, size) in sizes.into_iter().enumerate() {
        assert_eq!(
            world.get(1, &format!("key-{place}")),
            Some(text(size, place))
        );
        assert_eq!(
            world.get(0, &format!("back-{place}")),
            Some(text(size, place + 1))
        );
    }
    world.check_convergence();
}

#[test]
fn a_large_value_is_relayed() {
    let mut world = stage(&[options(), options(), options()]);
    world.line();
    world.put(0, "key", &text(2_000_000, 3));
    world.put(2, "small", "value");
    world.run_for(5_000);
    assert_eq!(world.get(2, "key"), Some(text(2_000_000, 3)));
    world.check_convergence();
}

/// A large value of which only a part is sent, because the peer grants no more credit.
fn half_sent() -> World {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.forget_what_was_said();
    world.stall(1, 0, world.at + 3_000);
    world.put(0, "key", &text(9_000_000, 1));
    world.run_for(1_000);
    let sent: usize = chunks(&world.said(0, 1)).iter().sum();
    assert!((4_000_000..6_000_000).contains(&sent), "{sent}");
    world
}

#[test]
fn replaced_while_it_is_under_way_it_is_given_up_for_its_successor() {
    for successor in ["small".to_owned(), text(8_000_000, 2)] {
        let mut world = half_sent();
        world.put(0, "key", &successor);
        world.run_for(1_000);
        world.run_for(20_000);
        assert_eq!(
            chunks(&world.said(0, 1))
                .iter()
                .filter(|bytes| **bytes == 0)
                .count(),
            1
        );
        assert_eq!(world.get(1, "key"), Some(successor));
        assert!(world.closes.is_empty(), "{:?}", world.closes);
        world.check_convergence();
    }
}

#[test]
fn removed_while_it_is_under_way_it_is_given_up() {
    let mut world = half_sent();
    world.write(0, b"key", None);
    world.run_for(20_000);
    assert_eq!(world.get(1, "key"), None);
    world.check_convergence();
}

#[test]
fn writes_behind_a_large_value_follow_it() {
    let mut world = half_sent();
    world.put_many(0, "behind", 20);
    world.run_for(20_000);
    assert_eq!(world.get(1, "behind-00019").as_deref(), Some("value"));
    world.check_convergence();
}

#[test]
fn a_connection_lost_in_the_middle_begins_it_again() {
    let mut world = half_sent();
    world.cut(0, 1);
    world.run_for(1_000);
    world.line();
    world.run_for(10_000);
    assert_eq!(world.get(1, "key"), Some(text(9_000_000, 1)));
    world.check_convergence();
}

#[test]
fn a_retry_in_the_middle_ends_it_before_it_begins_again() {
    let mut world = stage(&[options(), options()]);
    world.line();
    // The peer's answers come late, so that the small write before the value is overdue in its middle.
    world.stall(0, 1, world.at + 22_000);
    world.put(0, "first", "value");
    world.run_for(500);
    world.put(0, "key", &text(9_000_000, 1));
    world.run_for(60_000);
    assert!(world.closes.is_empty(), "{:?}", world.closes);
    assert_eq!(world.get(1, "key"), Some(text(9_000_000, 1)));
    world.check_convergence();
}

#[test]
fn refused_on_arrival_it_is_rejected_and_what_follows_comes() {
    let mut world = half_sent();
    world.checks_holdings = false;
    // The receiving transport found no room for the value, and skips the rest of it.
    let running = world.hosts[0].up();
    let lseq = running.map.own_after(0).last().unwrap().unwrap().lseq;
    let link = world.link(1, 0);
    let running = world.hosts[1].up_mut();
    running
        .replica
        .refuse(link, Stream::Own, lseq, RefusalCode::StorageFailed);
    world.drain(1);
    let wire = world.wire_between(0, 1).unwrap();
    world.wires[wire]
        .ends
        .iter_mut()
        .for_each(|end| end.skips_large = true);
    world.run_for(20_000);
    world.put(0, "behind", "value");
    world.run_for(MOMENT_MS);
    assert!(world.closes.is_empty(), "{:?}", world.closes);
    assert_eq!(world.get(1, "behind").as_deref(), Some("value"));
    assert_eq!(world.counts(0).failed, 1);
    let wire = world.wire_between(0, 1).unwrap();
    world.wires[wire]
        .ends
        .iter_mut()
        .for_each(|end| end.skips_large = false);
    assert_eq!(world.retry_failed(0), 1);
    world.run_for(20_000);
    assert_eq!(world.get(1, "key"), Some(text(9_000_000, 1)));
    world.check_convergence();
}

/// A replica whose map is a checkpoint with one large value, and its disk.
fn over_a_checkpoint(node: u8, value: &str) -> (MemoryStorage, Replica, EntryMap) {
    let disk = MemoryStorage::new();
    let seeds = Seeds {
        salt: 1,
        file_id: [1; 16],
        origin: Origin([node; 16]),
        lease: [1; 16],
        incarnation: Incarnation([node; 16]),
    };
    let opened = open(
        &disk,
        "a.wal",
        "node-0",
        Durability::Synced,
        1 << 20,
        &seeds,
    )
    .unwrap();
    let (mut committer, mut map) = (opened.committer, opened.map);
    let request = Request::Write {
        ticket: 1,
        operation: Operation::put(b"key", value.as_bytes(), true).unwrap(),
    };
    let wall = WallMs(1_700_000_000_000);
    let mut group = committer.commit(vec![request], &map, wall).unwrap();
    while !install_some(&mut group, &mut map).is_empty() {}
    map.sort_some();
    committer.seal(&disk, 2).unwrap();
    let cut = committer.cut(committer.sealed_frame().unwrap(), &mut map);
    let (cut, temp) = (cut.unwrap(), "a.wal.checkpoint.new");
    let last_lseq = cut.ledger.last_lseq;
    let mut job = CheckpointJob::begin(&disk, temp, cut).unwrap();
    job.take_page(&map);
    while job.write_page().unwrap() {
        job.take_page(&map);
    }
    job.finish().unwrap();
    let pause = &mut || std::ops::ControlFlow::Continue(());
    let base = put_in_place(&disk, temp, "a.wal", 1 << 20, pause).unwrap();
    drop(Rebase::new(base, &map, last_lseq).finish(&mut map));
    let replica = Replica::new(options(), committer.ledger(), &map);
    (disk, replica, map)
}

#[test]
fn a_value_out_of_the_checkpoint_is_read_once() {
    let value = text(9_000_000, 1);
    let (disk, mut replica, map) = over_a_checkpoint(1, &value);
    let (_, mut peer, peers_map) = over_a_checkpoint(2, "small");
    let now = Now {
        monotonic: MonotonicMs(1),
        wall: WallMs(1_700_000_000_000),
    };
    let mut greeting = peer.greeting(&Scope::ALL, now, &peers_map);
    // Without reconciliation the peer gets the feed from its start.
    greeting.reconciles = false;
    let mut credit = 4 << 20;
    let mut sent = Vec::new();
    replica.connected(7, &greeting, &Scope::ALL, now, &map);
    while sent.len() < value.len() {
        let cursor = Cursor {
            incarnation: Incarnation([1; 16]),
            positions: Positions::default(),
        };
        let ack = Ack {
            cursor: (!sent.is_empty()).then_some(cursor),
            credit,
            void: None,
            reconcile: false,
            ..Ack::default()
        };
        replica.received(7, Feed::Ack(ack), false, now, &map);
        let before = sent.len();
        while let Some(output) = replica.poll() {
            match output {
                Output::Send(7, Feed::Chunk(chunk)) => sent.extend(chunk.bytes),
                Output::Close(..) => panic!("it was read again after {before} bytes"),
                _ => {}
            }
        }
        assert!(sent.len() > before, "{before}");
        let file = disk.open("a.wal.checkpoint").unwrap().unwrap();
        file.write_at(100, &vec![0; 9_000_000]).unwrap();
        credit += 1 << 20;
    }
    assert_eq!(sent, value.as_bytes());
}

/// A world in which a host has sent a large value, whose chunks arrive `every_ms` apart.
fn on_a_slow_line(every_ms: u64) -> World {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.forget_what_was_said();
    world.stall(1, 0, world.at + 100);
    world.put(0, "key", &text(3_000_000, 1));
    world.run_for(50);
    let wire = world.wire_between(0, 1).unwrap();
    let ends = &mut world.wires[wire].ends;
    let end = ends.iter_mut().find(|end| end.host == 1).unwrap();
    assert!(end.arriving.len() > 10);
    for (place, (at, _)) in end.arriving.iter_mut().enumerate() {
        *at += every_ms * place as u64;
    }
    world
}

#[test]
fn on_a_slow_line_what_arrives_is_progress_and_nothing_is_sent_twice() {
    break_rule(Some(Rule::OnlyCursorsProgress));
    let mut world = on_a_slow_line(6_000);
    world.run_for(40_000);
    break_rule(None);
    assert!(world.hosts[0].up().report().total_retries > 0);
    let mut world = on_a_slow_line(6_000);
    world.run_for(80_000);
    assert_eq!(world.get(1, "key"), Some(text(3_000_000, 1)));
    let sent: usize = chunks(&world.said(0, 1)).iter().sum();
    assert_eq!(sent, 3_000_000);
    assert_eq!(world.hosts[0].up().report().total_retries, 0);
    world.check_convergence();
}

#[test]
fn where_it_was_sent_again_a_late_acknowledgement_ends_the_second_copy() {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.forget_what_was_said();
    world.stall(1, 0, world.at + 17_000);
    world.put(0, "key", &text(3_000_000, 1));
    world.run_for(18_000);
    assert_eq!(world.get(1, "key"), Some(text(3_000_000, 1)));
    assert_eq!(world.hosts[0].up().report().total_retries, 1);
    world.put(0, "note", "small");
    world.run_for(1_000);
    assert_eq!(world.get(1, "note").as_deref(), Some("small"));
    let sent: usize = chunks(&world.said(0, 1)).iter().sum();
    assert!(sent < 5_000_000, "{sent}");
    world.run_for(60_000);
    world.check_convergence();
}

/// Bytes of large values that host 0 has sent to host 1.
fn sent_bytes(world: &mut World) -> usize {
    chunks(&world.said(0, 1)).iter().sum()
}

/// A world in which a part of a large value has arrived when the line is lost.
fn half_arrived() -> World {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.forget_what_was_said();
    world.put(0, "key", &text(9_000_000, 1));
    while world.begun.is_empty() {
        world.run_for(1);
        let wire = world.wire_between(0, 1).unwrap();
        let ends = &world.wires[wire].ends;
        let end = ends.iter().find(|end| end.host == 1).unwrap();
        let large = end.large.as_ref();
        if large.is_some_and(|(_, value)| value.len() > 4_000_000) {
            world.cut(0, 1);
        }
    }
    assert!(world.get(1, "key").is_none());
    world.forget_what_was_said();
    world
}

#[test]
fn a_large_value_goes_on_behind_what_has_come_of_it_when_the_connection_was_lost() {
    let mut world = half_arrived();
    world.line();
    world.run_for(10_000);
    let sent = sent_bytes(&mut world);
    assert!(sent < 5_000_000, "{sent}");
    assert_eq!(world.get(1, "key"), Some(text(9_000_000, 1)));
    assert!(world.closes.is_empty(), "{:?}", world.closes);
    world.check_convergence();
}

#[test]
fn what_has_come_of_a_value_is_of_no_use_for_its_successor() {
    let mut world = half_arrived();
    world.put(0, "key", &text(9_000_000, 2));
    world.run_for(100);
    world.line();
    world.run_for(10_000);
    assert_eq!(sent_bytes(&mut world), 9_000_000);
    assert_eq!(world.get(1, "key"), Some(text(9_000_000, 2)));
    world.check_convergence();
}

#[test]
fn what_a_receiver_has_of_a_value_is_gone_with_its_process() {
    let mut world = half_arrived();
    world.stop(1, Stop::Cleanly);
    world.open(1);
    world.line();
    world.run_for(10_000);
    assert_eq!(sent_bytes(&mut world), 9_000_000);
    assert_eq!(world.get(1, "key"), Some(text(9_000_000, 1)));
    world.check_convergence();
}

#[test]
fn a_peer_that_cannot_resume_gets_large_values_from_their_start() {
    let mut world = stage(&[options(), options()]);
    world.is_old = true;
    world.line();
    world.stall(1, 0, world.at + 3_000);
    world.put(0, "key", &text(9_000_000, 1));
    world.run_for(1_000);
    world.cut(0, 1);
    world.forget_what_was_said();
    world.connect(0, 1, 5);
    world.run_for(10_000);
    assert_eq!(sent_bytes(&mut world), 9_000_000);
    assert_eq!(world.get(1, "key"), Some(text(9_000_000, 1)));
}

#[test]
fn small_writes_pass_a_large_value_and_are_sent_once() {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.put(0, "film", &text(30_000_000, 1));
    world.put_many(0, "note", 10);
    world.forget_what_was_said();
    while world.get(1, "note-00009").is_none() {
        world.run_for(1);
        assert!(world.get(1, "film").is_none(), "they wait behind it");
    }
    world.run_for(20_000);
    assert!(world.get(1, "film").is_some());
    let mut keys = keys_sent(&world.said(0, 1));
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 11);
    assert_eq!(world.entries, 11, "each goes once");
    world.check_convergence();
}

#[test]
fn what_passed_a_large_value_is_not_sent_again_when_the_connection_was_lost() {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.put(0, "film", &text(30_000_000, 1));
    world.put_many(0, "note", 10);
    while world.get(1, "note-00009").is_none() {
        world.run_for(1);
    }
    world.run_for(30);
    world.cut(0, 1);
    world.forget_what_was_said();
    world.line();
    world.run_for(20_000);
    assert!(world.get(1, "film").is_some());
    let keys = keys_sent(&world.said(0, 1));
    assert_eq!(keys, ["film"]);
    world.check_convergence();
}

#[test]
fn the_other_stream_goes_on_beside_a_large_value() {
    let mut world = stage(&[options(), options(), options()]);
    world.connect(0, 1, 5);
    world.connect(1, 2, 60);
    world.run_for(MOMENT_MS);
    world.put(1, "film", &text(60_000_000, 1));
    world.run_for(20);
    world.put(0, "note", "small");
    while world.get(2, "note").is_none() {
        world.run_for(1);
        assert!(world.get(2, "film").is_none(), "it waits behind it");
    }
    world.run_for(20_000);
    world.check_convergence();
}
