//! Assembly of large values from chunks, without a network.

use std::sync::Arc;

use super::samples::entry;
use crate::core::clock::MonotonicMs;
use crate::core::identity::Origin;
use crate::sync::message::{BEGUN_MAX, Chunk, Large, RefusalCode, Resumption, Stream};
use crate::transport::session::chunks::{
    Assembled, Assembler, AssemblyError, SPOOL_BUDGET_BYTES, SPOOL_BYTES_MAX, SpoolBudget,
};
use crate::transport::session::unfinished::{KEPT_MS, Unfinished};

const NOW: MonotonicMs = MonotonicMs(1);

fn large(value_length: u64) -> Large {
    Large {
        stream: Stream::Relay,
        from: 4,
        to: 9,
        entry: entry(b"big", b"", 1, 1, 1_000),
        value_length,
        resumption: None,
    }
}

fn chunk(bytes: &[u8]) -> Chunk {
    Chunk {
        bytes: bytes.to_vec(),
    }
}

fn budget() -> Arc<SpoolBudget> {
    Arc::new(SpoolBudget::new(SPOOL_BUDGET_BYTES))
}

fn assembler(value_bytes_max: u64) -> Assembler {
    Assembler::new(value_bytes_max, None, budget(), Arc::default())
}

#[test]
fn a_value_is_whole_again_in_memory_and_on_disk() {
    for length in [1, 1000, SPOOL_BYTES_MAX, SPOOL_BYTES_MAX + 1, 3 << 20] {
        let value: Vec<u8> = (0..length)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        let mut assembler = assembler(8 << 20);
        let announced = large(length as u64);
        assert_eq!(
            assembler.on_large(announced.clone(), NOW),
            Ok(Assembled::Nothing)
        );
        assert_eq!(assembler.may_block(), length > SPOOL_BYTES_MAX);
        let mut pieces = value.chunks(200_000).peekable();
        while let Some(piece) = pieces.next() {
            let outcome = assembler.on_chunk(&chunk(piece), NOW).unwrap();
            if pieces.peek().is_some() {
                assert_eq!(outcome, Assembled::Nothing);
                continue;
            }
            let Assembled::Complete(batch) = outcome else {
                panic!("complete");
            };
            assert_eq!((batch.stream, batch.from, batch.to), (Stream::Relay, 4, 9));
            assert_eq!(batch.entries[0].value(), Some(&value[..]));
            assert_eq!(batch.entries[0].key(), announced.entry.key());
            assert_eq!(batch.entries[0].dot, announced.entry.dot);
        }
        assert_eq!(
            assembler.on_chunk(&chunk(b"x"), NOW),
            Err(AssemblyError::Unannounced)
        );
    }
}

#[test]
fn a_value_over_the_limit_is_refused_and_skipped() {
    let mut assembler = assembler(10);
    assert_eq!(
        assembler.on_large(large(11), NOW),
        Ok(Assembled::Refused {
            stream: Stream::Relay,
            lseq_to: 9,
            code: RefusalCode::ValueTooLarge,
        })
    );
    assert_eq!(
        assembler.on_large(large(1), NOW),
        Err(AssemblyError::Overlapping)
    );
    assert_eq!(
        assembler.on_chunk(&chunk(&[0; 6]), NOW),
        Ok(Assembled::Nothing)
    );
    assert_eq!(
        assembler.on_chunk(&chunk(&[0; 5]), NOW),
        Ok(Assembled::Nothing)
    );
    assert_eq!(assembler.on_large(large(1), NOW), Ok(Assembled::Nothing));
    assert!(matches!(
        assembler.on_chunk(&chunk(&[0]), NOW),
        Ok(Assembled::Complete(_))
    ));
}

#[test]
fn an_empty_chunk_gives_up_and_another_may_begin() {
    let mut assembler = assembler(100);
    for length in [50, 500] {
        assembler.on_large(large(length), NOW).unwrap();
        assembler.on_chunk(&chunk(&[0; 20]), NOW).unwrap();
        assert_eq!(assembler.on_chunk(&chunk(&[]), NOW), Ok(Assembled::Nothing));
    }
    assert_eq!(assembler.on_large(large(2), NOW), Ok(Assembled::Nothing));
}

#[test]
fn more_than_announced_breaks_the_rules() {
    for limit in [1, 100] {
        let mut assembler = assembler(limit);
        assembler.on_large(large(10), NOW).unwrap();
        assert_eq!(
            assembler.on_chunk(&chunk(&[0; 11]), NOW),
            Err(AssemblyError::TooLong)
        );
    }
}

#[test]
fn memory_is_taken_from_one_budget_and_given_back() {
    let budget = budget();
    let mut all: Vec<Assembler> = (0..10)
        .map(|_| Assembler::new(1 << 30, None, Arc::clone(&budget), Arc::default()))
        .collect();
    let mut on_disk = 0;
    for assembler in &mut all {
        assembler
            .on_large(large(SPOOL_BYTES_MAX as u64), NOW)
            .unwrap();
        on_disk += usize::from(assembler.may_block());
    }
    assert_eq!((on_disk, budget.free_bytes()), (2, 0));
    drop(all);
    assert_eq!(budget.free_bytes(), SPOOL_BUDGET_BYTES);
}

