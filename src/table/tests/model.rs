//! A checkpoint against a map with equal rows: both give equal answers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use proptest::prelude::*;

use super::{CACHE_BYTES, OwnRow, open, rows, verify, write};
use crate::table::block::gone_rows::GoneRows;
use crate::table::read::open::Checkpoint;
use crate::table::verify::Verified;

fn key() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0_u8), Just(b'a'), Just(255), any::<u8>()];
    prop_oneof![
        6 => prop::collection::vec(byte, 1..6),
        6 => (0_u32..300).prop_map(|number| format!("a long beginning that all share {number:05}").into_bytes()),
        1 => (any::<u8>(), 1000_usize..=1025).prop_map(|(byte, bytes)| vec![byte; bytes]),
        1 => (any::<u8>(), 1_u8..).prop_map(|(byte, last)| [vec![byte; 1020], vec![last]].concat()),
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop_oneof![20 => 0_usize..200, 3 => 2_000_usize..2_100, 1 => 2_000_usize..300_000];
    (any::<u8>(), bytes).prop_map(|(byte, bytes)| vec![byte; bytes])
}

/// Rows with unique local sequences, some close to each other and some far apart.
fn some_rows() -> impl Strategy<Value = Vec<OwnRow>> {
    let stream = prop_oneof![Just(None), Just(Some(0_u8)), Just(Some(1))];
    let sum = prop_oneof![Just(0_u128), any::<u128>()];
    let row = (stream, sum, body(), any::<bool>());
    prop::collection::btree_map(key(), row, 0..200).prop_flat_map(|rows| {
        let count = rows.len();
        let numbers = prop_oneof![0_u64..5_000, any::<u64>()];
        let numbers = prop::collection::btree_set(numbers, count..=count);
        numbers
            .prop_map(|numbers| numbers.into_iter().collect::<Vec<_>>())
            .prop_shuffle()
            .prop_map(move |numbers| {
                let rows = rows.clone().into_iter().zip(numbers);
                rows.map(|((key, (stream, sum, body, is_dead)), lseq)| OwnRow {
                    key,
                    stream,
                    lseq,
                    sum,
                    body,
                    is_dead,
                })
                .collect()
            })
    })
}

/// The rows of a map in a range of keys.
fn within<'a>(
    map: &'a BTreeMap<Vec<u8>, OwnRow>,
    from: Bound<&'a [u8]>,
    to: Bound<&'a [u8]>,
) -> impl Iterator<Item = &'a OwnRow> {
    let behind = move |key: &[u8]| match from {
        Bound::Unbounded => true,
        Bound::Included(from) => key >= from,
        Bound::Excluded(from) => key > from,
    };
    let before = move |key: &[u8]| match to {
        Bound::Unbounded => true,
        Bound::Included(to) => key <= to,
        Bound::Excluded(to) => key < to,
    };
    map.iter()
        .filter(move |(key, _)| behind(key) && before(key))
        .map(|(_, row)| row)
}

fn bound(kind: u8, key: &[u8]) -> Bound<&[u8]> {
    match kind % 3 {
        0 => Bound::Unbounded,
        1 => Bound::Included(key),
        _ => Bound::Excluded(key),
    }
}

/// Checks that a scan of live rows meets all of them, and no dead row; replaced rows only from blocks that hold others.
fn live(checkpoint: &Checkpoint, map: &BTreeMap<Vec<u8>, OwnRow>) {
    for step in [1, 2, 7] {
        let mut gone = GoneRows::default();
        let mut left: BTreeSet<&[u8]> = BTreeSet::new();
        for (number, row) in map.values().filter(|row| !row.is_dead).enumerate() {
            let found = checkpoint.find(&row.key).unwrap().unwrap();
            if number % 50 < 20 || number % step == 0 {
                gone.add(found.block_of().unwrap());
            } else {
                left.insert(&row.key);
            }
        }
        let mut cursor = checkpoint.range(Bound::Unbounded).unwrap();
        let mut last = Vec::new();
        while let Some(row) = cursor.next_live(&gone).unwrap() {
            assert!(last < row.key() && !row.is_dead());
            last = row.key();
            left.remove(&last[..]);
            let found = checkpoint.find(&last).unwrap().unwrap();
            assert_eq!(row.block_of(), found.block_of());
        }
        assert_eq!(left.len(), 0);
    }
}

/// Questions to a checkpoint: two keys, the kinds of the bounds that they make, and a local sequence number.
type Asked = (Vec<u8>, Vec<u8>, u8, u64);

