//! The bytes of a log: the header of a file and the header of a frame. Drawn in `docs/format.md`. Decoding accepts any
//! bytes without a panic and allocates nothing.

use crate::core::bytes::ByteReader;
use crate::core::checksum::placed_crc;
use crate::core::limits::VALUE_BYTES_MAX;

/// The first bytes of every log. The first byte is not text, and the line ending breaks when a program converts it:
/// both show a converted log at once.
pub const FILE_MAGIC: [u8; 8] = *b"\x89SAWAL\r\n";

/// The newest version of the format, that of a file which continues another: an older reader would take it for the
/// whole log.
pub const FORMAT_VERSION: u16 = 2;

/// The version of the first file of a log, whose layout has not changed since it was the only file.
const FORMAT_VERSION_OF_FIRST: u16 = 1;

/// Length of the header of a file, in bytes. The first frame follows it.
pub const FILE_HEADER_BYTES: usize = 64;

/// The first bytes of every frame. None of them is zero, so zeros never look like a frame.
pub const FRAME_MAGIC: [u8; 4] = *b"\xfaSAF";

/// Length of the header of a frame, in bytes. Its body follows.
pub const FRAME_HEADER_BYTES: usize = 32;

/// Length of the checksum (crc32) after a body, in bytes.
pub const BODY_CHECKSUM_BYTES: usize = 4;

/// Frames begin at multiples of this, in bytes, so that a search tests an eighth of all offsets.
pub const FRAME_ALIGNMENT: usize = 8;

/// Longest body of a frame, in bytes: one operation with the largest value, and room for its key and everything that
/// belongs to it. A length is checked against this before memory is allocated.
pub const FRAME_BODY_BYTES_MAX: usize = VALUE_BYTES_MAX + (1 << 20);

/// Flag of a frame: a reader that does not know its kind skips it.
pub const FLAG_MAY_BE_IGNORED: u8 = 1;

/// Kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// A group of records, committed as one (group commit).
    Group = 1,
    /// An empty frame whose header tells up to which frame the log is known synced.
    Watermark = 2,
    /// An empty frame that marks a clean close: everything before it is synced.
    Close = 3,
}

impl FrameKind {
    /// The kind of a tag; `None` if this version does not know it.
    pub fn of(tag: u8) -> Option<Self> {
        match tag {
            1 => Some(Self::Group),
            2 => Some(Self::Watermark),
            3 => Some(Self::Close),
            _ => None,
        }
    }
}

/// The header of a file of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHeader {
    /// The version of the format that the file is written in.
    pub format_version: u16,
    /// The oldest version that may read the file.
    pub minimum_reader_version: u16,
    /// Random number that enters every checksum, so that bytes from elsewhere never pass for a part of this file.
    pub salt: u64,
    /// The number of the file's first frame.
    pub first_frame: u64,
    /// Random id of the log. All files of one log have the same.
    pub file_id: [u8; 16],
    /// The salt of the file that this one continues; 0 in the first.
    pub previous_salt: u64,
}

/// Why the start of a file is not a valid header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileHeaderError {
    /// The file does not begin with the magic bytes of a log.
    Foreign,
    /// The file begins as a log, but the rest of the header is damaged or missing.
    Damaged,
    /// The header is valid, and needs a reader of at least this version.
    Newer(u16),
}

impl FileHeader {
    /// The header of the first file of a log.
    pub fn new(salt: u64, file_id: [u8; 16], first_frame: u64) -> Self {
        Self {
            format_version: FORMAT_VERSION_OF_FIRST,
            minimum_reader_version: FORMAT_VERSION_OF_FIRST,
            salt,
            first_frame,
            file_id,
            previous_salt: 0,
        }
    }

