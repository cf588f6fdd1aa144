//! Entries on the wire: BATCH and LARGE. Both are compact rather than tagged, because they are nearly all that is ever
//! sent; additions of newer versions to an entry go into its extension area.

use std::borrow::Borrow;

use super::dictionary::{Context, Dictionary, put_origins, read_origins, unzigzag, zigzag};
use super::encode::EncodeError;
use crate::core::bytes::{ByteReader, ByteWriter, DecodeError};
use crate::core::identity::{Dot, Origin};
use crate::core::limits::{EXTENSION_BYTES_MAX, STORED_KEY_BYTES_MAX, VECTOR_ORIGINS_MAX};
use crate::core::rules::{Rule, is_broken};
use crate::core::stamp::Stamp;
use crate::store::entry::{Entry, EntryFlags, Extra, Namespace};
use crate::sync::message::{Batch, Large, Resumption, Stream};

/// Most entries in a batch: bounds the values that a receiver builds from one frame.
pub const BATCH_ENTRIES_MAX: usize = 8192;

/// Bytes up to which a sender fills a batch, as counted by [`encoded_entry_bytes`]: large enough that the cost of a
/// frame does not show, small enough that one more entry (a value of at most a chunk) still fits the frame, and that
/// acknowledgements come often.
#[cfg(test)]
pub const BATCH_BYTES_TARGET: usize = 256 << 10;

/// Most bytes of a BATCH or LARGE besides entries and origins: kind, stream, three positions and lengths, two counts.
#[cfg(test)]
pub const BATCH_OVERHEAD_BYTES_MAX: usize = 48;

/// Fewest bytes of an entry: shape, key length, a namespace and one byte of key, value length, sequence, milliseconds,
/// counter. A claimed count takes no more memory than the input can fill.
const ENTRY_BYTES_MIN: usize = 8;

/// Most bytes of an entry besides key, value, extension and vector, its own origin included.
#[cfg(test)]
const ENTRY_OVERHEAD_BYTES_MAX: usize = 61;

/// Most bytes that one dot of a vector adds: index, sequence, and the origin in the dictionary.
#[cfg(test)]
const VECTOR_DOT_BYTES_MAX: usize = 29;

/// Bits of the first byte of an entry, which describe the rest.
mod shape {
    /// A vector follows.
    pub(super) const VECTOR: u8 = 1;
    /// An extension area follows.
    pub(super) const EXTENSION: u8 = 1 << 1;
    /// The author is that of the entry before (at the start: the first of the dictionary).
    pub(super) const SAME_ORIGIN: u8 = 1 << 2;
    /// The flags are those of the entry before (at the start: none).
    pub(super) const SAME_FLAGS: u8 = 1 << 3;
    /// The version is 1.
    pub(super) const FIRST_VERSION: u8 = 1 << 4;
    /// Bits that no version has given a meaning yet.
    pub(super) const UNKNOWN: u8 = !(VECTOR | EXTENSION | SAME_ORIGIN | SAME_FLAGS | FIRST_VERSION);
}

/// Most bytes that `entry` takes in a batch: key and value, all numbers at their longest, and its origins as if no
/// other entry shared them. A sum of these and [`BATCH_OVERHEAD_BYTES_MAX`] is never less than the body of the batch.
#[cfg(test)]
pub fn encoded_entry_bytes(entry: &Entry) -> usize {
    ENTRY_OVERHEAD_BYTES_MAX
        + entry.key().len()
        + entry.value_length()
        + entry.extension().len()
        + entry.vector().len() * VECTOR_DOT_BYTES_MAX
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry, dictionary: &mut Dictionary, context: &mut Context) {
    let author = dictionary.place(entry.dot.origin);
    let mut bits = 0;
    let has_extension = !entry.extension().is_empty() && !is_broken(Rule::ExtensionNotSent);
    for (bit, set) in [
        (shape::VECTOR, !entry.vector().is_empty()),
        (shape::EXTENSION, has_extension),
        (shape::SAME_ORIGIN, author == context.author),
        (shape::SAME_FLAGS, entry.flags == context.flags),
        (shape::FIRST_VERSION, entry.version == 1),
    ] {
        bits |= if set { bit } else { 0 };
    }
    out.push(bits);
    if bits & shape::SAME_FLAGS == 0 {
        out.push(entry.flags.0);
        context.flags = entry.flags;
    }
    if bits & shape::SAME_ORIGIN == 0 {
        out.put_length(author);
        context.author = author;
    }
    out.put_varint(zigzag(context.sequence_of(author), entry.dot.sequence));
    context.reported(author, entry.dot.sequence);
    let wall_ms = entry.stamp.wall().0;
    out.put_varint(zigzag(context.wall_ms, wall_ms));
    context.wall_ms = wall_ms;
    out.put_varint(entry.stamp.0 & u64::from(u16::MAX));
    if bits & shape::FIRST_VERSION == 0 {
        out.put_varint(entry.version);
    }
    if bits & shape::VECTOR != 0 {
        out.put_length(entry.vector().len());
        for seen in entry.vector() {
            let place = dictionary.place(seen.origin);
            out.put_length(place);
            out.put_varint(zigzag(context.sequence_of(place), seen.sequence));
        }
    }
    out.put_prefixed(entry.key());
    if let Some(value) = entry.value() {
        out.put_prefixed(value);
    }
    if bits & shape::EXTENSION != 0 {
        out.put_prefixed(entry.extension());
    }
}

