//! Tagged fields, with which messages grow without breaking older readers.
//!
//! A field is a tag (a variable-length integer: the field's number times two, plus one when a reader that does not
//! know the number may skip the field), the length of its value, and the value. Fields come in ascending order of
//! their numbers, each at most once.

use crate::core::bytes::{ByteReader, ByteWriter, DecodeError};

/// Reaction of a reader to a field that it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transport) enum Unknown {
    /// The reader skips the field.
    Skip,
    /// The reader refuses the message.
    Refuse,
}

/// Appends a field whose value `write` appends.
pub(in crate::transport) fn put_field(
    out: &mut Vec<u8>,
    number: u64,
    unknown: Unknown,
    write: impl FnOnce(&mut Vec<u8>),
) {
    out.put_varint(number << 1 | u64::from(unknown == Unknown::Skip));
    let mut value = Vec::new();
    write(&mut value);
    out.put_prefixed(&value);
}

/// Appends a field with a number.
pub(in crate::transport) fn put_number(
    out: &mut Vec<u8>,
    number: u64,
    unknown: Unknown,
    value: u64,
) {
    put_field(out, number, unknown, |bytes| bytes.put_varint(value));
}

/// Appends a field with a yes or no.
pub(in crate::transport) fn put_flag(
    out: &mut Vec<u8>,
    number: u64,
    unknown: Unknown,
    value: bool,
) {
    put_field(out, number, unknown, |bytes| bytes.push(u8::from(value)));
}

/// One field as it was read.
#[derive(Debug)]
pub(in crate::transport) struct Field<'a> {
    /// The number of the field.
    pub(in crate::transport) number: u64,
    unknown: Unknown,
    value: &'a [u8],
}

impl<'a> Field<'a> {
    /// The whole value.
    pub(in crate::transport) fn bytes(&self) -> &'a [u8] {
        self.value
    }

    /// The value as a number.
    pub(in crate::transport) fn number_value(&self) -> Result<u64, DecodeError> {
        self.parse(ByteReader::varint)
    }

    /// The value as yes or no.
    pub(in crate::transport) fn flag(&self) -> Result<bool, DecodeError> {
        match self.value {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(DecodeError::Malformed("a yes or no")),
        }
    }

    /// The value as text of at most `limit` bytes.
    pub(in crate::transport) fn text(
        &self,
        limit: usize,
        name: &'static str,
    ) -> Result<String, DecodeError> {
        if self.value.len() > limit {
            return Err(DecodeError::Limit(name));
        }
        std::str::from_utf8(self.value)
            .map(str::to_owned)
            .map_err(|_| DecodeError::Malformed(name))
    }

    /// The value as `read` decodes it; an error if bytes are left.
    pub(in crate::transport) fn parse<T>(
        &self,
        read: impl FnOnce(&mut ByteReader<'a>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let mut reader = ByteReader::new(self.value);
        let value = read(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }

    /// Skips a field with an unknown number: an error unless it may be skipped.
    pub(in crate::transport) fn skip(&self) -> Result<(), DecodeError> {
        match self.unknown {
            Unknown::Skip => Ok(()),
            Unknown::Refuse => Err(DecodeError::Malformed("an unknown field")),
        }
    }
}

/// Reads the fields of a payload one by one.
#[derive(Debug)]
pub(in crate::transport) struct FieldReader<'a> {
    reader: ByteReader<'a>,
    last: Option<u64>,
}

impl<'a> FieldReader<'a> {
    /// A reader of `payload` up to its end.
    pub(in crate::transport) fn new(payload: &'a [u8]) -> Self {
        Self {
            reader: ByteReader::new(payload),
            last: None,
        }
    }

    /// The next field; `None` at the end.
    pub(in crate::transport) fn next_field(&mut self) -> Result<Option<Field<'a>>, DecodeError> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let tag = self.reader.varint()?;
        let number = tag >> 1;
        if self.last.is_some_and(|last| last >= number) {
            return Err(DecodeError::Malformed("the order of fields"));
        }
        self.last = Some(number);
        let value = self.reader.prefixed(usize::MAX, "a field")?;
        let unknown = if tag & 1 == 1 {
            Unknown::Skip
        } else {
            Unknown::Refuse
        };
        Ok(Some(Field {
            number,
            unknown,
            value,
        }))
    }
}

/// The value of a required field.
pub(in crate::transport) fn required<T>(
    value: Option<T>,
    name: &'static str,
) -> Result<T, DecodeError> {
    value.ok_or(DecodeError::Malformed(name))
}
