//! The limit on siblings of one key.

use std::collections::BTreeSet;

use super::conflicts::{Writer, origin, received};
use super::*;
use crate::store::conflict::policy::{ConflictPolicy, kept};
use crate::store::conflict::sibling_limit::{DroppedSibling, SIBLINGS_MAX};

/// A write of the key by `author`, who has seen `seen`.
fn write(key: &[u8], author: u64, sequence: u64, stamp: u64, seen: Vec<Dot>) -> Entry {
    let dot = Dot {
        origin: origin(author),
        sequence,
    };
    let extra = Extra {
        vector: seen,
        extension: Vec::new(),
    };
    let value = format!("{author}-{sequence}");
    let payload = [&[0], key, value.as_bytes()].concat();
    let flags = EntryFlags::default();
    let length = 1 + key.len();
    Entry::new(payload.into(), length, flags, dot, Stamp(stamp), 1, extra).unwrap()
}

fn sibling(author: u64, stamp: u64) -> Entry {
    kept(&write(b"k", author, 1, stamp, Vec::new())).unwrap()
}

fn shown() -> Entry {
    write(b"k", 1, 1, 1 << 40, Vec::new())
}

fn kept_dots(writer: &Writer) -> BTreeSet<Dot> {
    let all = writer.all().into_iter();
    all.filter_map(|entry| crate::store::conflict::policy::loser_of(&entry))
        .map(|loser| loser.dot)
        .collect()
}

fn dots(authors: impl Iterator<Item = u64>) -> BTreeSet<Dot> {
    let dot = |author| Dot {
        origin: origin(author),
        sequence: 1,
    };
    authors.map(dot).collect()
}

fn small(author: u64, policy: ConflictPolicy) -> Writer {
    let mut writer = Writer::new(author, policy);
    writer.committer.set_siblings_max(4);
    writer
}

#[test]
fn of_more_losers_than_are_kept_the_greatest_stay_and_the_others_are_told() {
    for policy in [ConflictPolicy::Manual, ConflictPolicy::LastWriteWins] {
        let mut writer = small(900, policy);
        writer.receive(vec![shown()]);
        for author in [15, 12, 11, 18, 14, 17, 13, 16] {
            writer.receive(vec![sibling(author, author)]);
            assert!(kept_dots(&writer).len() <= 4);
        }
        assert_eq!(kept_dots(&writer), dots(15..=18));
        let reported = writer.dropped.iter().map(|dropped| {
            assert_eq!((&dropped.key[..], dropped.is_open), (&b"k"[..], true));
            dropped.dot
        });
        assert_eq!(reported.collect::<BTreeSet<Dot>>(), dots(11..=14));
        // Siblings that arrive again stay removed, and are not reported again.
        writer.receive((11..=18).map(|author| sibling(author, author)).collect());
        assert_eq!(
            (kept_dots(&writer), writer.dropped.len()),
            (dots(15..=18), 4)
        );
    }
}

#[test]
fn losers_of_this_node_are_limited_alike() {
    let mut writer = small(900, ConflictPolicy::Manual);
    writer.put(b"k", b"mine");
    for author in 10..20 {
        writer.receive(vec![write(b"k", author, 1, (1 << 60) + author, Vec::new())]);
    }
    let kept = kept_dots(&writer);
    assert_eq!(kept, dots(15..=18), "19 is shown");
    let lost = |dropped: &DroppedSibling| dropped.dot.origin == origin(900);
    assert!(writer.dropped.iter().any(lost), "its own write, told");
}

#[test]
fn nodes_that_have_each_seen_a_part_keep_what_one_that_has_seen_all_keeps() {
    let all: Vec<Entry> = (10..30)
        .map(|author| sibling(author, 1_000 - author))
        .collect();
    let mut nodes: Vec<Writer> = (0..3)
        .map(|node| small(900 + node, ConflictPolicy::Manual))
        .collect();
    for node in &mut nodes {
        node.receive(vec![shown()]);
    }
    nodes[0].receive(all[..13].to_vec());
    nodes[1].receive(all[7..].to_vec());
    nodes[2].receive(all);
    for _ in 0..2 {
        for (from, to) in [(0, 1), (1, 2), (2, 0), (0, 2), (2, 1), (1, 0)] {
            let held = nodes[from].all();
            nodes[to].receive(held);
        }
    }
    let expected = dots(10..14);
    for node in &nodes {
        assert_eq!(kept_dots(node), expected);
        assert_eq!(node.map.summary(), nodes[0].map.summary());
    }
}