    /// The header of the file that continues the file with this header from `first_frame` on.
    pub fn following(&self, salt: u64, first_frame: u64) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            minimum_reader_version: FORMAT_VERSION,
            salt,
            first_frame,
            file_id: self.file_id,
            previous_salt: self.salt,
        }
    }

    /// The header as bytes.
    pub fn encode(&self) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(FILE_HEADER_BYTES);
        bytes.extend_from_slice(&FILE_MAGIC);
        bytes.extend_from_slice(&self.format_version.to_le_bytes());
        bytes.extend_from_slice(&self.minimum_reader_version.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&self.first_frame.to_le_bytes());
        bytes.extend_from_slice(&self.file_id);
        bytes.extend_from_slice(&self.previous_salt.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        let checksum = placed_crc(self.salt, 0, &[&bytes]);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        let mut header = [0; FILE_HEADER_BYTES];
        header.copy_from_slice(&bytes);
        header
    }

    /// Reads the header from the first bytes of a file; bytes after it are ignored.
    pub fn decode(bytes: &[u8]) -> Result<Self, FileHeaderError> {
        if bytes.first_chunk() != Some(&FILE_MAGIC) {
            return Err(FileHeaderError::Foreign);
        }
        let header = Self::fields(bytes).ok_or(FileHeaderError::Damaged)?;
        // The places of the checksum and of the versions stay the same in all versions to come.
        if header.minimum_reader_version > FORMAT_VERSION {
            return Err(FileHeaderError::Newer(header.minimum_reader_version));
        }
        if header.first_frame == 0 {
            return Err(FileHeaderError::Damaged);
        }
        Ok(header)
    }

    fn fields(bytes: &[u8]) -> Option<Self> {
        let mut reader = ByteReader::new(bytes.get(FILE_MAGIC.len()..FILE_HEADER_BYTES)?);
        let format_version = reader.u16().ok()?;
        let minimum_reader_version = reader.u16().ok()?;
        reader.u32().ok()?;
        let salt = reader.u64().ok()?;
        let first_frame = reader.u64().ok()?;
        let file_id = reader.array().ok()?;
        let previous_salt = reader.u64().ok()?;
        reader.u32().ok()?;
        let checksum = reader.u32().ok()?;
        let covered = bytes.get(..FILE_HEADER_BYTES - 4)?;
        (placed_crc(salt, 0, &[covered]) == checksum).then_some(Self {
            format_version,
            minimum_reader_version,
            salt,
            first_frame,
            file_id,
            previous_salt,
        })
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Length of the body, in bytes.
    pub body_bytes: u32,
    /// Number of the frame: one more than the frame before it.
    pub number: u64,
    /// The highest frame that was known to survive a power cut when this header was written; below `number`.
    pub known_synced: u64,
    /// A tag of [`FrameKind`], or one of a newer version.
    pub kind: u8,
    /// Flags; unknown ones are ignored, because anything that changes the meaning of a frame takes a new kind.
    pub flags: u8,
}

impl FrameHeader {
    /// The header as bytes, for `offset` in a file with that salt.
    pub fn encode(&self, salt: u64, offset: u64) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(FRAME_HEADER_BYTES);
        bytes.extend_from_slice(&FRAME_MAGIC);
        bytes.extend_from_slice(&self.body_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.known_synced.to_le_bytes());
        bytes.extend_from_slice(&[self.kind, self.flags, 0, 0]);
        let checksum = placed_crc(salt, offset, &[&bytes]);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        let mut header = [0; FRAME_HEADER_BYTES];
        header.copy_from_slice(&bytes);
        header
    }

    /// Decodes a header that was written at `offset` of a file with that salt; `None` for anything else. The length in
    /// a decoded header is within the limit.
    pub fn decode(bytes: &[u8], salt: u64, offset: u64) -> Option<Self> {
        let bytes = bytes.get(..FRAME_HEADER_BYTES)?;
        let mut reader = ByteReader::new(bytes);
        if reader.array().ok()? != FRAME_MAGIC {
            return None;
        }
        let header = Self {
            body_bytes: reader.u32().ok()?,
            number: reader.u64().ok()?,
            known_synced: reader.u64().ok()?,
            kind: reader.u8().ok()?,
            flags: reader.u8().ok()?,
        };
        reader.u16().ok()?;
        let checksum = reader.u32().ok()?;
        let covered = bytes.get(..FRAME_HEADER_BYTES - 4)?;
        let sane = header.body_bytes as usize <= FRAME_BODY_BYTES_MAX
            && header.known_synced < header.number;
        (sane && placed_crc(salt, offset, &[covered]) == checksum).then_some(header)
    }

    /// Bytes of the whole frame: header, body, checksum and the zeros up to the next multiple of [`FRAME_ALIGNMENT`].
    pub fn frame_bytes(&self) -> usize {
        frame_bytes(self.body_bytes as usize)
    }
}

