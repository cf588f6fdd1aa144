//! RANGES as bytes. Keys come in ascending order, so each omits the prefix that it shares with the one before.

use super::dictionary::{Context, Dictionary, put_origins, read_origins, unzigzag, zigzag};
use super::encode::{EncodeError, read_summary};
use crate::core::bytes::{ByteReader, ByteWriter, DecodeError};
use crate::core::identity::{Dot, Origin};
use crate::core::limits::{STORED_KEY_BYTES_MAX, VECTOR_ORIGINS_MAX};
use crate::core::stamp::Stamp;
use crate::store::entry::Namespace;
use crate::sync::message::{Claim, Listed, Part, Ranges};
use crate::sync::reconcile::ranges::{LISTED_MAX, PARTS_MAX, RANGES_KEY_BYTES_MAX};

/// Values of the first byte of a part.
mod claim {
    pub(super) const SETTLED: u8 = 0;
    pub(super) const SUM: u8 = 1;
    pub(super) const LIST: u8 = 2;
    pub(super) const ALL: u8 = 3;
    pub(super) const THESE: u8 = 4;
    /// Flag: the part reaches to the end, and no key ends it.
    pub(super) const TO_THE_END: u8 = 0x80;
}

/// Bits of the first byte of a listed entry.
mod shape {
    pub(super) const TOMBSTONE: u8 = 1;
    /// The author is that of the entry before (at the start: the first of the dictionary).
    pub(super) const SAME_ORIGIN: u8 = 1 << 1;
    /// A version vector follows at the end of the entry.
    pub(super) const VECTOR: u8 = 1 << 2;
    pub(super) const UNKNOWN: u8 = !(TOMBSTONE | SAME_ORIGIN | VECTOR);
}

/// Appends a key without the prefix that it shares with the key before.
fn put_key(out: &mut Vec<u8>, before: &[u8], key: &[u8]) {
    let shared = before.iter().zip(key).take_while(|(a, b)| a == b).count();
    let (_, rest) = key.split_at(shared);
    out.put_length(shared);
    out.put_prefixed(rest);
}

/// Reads keys, and limits the bytes of all of them together.
struct KeyReader {
    left: usize,
}

impl KeyReader {
    /// Reads a key, which must be above the key before.
    fn read(&mut self, reader: &mut ByteReader<'_>, before: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let shared = reader.length(before.len(), "what keys share")?;
        let rest = reader.prefixed(
            STORED_KEY_BYTES_MAX - shared.min(STORED_KEY_BYTES_MAX),
            "a key",
        )?;
        self.left = self
            .left
            .checked_sub(shared + rest.len())
            .ok_or(DecodeError::Limit("the keys of ranges"))?;
        let key = [before.get(..shared).unwrap_or_default(), rest].concat();
        if &key[..] <= before || !Namespace::of(&key).is_some_and(Namespace::is_replicated) {
            return Err(DecodeError::Malformed("the order of keys"));
        }
        Ok(key)
    }
}

/// Appends the payload of a step of a reconciliation.
pub(in crate::transport) fn put_ranges(
    out: &mut Vec<u8>,
    ranges: &Ranges,
) -> Result<(), EncodeError> {
    if ranges.parts.len() > PARTS_MAX {
        return Err(EncodeError::Limit("the number of ranges"));
    }
    let mut dictionary = Dictionary::default();
    for part in &ranges.parts {
        let count = match &part.claim {
            Claim::List(listed) => {
                for listed in listed {
                    for dot in listed.vector.iter().chain([&listed.dot]) {
                        dictionary.place(dot.origin);
                    }
                }
                listed.len()
            }
            Claim::These(keys) => keys.len(),
            Claim::Settled | Claim::Sum(_) | Claim::All => 0,
        };
        if count > LISTED_MAX {
            return Err(EncodeError::Limit("the entries of a range"));
        }
    }
    out.put_varint(ranges.exchange);
    out.put_varint(ranges.step);
    put_origins(out, &dictionary);
    out.put_length(ranges.parts.len());
    let mut context = Context::new(dictionary.len());
    let mut before: &[u8] = &[];
    for part in &ranges.parts {
        put_part(out, before, part, &mut dictionary, &mut context);
        before = &part.to;
    }
    Ok(())
}

