//! HAVE as bytes.

use super::encode::EncodeError;
use super::fields::{FieldReader, Unknown, put_field, required};
use crate::core::bytes::{ByteReader, ByteWriter, DecodeError};
use crate::core::identity::Origin;
use crate::sync::message::{DotRange, Have};

/// Most ranges in a HAVE: it is a hint, and a longer one would cost more than the duplicates it saves.
pub const HAVE_RANGES_MAX: usize = 4096;

/// Appends the payload of a hint. One field holds runs of ranges of one origin, so that an origin is named once for
/// many gaps.
pub(in crate::transport) fn put_have(out: &mut Vec<u8>, have: &Have) -> Result<(), EncodeError> {
    if have.ranges.len() > HAVE_RANGES_MAX {
        return Err(EncodeError::Limit("the number of ranges"));
    }
    let sound = |range: &DotRange| range.first > 0 && range.first <= range.last;
    if !have.ranges.iter().all(sound) {
        return Err(EncodeError::Malformed("a range"));
    }
    put_field(out, 1, Unknown::Refuse, |value| {
        for run in have.ranges.chunk_by(|a, b| a.origin == b.origin) {
            let Some(head) = run.first() else { continue };
            value.extend_from_slice(&head.origin.0);
            value.put_length(run.len());
            for range in run {
                value.put_varint(range.first);
                value.put_varint(range.last - range.first);
            }
        }
    });
    Ok(())
}

/// Reads the payload of a hint.
pub(in crate::transport) fn read_have(payload: &[u8]) -> Result<Have, DecodeError> {
    let mut ranges = None;
    let mut fields = FieldReader::new(payload);
    while let Some(field) = fields.next_field()? {
        match field.number {
            1 => ranges = Some(field.parse(read_ranges)?),
            _ => field.skip()?,
        }
    }
    Ok(Have {
        ranges: required(ranges, "a hint")?,
    })
}

fn read_ranges(reader: &mut ByteReader<'_>) -> Result<Vec<DotRange>, DecodeError> {
    let mut ranges = Vec::new();
    while !reader.is_empty() {
        let origin = Origin(reader.array()?);
        let count = reader.length(HAVE_RANGES_MAX - ranges.len(), "the number of ranges")?;
        for _ in 0..count {
            let first = reader.varint()?;
            let last = first
                .checked_add(reader.varint()?)
                .ok_or(DecodeError::Malformed("a range"))?;
            if first == 0 {
                return Err(DecodeError::Malformed("a range"));
            }
            ranges.push(DotRange {
                origin,
                first,
                last,
            });
        }
    }
    Ok(ranges)
}
