//! A peer that breaks the rules: the connection ends, and nothing else happens.

use super::host::options;
use super::stage::{MOMENT_MS, stage};
use super::world::World;
use crate::core::identity::{Dot, Origin};
use crate::core::stamp::{STAMP_MS_END, Stamp};
use crate::store::commit::operation::Request;
use crate::store::entry::{Entry, EntryFlags, Extra};
use crate::sync::message::{
    Ack, Batch, Cursor, DotRange, End, Feed, Have, Nack, Positions, Ranges, RefusalCode, Stream,
};
use crate::sync::options::WINDOW_COST;

fn honest_pair() -> World {
    let mut world = stage(&[options(), options()]);
    world.line();
    world.put(0, "key", "value");
    world.run_for(MOMENT_MS);
    world.forget_what_was_said();
    world
}

/// Sends a message to the first node in the name of the second.
fn lie(world: &mut World, feed: Feed) {
    let link = world.link(0, 1);
    world.hand_in(0, link, feed, false);
    world.drain(0);
}

fn entry(namespace: u8, sequence: u64, stamp: u64, version: u64, value: usize) -> Entry {
    let mut payload = vec![namespace, b'k'];
    payload.resize(2 + value, b'v');
    let dot = Dot {
        origin: Origin([5; 16]),
        sequence,
    };
    let flags = EntryFlags::default();
    Entry::new(
        payload.into(),
        2,
        flags,
        dot,
        Stamp(stamp),
        version,
        Extra::default(),
    )
    .unwrap()
}

fn batch(world: &World, entry: Entry) -> Feed {
    let relay = world.hosts[1].up().replica.last_lseq;
    Feed::Batch(Batch {
        stream: Stream::Relay,
        from: relay,
        to: relay + 1,
        entries: vec![entry],
    })
}

#[test]
fn an_honest_batch_passes() {
    let mut world = honest_pair();
    let feed = batch(&world, entry(0, 1, 1 << 16, 1, 3));
    lie(&mut world, feed);
    assert!(world.closes.is_empty());
}

#[test]
fn an_entry_that_no_node_can_have_written_is_refused_by_itself_and_the_feed_goes_on() {
    let stamp = 1 << 16;
    let wrong = [
        ("no sequence", entry(0, 0, stamp, 1, 3)),
        ("a sequence without end", entry(0, u64::MAX, stamp, 1, 3)),
        ("no version", entry(0, 1, stamp, 0, 3)),
        ("a version without end", entry(0, 1, stamp, u64::MAX, 3)),
        ("the last stamp", entry(0, 1, u64::MAX, 1, 3)),
    ];
    for (what, faulty) in wrong {
        let mut world = honest_pair();
        // The answers do not reach the second host, which has sent none of this.
        world.stall(1, 0, world.at + 60_000);
        let before = world.hosts[0].up().map.summary();
        let feed = batch(&world, faulty);
        lie(&mut world, feed);
        let refusals = |said: Vec<Feed>| {
            let is_refusal = |feed: &Feed| matches!(feed, Feed::Nack(nack) if !nack.retryable);
            said.iter().filter(|feed| is_refusal(feed)).count()
        };
        let said = world.said(0, 1);
        assert_eq!(refusals(said), 1, "{what}");
        assert!(world.closes.is_empty(), "{what}");
        assert_eq!(world.hosts[0].up().map.summary(), before, "{what}");
        assert_eq!(world.hosts[0].up().report().total_refused, 1, "{what}");
        // The feed goes on after the refused entry.
        let next = entry(0, 2, stamp, 1, 3);
        world
            .written
            .entry(next.dot)
            .or_default()
            .push(next.clone());
        let relay = world.hosts[1].up().replica.last_lseq + 1;
        let next = Feed::Batch(Batch {
            stream: Stream::Relay,
            from: relay,
            to: relay + 1,
            entries: vec![next],
        });
        lie(&mut world, next);
        world.run_for(100);
        assert!(
            world.get(0, "k").is_some() && world.closes.is_empty(),
            "{what}"
        );
    }
}

#[test]
fn an_entry_that_lies_about_itself_ends_the_connection_and_the_cursor_goes_on() {
    let mut text = entry(0, 1, 1 << 16, 1, 0);
    let payload = [b"\0k".as_slice(), &[0xc3, 0xa9]]
        .concat()
        .into_boxed_slice();
    text = Entry::new(
        payload,
        2,
        EntryFlags::ASCII,
        text.dot,
        text.stamp,
        1,
        Extra::default(),
    )
    .unwrap();
    for lie in [2, 3, 77]
        .map(|namespace| entry(namespace, 1, 1 << 16, 1, 3))
        .into_iter()
        .chain([text])
    {
        let mut world = honest_pair();
        let before = world.hosts[0].up().map.summary();
        let feed = batch(&world, lie);
        let origin = world.hosts[1].up().replica.origin();
        let to = world.hosts[1].up().replica.last_lseq + 1;
        self::lie(&mut world, feed);
        world.run_for(100);
        assert_eq!(world.closes.len(), 1);
        assert_eq!(world.hosts[0].up().map.summary(), before);
        let cursor = world.hosts[0].up().committer.ledger().cursors[&origin];
        assert_eq!(
            cursor.relay, to,
            "an older node that was lied to comes past it"
        );
    }
}

