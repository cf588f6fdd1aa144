//! Short numbers for origins: sixteen bytes an entry are too many for what is nearly always the same.

use std::collections::HashMap;

use super::{RecordKind, record};
use crate::core::bytes::{ByteReader, DecodeError};
use crate::core::identity::Origin;

/// Short numbers for origins within one log file, given in the order of their first use.
#[derive(Debug, Default)]
pub struct OriginDictionary {
    origins: Vec<Origin>,
    numbers: HashMap<Origin, u64>,
    /// The one that was asked for last: nearly always the next one too.
    last: Option<(Origin, u64)>,
    /// How many were told in earlier files that no checkpoint covers yet.
    earlier: usize,
    /// Some numbers stand for others than the origins that they were given to.
    has_stand_ins: bool,
}

impl OriginDictionary {
    /// How many are known; [`Self::forget_from`] takes back what came later.
    pub fn len(&self) -> usize {
        self.origins.len()
    }

    /// That of the next file, which numbers its origins anew.
    pub(in crate::store) fn of_next_file(&self) -> Self {
        Self {
            earlier: self.reported(),
            ..Self::default()
        }
    }

    /// A checkpoint covers the files before this one.
    pub(in crate::store) fn forget_earlier(&mut self) {
        self.earlier = 0;
    }

    /// How many were told in this file, and in those before it that no checkpoint covers, at the most.
    pub(in crate::store) fn reported(&self) -> usize {
        self.earlier + self.len()
    }

    /// Whether this file has told that one.
    pub(in crate::store) fn knows(&self, origin: Origin) -> bool {
        self.numbers.contains_key(&origin)
    }

    /// They, by their numbers.
    pub(in crate::store) fn as_slice(&self) -> &[Origin] {
        &self.origins
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }

    /// Takes back all from the `len`-th on, because the frame that told them was not written.
    pub fn forget_from(&mut self, len: usize) {
        self.last = None;
        for origin in self.origins.drain(len.min(self.origins.len())..) {
            self.numbers.remove(&origin);
        }
    }

    /// Puts an origin in the next place, which belongs to one that was told in a part that is lost.
    pub(in crate::store) fn stand_in(&mut self, origin: Origin) {
        self.has_stand_ins = true;
        self.learn(origin);
    }

    /// Whether the order of numbers that follow the order of origins cannot be relied on.
    pub(in crate::store) fn has_stand_ins(&self) -> bool {
        self.has_stand_ins
    }

    /// The same numbers for another file: tells all origins there.
    pub(in crate::store) fn told_again(&self, body: &mut Vec<u8>) -> Self {
        let mut reported = Self::default();
        for origin in &self.origins {
            reported.number(*origin, body);
        }
        reported
    }

    pub(in crate::store) fn learn(&mut self, origin: Origin) -> u64 {
        let number = self.origins.len() as u64;
        self.origins.push(origin);
        self.numbers.insert(origin, number);
        number
    }

    pub(in crate::store) fn number(&mut self, origin: Origin, body: &mut Vec<u8>) -> u64 {
        if let Some((last, number)) = self.last
            && last == origin
        {
            return number;
        }
        let number = self.number_of(origin, body);
        self.last = Some((origin, number));
        number
    }

    fn number_of(&mut self, origin: Origin, body: &mut Vec<u8>) -> u64 {
        if let Some(number) = self.numbers.get(&origin) {
            return *number;
        }
        record(body, RecordKind::Origin, |payload| {
            payload.extend_from_slice(&origin.0);
        });
        self.learn(origin)
    }

    pub(in crate::store) fn origin(
        &self,
        reader: &mut ByteReader<'_>,
    ) -> Result<Origin, DecodeError> {
        let number = usize::try_from(reader.varint()?).map_err(|_| DecodeError::Number)?;
        self.origins
            .get(number)
            .copied()
            .ok_or(DecodeError::Malformed("origin number"))
    }
}
