//! Bounded reading and writing of bytes. Integers are little-endian; variable-length integers are LEB128
//! (seven bits a byte, lowest first, at most ten bytes, no longer than needed).

use thiserror::Error;

/// True if every byte is ASCII. All bytes are tested without a branch, which the compiler turns into vector
/// instructions: for the short keys and values of a feed that is several times as fast as the standard library, which
/// stops early.
pub fn is_ascii(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |seen, byte| seen | byte).is_ascii()
}

/// True if the bytes are UTF-8.
pub fn is_utf8(bytes: &[u8]) -> bool {
    is_ascii(bytes) || std::str::from_utf8(bytes).is_ok()
}

/// Why bytes could not be decoded. Never holds the bytes themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The input ended before the value did.
    #[error("the input ends before the value does")]
    Truncated,
    /// A number is written in more bytes than it needs, or does not fit.
    #[error("a number is malformed")]
    Number,
    /// The named length or count is over its limit.
    #[error("{0} is over its limit")]
    Limit(&'static str),
    /// The named field holds an impossible value.
    #[error("{0} is malformed")]
    Malformed(&'static str),
    /// Bytes are left over after the last value.
    #[error("bytes are left over behind the last value")]
    Trailing,
}

/// A cursor over borrowed bytes that never reads past their end and never allocates.
#[derive(Debug, Clone)]
pub struct ByteReader<'a> {
    rest: &'a [u8],
}

impl<'a> ByteReader<'a> {
    /// A reader at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// True if everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self
            .rest
            .split_at_checked(count)
            .ok_or(DecodeError::Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    /// Reads one byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Reads an integer of two bytes.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    /// Reads an integer of four bytes.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Reads an integer of eight bytes.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads an integer of sixteen bytes.
    pub fn u128(&mut self) -> Result<u128, DecodeError> {
        self.array().map(u128::from_le_bytes)
    }

    /// A variable-length integer. A longer form than needed is refused, so that equal values have equal bytes.
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        let mut shift = 0_u32;
        loop {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                return Err(DecodeError::Number);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 {
                    Err(DecodeError::Number)
                } else {
                    Ok(value)
                };
            }
            shift += 7;
        }
    }

    /// A variable-length integer that must be at most `limit`; `name` is in the error if it is not.
    pub fn length(&mut self, limit: usize, name: &'static str) -> Result<usize, DecodeError> {
        let length = usize::try_from(self.varint()?).map_err(|_| DecodeError::Limit(name))?;
        if length > limit {
            Err(DecodeError::Limit(name))
        } else {
            Ok(length)
        }
    }

    /// Bytes after their length, which must be at most `limit`.
    pub fn prefixed(&mut self, limit: usize, name: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.length(limit, name)?;
        self.take(length)
    }

    /// UTF-8 text after its length in bytes, which must be at most `limit`.
    pub fn text(&mut self, limit: usize, name: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.prefixed(limit, name)?).map_err(|_| DecodeError::Malformed(name))
    }

    /// Ends the reading: an error if bytes are left over.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Trailing)
        }
    }
}

/// Appends to a byte vector in the encoding of [`ByteReader`].
pub trait ByteWriter {
    /// Appends a variable-length integer.
    fn put_varint(&mut self, value: u64);
    /// Appends a length as a variable-length integer.
    fn put_length(&mut self, length: usize);
    /// Appends bytes after their length.
    fn put_prefixed(&mut self, bytes: &[u8]);
}

impl ByteWriter for Vec<u8> {
    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.push((value & 0x7f) as u8);
    }

    fn put_length(&mut self, length: usize) {
        self.put_varint(length as u64);
    }

    fn put_prefixed(&mut self, bytes: &[u8]) {
        self.put_length(bytes.len());
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_number_reads_back_and_is_canonical(value: u64) {
            let mut bytes = Vec::new();
            bytes.put_varint(value);
            let mut reader = ByteReader::new(&bytes);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn text_is_known_as_the_standard_library_knows_it(text: String, bytes: Vec<u8>) {
            for bytes in [text.as_bytes(), &bytes] {
                prop_assert_eq!(is_ascii(bytes), bytes.is_ascii());
                prop_assert_eq!(is_utf8(bytes), std::str::from_utf8(bytes).is_ok());
            }
        }

        #[test]
        fn any_bytes_read_without_a_panic(bytes: Vec<u8>) {
            let mut reader = ByteReader::new(&bytes);
            while reader.varint().is_ok() {}
            let mut reader = ByteReader::new(&bytes);
            let _ = reader.text(16, "text");
        }
    }

    #[test]
    fn a_longer_form_than_needed_is_refused() {
        assert_eq!(
            ByteReader::new(&[0x80, 0x00]).varint(),
            Err(DecodeError::Number)
        );
        assert_eq!(
            ByteReader::new(&[0xff; 10]).varint(),
            Err(DecodeError::Number)
        );
    }
}
