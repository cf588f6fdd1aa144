//! The footer of a checkpoint: places of its parts, and totals.

use crate::core::bytes::{ByteReader, ByteWriter, DecodeError};
use crate::core::checksum::placed_crc;

use super::block::feed_block::FeedPlace;
use super::format::{CHECKSUM_BYTES, META_BYTES_MAX, STREAMS, TOP_NODE_BYTES_MAX};
use super::header::HEADER_BYTES;

/// The last bytes of every checkpoint: a file that lacks them was cut.
const MAGIC: [u8; 8] = *b"SACKPEND";

/// Bytes after the fields: their length, the checksum, the magic.
const TRAILER_BYTES: usize = 16;

/// Longest footer, in bytes: several times its present size.
pub(super) const FOOTER_BYTES_MAX: usize = 2 << 10;

/// Most numbers that a writer may leave for readers: a handful of counts.
pub const NOTES_MAX: usize = 16;

const ROWS: u64 = 1;
const COVERS: u64 = 2;
const INDEX: u64 = 3;
const FIRST_STREAM: u64 = 4;
const SECOND_STREAM: u64 = 5;
const META: u64 = 6;
const NOTES: u64 = 7;

/// Bit in the tag of a field: a reader that does not know the field skips it.
const MAY_BE_IGNORED: u64 = 1;

/// Content of the footer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Footer {
    pub(super) rows: u32,
    pub(super) sum: u128,
    pub(super) covers_frame: u64,
    pub(super) data_blocks: u32,
    pub(super) index_nodes: u32,
    /// Length of the top node, with its checksum, as all lengths here; 0 if there is no row.
    pub(super) top_bytes: u64,
    pub(super) top_offset: u64,
    pub(super) feeds: [FeedPlace; STREAMS],
    pub(super) meta_offset: u64,
    pub(super) meta_bytes: u64,
    pub(super) notes: Vec<u64>,
}

/// The reason why the end of a file is not a footer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FooterError {
    /// The footer is damaged, cut, or does not fit the file.
    Damaged,
    /// The footer is whole, and has a field that this reader does not know and may not skip.
    Newer(u64),
}

impl From<DecodeError> for FooterError {
    fn from(_: DecodeError) -> Self {
        Self::Damaged
    }
}

impl Footer {
    /// The bytes of the footer, for that offset in the file.
    pub(super) fn encode(&self, salt: u64, offset: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut value = Vec::new();
        value.put_varint(self.rows.into());
        value.extend_from_slice(&self.sum.to_le_bytes());
        put_field(&mut bytes, ROWS * 2, &mut value);
        value.put_varint(self.covers_frame);
        put_field(&mut bytes, COVERS * 2, &mut value);
        value.put_varint(self.data_blocks.into());
        value.put_varint(self.index_nodes.into());
        value.put_varint(self.top_offset);
        value.put_varint(self.top_bytes);
        put_field(&mut bytes, INDEX * 2, &mut value);
        for (field, feed) in [FIRST_STREAM, SECOND_STREAM].into_iter().zip(&self.feeds) {
            value.put_varint(feed.rows.into());
            value.put_varint(feed.offset);
            value.put_varint(feed.index_offset);
            value.put_varint(feed.last_lseq);
            put_field(&mut bytes, field * 2, &mut value);
        }
        value.put_varint(self.meta_offset);
        value.put_varint(self.meta_bytes);
        put_field(&mut bytes, META * 2, &mut value);
        self.notes.iter().for_each(|note| value.put_varint(*note));
        put_field(&mut bytes, (NOTES * 2) | MAY_BE_IGNORED, &mut value);
        seal(&mut bytes, salt, offset);
        bytes
    }

    /// Decodes the footer from the last bytes of a file of that length: all of them, up to [`FOOTER_BYTES_MAX`].
    pub(super) fn decode(end: &[u8], salt: u64, file_bytes: u64) -> Result<Self, FooterError> {
        let (fields, offset) = fields(end, salt, file_bytes).ok_or(FooterError::Damaged)?;
        let mut footer = Self::default();
        let mut reader = ByteReader::new(fields);
        let mut wanted = [ROWS, COVERS, INDEX, FIRST_STREAM, SECOND_STREAM, META]
            .into_iter()
            .peekable();
        let mut before = 0;
        while !reader.is_empty() {
            let tag = reader.varint()?;
            let number = tag >> 1;
            let value = reader.prefixed(FOOTER_BYTES_MAX, "a field")?;
            if number <= before {
                return Err(FooterError::Damaged);
            }
            before = number;
            wanted.next_if_eq(&number);
            if !footer.read_field(number, value)? && tag & MAY_BE_IGNORED == 0 {
                return Err(FooterError::Newer(number));
            }
        }
        if wanted.next().is_some() || !footer.is_sound(offset) {
            return Err(FooterError::Damaged);
        }
        Ok(footer)
    }

