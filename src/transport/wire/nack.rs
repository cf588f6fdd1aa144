//! NACK as bytes.

use super::encode::EncodeError;
use super::entry::stream_of;
use super::fields::{FieldReader, Unknown, put_field, put_flag, put_number, required};
use crate::core::bytes::{ByteReader, ByteWriter, DecodeError};
use crate::core::identity::{Dot, Origin};
use crate::core::limits::STORED_KEY_BYTES_MAX;
use crate::sync::message::{Nack, REFUSED_WRITES_MAX, RefusalCode, RefusedWrite};

/// Appends the payload of a refusal. The field with the names of writes may be skipped: an older node goes by the
/// place.
pub(in crate::transport) fn put_nack(out: &mut Vec<u8>, nack: &Nack) -> Result<(), EncodeError> {
    if nack.writes.len() > REFUSED_WRITES_MAX {
        return Err(EncodeError::Limit("the number of refused writes"));
    }
    put_number(out, 1, Unknown::Refuse, nack.stream as u64);
    put_number(out, 2, Unknown::Refuse, nack.lseq);
    put_number(out, 3, Unknown::Refuse, nack.code as u64);
    put_flag(out, 4, Unknown::Refuse, nack.retryable);
    if !nack.writes.is_empty() {
        put_field(out, 5, Unknown::Skip, |value| {
            for write in &nack.writes {
                value.extend_from_slice(&write.dot.origin.0);
                value.put_varint(write.dot.sequence);
                value.put_prefixed(&write.key);
            }
        });
    }
    Ok(())
}

/// Reads the payload of a refusal.
pub(in crate::transport) fn read_nack(payload: &[u8]) -> Result<Nack, DecodeError> {
    let (mut stream, mut lseq, mut code, mut retryable) = (None, None, None, None);
    let mut writes = Vec::new();
    let mut fields = FieldReader::new(payload);
    while let Some(field) = fields.next_field()? {
        match field.number {
            1 => stream = Some(stream_of(field.number_value()?)?),
            2 => lseq = Some(field.number_value()?),
            3 => code = Some(refusal_of(field.number_value()?)),
            4 => retryable = Some(field.flag()?),
            5 => writes = field.parse(read_writes)?,
            _ => field.skip()?,
        }
    }
    Ok(Nack {
        stream: required(stream, "a refusal")?,
        lseq: required(lseq, "a refusal")?,
        code: required(code, "a refusal")?,
        retryable: required(retryable, "a refusal")?,
        writes,
    })
}

fn read_writes(reader: &mut ByteReader<'_>) -> Result<Vec<RefusedWrite>, DecodeError> {
    let mut writes = Vec::new();
    while !reader.is_empty() {
        if writes.len() >= REFUSED_WRITES_MAX {
            return Err(DecodeError::Limit("the number of refused writes"));
        }
        let origin = Origin(reader.array()?);
        let sequence = reader.varint()?;
        let key = reader.prefixed(STORED_KEY_BYTES_MAX, "a key")?.to_vec();
        writes.push(RefusedWrite {
            key,
            dot: Dot { origin, sequence },
        });
    }
    Ok(writes)
}

/// The code of a number on the wire; [`RefusalCode::Other`] for one of a newer version.
fn refusal_of(number: u64) -> RefusalCode {
    let code = u8::try_from(number).ok().and_then(RefusalCode::from_byte);
    code.unwrap_or(RefusalCode::Other)
}
