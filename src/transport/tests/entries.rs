//! Batches are small, exact and bounded.

use proptest::prelude::*;

use super::samples::{any_batch, entry};
use crate::core::bytes::{ByteWriter, DecodeError};
use crate::core::identity::{Dot, Origin};
use crate::core::limits::{
    CHUNK_BYTES_MAX, EXTENSION_BYTES_MAX, KEY_BYTES_MAX, VECTOR_ORIGINS_MAX,
};
use crate::core::stamp::Stamp;
use crate::store::entry::{Entry, EntryFlags, Extra};
use crate::sync::message::{Feed, Stream};
use crate::transport::wire::codec::{decode, encode_batch};
use crate::transport::wire::entry::{
    BATCH_BYTES_TARGET, BATCH_ENTRIES_MAX, BATCH_OVERHEAD_BYTES_MAX, encoded_entry_bytes,
};
use crate::transport::wire::frame::{FRAME_HEADER_BYTES, MessageKind};
use crate::transport::wire::message::Message;

proptest! {
    #[test]
    fn the_estimate_is_never_too_small(batch in any_batch()) {
        let mut bytes = Vec::new();
        let body_len =
            encode_batch(batch.stream, batch.from, batch.to, &batch.entries, &mut bytes).unwrap();
        let estimate: usize = batch.entries.iter().map(encoded_entry_bytes).sum();
        prop_assert!(body_len <= estimate + BATCH_OVERHEAD_BYTES_MAX);
    }
}

/// Bytes on the wire of 1,000 writes of 100 bytes under keys of 20 bytes, everything included.
fn bytes_per_thousand(wall_ms_between: u64, stream: Stream, authors: u8) -> usize {
    let entries: Vec<Entry> = (0..1000_u64)
        .map(|n| {
            let author = u8::try_from(n % u64::from(authors)).unwrap();
            let key = format!("user/profile/{n:07}");
            let wall_ms = 1_700_000_000_000 + n * wall_ms_between;
            entry(key.as_bytes(), &[b'v'; 100], author, n + 100_000, wall_ms)
        })
        .collect();
    assert_eq!(entries[0].key().len(), 21);
    let mut bytes = Vec::new();
    encode_batch(stream, 1_000_000, 1_001_000, &entries, &mut bytes).unwrap();
    bytes.len()
}

#[test]
fn an_entry_of_120_bytes_takes_at_most_136_on_the_wire() {
    for wall_ms_between in [0, 1, 1000, 600_000] {
        for authors in [1, 8, 100] {
            let bytes = bytes_per_thousand(wall_ms_between, Stream::Relay, authors);
            assert!(bytes <= 136_000, "{authors}, {wall_ms_between}: {bytes}");
        }
    }
    let bytes = bytes_per_thousand(1, Stream::Own, 1);
    assert!(bytes <= 129_000, "{bytes}");
}

#[test]
fn a_batch_filled_to_the_target_and_one_more_entry_fits_a_frame() {
    let small: Vec<Entry> = (1..u64::MAX)
        .map(|n| entry(b"key", &[1; 64], 1, n, n))
        .scan(0, |sum, entry| {
            *sum += encoded_entry_bytes(&entry);
            (*sum <= BATCH_BYTES_TARGET).then_some(entry)
        })
        .collect();
    let vector = (0..VECTOR_ORIGINS_MAX)
        .map(|n| {
            let mut origin = [9; 16];
            origin[..8].copy_from_slice(&(n as u64).to_be_bytes());
            Dot {
                origin: Origin(origin),
                sequence: u64::MAX / 2,
            }
        })
        .collect();
    let mut payload = vec![b'k'; KEY_BYTES_MAX + 1 + CHUNK_BYTES_MAX];
    payload[0] = 0;
    let largest = Entry::new(
        payload.into_boxed_slice(),
        KEY_BYTES_MAX + 1,
        EntryFlags(0xf0),
        Dot {
            origin: Origin([255; 16]),
            sequence: u64::MAX,
        },
        Stamp(1 << 60),
        u64::MAX,
        Extra {
            vector,
            extension: vec![1; EXTENSION_BYTES_MAX],
        },
    )
    .unwrap();
    let entries: Vec<Entry> = small.into_iter().chain([largest]).collect();
    let mut bytes = Vec::new();
    encode_batch(Stream::Own, 0, u64::MAX, &entries, &mut bytes).unwrap();
    let read = decode(bytes[4], &bytes[FRAME_HEADER_BYTES + 1..]).unwrap();
    let Some(Message::Feed(Feed::Batch(batch))) = read else {
        panic!("a batch");
    };
    assert_eq!(batch.entries, entries);
}

