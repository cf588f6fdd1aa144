//! Delta compression of a batch: each origin is named once in a dictionary, and numbers are sent as differences.

use hashbrown::HashMap;

use crate::core::bytes::{ByteReader, ByteWriter, DecodeError};
use crate::core::identity::Origin;
use crate::store::entry::{Entry, EntryFlags};

/// State that both sides carry from entry to entry, so that differences are small.
pub(in crate::transport) struct Context {
    /// The last sequence number sent of each origin, by place in the dictionary.
    sequences: Vec<u64>,
    /// Milliseconds of the last stamp.
    pub(in crate::transport) wall_ms: u64,
    /// Place of the last author in the dictionary.
    pub(in crate::transport) author: usize,
    /// Flags of the last entry.
    pub(in crate::transport) flags: EntryFlags,
}

impl Context {
    /// The state before the first entry of a message with `origins` origins.
    pub(in crate::transport) fn new(origins: usize) -> Self {
        Self {
            sequences: vec![0; origins],
            wall_ms: 0,
            author: 0,
            flags: EntryFlags::default(),
        }
    }

    /// The last sequence number sent of an origin, 0 at first.
    pub(in crate::transport) fn sequence_of(&self, place: usize) -> u64 {
        self.sequences.get(place).copied().unwrap_or_default()
    }

    /// Records the sequence number sent of an author.
    pub(in crate::transport) fn reported(&mut self, place: usize, sequence: u64) {
        if let Some(known) = self.sequences.get_mut(place) {
            *known = sequence;
        }
    }
}

/// Zigzag coding: a difference modulo 2^64 as a small number when it is near zero on either side.
pub(in crate::transport) fn zigzag(from: u64, to: u64) -> u64 {
    let difference = to.wrapping_sub(from);
    let negative = difference >> 63 == 1;
    difference << 1 ^ if negative { u64::MAX } else { 0 }
}

/// Inverse of [`zigzag`].
pub(in crate::transport) fn unzigzag(from: u64, coded: u64) -> u64 {
    let negative = coded & 1 == 1;
    let difference = coded >> 1 ^ if negative { u64::MAX } else { 0 };
    from.wrapping_add(difference)
}

/// The origins of a message, each once, in the order in which they are first named.
#[derive(Default)]
pub(in crate::transport) struct Dictionary {
    origins: Vec<Origin>,
    places: HashMap<Origin, usize>,
    newest: Option<(Origin, usize)>,
}

impl Dictionary {
    /// The dictionary of all authors and vectors of the entries.
    pub(in crate::transport) fn of<'a>(entries: impl Iterator<Item = &'a Entry>) -> Self {
        let mut dictionary = Self::default();
        for entry in entries {
            dictionary.place(entry.dot.origin);
            for seen in entry.vector() {
                dictionary.place(seen.origin);
            }
        }
        dictionary
    }

    /// Number of origins.
    pub(in crate::transport) fn len(&self) -> usize {
        self.origins.len()
    }

    /// The place of an origin, which is added if it is new.
    pub(in crate::transport) fn place(&mut self, origin: Origin) -> usize {
        if let Some((newest, place)) = self.newest
            && newest == origin
        {
            return place;
        }
        let origins = &mut self.origins;
        let place = *self.places.entry(origin).or_insert_with(|| {
            origins.push(origin);
            origins.len() - 1
        });
        self.newest = Some((origin, place));
        place
    }
}

/// Appends the dictionary.
pub(in crate::transport) fn put_origins(out: &mut Vec<u8>, dictionary: &Dictionary) {
    out.put_length(dictionary.origins.len());
    for origin in &dictionary.origins {
        out.extend_from_slice(&origin.0);
    }
}

/// Reads a dictionary.
pub(in crate::transport) fn read_origins(
    reader: &mut ByteReader<'_>,
) -> Result<Vec<Origin>, DecodeError> {
    let count = reader.length(reader.remaining() / 16, "the dictionary of origins")?;
    (0..count).map(|_| reader.array().map(Origin)).collect()
}
