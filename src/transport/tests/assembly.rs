//! Large values from chunks, without a network.

use std::sync::Arc;

use super::samples::entry;
use crate::sync::message::{Chunk, Lane, Large, RefusalCode};
use crate::transport::assembly::{
    Assembled, Assembler, AssemblyError, SPOOL_BUDGET_BYTES, SPOOL_BYTES_MAX, SpoolBudget,
};

fn large(value_length: u64) -> Large {
    Large {
        lane: Lane::Relay,
        from: 4,
        to: 9,
        entry: entry(b"big", b"", 1, 1, 1_000),
        value_length,
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
    Assembler::new(value_bytes_max, None, budget())
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
            assembler.on_large(announced.clone()),
            Ok(Assembled::Nothing)
        );
        assert_eq!(assembler.may_block(), length > SPOOL_BYTES_MAX);
        let mut pieces = value.chunks(200_000).peekable();
        while let Some(piece) = pieces.next() {
            let outcome = assembler.on_chunk(&chunk(piece)).unwrap();
            if pieces.peek().is_some() {
                assert_eq!(outcome, Assembled::Nothing);
                continue;
            }
            let Assembled::Complete(batch) = outcome else {
                panic!("complete");
            };
            assert_eq!((batch.lane, batch.from, batch.to), (Lane::Relay, 4, 9));
            assert_eq!(batch.entries[0].value(), Some(&value[..]));
            assert_eq!(batch.entries[0].key(), announced.entry.key());
            assert_eq!(batch.entries[0].dot, announced.entry.dot);
        }
        assert_eq!(
            assembler.on_chunk(&chunk(b"x")),
            Err(AssemblyError::Unannounced)
        );
    }
}

#[test]
fn a_value_over_the_limit_is_refused_and_skipped() {
    let mut assembler = assembler(10);
    assert_eq!(
        assembler.on_large(large(11)),
        Ok(Assembled::Refused {
            lane: Lane::Relay,
            lseq_to: 9,
            code: RefusalCode::ValueTooLarge,
        })
    );
    assert_eq!(
        assembler.on_large(large(1)),
        Err(AssemblyError::Overlapping)
    );
    assert_eq!(assembler.on_chunk(&chunk(&[0; 6])), Ok(Assembled::Nothing));
    assert_eq!(assembler.on_chunk(&chunk(&[0; 5])), Ok(Assembled::Nothing));
    assert_eq!(assembler.on_large(large(1)), Ok(Assembled::Nothing));
    assert!(matches!(
        assembler.on_chunk(&chunk(&[0])),
        Ok(Assembled::Complete(_))
    ));
}

#[test]
fn an_empty_chunk_gives_up_and_another_may_begin() {
    let mut assembler = assembler(100);
    for length in [50, 500] {
        assembler.on_large(large(length)).unwrap();
        assembler.on_chunk(&chunk(&[0; 20])).unwrap();
        assert_eq!(assembler.on_chunk(&chunk(&[])), Ok(Assembled::Nothing));
    }
    assert_eq!(assembler.on_large(large(2)), Ok(Assembled::Nothing));
}

#[test]
fn more_than_announced_breaks_the_rules() {
    for limit in [1, 100] {
        let mut assembler = assembler(limit);
        assembler.on_large(large(10)).unwrap();
        assert_eq!(
            assembler.on_chunk(&chunk(&[0; 11])),
            Err(AssemblyError::TooLong)
        );
    }
}

#[test]
fn memory_is_taken_from_one_budget_and_given_back() {
    let budget = budget();
    let mut all: Vec<Assembler> = (0..10)
        .map(|_| Assembler::new(1 << 30, None, Arc::clone(&budget)))
        .collect();
    let mut on_disk = 0;
    for assembler in &mut all {
        assembler.on_large(large(SPOOL_BYTES_MAX as u64)).unwrap();
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
    let mut assembler = Assembler::new(1 << 30, Some(gone), budget());
    assembler.on_large(large(2 << 20)).unwrap();
    assert_eq!(
        assembler.on_chunk(&chunk(&[0; 1000])),
        Ok(Assembled::Refused {
            lane: Lane::Relay,
            lseq_to: 9,
            code: RefusalCode::StorageFailed,
        })
    );
    assert_eq!(
        assembler.on_chunk(&chunk(&[0; 1000])),
        Ok(Assembled::Nothing)
    );
}
