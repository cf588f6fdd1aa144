//! The error of encoding a message, and the summary of a range as messages of several kinds hold it.

use thiserror::Error;

use super::fields::{Unknown, put_field};
use crate::core::bytes::{ByteReader, ByteWriter, DecodeError};
use crate::store::entry::Summary;

/// Why a message cannot be sent. Nothing was written; the caller has to make another message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The message is longer than any receiver takes.
    #[error("a message of {length} bytes is over the limit of {limit}")]
    TooLong {
        /// Length of its body, in bytes.
        length: usize,
        /// Greatest length, in bytes.
        limit: usize,
    },
    /// The named part is longer, or has more elements, than a receiver takes.
    #[error("{0} is over its limit")]
    Limit(&'static str),
    /// The named part is one that no receiver takes.
    #[error("{0} is malformed")]
    Malformed(&'static str),
}

/// Appends a summary as a field.
pub(in crate::transport) fn put_summary(out: &mut Vec<u8>, number: u64, summary: &Summary) {
    put_field(out, number, Unknown::Refuse, |value| {
        value.put_varint(summary.count);
        value.extend_from_slice(&summary.fingerprint.to_le_bytes());
    });
}

/// Reads a summary.
pub(in crate::transport) fn read_summary(
    reader: &mut ByteReader<'_>,
) -> Result<Summary, DecodeError> {
    Ok(Summary {
        count: reader.varint()?,
        fingerprint: reader.u128()?,
    })
}