#[test]
fn a_folder_that_is_gone_refuses_the_value_and_not_the_peer() {
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("gone");
    let mut assembler = Assembler::new(1 << 30, Some(gone), budget(), Arc::default());
    assembler.on_large(large(2 << 20), NOW).unwrap();
    assert_eq!(
        assembler.on_chunk(&chunk(&[0; 1000]), NOW),
        Ok(Assembled::Refused {
            stream: Stream::Relay,
            lseq_to: 9,
            code: RefusalCode::StorageFailed,
        })
    );
    assert_eq!(
        assembler.on_chunk(&chunk(&[0; 1000]), NOW),
        Ok(Assembled::Nothing)
    );
}

const VALUE_BYTES: usize = 3 << 20;

fn value(seed: usize) -> Vec<u8> {
    let byte = |n: usize| u8::try_from((n + seed) % 251).unwrap();
    (0..VALUE_BYTES).map(byte).collect()
}

/// The announcement of a value that resumes after `offset`.
fn resumed(value: &[u8], offset: u64) -> Large {
    let whole = entry(b"big", value, 1, 1, 1_000);
    Large {
        resumption: Some(Resumption {
            content: whole.content_hash().unwrap(),
            offset,
        }),
        ..large(value.len() as u64)
    }
}

fn of_peer(unfinished: &Arc<Unfinished>) -> Assembler {
    let mut assembler = Assembler::new(8 << 20, None, budget(), Arc::clone(unfinished));
    assembler.greeted(PEER);
    assembler
}

const PEER: Origin = Origin([7; 16]);

fn bytes_there(unfinished: &Unfinished, now: MonotonicMs) -> Vec<u64> {
    let parts = unfinished.parts_of(PEER, now);
    parts.iter().map(|begun| begun.bytes).collect()
}

#[test]
fn a_value_goes_on_behind_what_a_lost_connection_has_left() {
    let value = value(1);
    for is_still_there in [false, true] {
        let unfinished = Arc::new(Unfinished::default());
        let mut first = of_peer(&unfinished);
        first.on_large(resumed(&value, 0), NOW).unwrap();
        first.on_chunk(&chunk(&value[..1_000_000]), NOW).unwrap();
        let mut dead = is_still_there.then_some(first);
        assert_eq!(bytes_there(&unfinished, NOW), [1_000_000]);
        let mut second = of_peer(&unfinished);
        second.on_large(resumed(&value, 900_000), NOW).unwrap();
        if let Some(dead) = &mut dead {
            // Chunks that still come on the old connection disturb nothing.
            let late = chunk(&value[1_000_000..1_200_000]);
            assert_eq!(dead.on_chunk(&late, NOW), Ok(Assembled::Nothing));
        }
        let whole = second.on_chunk(&chunk(&value[900_000..]), NOW);
        let Ok(Assembled::Complete(batch)) = whole else {
            panic!("{whole:?}");
        };
        assert_eq!(batch.entries[0].value(), Some(&value[..]));
        assert!(bytes_there(&unfinished, NOW).is_empty());
    }
}

#[test]
fn nothing_is_put_together_from_two_values() {
    let (one, other) = (value(1), value(2));
    let unfinished = Arc::new(Unfinished::default());
    let mut first = of_peer(&unfinished);
    first.on_large(resumed(&one, 0), NOW).unwrap();
    first.on_chunk(&chunk(&one[..1_000_000]), NOW).unwrap();
    drop(first);
    // The other value has the same dot and length.
    let mut second = of_peer(&unfinished);
    let outcome = second.on_large(resumed(&other, 1_000_000), NOW);
    assert_eq!(outcome, Err(AssemblyError::Missing));
    // The peer resumes with other bytes than those that it announced.
    let mut third = of_peer(&unfinished);
    third.on_large(resumed(&one, 1_000_000), NOW).unwrap();
    let outcome = third.on_chunk(&chunk(&other[1_000_000..]), NOW);
    assert_eq!(outcome, Err(AssemblyError::Different));
    assert!(bytes_there(&unfinished, NOW).is_empty(), "it begins anew");
}

#[test]
fn parts_are_kept_for_their_peer_within_limits_of_bytes_number_and_time() {
    let unfinished = Arc::new(Unfinished::default());
    for seed in 0..10 {
        let value = value(seed);
        let mut assembler = of_peer(&unfinished);
        assembler.on_large(resumed(&value, 0), NOW).unwrap();
        assembler
            .on_chunk(&chunk(&value[..1000 + seed]), NOW)
            .unwrap();
    }
    assert_eq!(bytes_there(&unfinished, NOW).len(), BEGUN_MAX);
    for peer in 0..100 {
        let mut assembler = of_peer(&unfinished);
        assembler.greeted(Origin([100 + peer; 16]));
        assembler
            .on_large(resumed(&value(0), 0), MonotonicMs(2))
            .unwrap();
        assembler
            .on_chunk(&chunk(&[1; 1000]), MonotonicMs(2))
            .unwrap();
    }
    assert!(bytes_there(&unfinished, NOW).is_empty(), "others are newer");
    let last = Origin([199; 16]);
    let is_there = |now| !unfinished.parts_of(last, now).is_empty();
    let now = MonotonicMs(1 + KEPT_MS);
    assert!(is_there(now));
    assert_eq!(unfinished.expire(now), Some(MonotonicMs(2 + KEPT_MS)));
    assert!(!is_there(MonotonicMs(2 + KEPT_MS)));
    assert_eq!(unfinished.expire(MonotonicMs(2 + KEPT_MS)), None);
}
