//! Writes that a peer refuses among others of one message: each is named, and counts as refused at its sender.

use super::host::{Stop, options};
use super::stage::stage;
use super::world::World;
use crate::core::identity::{Dot, Origin};
use crate::core::limits::AUTHORS_MAX;
use crate::core::rules::{Rule, break_rule};
use crate::core::stamp::Stamp;
use crate::store::commit::operation::Request;
use crate::store::entry::{Entry, EntryFlags, Extra};
use crate::sync::message::{Batch, Feed, Nack, PLACE_UNKNOWN, RefusalCode, RefusedWrite, Stream};
use crate::sync::options::BATCH_COST;
use crate::sync::outbox::rows::{OutboxRow, RowState};

/// Keys that are not text: a Rust program can write them, and no node takes them from a peer.
const FAULTY: [&[u8]; 2] = [b"\xff-one", b"\xff-two"];

/// Queues valid writes with faulty ones in between, which go in one batch.
fn write_some(world: &mut World) {
    world.put(0, "first", "1");
    world.write(0, FAULTY[0], Some(b"2"));
    world.put(0, "between", "3");
    world.write(0, FAULTY[1], Some(b"4"));
    world.put(0, "last", "5");
}

fn rows(world: &World, host: usize) -> Vec<OutboxRow> {
    let now = world.now(host).monotonic;
    let running = world.hosts[host].up();
    let rows = running.replica.list_outbox(None, 0, 100, now, &running.map);
    rows.unwrap()
}

fn failed(world: &World, host: usize) -> Vec<(Vec<u8>, Vec<&'static str>)> {
    let failed = rows(world, host).into_iter();
    let failed = failed.filter(|row| row.state == RowState::Failed);
    let reasons = |row: &OutboxRow| {
        let troubles = row.troubles.iter();
        troubles.map(|trouble| trouble.trouble.as_str()).collect()
    };
    failed.map(|row| (row.key.clone(), reasons(&row))).collect()
}

fn malformed() -> Vec<(Vec<u8>, Vec<&'static str>)> {
    let faulty = FAULTY.iter();
    faulty
        .map(|key| (key.to_vec(), vec!["malformed"]))
        .collect()
}

#[test]
fn what_a_peer_refuses_among_other_writes_counts_as_refused_and_the_others_as_acknowledged() {
    let mut world = stage(&[options(), options()]);
    world.checks_holdings = false;
    world.line();
    world.forget_what_was_said();
    write_some(&mut world);
    world.run_for(3_000);
    let said = world.said(0, 1);
    let is_together = |feed: &Feed| matches!(feed, Feed::Batch(batch) if batch.entries.len() >= 5);
    assert!(said.iter().any(is_together), "they went in one batch");
    assert!(world.closes.is_empty(), "{:?}", world.closes);
    assert_eq!(world.get(1, "last").as_deref(), Some("5"));
    assert_eq!(failed(&world, 0), malformed());
    let counts = world.counts(0);
    assert_eq!((counts.acknowledged, counts.failed), (3, 2));
    // The refusals stay when the two are compared, and when either is opened anew.
    world.run_for(120_000);
    assert_eq!(failed(&world, 0), malformed());
    for host in [0, 1] {
        world.stop(host, Stop::PowerCut);
        world.open(host);
        world.request(host, Request::Flush { ticket: 1 });
        world.run_for(10);
        world.line();
        world.run_for(3_000);
        assert_eq!(failed(&world, 0), malformed());
    }
}

#[test]
fn without_its_name_a_refused_write_would_pass_for_acknowledged() {
    break_rule(Some(Rule::RefusedUnnamed));
    let mut world = stage(&[options(), options()]);
    world.checks_holdings = false;
    world.line();
    write_some(&mut world);
    world.run_for(3_000);
    break_rule(None);
    assert_eq!(world.counts(0).acknowledged, 5);
    assert!(failed(&world, 0).is_empty());
}

#[test]
fn what_a_peer_refuses_in_a_comparison_counts_as_refused() {
    let mut world = stage(&[options(), options()]);
    world.checks_holdings = false;
    write_some(&mut world);
    // Both hosts hold something: ranges are compared, and no position names the entries sent.
    world.put_many(1, "other", 40);
    world.run_for(1_000);
    world.line();
    world.run_for(3_000);
    let is_compared = |feed: &Feed| matches!(feed, Feed::Ranges(_));
    assert!(world.said(0, 1).iter().any(is_compared));
    assert_eq!(failed(&world, 0), malformed());
    assert_eq!(world.counts(0).acknowledged, 3);
}