fn put_part(
    out: &mut Vec<u8>,
    before: &[u8],
    part: &Part,
    dictionary: &mut Dictionary,
    context: &mut Context,
) {
    let kind = match &part.claim {
        Claim::Settled => claim::SETTLED,
        Claim::Sum(_) => claim::SUM,
        Claim::List(_) => claim::LIST,
        Claim::All => claim::ALL,
        Claim::These(_) => claim::THESE,
    };
    if part.to.is_empty() {
        out.push(kind | claim::TO_THE_END);
    } else {
        out.push(kind);
        put_key(out, before, &part.to);
    }
    match &part.claim {
        Claim::Settled | Claim::All => {}
        Claim::Sum(summary) => {
            out.put_varint(summary.count);
            out.extend_from_slice(&summary.fingerprint.to_le_bytes());
        }
        Claim::List(listed) => {
            out.put_length(listed.len());
            let mut before: &[u8] = &[];
            for listed in listed {
                put_listed(out, before, listed, dictionary, context);
                before = &listed.key;
            }
        }
        Claim::These(keys) => {
            out.put_length(keys.len());
            let mut before: &[u8] = &[];
            for key in keys {
                put_key(out, before, key);
                before = key;
            }
        }
    }
}

fn put_listed(
    out: &mut Vec<u8>,
    before: &[u8],
    listed: &Listed,
    dictionary: &mut Dictionary,
    context: &mut Context,
) {
    let author = dictionary.place(listed.dot.origin);
    let mut bits = 0;
    bits |= if listed.content_hash.is_none() {
        shape::TOMBSTONE
    } else {
        0
    };
    bits |= if author == context.author {
        shape::SAME_ORIGIN
    } else {
        0
    };
    bits |= if listed.vector.is_empty() {
        0
    } else {
        shape::VECTOR
    };
    out.push(bits);
    put_key(out, before, &listed.key);
    if author != context.author {
        out.put_length(author);
        context.author = author;
    }
    out.put_varint(zigzag(context.sequence_of(author), listed.dot.sequence));
    context.reported(author, listed.dot.sequence);
    let wall_ms = listed.stamp.wall().0;
    out.put_varint(zigzag(context.wall_ms, wall_ms));
    context.wall_ms = wall_ms;
    out.put_varint(listed.stamp.0 & u64::from(u16::MAX));
    if let Some(hash) = listed.content_hash {
        out.extend_from_slice(&hash.to_le_bytes());
    }
    if !listed.vector.is_empty() {
        out.put_length(listed.vector.len());
        for dot in &listed.vector {
            out.put_length(dictionary.place(dot.origin));
            out.put_varint(dot.sequence);
        }
    }
}

/// Reads the payload of a step of a reconciliation.
pub(in crate::transport) fn read_ranges(payload: &[u8]) -> Result<Ranges, DecodeError> {
    let mut reader = ByteReader::new(payload);
    let exchange = reader.varint()?;
    let step = reader.varint()?;
    let origins = read_origins(&mut reader)?;
    let count = reader.length(PARTS_MAX, "the number of ranges")?;
    let mut keys = KeyReader {
        left: RANGES_KEY_BYTES_MAX,
    };
    let mut context = Context::new(origins.len());
    let mut parts: Vec<Part> = Vec::with_capacity(count.min(reader.remaining()));
    for _ in 0..count {
        let before = match parts.last() {
            Some(last) if last.to.is_empty() => {
                return Err(DecodeError::Malformed("a range behind the end"));
            }
            Some(last) => &last.to[..],
            None => &[],
        };
        let part = read_part(&mut reader, before, &origins, &mut context, &mut keys)?;
        parts.push(part);
    }
    reader.finish()?;
    if step == 0 {
        return Err(DecodeError::Malformed("a step"));
    }
    Ok(Ranges {
        exchange,
        step,
        parts,
    })
}