#[test]
fn what_the_value_or_a_later_loser_of_its_author_knows_goes_first_and_is_not_told() {
    let mut writer = small(900, ConflictPolicy::Manual);
    let known = (20..23).map(|author| Dot {
        origin: origin(author),
        sequence: 1,
    });
    writer.receive(vec![write(b"k", 1, 1, 1 << 40, known.collect())]);
    // Seen by the value, though greater than the open siblings.
    writer.receive(
        (20..23)
            .map(|author| sibling(author, 100 * author))
            .collect(),
    );
    let chain = (1..=3).map(|sequence| write(b"k", 30, sequence, 9_000 + sequence, Vec::new()));
    writer.receive(chain.map(|entry| kept(&entry).unwrap()).collect());
    writer.receive(vec![sibling(10, 10), sibling(11, 11)]);
    let mut expected = dots(10..=11);
    expected.insert(Dot {
        origin: origin(30),
        sequence: 3,
    });
    assert_eq!(kept_dots(&writer), expected);
    assert!(writer.dropped.iter().all(|dropped| !dropped.is_open));
}

#[test]
fn what_is_shown_still_is_not_taken_for_known_where_it_is_kept_already() {
    let mut writer = small(900, ConflictPolicy::LastWriteWins);
    let first = write(b"k", 10, 1, 10, Vec::new());
    writer.receive(vec![first.clone()]);
    let newest = (20..24).map(|author| sibling(author, 5));
    writer.receive(newest.chain(kept(&first)).collect());
    // Only then arrives the write that it lost against.
    writer.receive(vec![shown()]);
    assert!(kept_dots(&writer).contains(&first.dot));
}

#[test]
fn keys_that_begin_with_a_key_have_losers_of_their_own() {
    let mut writer = small(900, ConflictPolicy::Manual);
    for author in 10..14 {
        let longer = [&b"k"[..], &[u8::try_from(author).unwrap(); 30]].concat();
        let of_both = [&b"k"[..], &longer]
            .map(|key| kept(&write(key, author, 1, author, Vec::new())).unwrap());
        writer.receive(of_both.to_vec());
    }
    assert_eq!(writer.dropped, Vec::new());
    assert_eq!(kept_dots(&writer).len(), 4);
}

#[test]
fn removed_losers_of_a_key_are_not_gone_through_for_each_that_comes() {
    let mut writer = small(900, ConflictPolicy::Manual);
    writer.receive(vec![shown()]);
    let many = 40_000;
    for begin in (1_000..1_000 + many).step_by(1_000) {
        let some = (begin..begin + 1_000).map(|author| sibling(author, author));
        writer.commit_uncounted(vec![received(some.collect())]);
    }
    while writer.map.unsorted() > 0 {
        writer.map.sort_some();
    }
    let clock = crate::core::clock::SystemClock::new();
    let began = clock.monotonic();
    for author in 0..1_000 {
        let next = 1_000 + many + author;
        writer.commit_uncounted(vec![received(vec![sibling(next, next)])]);
    }
    let took_ms = clock.monotonic().since(began);
    assert!(took_ms < 2_000, "{took_ms}");
    assert_eq!(kept_dots(&writer).len(), 4);
}

#[test]
fn a_store_that_has_too_many_already_is_brought_down_by_and_by() {
    let mut writer = Writer::new(900, ConflictPolicy::Manual);
    writer.committer.set_siblings_max(usize::MAX);
    writer.receive(vec![shown()]);
    writer.receive(
        (1_000..3_000)
            .map(|author| sibling(author, author))
            .collect(),
    );
    writer.committer.set_siblings_max(SIBLINGS_MAX);
    for author in 0..10 {
        writer.receive(vec![sibling(10_000 + author, 10_000 + author)]);
    }
    let newest = (3_000 - 128 + 10..3_000).chain(10_000..10_010);
    assert_eq!(kept_dots(&writer), dots(newest));
}