#[test]
fn a_key_with_the_last_stamp_of_a_clock_is_written_by_everybody_and_travels() {
    let mut world = honest_pair();
    // The second host never held the entry that is sent in its name.
    world.checks_holdings = false;
    let last = entry(0, 1, (STAMP_MS_END << 16) - 1, 1, 3);
    world
        .written
        .entry(last.dot)
        .or_default()
        .push(last.clone());
    let feed = Feed::Batch(Batch {
        stream: Stream::Relay,
        from: 0,
        to: 0,
        entries: vec![last],
    });
    lie(&mut world, feed);
    world.run_for(MOMENT_MS);
    for (host, other, value) in [(0, 1, "a"), (1, 0, "b"), (0, 1, "c")] {
        world.put(host, "k", value);
        world.put(host, "behind", value);
        world.run_for(MOMENT_MS);
        for (host, key) in [(host, "k"), (other, "k"), (other, "behind")] {
            assert_eq!(world.get(host, key).as_deref(), Some(value), "{key}");
        }
    }
    assert!(world.closes.is_empty());
}

#[test]
fn what_a_peer_claims_to_hold_is_no_acknowledgement_and_releases_nothing() {
    let mut world = stage(&[super::stage::manual(), options()]);
    world.put(0, "draft", "value");
    world.run_for(MOMENT_MS);
    world.line();
    world.cut(0, 1);
    world.run_for(100);
    world.connect(0, 1, 0);
    let running = world.hosts[0].up();
    let last = running.replica.last_lseq;
    let cursor = Cursor {
        incarnation: running.replica.incarnation(),
        positions: Positions {
            own: last,
            relay: last,
        },
    };
    let claim = || {
        Feed::Ack(Ack {
            cursor: Some(cursor),
            credit: WINDOW_COST,
            void: None,
            reconcile: false,
            ..Ack::default()
        })
    };
    lie(&mut world, claim());
    lie(&mut world, claim());
    world.run_for(MOMENT_MS);
    assert_eq!(world.counts(0).acknowledged, 0);
    assert_eq!(world.counts(0).queued, 1);
    assert_eq!(world.get(1, "draft"), None);
}

#[test]
fn a_refusal_of_what_was_not_sent_is_no_refusal() {
    let mut world = stage(&[super::stage::manual(), options()]);
    world.line();
    world.put(0, "draft", "value");
    world.run_for(MOMENT_MS);
    let lseq = world.hosts[0].up().replica.last_lseq;
    for stream in [Stream::Own, Stream::Relay] {
        for retryable in [false, true] {
            let nack = Nack {
                stream,
                lseq,
                code: RefusalCode::Malformed,
                retryable,
                writes: Vec::new(),
            };
            lie(&mut world, Feed::Nack(nack));
        }
    }
    world.run_for(MOMENT_MS);
    let counts = world.counts(0);
    assert_eq!((counts.failed, counts.queued), (0, 1));
    assert_eq!(world.hosts[0].up().report().total_refused, 4);
    world.tick(0, false);
    world.run_for(MOMENT_MS);
    assert_eq!(world.get(1, "draft").as_deref(), Some("value"));
}

#[test]
fn many_refusals_are_recorded_together() {
    let mut world = honest_pair();
    world.stall(1, 0, world.at + 60_000);
    let before = world.hosts[0].up().replica.last_lseq;
    world.put_many(0, "key", 300);
    world.run_for(100);
    let last = world.hosts[0].up().replica.last_lseq;
    for lseq in before + 1..=last {
        let nack = Nack {
            stream: Stream::Own,
            lseq,
            code: RefusalCode::Malformed,
            retryable: false,
            writes: Vec::new(),
        };
        let link = world.link(0, 1);
        world.hand_in(0, link, Feed::Nack(nack), false);
        world.drain(0);
    }
    let is_record = |request: &&Request| matches!(request, Request::Peer { .. });
    let records = world.hosts[0].up().queue.iter().filter(is_record).count();
    assert!(records <= 2, "{records} records hold the whole list");
    assert_eq!(world.counts(0).failed, 300);
    world.run_for(MOMENT_MS);
    assert_eq!(world.counts(0).failed, 300);
}

#[test]
fn gaps_and_batches_that_run_backwards_end_the_connection() {
    for (from, to) in [(50, 60), (1, 0)] {
        let mut world = honest_pair();
        let feed = Feed::Batch(Batch {
            stream: Stream::Own,
            from,
            to,
            entries: vec![entry(0, 1, 1 << 16, 1, 3)],
        });
        lie(&mut world, feed);
        assert_eq!(world.closes.len(), 1, "({from}, {to}]");
    }
}