fn read_entry(
    reader: &mut ByteReader<'_>,
    origins: &[Origin],
    context: &mut Context,
) -> Result<Entry, DecodeError> {
    let bits = reader.u8()?;
    if bits & shape::UNKNOWN != 0 {
        return Err(DecodeError::Malformed("the shape of an entry"));
    }
    if bits & shape::SAME_FLAGS == 0 {
        context.flags = EntryFlags(reader.u8()?);
    }
    if bits & shape::SAME_ORIGIN == 0 {
        context.author = reader.length(origins.len(), "the place of an origin")?;
    }
    let author = context.author;
    let dot = read_dot(reader, origins, context, author)?;
    context.reported(author, dot.sequence);
    let stamp = read_stamp(reader, context)?;
    let version = if bits & shape::FIRST_VERSION == 0 {
        reader.varint()?
    } else {
        1
    };
    if version == 0 {
        return Err(DecodeError::Malformed("a version"));
    }
    let mut extra = Extra::default();
    if bits & shape::VECTOR != 0 {
        extra.vector = read_vector(reader, origins, context)?;
    }
    let key = reader.prefixed(STORED_KEY_BYTES_MAX, "a key")?;
    if !Namespace::of(key).is_some_and(Namespace::is_replicated) {
        return Err(DecodeError::Malformed("a namespace"));
    }
    let value = if context.flags.contains(EntryFlags::TOMBSTONE) {
        &[]
    } else {
        reader.prefixed(usize::MAX, "a value")?
    };
    if bits & shape::EXTENSION != 0 {
        extra.extension = reader
            .prefixed(EXTENSION_BYTES_MAX, "an extension area")?
            .to_vec();
    }
    let payload = [key, value].concat().into_boxed_slice();
    Entry::new(
        payload,
        key.len(),
        context.flags,
        dot,
        stamp,
        version,
        extra,
    )
    .ok_or(DecodeError::Malformed("an entry"))
}

/// Reads a sequence number, and completes it to a dot with the dictionary.
fn read_dot(
    reader: &mut ByteReader<'_>,
    origins: &[Origin],
    context: &Context,
    place: usize,
) -> Result<Dot, DecodeError> {
    let origin = *origins
        .get(place)
        .ok_or(DecodeError::Malformed("the place of an origin"))?;
    let sequence = unzigzag(context.sequence_of(place), reader.varint()?);
    if sequence == 0 {
        return Err(DecodeError::Malformed("a sequence"));
    }
    Ok(Dot { origin, sequence })
}

fn read_stamp(reader: &mut ByteReader<'_>, context: &mut Context) -> Result<Stamp, DecodeError> {
    let wall_ms = unzigzag(context.wall_ms, reader.varint()?);
    let counter = u16::try_from(reader.varint()?).map_err(|_| DecodeError::Malformed("a stamp"))?;
    context.wall_ms = wall_ms;
    Stamp::from_parts(wall_ms, counter).ok_or(DecodeError::Malformed("a stamp"))
}

fn read_vector(
    reader: &mut ByteReader<'_>,
    origins: &[Origin],
    context: &Context,
) -> Result<Vec<Dot>, DecodeError> {
    let count = reader.length(VECTOR_ORIGINS_MAX, "a version vector")?;
    if count == 0 {
        return Err(DecodeError::Malformed("a version vector"));
    }
    // A dot takes at least two bytes.
    let mut vector = Vec::with_capacity(count.min(reader.remaining() / 2));
    for _ in 0..count {
        let place = reader.length(origins.len(), "the place of an origin")?;
        vector.push(read_dot(reader, origins, context, place)?);
    }
    Ok(vector)
}

fn put_positions(out: &mut Vec<u8>, stream: Stream, from: u64, to: u64) -> Result<(), EncodeError> {
    let length = to
        .checked_sub(from)
        .ok_or(EncodeError::Malformed("positions"))?;
    out.push(stream as u8);
    out.put_varint(from);
    out.put_varint(length);
    Ok(())
}

fn read_positions(reader: &mut ByteReader<'_>) -> Result<(Stream, u64, u64), DecodeError> {
    let stream = stream_of(u64::from(reader.u8()?))?;
    let from = reader.varint()?;
    let to = from
        .checked_add(reader.varint()?)
        .ok_or(DecodeError::Malformed("positions"))?;
    Ok((stream, from, to))
}

