//! An entry as a row of a checkpoint: everything but its key, which the row has already (docs/format.md, "The body of a
//! row").

use crate::core::bytes::{ByteReader, ByteWriter, DecodeError};
use crate::core::identity::{Dot, Origin};
use crate::core::limits::{EXTENSION_BYTES_MAX, VECTOR_ORIGINS_MAX};
use crate::core::stamp::Stamp;
use crate::store::entry::{Entry, EntryFlags, Extra};
use crate::store::record::origin_dictionary::OriginDictionary;
use crate::store::record::{HAS_EXTENSION, HAS_VECTOR, decode_extra};

/// A part of the row beside those of an entry: the peer that sent it.
const HAS_SOURCE: u8 = 4;
const KNOWN: u8 = HAS_VECTOR | HAS_EXTENSION | HAS_SOURCE;

/// Appends the body of a row to `body`, and the origins that are new to the dictionary to `meta`.
pub(in crate::store) fn encode(
    body: &mut Vec<u8>,
    meta: &mut Vec<u8>,
    origins: &mut OriginDictionary,
    entry: &Entry,
    source: Option<Origin>,
) {
    let author = origins.number(entry.dot.origin, meta);
    let mut parts = 0;
    for (bit, is_there) in [
        (HAS_VECTOR, !entry.vector().is_empty()),
        (HAS_EXTENSION, !entry.extension().is_empty()),
        (HAS_SOURCE, source.is_some()),
    ] {
        parts |= if is_there { bit } else { 0 };
    }
    body.push(entry.flags.0);
    body.push(parts);
    body.extend_from_slice(&entry.stamp.0.to_le_bytes());
    body.put_varint(author);
    body.put_varint(entry.dot.sequence);
    body.put_varint(entry.version);
    if let Some(source) = source {
        body.put_varint(origins.number(source, meta));
    }
    if !entry.vector().is_empty() {
        body.put_length(entry.vector().len());
        for seen in entry.vector() {
            body.put_varint(origins.number(seen.origin, meta));
            body.put_varint(seen.sequence);
        }
    }
    if !entry.extension().is_empty() {
        body.put_prefixed(entry.extension());
    }
    body.extend_from_slice(entry.value().unwrap_or_default());
}

/// The fields of a row's body before the value.
struct Head {
    flags: EntryFlags,
    stamp: Stamp,
    dot: Dot,
    version: u64,
    source: Option<Origin>,
    extra: Extra,
}

fn head(reader: &mut ByteReader<'_>, origins: &OriginDictionary) -> Result<Head, DecodeError> {
    let flags = EntryFlags(reader.u8()?);
    let parts = reader.u8()?;
    if parts & !KNOWN != 0 {
        return Err(DecodeError::Malformed("the parts of a row"));
    }
    let stamp = Stamp(reader.u64()?);
    let dot = Dot {
        origin: origins.origin(reader)?,
        sequence: reader.varint()?,
    };
    let version = reader.varint()?;
    let source = if parts & HAS_SOURCE == 0 {
        None
    } else {
        Some(origins.origin(reader)?)
    };
    let extra = decode_extra(reader, origins, parts)?;
    Ok(Head {
        flags,
        stamp,
        dot,
        version,
        source,
        extra,
    })
}

/// Decodes a row, whose key comes in two parts. Returns the entry, and the peer that sent it.
pub(in crate::store) fn decode(
    key: (&[u8], &[u8]),
    body: &[u8],
    origins: &OriginDictionary,
) -> Result<(Entry, Option<Origin>), DecodeError> {
    let mut reader = ByteReader::new(body);
    let head = head(&mut reader, origins)?;
    let value = reader.take(reader.remaining())?;
    let key_length = key.0.len() + key.1.len();
    let payload = [key.0, key.1, value].concat().into_boxed_slice();
    let entry = Entry::new(
        payload,
        key_length,
        head.flags,
        head.dot,
        head.stamp,
        head.version,
        head.extra,
    )
    .ok_or(DecodeError::Malformed("a row"))?;
    Ok((entry, head.source))
}

/// True if the body of a row is that of a tombstone.
pub(in crate::store) fn is_tombstone(body: &[u8]) -> bool {
    let flags = body.first().copied().map_or(EntryFlags(0), EntryFlags);
    flags.contains(EntryFlags::TOMBSTONE)
}

/// Reads only the flags and the value of a row; no value for a tombstone. Rare fields are skipped without taking
/// memory.
pub(in crate::store) fn value(body: &[u8]) -> Result<(EntryFlags, Option<&[u8]>), DecodeError> {
    let mut reader = ByteReader::new(body);
    let flags = EntryFlags(reader.u8()?);
    let parts = reader.u8()?;
    if parts & !KNOWN != 0 {
        return Err(DecodeError::Malformed("the parts of a row"));
    }
    reader.u64()?;
    for _ in 0..3 {
        reader.varint()?;
    }
    if parts & HAS_SOURCE != 0 {
        reader.varint()?;
    }
    if parts & HAS_VECTOR != 0 {
        let count = reader.length(VECTOR_ORIGINS_MAX, "version vector")?;
        for _ in 0..2 * count {
            reader.varint()?;
        }
    }
    if parts & HAS_EXTENSION != 0 {
        reader.prefixed(EXTENSION_BYTES_MAX, "extension")?;
    }
    let is_gone = flags.contains(EntryFlags::TOMBSTONE);
    let value = reader.take(reader.remaining())?;
    Ok((flags, (!is_gone).then_some(value)))
}