fn read_part(
    reader: &mut ByteReader<'_>,
    before: &[u8],
    origins: &[Origin],
    context: &mut Context,
    keys: &mut KeyReader,
) -> Result<Part, DecodeError> {
    let kind = reader.u8()?;
    let to = if kind & claim::TO_THE_END == 0 {
        keys.read(reader, before)?
    } else {
        Vec::new()
    };
    let is_in = |key: &[u8]| key >= before && (to.is_empty() || key < &to[..]);
    let claim = match kind & !claim::TO_THE_END {
        claim::SETTLED => Claim::Settled,
        claim::SUM => Claim::Sum(read_summary(reader)?),
        claim::ALL => Claim::All,
        claim::LIST => {
            let count = reader.length(LISTED_MAX, "the entries of a range")?;
            let mut listed: Vec<Listed> = Vec::with_capacity(count);
            for _ in 0..count {
                let last = listed.last().map_or(&[][..], |last| &last.key);
                let next = read_listed(reader, last, origins, context, keys)?;
                if !is_in(&next.key) {
                    return Err(DecodeError::Malformed("a key outside of its range"));
                }
                listed.push(next);
            }
            Claim::List(listed)
        }
        claim::THESE => {
            let count = reader.length(LISTED_MAX, "the entries of a range")?;
            let mut wanted: Vec<Vec<u8>> = Vec::with_capacity(count);
            for _ in 0..count {
                let last = wanted.last().map_or(&[][..], |last| last);
                wanted.push(keys.read(reader, last)?);
            }
            Claim::These(wanted)
        }
        _ => return Err(DecodeError::Malformed("the claim of a range")),
    };
    Ok(Part { to, claim })
}

fn read_listed(
    reader: &mut ByteReader<'_>,
    before: &[u8],
    origins: &[Origin],
    context: &mut Context,
    keys: &mut KeyReader,
) -> Result<Listed, DecodeError> {
    let bits = reader.u8()?;
    if bits & shape::UNKNOWN != 0 {
        return Err(DecodeError::Malformed("the shape of a listed entry"));
    }
    let key = keys.read(reader, before)?;
    if bits & shape::SAME_ORIGIN == 0 {
        context.author = reader.length(origins.len(), "the place of an origin")?;
    }
    let author = context.author;
    let origin = *origins
        .get(author)
        .ok_or(DecodeError::Malformed("the place of an origin"))?;
    let sequence = unzigzag(context.sequence_of(author), reader.varint()?);
    context.reported(author, sequence);
    let wall_ms = unzigzag(context.wall_ms, reader.varint()?);
    let counter = u16::try_from(reader.varint()?).map_err(|_| DecodeError::Malformed("a stamp"))?;
    let stamp = Stamp::from_parts(wall_ms, counter);
    let Some(stamp) = stamp.filter(|_| sequence > 0) else {
        return Err(DecodeError::Malformed("a listed entry"));
    };
    context.wall_ms = wall_ms;
    let content_hash = if bits & shape::TOMBSTONE == 0 {
        Some(reader.u64()?)
    } else {
        None
    };
    let mut vector = Vec::new();
    if bits & shape::VECTOR != 0 {
        let count = reader.length(VECTOR_ORIGINS_MAX, "a version vector")?;
        for _ in 0..count {
            let place = reader.length(origins.len(), "the place of an origin")?;
            let origin = *origins
                .get(place)
                .ok_or(DecodeError::Malformed("the place of an origin"))?;
            let sequence = reader.varint()?;
            vector.push(Dot { origin, sequence });
        }
    }
    Ok(Listed {
        key,
        stamp,
        dot: Dot { origin, sequence },
        content_hash,
        vector,
    })
}