/// Checks every answer of a checkpoint of some rows against a map of them.
fn check(rows: &[OwnRow], asked: &[Asked], cache_bytes: usize, sort_rows_max: usize) {
    let (storage, finished) = write(rows, sort_rows_max);
    let checkpoint = open(&storage, cache_bytes).unwrap();
    let map: BTreeMap<Vec<u8>, OwnRow> = rows
        .iter()
        .map(|row| (row.key.clone(), row.clone()))
        .collect();
    let read = |row| OwnRow::read(&checkpoint, &row).unwrap();
    let sum = rows
        .iter()
        .fold(0_u128, |sum, row| sum.wrapping_add(row.sum));
    assert_eq!(
        (checkpoint.rows() as usize, checkpoint.sum()),
        (rows.len(), sum)
    );
    assert_eq!((finished.rows, finished.sum), (checkpoint.rows(), sum));
    assert_eq!(finished.file_bytes, checkpoint.file_bytes());
    assert_eq!(checkpoint.meta().unwrap(), b"meta");
    assert_eq!(
        (checkpoint.covers_frame(), checkpoint.notes()),
        (77, &[3, 4][..])
    );
    for (key, row) in &map {
        assert_eq!(checkpoint.find(key).unwrap().map(read).as_ref(), Some(row));
    }
    let mut cursor = checkpoint.range(Bound::Unbounded).unwrap();
    for row in map.values() {
        assert_eq!(cursor.next().unwrap().map(read).as_ref(), Some(row));
    }
    assert!(cursor.next().unwrap().is_none() && cursor.next().unwrap().is_none());
    live(&checkpoint, &map);
    for (key, other, kinds, _) in asked {
        assert_eq!(
            checkpoint.find(key).unwrap().map(read).as_ref(),
            map.get(key)
        );
        check_range(
            &checkpoint,
            &map,
            bound(kinds % 3, key),
            bound(kinds / 3, other),
        );
    }
    for stream in [0, 1, 2] {
        check_feed(&checkpoint, rows, asked, stream);
    }
    assert_eq!(verify(&checkpoint).unwrap(), Verified::Whole);
}

/// Checks the rows from a bound on, and the number and sum of those between two bounds.
fn check_range(
    checkpoint: &Checkpoint,
    map: &BTreeMap<Vec<u8>, OwnRow>,
    from: Bound<&[u8]>,
    to: Bound<&[u8]>,
) {
    let mut cursor = checkpoint.range(from).unwrap();
    for row in within(map, from, Bound::Unbounded).take(40) {
        assert_eq!(
            cursor.next().unwrap().map(|row| row.key()).as_ref(),
            Some(&row.key)
        );
    }
    let expected = within(map, from, to).fold((0, 0_u128), |(count, sum), row| {
        (count + 1, sum.wrapping_add(row.sum))
    });
    assert_eq!(checkpoint.sum_of(from, to).unwrap(), expected);
}

/// Checks one feed of a checkpoint: all of it, and from asked and held places on.
fn check_feed(checkpoint: &Checkpoint, rows: &[OwnRow], asked: &[Asked], stream: u8) {
    let read = |row| OwnRow::read(checkpoint, &row).unwrap();
    let feed = checkpoint.feed(stream);
    let model: BTreeMap<u64, &OwnRow> = rows
        .iter()
        .filter(|row| row.stream == Some(stream))
        .map(|row| (row.lseq, row))
        .collect();
    assert_eq!(
        (feed.rows() as usize, feed.last_lseq()),
        (model.len(), model.keys().last().copied())
    );
    let known: BTreeSet<u64> = rows.iter().step_by(5).map(|row| row.lseq).collect();
    let asked = asked
        .iter()
        .map(|(.., lseq)| *lseq)
        .chain([0, u64::MAX])
        .chain(known);
    for lseq in asked {
        assert_eq!(
            feed.at(lseq).unwrap().map(read).as_ref(),
            model.get(&lseq).copied()
        );
        let mut cursor = feed.after(lseq).unwrap();
        for (next, _) in model
            .range((Bound::Excluded(lseq), Bound::Unbounded))
            .take(30)
        {
            assert_eq!(cursor.next().unwrap().map(|row| row.lseq()), Some(*next));
        }
    }
    let mut cursor = feed.after(0).unwrap();
    for (_, row) in model.range(1..) {
        assert_eq!(cursor.next().unwrap().map(read).as_ref(), Some(*row));
    }
    assert!(cursor.next().unwrap().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_checkpoint_answers_as_a_map_of_its_rows(
        rows in some_rows(),
        asked in prop::collection::vec((key(), key(), 0..9_u8, 0_u64..5_000), 0..20),
        cache_bytes in prop_oneof![Just(0), 4_000_usize..100_000, Just(CACHE_BYTES)],
        sort_rows_max in prop_oneof![1_usize..30, Just(1_000)],
    ) {
        check(&rows, &asked, cache_bytes, sort_rows_max);
    }
}

#[test]
fn so_does_one_with_several_nodes_and_blocks_of_feeds() {
    let rows = rows(30_000, 100);
    let asked: Vec<_> = (0..60_u64)
        .map(|number| {
            let key = |number: u64| {
                format!(
                    "shared/{:08}{}",
                    number % 30_100,
                    ["", "x"][(number % 2) as usize]
                )
            };
            let kinds = u8::try_from(number % 9).unwrap();
            (
                key(number * 7_877).into_bytes(),
                key(number * 9_973).into_bytes(),
                kinds,
                number * 1_777,
            )
        })
        .collect();
    check(&rows, &asked, CACHE_BYTES, 900);
    check(&rows[..1], &asked, 0, 1);
    check(&[], &asked, 0, 1);
}

#[test]
fn opening_reads_the_same_whatever_the_size() {
    let reads = |count| {
        let (storage, _) = write(&rows(count, 100), 1_000_000);
        let before = storage.calls();
        open(&storage, CACHE_BYTES).unwrap();
        storage.calls() - before
    };
    assert_eq!(reads(10), reads(20_000));
}
