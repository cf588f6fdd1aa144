//! Streams of bytes become frames, or an error that names the fault.

use proptest::prelude::*;

use super::samples::any_message;
use crate::transport::wire::codec::{decode, encode};
use crate::transport::wire::frame::{
    BODY_BYTES_MAX, FrameDecoder, FrameError, GREETING_BODY_BYTES_MAX, MessageKind,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn messages_survive_any_cutting_of_the_stream(
        messages in proptest::collection::vec(any_message(), 1..6),
        cut in 1_usize..700,
    ) {
        let mut stream = Vec::new();
        for message in &messages {
            encode(message, &mut stream).unwrap();
        }
        let mut decoder = FrameDecoder::new();
        decoder.raise_limit();
        let mut read = Vec::new();
        for piece in stream.chunks(cut) {
            decoder.push(piece);
            while let Some(frame) = decoder.next_frame().unwrap() {
                prop_assert_eq!(frame.body_len, frame.payload.len() + 1);
                read.push(decode(frame.kind, frame.payload).unwrap().unwrap());
            }
        }
        prop_assert_eq!(decoder.pending_bytes(), 0);
        prop_assert_eq!(read, messages);
    }

    #[test]
    fn any_stream_takes_no_more_memory_than_a_multiple_of_itself(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..64),
        raised: bool,
    ) {
        let mut decoder = FrameDecoder::new();
        if raised {
            decoder.raise_limit();
        }
        let mut arrived = 0;
        for piece in &pieces {
            decoder.push(piece);
            arrived += piece.len();
            while let Ok(Some(frame)) = decoder.next_frame() {
                let _ = decode(frame.kind, frame.payload);
            }
            prop_assert!(decoder.capacity() <= 64 + 2 * arrived);
        }
    }
}

#[test]
fn a_claim_of_four_gigabytes_is_refused_by_its_header_alone() {
    for raised in [false, true] {
        let mut decoder = FrameDecoder::new();
        if raised {
            decoder.raise_limit();
        }
        decoder.push(&[0xff, 0xff, 0xff]);
        assert_eq!(decoder.next_frame(), Ok(None));
        decoder.push(&[0xff]);
        let limit = if raised {
            BODY_BYTES_MAX
        } else {
            GREETING_BODY_BYTES_MAX
        };
        let error = decoder.next_frame().unwrap_err();
        let length = u64::from(u32::MAX);
        assert_eq!(error, FrameError::TooLong { length, limit });
        assert!(error.to_string().contains("4294967295"));
        assert!(decoder.capacity() < 100);
    }
}

#[test]
fn the_limit_is_small_until_the_peer_has_greeted() {
    let length = u32::try_from(GREETING_BODY_BYTES_MAX + 1).unwrap();
    let mut decoder = FrameDecoder::new();
    decoder.push(&length.to_le_bytes());
    assert!(decoder.next_frame().is_err());
    decoder.raise_limit();
    assert_eq!(decoder.next_frame(), Ok(None));
}

#[test]
fn a_frame_without_a_kind_is_refused() {
    let mut decoder = FrameDecoder::new();
    decoder.push(&[0, 0, 0, 0]);
    assert_eq!(decoder.next_frame(), Err(FrameError::Empty));
}

#[test]
fn a_kind_and_its_byte_name_each_other() {
    for byte in 0..=u8::MAX {
        if let Some(kind) = MessageKind::from_byte(byte) {
            assert_eq!(kind as u8, byte);
            assert_eq!(byte & 0x80, 0);
        }
    }
}
