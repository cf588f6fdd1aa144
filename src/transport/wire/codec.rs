//! Messages as bytes and back. Every byte is drawn in `docs/format.md`. A decoder accepts any bytes: it never panics,
//! and the values that it builds are bounded by a small multiple of its input.

use std::borrow::Borrow;

use super::encode::{EncodeError, put_summary, read_summary};
use super::entry::{put_batch, put_large, read_batch, read_large};
use super::fields::{FieldReader, Unknown, put_field, put_flag, put_number, required};
use super::frame::{BODY_BYTES_MAX, FRAME_HEADER_BYTES, IGNORABLE_KIND_BIT, MessageKind};
use super::have::{put_have, read_have};
use super::hello::{put_hello, read_hello};
use super::message::{GOODBYE_TEXT_BYTES_MAX, Goodbye, GoodbyeReason, Message};
use super::nack::{put_nack, read_nack};
use super::ranges::{put_ranges, read_ranges};
use crate::core::bytes::{ByteReader, ByteWriter, DecodeError};
use crate::core::identity::{Dot, Incarnation, Origin};
use crate::core::limits::CHUNK_BYTES_MAX;
use crate::store::entry::Entry;
use crate::sync::message::{
    Ack, BEGUN_MAX, Begun, BegunValues, Chunk, Cursor, End, Feed, Positions, Stream, ValueId,
};

/// Appends the whole frame of `message`, header included. Returns the length of its body, in bytes. On an error
/// nothing is appended.
pub fn encode(message: &Message, out: &mut Vec<u8>) -> Result<usize, EncodeError> {
    match message {
        Message::Hello(hello) => frame(out, MessageKind::Hello, |out| put_hello(out, hello)),
        Message::Feed(feed) => encode_feed(feed, out),
        Message::Ping { nonce, wall_ms } => frame(out, MessageKind::Ping, |out| {
            put_number(out, 1, Unknown::Refuse, *nonce);
            put_number(out, 2, Unknown::Refuse, *wall_ms);
            Ok(())
        }),
        Message::Pong {
            nonce,
            echoed_wall_ms,
            wall_ms,
        } => frame(out, MessageKind::Pong, |out| {
            put_number(out, 1, Unknown::Refuse, *nonce);
            put_number(out, 2, Unknown::Refuse, *echoed_wall_ms);
            put_number(out, 3, Unknown::Refuse, *wall_ms);
            Ok(())
        }),
        Message::Goodbye(goodbye) => frame(out, MessageKind::Goodbye, |out| {
            if goodbye.text.len() > GOODBYE_TEXT_BYTES_MAX {
                return Err(EncodeError::Limit("the text of a goodbye"));
            }
            put_number(out, 1, Unknown::Refuse, goodbye.reason as u64);
            put_field(out, 2, Unknown::Skip, |value| {
                value.extend_from_slice(goodbye.text.as_bytes());
            });
            if let Some(come_back_ms) = goodbye.come_back_ms {
                put_number(out, 3, Unknown::Skip, come_back_ms);
            }
            Ok(())
        }),
    }
}

/// [`encode`] for the messages of a replica.
pub fn encode_feed(feed: &Feed, out: &mut Vec<u8>) -> Result<usize, EncodeError> {
    match feed {
        Feed::Batch(batch) => encode_batch(batch.stream, batch.from, batch.to, &batch.entries, out),
        Feed::Large(large) => frame(out, MessageKind::Large, |out| put_large(out, large)),
        Feed::Chunk(chunk) => encode_chunk(&chunk.bytes, out),
        Feed::End(end) => frame(out, MessageKind::End, |out| {
            put_field(out, 1, Unknown::Refuse, |value| {
                put_streams(value, end.positions);
            });
            put_summary(out, 2, &end.summary);
            put_flag(out, 3, Unknown::Refuse, end.complete);
            Ok(())
        }),
        Feed::Ack(ack) => frame(out, MessageKind::Ack, |out| {
            if let Some(cursor) = ack.cursor {
                put_field(out, 1, Unknown::Refuse, |value| put_cursor(value, cursor));
            }
            put_number(out, 2, Unknown::Refuse, ack.credit);
            if ack.reconcile {
                put_flag(out, 3, Unknown::Skip, true);
            }
            if let Some(cursor) = ack.void {
                put_field(out, 4, Unknown::Skip, |value| put_cursor(value, cursor));
            }
            if ack.aside > 0 {
                put_number(out, 5, Unknown::Skip, ack.aside);
            }
            if !ack.parts.is_empty() {
                put_field(out, 6, Unknown::Skip, |value| put_parts(value, &ack.parts));
            }
            Ok(())
        }),
        Feed::Nack(nack) => frame(out, MessageKind::Nack, |out| put_nack(out, nack)),
        Feed::Have(have) => frame(out, MessageKind::Have, |out| put_have(out, have)),
        Feed::Ranges(ranges) => frame(out, MessageKind::Ranges, |out| put_ranges(out, ranges)),
    }
}

