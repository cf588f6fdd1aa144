//! The first bytes of a checkpoint. Everything that changes with its content is in the footer.

use crate::core::bytes::ByteReader;
use crate::core::checksum::placed_crc;

/// The first bytes of every checkpoint, made like those of a log.
pub(super) const MAGIC: [u8; 8] = *b"\x89SACKP\r\n";

/// The version of the format that this code writes. Version 2 is laid out as 1 is; sums cover the content of rows. Version 3
/// marks dead rows, and nodes of the index count the others.
pub(super) const FORMAT_VERSION: u16 = 3;

/// How long the header is, in bytes. The first row follows it.
pub(super) const HEADER_BYTES: usize = 64;

/// Why the start of a file is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// The file does not begin as a checkpoint does.
    Foreign,
    /// It begins as one, and the rest of the header is damaged or missing.
    Damaged,
    /// It is whole, and needs a reader of at least this version.
    Newer(u16),
}

/// The bytes of a header.
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

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// What checksums are bound to.
    pub(super) salt: u64,
    /// The version of the format that the file was written in.
    pub(super) version: u16,
}

/// What the header says of the file that begins with these bytes.
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
