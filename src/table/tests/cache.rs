//! The block cache, also with many threads at once.

use std::ops::Bound;
use std::thread;

use super::{CACHE_BYTES, OwnRow, open, rows, write};

#[test]
fn a_scan_reads_ahead_and_leaves_the_cache_as_it_was() {
    let rows = rows(20_000, 100);
    let (storage, finished) = write(&rows, 1_000_000);
    let checkpoint = open(&storage, CACHE_BYTES).unwrap();
    for row in rows.iter().step_by(700) {
        checkpoint.find(&row.key).unwrap();
    }
    let held = checkpoint.open.source.cache.bytes();
    let before = storage.calls();
    let mut cursor = checkpoint.range(Bound::Unbounded).unwrap();
    let mut count = 0;
    while cursor.next().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, rows.len());
    assert!(storage.calls() - before < finished.file_bytes / (100 << 10));
    let cached = || checkpoint.open.source.cache.bytes();
    // Only the first block and its node were added.
    assert!(cached() - held < 40 << 10);
    let mut cursor = checkpoint.feed(0).after(0).unwrap();
    let held = cached();
    while cursor.next().unwrap().is_some() {}
    // Nodes of the index are cached: they are few, and every row needs them.
    assert!(cached() - held < 100 << 10);
    let before = storage.calls();
    for row in rows.iter().step_by(700) {
        checkpoint.find(&row.key).unwrap();
    }
    assert_eq!(storage.calls(), before);
}

#[test]
fn threads_that_share_a_tiny_cache_all_find_what_is_there() {
    let rows = rows(4_000, 120);
    let (storage, _) = write(&rows, 1_000_000);
    for cache_bytes in [0, 9_000, 40_000, 150_000] {
        let checkpoint = open(&storage, cache_bytes).unwrap();
        thread::scope(|scope| {
            for start in 0..4 {
                let (checkpoint, rows) = (checkpoint.clone(), &rows);
                scope.spawn(move || {
                    for step in 0..3_000 {
                        let row = &rows[(start * 991 + step * 37) % rows.len()];
                        let found = checkpoint.find(&row.key).unwrap().unwrap();
                        assert_eq!(&OwnRow::read(&checkpoint, &found).unwrap(), row);
                        assert!(
                            checkpoint
                                .find(&[&row.key[..], b"x"].concat())
                                .unwrap()
                                .is_none()
                        );
                    }
                });
            }
        });
        assert!(checkpoint.open.source.cache.bytes() <= cache_bytes);
    }
}

#[test]
fn keys_are_found_whether_their_nodes_tell_or_what_was_kept_of_them() {
    for count in [900, 20_000] {
        let rows = rows(count, 100);
        let (storage, _) = write(&rows, 1_000_000);
        let checkpoint = open(&storage, CACHE_BYTES).unwrap();
        let keeps_all = checkpoint.open.footer.data_blocks <= crate::table::read::lookup::HEADS_MAX;
        assert_eq!(keeps_all, count == 900);
        // The first lookup reads the node, the second one its fences.
        for _ in 0..2 {
            for row in &rows {
                let found = checkpoint.find(&row.key).unwrap().unwrap();
                assert_eq!(&OwnRow::read(&checkpoint, &found).unwrap(), row);
                let beside = [&row.key[..], b"x"].concat();
                assert!(checkpoint.find(&beside).unwrap().is_none());
            }
        }
    }
}