    /// Reads one field. Returns true if it is known.
    fn read_field(&mut self, number: u64, value: &[u8]) -> Result<bool, FooterError> {
        let mut reader = ByteReader::new(value);
        match number {
            ROWS => {
                self.rows = small(&mut reader)?;
                self.sum = reader.u128()?;
            }
            COVERS => self.covers_frame = reader.varint()?,
            INDEX => {
                self.data_blocks = small(&mut reader)?;
                self.index_nodes = small(&mut reader)?;
                self.top_offset = reader.varint()?;
                self.top_bytes = reader.varint()?;
            }
            FIRST_STREAM | SECOND_STREAM => {
                let [first, second] = &mut self.feeds;
                *(if number == FIRST_STREAM {
                    first
                } else {
                    second
                }) = FeedPlace {
                    rows: small(&mut reader)?,
                    offset: reader.varint()?,
                    index_offset: reader.varint()?,
                    last_lseq: reader.varint()?,
                };
            }
            META => {
                self.meta_offset = reader.varint()?;
                self.meta_bytes = reader.varint()?;
            }
            NOTES => {
                while !reader.is_empty() && self.notes.len() < NOTES_MAX {
                    self.notes.push(reader.varint()?);
                }
            }
            _ => return Ok(false),
        }
        reader.finish()?;
        Ok(true)
    }

    /// True if the parts follow each other, without a gap, up to the footer.
    fn is_sound(&self, footer_offset: u64) -> bool {
        let [first, second] = &self.feeds;
        let meta_fits = self.meta_bytes <= (META_BYTES_MAX + CHECKSUM_BYTES) as u64;
        let top_fits = self.top_bytes <= TOP_NODE_BYTES_MAX as u64;
        let rows = u64::from(first.rows) + u64::from(second.rows);
        first.offset >= HEADER_BYTES as u64
            && meta_fits
            && top_fits
            && rows <= u64::from(self.rows)
            && first.end() == Some(second.offset)
            && second.end() == Some(self.meta_offset)
            && self.meta_offset.checked_add(self.meta_bytes) == Some(self.top_offset)
            && self.top_offset.checked_add(self.top_bytes) == Some(footer_offset)
            && (self.rows == 0) == (self.top_bytes == 0)
    }
}

fn small(reader: &mut ByteReader<'_>) -> Result<u32, FooterError> {
    u32::try_from(reader.varint()?).map_err(|_| FooterError::Damaged)
}

fn put_field(bytes: &mut Vec<u8>, tag: u64, value: &mut Vec<u8>) {
    bytes.put_varint(tag);
    bytes.put_prefixed(value);
    value.clear();
}

/// Appends the trailer: length, checksum, magic.
fn seal(bytes: &mut Vec<u8>, salt: u64, offset: u64) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    let checksum = placed_crc(salt, offset, &[bytes]);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(&MAGIC);
}

/// The fields, and their offset in the file.
fn fields(end: &[u8], salt: u64, file_bytes: u64) -> Option<(&[u8], u64)> {
    let (rest, trailer) = end.split_at_checked(end.len().checked_sub(TRAILER_BYTES)?)?;
    let mut reader = ByteReader::new(trailer);
    let length = reader.u32().ok()?;
    let checksum = reader.u32().ok()?;
    let (_, fields) = rest.split_at_checked(rest.len().checked_sub(length as usize)?)?;
    let offset = file_bytes.checked_sub(u64::from(length) + TRAILER_BYTES as u64)?;
    let whole = placed_crc(salt, offset, &[fields, &length.to_le_bytes()]) == checksum
        && reader.array().ok()? == MAGIC;
    whole.then_some((fields, offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(notes: Vec<u64>) -> (Footer, u64) {
        let feed = |rows, offset, index_offset, last_lseq| FeedPlace {
            rows,
            offset,
            index_offset,
            last_lseq,
        };
        let footer = Footer {
            rows: 9,
            sum: 1 << 100,
            covers_frame: 7,
            data_blocks: 1,
            index_nodes: 1,
            feeds: [feed(2, 500, 512, 99), feed(0, 524, 524, 0)],
            meta_offset: 524,
            meta_bytes: 10,
            top_offset: 534,
            top_bytes: 66,
            notes,
        };
        (footer, 600)
    }

    fn decode(bytes: &[u8], offset: u64) -> Result<Footer, FooterError> {
        Footer::decode(bytes, 3, offset + bytes.len() as u64)
    }

    proptest! {
        #[test]
        fn it_reads_back_and_any_bytes_are_met(
            notes in prop::collection::vec(any::<u64>(), 0..=NOTES_MAX), mut fields: Vec<u8>, file_bytes: u64,
        ) {
            let (footer, offset) = sample(notes);
            prop_assert_eq!(decode(&footer.encode(3, offset), offset), Ok(footer));
            let _ = Footer::decode(&fields, 3, file_bytes);
            seal(&mut fields, 3, 600);
            prop_assert!(decode(&fields, 600).is_err());
        }
    }

    #[test]
    fn an_unknown_field_is_passed_over_only_if_it_says_so() {
        let (footer, offset) = sample(vec![5]);
        let with_field = |tag| {
            let mut bytes = footer.encode(3, offset);
            bytes.truncate(bytes.len() - TRAILER_BYTES);
            put_field(&mut bytes, tag, &mut vec![1, 2, 3]);
            seal(&mut bytes, 3, offset);
            decode(&bytes, offset)
        };
        assert_eq!(with_field((40 * 2) | MAY_BE_IGNORED), Ok(footer.clone()));
        assert_eq!(with_field(40 * 2), Err(FooterError::Newer(40)));
        assert_eq!(with_field(NOTES * 2), Err(FooterError::Damaged));
    }

    #[test]
    fn parts_that_do_not_lie_behind_each_other_are_refused() {
        let (mut footer, offset) = sample(vec![]);
        footer.meta_bytes += 1;
        assert_eq!(
            decode(&footer.encode(3, offset), offset),
            Err(FooterError::Damaged)
        );
    }
}