#[test]
fn acknowledging_what_was_not_sent_ends_the_connection() {
    let mut world = honest_pair();
    let incarnation = world.hosts[0].up().replica.incarnation();
    let positions = Positions { own: 99, relay: 0 };
    let ack = Ack {
        cursor: Some(Cursor {
            incarnation,
            positions,
        }),
        credit: 0,
        void: None,
        reconcile: false,
        ..Ack::default()
    };
    lie(&mut world, Feed::Ack(ack));
    assert_eq!(world.closes.len(), 1);
    assert_eq!(world.counts(0).acknowledged, 1);
}

#[test]
fn a_value_over_the_limit_that_was_told_ends_the_connection() {
    let mut world = stage(&[
        crate::sync::options::ReplicaOptions {
            value_bytes_max: 100,
            ..options()
        },
        options(),
    ]);
    world.line();
    let feed = batch(&world, entry(0, 1, 1 << 16, 1, 101));
    lie(&mut world, feed);
    assert_eq!(world.closes.len(), 1);
}

#[test]
fn more_than_was_granted_ends_the_connection() {
    let mut world = honest_pair();
    world.commit_ms = 1_000_000;
    let mut reported = 0;
    while world.closes.is_empty() {
        let feed = batch(&world, entry(0, 1, 1 << 16, 1, 200_000));
        reported += feed.cost();
        assert!(
            reported < 3 * WINDOW_COST,
            "nothing bounds what waits to be committed"
        );
        lie(&mut world, feed);
    }
    assert!(reported > WINDOW_COST, "what was granted may be sent");
}

#[test]
fn a_grant_without_end_is_taken_for_a_usual_one() {
    let mut world = stage(&[options(), options()]);
    world.line();
    let ack = Ack {
        cursor: Some(Cursor {
            incarnation: world.hosts[0].up().replica.incarnation(),
            positions: Positions::default(),
        }),
        credit: u64::MAX,
        void: None,
        reconcile: false,
        ..Ack::default()
    };
    lie(&mut world, Feed::Ack(ack));
    world.stall(1, 0, world.at + 60_000);
    world.forget_what_was_said();
    for number in 0..100 {
        world.put(0, &format!("key-{number}"), &"v".repeat(200_000));
    }
    world.run_for(MOMENT_MS);
    let out: u64 = world.said(0, 1).iter().map(Feed::cost).sum();
    assert!(
        out < 2 * WINDOW_COST,
        "{out} bytes wait in memory for one peer"
    );
}

#[test]
fn hints_and_ends_and_refusals_of_any_kind_do_no_harm() {
    let mut world = honest_pair();
    let origin = world.hosts[0].up().replica.origin();
    let all = DotRange {
        origin,
        first: 0,
        last: u64::MAX,
    };
    let backwards = DotRange {
        first: 9,
        last: 1,
        ..all
    };
    let end = End {
        positions: Positions {
            own: u64::MAX,
            relay: u64::MAX,
        },
        summary: crate::store::entry::Summary::default(),
        complete: true,
    };
    let nack = |retryable, lseq| Nack {
        stream: Stream::Relay,
        lseq,
        code: RefusalCode::Other,
        retryable,
        writes: Vec::new(),
    };
    for feed in [
        Feed::Have(Have {
            ranges: vec![backwards, all, all],
        }),
        Feed::Nack(nack(false, 0)),
        Feed::Nack(nack(false, u64::MAX)),
        Feed::Nack(nack(true, u64::MAX)),
        Feed::End(end),
    ] {
        lie(&mut world, feed);
        world.run_for(100);
    }
    world.put(0, "later", "value");
    world.run_for(60_000);
    // Whatever the first host was told, the next connection is with an honest peer.
    world.cut(0, 1);
    world.run_for(1_000);
    world.stop(0, super::host::Stop::PowerCut);
    world.open(0);
    world.line();
    world.run_for(10_000);
    assert_eq!(world.get(1, "later").as_deref(), Some("value"));
    world.check_convergence();
}

#[test]
fn who_opens_reconciliations_without_end_loses_its_connection() {
    let mut world = honest_pair();
    let opening = || {
        Feed::Ranges(Ranges {
            exchange: 1,
            step: 1,
            parts: Vec::new(),
        })
    };
    // Only the lower one opens: the other one is the liar.
    let lower =
        usize::from(world.hosts[0].up().replica.origin > world.hosts[1].up().replica.origin);
    let link = world.link(1 - lower, lower);
    for _ in 0..8 {
        world.hand_in(1 - lower, link, opening(), false);
        world.drain(1 - lower);
    }
    assert!(world.closes.is_empty(), "{:?}", world.closes);
    world.hand_in(1 - lower, link, opening(), false);
    world.drain(1 - lower);
    assert!(
        !world.closes.is_empty(),
        "the ninth at once is one too many"
    );
}