/// The stream with that number.
pub(in crate::transport) fn stream_of(number: u64) -> Result<Stream, DecodeError> {
    match number {
        0 => Ok(Stream::Own),
        1 => Ok(Stream::Relay),
        _ => Err(DecodeError::Malformed("a lane")),
    }
}

/// Checks that a receiver would accept an entry, so that nothing is sent that it would refuse.
fn check_entry(entry: &Entry) -> Result<(), EncodeError> {
    let replicated = Namespace::of(entry.key()).is_some_and(Namespace::is_replicated);
    let numbered = entry.dot.sequence > 0 && entry.version > 0;
    let seen = entry.vector().iter().all(|dot| dot.sequence > 0);
    if replicated && numbered && seen {
        Ok(())
    } else {
        Err(EncodeError::Malformed("an entry"))
    }
}

/// Appends the payload of a batch.
pub(in crate::transport) fn put_batch<E: Borrow<Entry>>(
    out: &mut Vec<u8>,
    stream: Stream,
    from: u64,
    to: u64,
    entries: &[E],
) -> Result<(), EncodeError> {
    if entries.len() > BATCH_ENTRIES_MAX {
        return Err(EncodeError::Limit("the number of entries"));
    }
    put_positions(out, stream, from, to)?;
    let mut dictionary = Dictionary::of(entries.iter().map(Borrow::borrow));
    put_origins(out, &dictionary);
    out.put_length(entries.len());
    let mut context = Context::new(dictionary.len());
    for entry in entries {
        check_entry(entry.borrow())?;
        put_entry(out, entry.borrow(), &mut dictionary, &mut context);
    }
    Ok(())
}

/// Reads the payload of a batch.
pub(in crate::transport) fn read_batch(payload: &[u8]) -> Result<Batch, DecodeError> {
    let mut reader = ByteReader::new(payload);
    let (stream, from, to) = read_positions(&mut reader)?;
    let origins = read_origins(&mut reader)?;
    let count = reader.length(BATCH_ENTRIES_MAX, "the number of entries")?;
    let mut entries = Vec::with_capacity(count.min(reader.remaining() / ENTRY_BYTES_MIN));
    let mut context = Context::new(origins.len());
    for _ in 0..count {
        entries.push(read_entry(&mut reader, &origins, &mut context)?);
    }
    reader.finish()?;
    Ok(Batch {
        stream,
        from,
        to,
        entries,
    })
}

/// Appends the payload of the announcement of a large entry.
pub(in crate::transport) fn put_large(out: &mut Vec<u8>, large: &Large) -> Result<(), EncodeError> {
    let announced = !large.entry.is_tombstone() && large.entry.value_length() == 0;
    if !announced || large.value_length == 0 {
        return Err(EncodeError::Malformed("a large entry"));
    }
    check_entry(&large.entry)?;
    put_positions(out, large.stream, large.from, large.to)?;
    out.put_varint(large.value_length);
    let mut dictionary = Dictionary::of([&large.entry].into_iter());
    put_origins(out, &dictionary);
    let mut context = Context::new(dictionary.len());
    put_entry(out, &large.entry, &mut dictionary, &mut context);
    if let Some(resumption) = large.resumption {
        if resumption.offset >= large.value_length {
            return Err(EncodeError::Malformed("where a large entry goes on"));
        }
        out.extend_from_slice(&resumption.content.to_le_bytes());
        out.put_varint(resumption.offset);
    }
    Ok(())
}

/// Reads the payload of the announcement of a large entry.
pub(in crate::transport) fn read_large(payload: &[u8]) -> Result<Large, DecodeError> {
    let mut reader = ByteReader::new(payload);
    let (stream, from, to) = read_positions(&mut reader)?;
    let value_length = reader.varint()?;
    let origins = read_origins(&mut reader)?;
    let mut context = Context::new(origins.len());
    let entry = read_entry(&mut reader, &origins, &mut context)?;
    let resumption = (reader.remaining() > 0).then(|| read_resumption(&mut reader));
    let resumption = resumption.transpose()?;
    reader.finish()?;
    if resumption.is_some_and(|resumption| resumption.offset >= value_length) {
        return Err(DecodeError::Malformed("where a large entry goes on"));
    }
    if value_length == 0 || entry.is_tombstone() || entry.value_length() > 0 {
        return Err(DecodeError::Malformed("a large entry"));
    }
    Ok(Large {
        stream,
        from,
        to,
        entry,
        value_length,
        resumption,
    })
}

fn read_resumption(reader: &mut ByteReader<'_>) -> Result<Resumption, DecodeError> {
    Ok(Resumption {
        content: reader.u64()?,
        offset: reader.varint()?,
    })
}