#[test]
fn more_refusals_than_one_message_names_are_all_told() {
    let count = crate::sync::message::REFUSED_WRITES_MAX + 10;
    let mut world = stage(&[options(), options()]);
    world.checks_holdings = false;
    world.line();
    for number in 0..count {
        let key = [b"\xff".as_slice(), format!("{number:05}").as_bytes()].concat();
        world.write(0, &key, Some(b"value"));
    }
    world.put(0, "last", "value");
    world.run_for(3_000);
    assert_eq!(world.counts(0).failed, count as u64);
    assert_eq!(world.counts(0).acknowledged, 1);
}

/// An entry of the author with this number.
fn by_author(number: usize) -> Entry {
    let mut origin = [9; 16];
    origin[..8].copy_from_slice(&(number as u64).to_be_bytes());
    let key = format!("\0by-{number:05}");
    let dot = Dot {
        origin: Origin(origin),
        sequence: 1,
    };
    let (payload, stamp) = (key.as_bytes().into(), Stamp(1 << 16));
    let (flags, extra) = (EntryFlags::default(), Extra::default());
    Entry::new(payload, key.len(), flags, dot, stamp, 1, extra).unwrap()
}

/// Fills the store of the second host with authors, in the name of the first.
fn fill_with_authors(world: &mut World) {
    let link = world.link(1, 0);
    for first in (0..AUTHORS_MAX).step_by(1_000) {
        let entries: Vec<Entry> = (first..AUTHORS_MAX.min(first + 1_000))
            .map(by_author)
            .collect();
        assert!(entries.len() as u64 * 80 < BATCH_COST * 2);
        for entry in &entries {
            let known = world.written.entry(entry.dot).or_default();
            known.push(entry.clone());
        }
        let batch = Batch {
            stream: Stream::Relay,
            from: 0,
            to: 0,
            entries,
        };
        world.hand_in(1, link, Feed::Batch(batch), false);
        world.drain(1);
        world.run_for(100);
    }
}

#[test]
fn a_store_that_names_as_many_authors_as_it_may_refuses_others_by_name_and_takes_what_it_knows() {
    let mut world = stage(&[options(), options()]);
    world.checks_holdings = false;
    world.line();
    world.put(0, "known", "before");
    world.run_for(1_000);
    world.stall(0, 1, world.at + 10_000);
    fill_with_authors(&mut world);
    world.cut(0, 1);
    let running = world.hosts[1].up();
    let refused = running.report().total_refused;
    assert!(refused > 0, "the last of them find no room");
    assert!(running.map.summary().count <= AUTHORS_MAX as u64);
    // A checkpoint names each of them: there is room for all.
    let named: std::collections::BTreeSet<Origin> = running
        .map
        .range_from(std::ops::Bound::Unbounded)
        .map(|entry| entry.unwrap().dot.origin)
        .collect();
    assert!(named.len() <= AUTHORS_MAX, "{}", named.len());
    // A known author's later writes are taken.
    world.connect(0, 1, 5);
    world.put(0, "known", "after");
    world.run_for(3_000);
    assert_eq!(world.get(1, "known").as_deref(), Some("after"));
    // Another opening is another author, whose writes are refused by name, wherever they are in a batch.
    world.stop(0, Stop::Cleanly);
    world.open(0);
    world.put(0, "new", "value");
    world.put(0, "newer", "value");
    world.run_for(1_000);
    world.connect(0, 1, 5);
    world.run_for(3_000);
    assert_eq!(world.get(1, "new"), None);
    let of = |key: &str| (key.as_bytes().to_vec(), vec!["too_many_authors"]);
    assert_eq!(failed(&world, 0), [of("new"), of("newer")]);
    assert!(world.closes.is_empty(), "{:?}", world.closes);
}

#[test]
fn writes_that_were_never_sent_are_not_refused_by_naming_them() {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.put(0, "sent", "value");
    world.run_for(1_000);
    // Nothing reaches the peer's disk any more, and no credit comes back.
    let running = world.hosts[0].up();
    let entry = running.map.entry(b"\0sent").unwrap().unwrap().into_owned();
    let wrong = Dot {
        sequence: entry.dot.sequence + 1,
        ..entry.dot
    };
    for (key, dot) in [(b"\0sent".as_slice(), wrong), (b"\0other", entry.dot)] {
        let nack = Nack {
            stream: Stream::Own,
            lseq: PLACE_UNKNOWN,
            code: RefusalCode::Malformed,
            retryable: false,
            writes: vec![RefusedWrite {
                key: key.to_vec(),
                dot,
            }],
        };
        let link = world.link(0, 1);
        world.hand_in(0, link, Feed::Nack(nack), false);
        world.drain(0);
    }
    assert_eq!(world.counts(0).failed, 0);
    assert_eq!(world.counts(0).acknowledged, 1);
}
