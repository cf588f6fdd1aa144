//! The header of a checkpoint. Everything that depends on its content is in the footer.

use crate::core::bytes::ByteReader;
use crate::core::checksum::placed_crc;

/// The first bytes of every checkpoint, in the manner of those of a log.
pub(super) const MAGIC: [u8; 8] = *b"\x89SACKP\r\n";

/// Format version that this code writes. Version 2 has the layout of version 1, and sums cover the content of rows.
/// Version 3 marks dead rows, and nodes of the index count the others.
pub(super) const FORMAT_VERSION: u16 = 3;

/// Length of the header, in bytes. The first row follows it.
pub(super) const HEADER_BYTES: usize = 64;

/// The reason why the start of a file is not a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// The file does not begin with the magic of a checkpoint.
    Foreign,
    /// The magic is right, and the rest of the header is damaged or missing.
    Damaged,
    /// The header is whole, and needs a reader of at least this version.
    Newer(u16),
}

/// Encodes a header.
pub(super) fn encode(salt: u64, minimum_reader_version: u16) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&minimum_reader_version.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&salt.to_le_bytes());
    bytes.extend_from_slice(&[0; 36]);
    let checksum = placed_crc(salt, 0, &[&bytes]);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Content of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Salt of the file, to which its checksums are bound.
    pub(super) salt: u64,
    /// Format version in which the file was written.
    pub(super) version: u16,
}

/// Decodes the header of a file that begins with these bytes.
pub(super) fn decode(bytes: &[u8]) -> Result<Header, HeaderError> {
    if bytes.first_chunk() != Some(&MAGIC) {
        return Err(HeaderError::Foreign);
    }
    let (minimum_reader_version, header) = fields(bytes).ok_or(HeaderError::Damaged)?;
    if minimum_reader_version > FORMAT_VERSION {
        return Err(HeaderError::Newer(minimum_reader_version));
    }
    Ok(header)
}

fn fields(bytes: &[u8]) -> Option<(u16, Header)> {
    let (covered, _) = bytes.split_at_checked(HEADER_BYTES - 4)?;
    let mut reader = ByteReader::new(bytes.get(MAGIC.len()..HEADER_BYTES)?);
    let version = reader.u16().ok()?;
    let minimum_reader_version = reader.u16().ok()?;
    reader.take(4).ok()?;
    let salt = reader.u64().ok()?;
    reader.take(36).ok()?;
    let checksum = reader.u32().ok()?;
    let header = Header { salt, version };
    (placed_crc(salt, 0, &[covered]) == checksum).then_some((minimum_reader_version, header))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_reads_back_and_any_bytes_are_met(salt: u64, bytes: Vec<u8>) {
            let header = Header { salt, version: FORMAT_VERSION };
            prop_assert_eq!(decode(&encode(salt, FORMAT_VERSION)), Ok(header));
            let newer = FORMAT_VERSION + 1;
            prop_assert_eq!(decode(&encode(salt, newer)), Err(HeaderError::Newer(newer)));
            prop_assert_eq!(decode(&bytes), Err(HeaderError::Foreign));
            let mut file = MAGIC.to_vec();
            file.extend_from_slice(&bytes);
            prop_assert_eq!(decode(&file), Err(HeaderError::Damaged));
        }
    }
}