/// A payload of one entry: the batch's header, then `entry`.
fn raw_batch(entry: &[u8]) -> Vec<u8> {
    let mut payload = vec![0, 1, 1, 1];
    payload.extend_from_slice(&[1; 16]);
    payload.push(1);
    payload.extend_from_slice(entry);
    payload
}

fn read_raw(entry: &[u8]) -> Result<Option<Message>, DecodeError> {
    decode(MessageKind::Batch as u8, &raw_batch(entry))
}

/// Shape of an entry with the same origin, the same flags (none) and version 1.
const SHAPE: u8 = 0b1_1100;

#[test]
fn entries_that_no_node_wrote_are_refused() {
    // The bytes stand for sequence 1, 0 ms, counter 0, key "\0k", value "v".
    assert!(read_raw(&[SHAPE, 2, 0, 0, 2, 0, b'k', 1, b'v']).is_ok());
    let zero_sequence = [SHAPE, 0, 0, 0, 2, 0, b'k', 1, b'v'];
    let unknown_shape = [SHAPE | 0x20, 2, 0, 0, 2, 0, b'k', 1, b'v'];
    let local_namespace = [SHAPE, 2, 0, 0, 2, 3, b'k', 1, b'v'];
    let unknown_namespace = [SHAPE, 2, 0, 0, 2, 4, b'k', 1, b'v'];
    let empty_key = [SHAPE, 2, 0, 0, 1, 0, 1, b'v'];
    let zero_version = [SHAPE & 0b1111, 2, 0, 0, 0, 2, 0, b'k', 1, b'v'];
    let strange_origin = [SHAPE & 0b1_1000, 1, 2, 0, 0, 2, 0, b'k', 1, b'v'];
    let empty_vector = [SHAPE | 1, 2, 0, 0, 0, 2, 0, b'k', 1, b'v'];
    let own_vector = [SHAPE | 1, 2, 0, 0, 1, 0, 0, 2, 0, b'k', 1, b'v'];
    let large_counter = [SHAPE, 2, 0, 0x80, 0x80, 4, 2, 0, b'k', 1, b'v'];
    let before_time = [SHAPE, 2, 1, 0, 2, 0, b'k', 1, b'v'];
    let tombstone_with_value = [SHAPE & 0b1_0111, 1, 2, 0, 0, 2, 0, b'k', 1, b'v'];
    let cut_value = [SHAPE, 2, 0, 0, 2, 0, b'k', 9, b'v'];
    let refused: [&[u8]; 13] = [
        &zero_sequence,
        &unknown_shape,
        &local_namespace,
        &unknown_namespace,
        &empty_key,
        &zero_version,
        &strange_origin,
        &empty_vector,
        &own_vector,
        &large_counter,
        &before_time,
        &tombstone_with_value,
        &cut_value,
    ];
    for entry in refused {
        assert!(read_raw(entry).is_err(), "{entry:?}");
    }
}

#[test]
fn counts_beyond_the_limits_are_refused_before_memory_is_taken() {
    let mut many_entries = vec![0, 1, 1, 0];
    many_entries.put_length(BATCH_ENTRIES_MAX + 1);
    let mut many_origins = vec![0, 1, 1];
    many_origins.put_length(usize::MAX);
    let mut positions = vec![0];
    positions.put_varint(u64::MAX);
    positions.put_varint(1);
    positions.extend_from_slice(&[0, 0]);
    for payload in [many_entries, many_origins, positions] {
        assert!(decode(MessageKind::Batch as u8, &payload).is_err());
    }
}
