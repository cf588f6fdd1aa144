//! Recovers the salt of a file whose header is damaged, from a frame that is whole.
//!
//! A checksum of a frame covers the salt, and CRC-32 is linear: among all salts with the same upper half, exactly one
//! makes the checksum of a header hold. It need not be the file's own, but checksums cannot tell the two apart. If the
//! body's checksum holds with it too, it was a frame.

use std::io;

use crate::core::checksum::placed_crc;

use super::reader::{FrameReader, READ_BYTES};
use crate::disk::storage::{StorageFile, read_full};
use crate::wal::format::{
    FILE_HEADER_BYTES, FRAME_ALIGNMENT, FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader,
};

/// Bytes of a file that are searched for a whole frame: beyond this the search would take hours.
const SEARCHED_BYTES_MAX: u64 = 256 << 20;

/// A salt with which the frames of the file read; `None` if no whole frame was found. `end` is the file's length.
pub(crate) fn recover_salt(file: &dyn StorageFile, end: u64) -> io::Result<Option<u64>> {
    let mut buffer = vec![0; READ_BYTES];
    let mut from = FILE_HEADER_BYTES as u64;
    let end_of_search = end.min(SEARCHED_BYTES_MAX);
    while from < end_of_search {
        let count = read_full(file, from, &mut buffer)?;
        let chunk = buffer.get(..count).unwrap_or_default();
        for (index, word) in chunk.chunks(FRAME_ALIGNMENT).enumerate() {
            let place = index * FRAME_ALIGNMENT;
            let offset = from + place as u64;
            let bytes = chunk.get(place..place + FRAME_HEADER_BYTES);
            let Some(bytes) = bytes.filter(|_| word.starts_with(&FRAME_MAGIC)) else {
                continue;
            };
            let Some(salt) = salt_of(bytes, offset) else {
                continue;
            };
            if FrameHeader::decode(bytes, salt, offset).is_some()
                && FrameReader::new(file, salt, offset, end)
                    .next_of_any_number()?
                    .is_some()
            {
                return Ok(Some(salt));
            }
        }
        if count < READ_BYTES {
            break;
        }
        from += (count - FRAME_HEADER_BYTES) as u64;
    }
    Ok(None)
}

/// The salt below 2^32 with which the checksum of the frame header at that offset holds.
fn salt_of(header: &[u8], offset: u64) -> Option<u64> {
    let (covered, checksum) = header.split_last_chunk::<4>()?;
    let without = placed_crc(0, offset, &[covered]);
    let mut wanted = u32::from_le_bytes(*checksum) ^ without;
    // Gaussian elimination: each row has a distinct highest bit of the checksum, and the salt that causes it.
    let mut rows = [(0_u32, 0_u64); u32::BITS as usize];
    for bit in 0..u32::BITS {
        let mut salt = 1_u64 << bit;
        let mut effect = placed_crc(salt, offset, &[covered]) ^ without;
        while let Some(row) = highest(effect).and_then(|highest| rows.get_mut(highest)) {
            if row.0 == 0 {
                *row = (effect, salt);
                break;
            }
            effect ^= row.0;
            salt ^= row.1;
        }
    }
    let mut salt = 0;
    while let Some(row) = highest(wanted).and_then(|highest| rows.get(highest)) {
        if row.0 == 0 {
            return None;
        }
        wanted ^= row.0;
        salt ^= row.1;
    }
    Some(salt)
}

fn highest(bits: u32) -> Option<usize> {
    let highest = u32::BITS.checked_sub(1 + bits.leading_zeros())?;
    usize::try_from(highest).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_salt_is_found_that_no_checksum_tells_from_the_real_one(
            salt: u64, number in 1_u64.., offset in 8_u64..1 << 40, other: u64, bytes: Vec<u8>,
        ) {
            let header = FrameHeader { body_bytes: 9, number, known_synced: number - 1, kind: 1, flags: 0 };
            let found = salt_of(&header.encode(salt, offset), offset).unwrap();
            prop_assert_eq!(FrameHeader::decode(&header.encode(salt, offset), found, offset), Some(header));
            prop_assert_eq!(placed_crc(found, other, &[&bytes]), placed_crc(salt, other, &[&bytes]));
        }
    }
}
