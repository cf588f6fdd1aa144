//! Dictionary of origins: short numbers in place of sixteen bytes per entry, because few origins recur in nearly all
//! entries.

use std::collections::HashMap;

use super::{RecordKind, record};
use crate::core::bytes::{ByteReader, DecodeError};
use crate::core::identity::Origin;

/// Short numbers for origins within one log file, given in the order of their first use.
#[derive(Debug, Default)]
pub struct OriginDictionary {
    origins: Vec<Origin>,
    numbers: HashMap<Origin, u64>,
    /// The origin that was looked up last: nearly always the next one too.
    last: Option<(Origin, u64)>,
    /// Number of origins named in earlier files that no checkpoint covers yet.
    earlier: usize,
    /// True if some numbers stand for other origins than those that they were given to.
    has_stand_ins: bool,
}

impl OriginDictionary {
    /// Number of known origins; [`Self::forget_from`] takes back later ones.
    pub fn len(&self) -> usize {
        self.origins.len()
    }

    /// The dictionary of the next file, which numbers its origins anew.
    pub(in crate::store) fn of_next_file(&self) -> Self {
        Self {
            earlier: self.reported(),
            ..Self::default()
        }
    }

    /// Forgets the origins of earlier files, because a checkpoint covers them.
    pub(in crate::store) fn forget_earlier(&mut self) {
        self.earlier = 0;
    }

    /// Upper bound of the origins named in this file and in those before it that no checkpoint covers.
    pub(in crate::store) fn reported(&self) -> usize {
        self.earlier + self.len()
    }

    /// True if this file has named an origin.
    pub(in crate::store) fn knows(&self, origin: Origin) -> bool {
        self.numbers.contains_key(&origin)
    }

    /// The origins, in the order of their numbers.
    pub(in crate::store) fn as_slice(&self) -> &[Origin] {
        &self.origins
    }

    /// Takes back all origins from the `len`-th on, because the frame that named them was not written.
    pub fn forget_from(&mut self, len: usize) {
        self.last = None;
        for origin in self.origins.drain(len.min(self.origins.len())..) {
            self.numbers.remove(&origin);
        }
    }

    /// Puts an origin in the next place, whose own origin was named in a part that is lost.
    pub(in crate::store) fn stand_in(&mut self, origin: Origin) {
        self.has_stand_ins = true;
        self.learn(origin);
    }

    /// True if the order of numbers may differ from the order in which the origins were named.
    pub(in crate::store) fn has_stand_ins(&self) -> bool {
        self.has_stand_ins
    }

    /// A copy of the dictionary for another file: appends records of all origins to its `body`.
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