/// [`encode`] for a batch whose entries are borrowed, so that a sender need not copy them first.
pub fn encode_batch<E: Borrow<Entry>>(
    stream: Stream,
    from: u64,
    to: u64,
    entries: &[E],
    out: &mut Vec<u8>,
) -> Result<usize, EncodeError> {
    frame(out, MessageKind::Batch, |out| {
        put_batch(out, stream, from, to, entries)
    })
}

/// [`encode`] for a chunk whose bytes are borrowed: at most [`CHUNK_BYTES_MAX`], none to give the value up.
pub fn encode_chunk(bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, EncodeError> {
    if bytes.len() > CHUNK_BYTES_MAX {
        return Err(EncodeError::Limit("a chunk"));
    }
    frame(out, MessageKind::Chunk, |out| {
        out.extend_from_slice(bytes);
        Ok(())
    })
}

/// The message of a frame. `None` for a kind that this version does not know and may skip.
pub fn decode(kind: u8, payload: &[u8]) -> Result<Option<Message>, DecodeError> {
    let Some(known) = MessageKind::from_byte(kind) else {
        return if kind & IGNORABLE_KIND_BIT == 0 {
            Err(DecodeError::Malformed("the kind of a message"))
        } else {
            Ok(None)
        };
    };
    Ok(Some(match known {
        MessageKind::Hello => Message::Hello(Box::new(read_hello(payload)?)),
        MessageKind::Batch => Message::Feed(Feed::Batch(read_batch(payload)?)),
        MessageKind::End => Message::Feed(Feed::End(read_end(payload)?)),
        MessageKind::Ack => Message::Feed(Feed::Ack(read_ack(payload)?)),
        MessageKind::Nack => Message::Feed(Feed::Nack(read_nack(payload)?)),
        MessageKind::Have => Message::Feed(Feed::Have(read_have(payload)?)),
        MessageKind::Ranges => Message::Feed(Feed::Ranges(read_ranges(payload)?)),
        MessageKind::Ping => {
            let [nonce, wall_ms] = read_numbers(payload, "a ping")?;
            Message::Ping { nonce, wall_ms }
        }
        MessageKind::Pong => {
            let [nonce, echoed_wall_ms, wall_ms] = read_numbers(payload, "a pong")?;
            Message::Pong {
                nonce,
                echoed_wall_ms,
                wall_ms,
            }
        }
        MessageKind::Goodbye => Message::Goodbye(read_goodbye(payload)?),
        MessageKind::Large => Message::Feed(Feed::Large(read_large(payload)?)),
        MessageKind::Chunk => {
            if payload.len() > CHUNK_BYTES_MAX {
                return Err(DecodeError::Limit("a chunk"));
            }
            Message::Feed(Feed::Chunk(Chunk {
                bytes: payload.to_vec(),
            }))
        }
    }))
}

/// Appends header and kind, the payload that `put` appends, and then fills in the length; removes all of it on an
/// error.
fn frame(
    out: &mut Vec<u8>,
    kind: MessageKind,
    put: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<usize, EncodeError> {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
    out.push(kind as u8);
    let length = put(out).and_then(|()| {
        let length = out.len() - start - FRAME_HEADER_BYTES;
        match u32::try_from(length) {
            Ok(header) if length <= BODY_BYTES_MAX => Ok((length, header)),
            _ => Err(EncodeError::TooLong {
                length,
                limit: BODY_BYTES_MAX,
            }),
        }
    });
    match length {
        Ok((length, header)) => {
            if let Some(place) = out.get_mut(start..start + FRAME_HEADER_BYTES) {
                place.copy_from_slice(&header.to_le_bytes());
            }
            Ok(length)
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

/// Reads fields 1 to `N`, all of them numbers, all required.
fn read_numbers<const N: usize>(
    payload: &[u8],
    name: &'static str,
) -> Result<[u64; N], DecodeError> {
    let mut numbers = [None; N];
    let mut fields = FieldReader::new(payload);
    while let Some(field) = fields.next_field()? {
        let place = usize::try_from(field.number)
            .ok()
            .and_then(|number| numbers.get_mut(number.checked_sub(1)?));
        match place {
            Some(place) => *place = Some(field.number_value()?),
            None => field.skip()?,
        }
    }
    if numbers.contains(&None) {
        return Err(DecodeError::Malformed(name));
    }
    Ok(numbers.map(Option::unwrap_or_default))
}

fn put_streams(out: &mut Vec<u8>, positions: Positions) {
    out.put_varint(positions.own);
    out.put_varint(positions.relay);
}

fn read_streams(reader: &mut ByteReader<'_>) -> Result<Positions, DecodeError> {
    Ok(Positions {
        own: reader.varint()?,
        relay: reader.varint()?,
    })
}

fn read_end(payload: &[u8]) -> Result<End, DecodeError> {
    let (mut positions, mut summary, mut complete) = (None, None, None);
    let mut fields = FieldReader::new(payload);
    while let Some(field) = fields.next_field()? {
        match field.number {
            1 => positions = Some(field.parse(read_streams)?),
            2 => summary = Some(field.parse(read_summary)?),
            3 => complete = Some(field.flag()?),
            _ => field.skip()?,
        }
    }
    Ok(End {
        positions: required(positions, "an end")?,
        summary: required(summary, "an end")?,
        complete: required(complete, "an end")?,
    })
}

fn put_cursor(out: &mut Vec<u8>, cursor: Cursor) {
    out.extend_from_slice(&cursor.incarnation.0);
    put_streams(out, cursor.positions);
}

fn read_cursor(reader: &mut ByteReader<'_>) -> Result<Cursor, DecodeError> {
    Ok(Cursor {
        incarnation: Incarnation(reader.array()?),
        positions: read_streams(reader)?,
    })
}

fn put_parts(out: &mut Vec<u8>, parts: &[Begun]) {
    for part in parts {
        out.extend_from_slice(&part.id.dot.origin.0);
        out.put_varint(part.id.dot.sequence);
        out.extend_from_slice(&part.id.content.to_le_bytes());
        out.put_varint(part.id.length);
        out.put_varint(part.bytes);
    }
}

/// Reads parts of large values. Parts beyond [`BEGUN_MAX`] are skipped: a newer version may keep more.
fn read_parts(reader: &mut ByteReader<'_>) -> Result<BegunValues, DecodeError> {
    let mut parts = BegunValues::default();
    while reader.remaining() > 0 {
        let dot = Dot {
            origin: Origin(reader.array()?),
            sequence: reader.varint()?,
        };
        let id = ValueId {
            dot,
            content: reader.u64()?,
            length: reader.varint()?,
        };
        let bytes = reader.varint()?;
        if bytes >= id.length {
            return Err(DecodeError::Malformed("a part of a large value"));
        }
        if parts.len() < BEGUN_MAX {
            parts.push(Begun { id, bytes });
        }
    }
    Ok(parts)
}

fn read_ack(payload: &[u8]) -> Result<Ack, DecodeError> {
    let (mut cursor, mut credit, mut reconcile, mut void) = (None, None, false, None);
    let (mut aside, mut parts) = (0, BegunValues::default());
    let mut fields = FieldReader::new(payload);
    while let Some(field) = fields.next_field()? {
        match field.number {
            1 => cursor = Some(field.parse(read_cursor)?),
            2 => credit = Some(field.number_value()?),
            3 => reconcile = field.flag()?,
            4 => void = Some(field.parse(read_cursor)?),
            5 => aside = field.number_value()?,
            6 => parts = field.parse(read_parts)?,
            _ => field.skip()?,
        }
    }
    Ok(Ack {
        cursor,
        void,
        credit: required(credit, "an acknowledgement")?,
        reconcile,
        aside,
        parts,
    })
}

fn read_goodbye(payload: &[u8]) -> Result<Goodbye, DecodeError> {
    let (mut reason, mut text, mut come_back_ms) = (None, String::new(), None);
    let mut fields = FieldReader::new(payload);
    while let Some(field) = fields.next_field()? {
        match field.number {
            1 => {
                let number = u8::try_from(field.number_value()?).unwrap_or(u8::MAX);
                reason = Some(GoodbyeReason::from_byte(number).unwrap_or(GoodbyeReason::Other));
            }
            2 => text = field.text(GOODBYE_TEXT_BYTES_MAX, "the text of a goodbye")?,
            3 => come_back_ms = Some(field.number_value()?),
            _ => field.skip()?,
        }
    }
    Ok(Goodbye {
        reason: required(reason, "a goodbye")?,
        text,
        come_back_ms,
    })
}