/// Bytes that a frame with a body of `body_bytes` takes in the file.
pub const fn frame_bytes(body_bytes: usize) -> usize {
    (FRAME_HEADER_BYTES + body_bytes + BODY_CHECKSUM_BYTES).next_multiple_of(FRAME_ALIGNMENT)
}

/// The body of a frame with a valid header, from the bytes of the whole frame; `None` if the body, its checksum or the
/// zeros after it are damaged or missing.
pub fn decode_body<'a>(
    frame: &'a [u8],
    header: &FrameHeader,
    salt: u64,
    offset: u64,
) -> Option<&'a [u8]> {
    let frame = frame.get(..header.frame_bytes())?;
    let (covered, rest) =
        frame.split_at_checked(FRAME_HEADER_BYTES + header.body_bytes as usize)?;
    let (checksum, padding) = rest.split_first_chunk::<BODY_CHECKSUM_BYTES>()?;
    let whole = placed_crc(salt, offset, &[covered]) == u32::from_le_bytes(*checksum)
        && padding.iter().all(|byte| *byte == 0);
    whole.then(|| covered.get(FRAME_HEADER_BYTES..))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_file_header_reads_back(salt: u64, file_id: [u8; 16], first_frame in 1_u64..) {
            let header = FileHeader::new(salt, file_id, first_frame);
            prop_assert_eq!(FileHeader::decode(&header.encode()), Ok(header));
            let next = header.following(!salt, first_frame.saturating_add(1));
            prop_assert_eq!(FileHeader::decode(&next.encode()), Ok(next));
            prop_assert_eq!(next.previous_salt, salt);
        }

        #[test]
        fn a_frame_header_reads_back_only_where_it_was_written(
            salt: u64, offset: u64, body_bytes in 0..=FRAME_BODY_BYTES_MAX, number in 1_u64..,
            known: u64, kind: u8, flags: u8, other in 1_u64..,
        ) {
            let header = FrameHeader {
                body_bytes: u32::try_from(body_bytes).unwrap(),
                number, known_synced: known % number, kind, flags,
            };
            let bytes = header.encode(salt, offset);
            prop_assert_eq!(FrameHeader::decode(&bytes, salt, offset), Some(header));
            prop_assert_eq!(FrameHeader::decode(&bytes, salt, offset.wrapping_add(other)), None);
            prop_assert_eq!(FrameHeader::decode(&bytes, salt.wrapping_add(other), offset), None);
        }

        #[test]
        fn any_bytes_decode_without_a_panic(bytes: Vec<u8>, salt: u64, offset: u64, number in 1_u64..) {
            let _ = FileHeader::decode(&bytes);
            let mut file = FILE_MAGIC.to_vec();
            file.extend_from_slice(&bytes);
            prop_assert!(FileHeader::decode(&file).is_err());
            prop_assert!(FrameHeader::decode(&bytes, salt, offset).is_none());
            let header = FrameHeader {
                body_bytes: u32::try_from(bytes.len()).unwrap(),
                number, known_synced: 0, kind: 1, flags: 0,
            };
            let _ = decode_body(&bytes, &header, salt, offset);
        }
    }

    #[test]
    fn a_newer_format_is_told_from_a_damaged_one() {
        let mut header = FileHeader::new(1, [2; 16], 1);
        header.minimum_reader_version = FORMAT_VERSION + 1;
        let mut bytes = header.encode();
        assert_eq!(
            FileHeader::decode(&bytes),
            Err(FileHeaderError::Newer(FORMAT_VERSION + 1))
        );
        bytes[10] ^= 1;
        assert_eq!(FileHeader::decode(&bytes), Err(FileHeaderError::Damaged));
        assert_eq!(
            FileHeader::decode(&bytes[..40]),
            Err(FileHeaderError::Damaged)
        );
        assert_eq!(FileHeader::decode(b"hello"), Err(FileHeaderError::Foreign));
        assert_eq!(FileHeader::decode(&[0; 64]), Err(FileHeaderError::Foreign));
    }

    #[test]
    fn a_newer_format_that_older_readers_may_read_is_read() {
        let mut header = FileHeader::new(1, [2; 16], 1);
        header.format_version = FORMAT_VERSION + 1;
        assert_eq!(FileHeader::decode(&header.encode()), Ok(header));
    }
}
