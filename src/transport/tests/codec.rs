//! Messages read back as they were written, and hostile ones are refused.

use proptest::prelude::*;

use super::samples::{any_message, hello};
use crate::core::bytes::{ByteWriter, DecodeError};
use crate::core::identity::Origin;
use crate::core::limits::CHUNK_BYTES_MAX;
use crate::store::scope::Scope;
use crate::sync::message::{Chunk, DotRange, Epoch, Feed, Have};
use crate::transport::wire::codec::{decode, encode};
use crate::transport::wire::encode::EncodeError;
use crate::transport::wire::frame::{FRAME_HEADER_BYTES, MessageKind};
use crate::transport::wire::have::HAVE_RANGES_MAX;
use crate::transport::wire::message::{Goodbye, GoodbyeReason, Message};

fn payload_of(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    let body_len = encode(message, &mut bytes).unwrap();
    assert_eq!(bytes.len(), FRAME_HEADER_BYTES + body_len);
    bytes.split_off(FRAME_HEADER_BYTES + 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_message_reads_back(message in any_message()) {
        let mut bytes = vec![9, 9];
        let body_len = encode(&message, &mut bytes).unwrap();
        prop_assert_eq!(bytes.len(), 2 + FRAME_HEADER_BYTES + body_len);
        let (kind, payload) = bytes[2 + FRAME_HEADER_BYTES..].split_first().unwrap();
        prop_assert_eq!(decode(*kind, payload), Ok(Some(message)));
    }

    #[test]
    fn any_bytes_decode_without_a_panic(kind in 0_u8..14, payload: Vec<u8>) {
        let _ = decode(kind, &payload);
    }

    /// Real messages with a few changed bytes reach deeper than random bytes do.
    #[test]
    fn damaged_messages_decode_without_a_panic_and_are_sendable_if_they_do(
        message in any_message(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        length in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        encode(&message, &mut bytes).unwrap();
        for (place, byte) in damage {
            let place = FRAME_HEADER_BYTES + place.index(bytes.len() - FRAME_HEADER_BYTES);
            bytes[place] = byte;
        }
        bytes.truncate(FRAME_HEADER_BYTES + 1 + length.index(bytes.len() - FRAME_HEADER_BYTES));
        let (kind, payload) = bytes[FRAME_HEADER_BYTES..].split_first().unwrap();
        if let Ok(Some(read)) = decode(*kind, payload) {
            let mut again = Vec::new();
            prop_assert!(encode(&read, &mut again).is_ok());
            prop_assert_eq!(decode(again[4], &again[5..]), Ok(Some(read)));
        }
    }
}

#[test]
fn an_unknown_kind_is_skipped_only_when_it_says_so() {
    assert_eq!(decode(0x80 | 0x63, b"whatever"), Ok(None));
    assert!(decode(0x63, b"whatever").is_err());
}

#[test]
fn an_unknown_field_is_skipped_only_when_it_says_so() {
    let messages = [
        Message::Hello(Box::new(hello("a", 1))),
        Message::Ping {
            nonce: 1,
            wall_ms: 2,
        },
        Message::Goodbye(Goodbye::new(GoodbyeReason::Closing, "bye", Some(5))),
        Message::Feed(Feed::Have(Have { ranges: Vec::new() })),
    ];
    for message in messages {
        let mut frame = Vec::new();
        encode(&message, &mut frame).unwrap();
        let mut skippable = payload_of(&message);
        skippable.put_varint(200 << 1 | 1);
        skippable.put_prefixed(b"new");
        assert_eq!(decode(frame[4], &skippable), Ok(Some(message.clone())));
        let mut needed = payload_of(&message);
        needed.put_varint(200 << 1);
        needed.put_prefixed(b"new");
        assert_eq!(
            decode(frame[4], &needed),
            Err(DecodeError::Malformed("an unknown field"))
        );
    }
}

#[test]
fn a_field_that_comes_twice_or_late_is_refused() {
    let ping = payload_of(&Message::Ping {
        nonce: 1,
        wall_ms: 2,
    });
    let twice = [ping.clone(), ping].concat();
    assert_eq!(
        decode(MessageKind::Ping as u8, &twice),
        Err(DecodeError::Malformed("the order of fields"))
    );
}

#[test]
fn a_peer_without_a_common_protocol_can_still_be_read() {
    let mut newer = hello("from-the-future", 1);
    newer.protocol_min = 900;
    newer.protocol_max = 901;
    let message = Message::Hello(Box::new(newer));
    let mut payload = payload_of(&message);
    payload.put_varint(200 << 1);
    payload.put_prefixed(b"new");
    assert_eq!(
        decode(MessageKind::Hello as u8, &payload),
        Ok(Some(message))
    );
}

#[test]
fn what_a_receiver_would_refuse_is_not_sent() {
    let mut long_chain = hello("a", 1);
    long_chain.greeting.epochs = vec![long_chain.greeting.epochs[0]; 65];
    let mut no_chain = hello("a", 1);
    no_chain.greeting.epochs = Vec::<Epoch>::new();
    let mut many_prefixes = hello("a", 1);
    many_prefixes.greeting.scope = Scope::of((0..65).map(|byte| vec![byte]));
    let mut long_prefix = hello("a", 1);
    long_prefix.greeting.scope = Scope::of([vec![1; 1025]]);
    let mut heavy_prefixes = hello("a", 1);
    heavy_prefixes.greeting.scope = Scope::of((0..9).map(|byte| vec![byte; 1024]));
    let mut large_info = hello("a", 1);
    large_info.node_info = vec![1; 4097];
    let unnamed = hello("", 1);
    let long_name = hello(&"x".repeat(256), 1);
    let hellos = [
        long_chain,
        no_chain,
        many_prefixes,
        long_prefix,
        heavy_prefixes,
        large_info,
        unnamed,
        long_name,
    ];
    let range = DotRange {
        origin: Origin::default(),
        first: 1,
        last: 1,
    };
    let messages = hellos
        .into_iter()
        .map(|hello| Message::Hello(Box::new(hello)))
        .chain([
            Message::Feed(Feed::Have(Have {
                ranges: vec![range; HAVE_RANGES_MAX + 1],
            })),
            Message::Feed(Feed::Have(Have {
                ranges: vec![DotRange { first: 2, ..range }],
            })),
            Message::Feed(Feed::Chunk(Chunk {
                bytes: vec![0; CHUNK_BYTES_MAX + 1],
            })),
        ]);
    for message in messages {
        let mut out = vec![7];
        let error = encode(&message, &mut out).unwrap_err();
        assert!(matches!(
            error,
            EncodeError::Limit(_) | EncodeError::Malformed(_)
        ));
        assert_eq!(out, [7], "nothing is left behind");
    }
}

#[test]
fn the_largest_hello_fits_what_a_stranger_may_send() {
    let mut largest = hello(&"x".repeat(255), u64::MAX);
    largest.greeting.epochs = vec![
        Epoch {
            began_after: u64::MAX,
            ..largest.greeting.epochs[0]
        };
        64
    ];
    largest.greeting.scope = Scope::of((0..64).map(|byte| vec![byte; 128]));
    largest.expected_node_id = Some("y".repeat(255));
    largest.node_info = vec![1; 4096];
    let message = Message::Hello(Box::new(largest));
    let payload = payload_of(&message);
    assert_eq!(
        decode(MessageKind::Hello as u8, &payload),
        Ok(Some(message))
    );
}

#[test]
fn the_first_bytes_of_the_protocol_do_not_change() {
    let mut bytes = Vec::new();
    encode(
        &Message::Ping {
            nonce: 300,
            wall_ms: 5,
        },
        &mut bytes,
    )
    .unwrap();
    assert_eq!(bytes, [8, 0, 0, 0, 8, 2, 2, 0xac, 2, 4, 1, 5]);
}

#[test]
fn a_long_farewell_is_cut_between_characters() {
    let goodbye = Goodbye::new(GoodbyeReason::Other, "é".repeat(600), None);
    assert_eq!(goodbye.text.len(), 1024);
    let odd = Goodbye::new(GoodbyeReason::Other, format!("x{}", "é".repeat(600)), None);
    assert_eq!(odd.text.len(), 1023);
}
