//! Numbers of origins in a file of which a part is lost. Numbers are given in order, so the numbers given in the lost
//! part would be missing from all later ones, and entries would get wrong authors.
//!
//! An origin is named only right before the first entry that uses it, and gets the highest number in that entry. So the
//! entry shows that number. The origins named in the lost part are unknown: stand-ins take their places.

use std::collections::HashSet;

use crate::core::bytes::{ByteReader, DecodeError};
use crate::core::checksum::hash128;
use crate::core::identity::Origin;
use crate::store::record::{OriginDictionary, RecordKind};

/// Most origins that a lost part may have named: far more than there are nodes in a network, and little memory.
const LOST_MAX: u64 = 1 << 16;

/// Stand-ins for lost origins. None is ever given twice, so that two writes of different authors are never taken for
/// one.
#[derive(Debug)]
pub(in crate::store) struct StandIns {
    seed: Origin,
    made: HashSet<Origin>,
}

impl StandIns {
    /// New stand-ins, made from a random `seed`.
    pub(in crate::store) fn new(seed: Origin) -> Self {
        Self {
            seed,
            made: HashSet::new(),
        }
    }

    /// True if an origin is a stand-in.
    pub(in crate::store) fn contains(&self, origin: Origin) -> bool {
        self.made.contains(&origin)
    }

    fn next(&mut self) -> Origin {
        let number = (self.made.len() as u64).to_le_bytes();
        let origin = Origin(hash128(&[&self.seed.0[..], &number].concat()).to_le_bytes());
        self.made.insert(origin);
        origin
    }
}

/// Number of stand-ins for the origins of a checkpoint whose meta area is lost.
const LOST_IN_CHECKPOINT: u64 = 1 << 12;

/// A record that is not decoded yet.
pub(in crate::store) struct RawRecord<'a> {
    pub(in crate::store) kind: u8,
    payload: &'a [u8],
    /// All bytes of the record.
    pub(in crate::store) bytes: &'a [u8],
}

/// The records of a body, as far as their lengths are valid.
pub(in crate::store) fn raw_records(body: &[u8]) -> Vec<RawRecord<'_>> {
    let mut records = Vec::new();
    let mut rest = body;
    while let Some((kind, length)) = rest.first().zip(rest.get(1..5)) {
        let length = length
            .iter()
            .rev()
            .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let Some(end) = usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_add(5))
        else {
            break;
        };
        let Some((bytes, behind)) = rest.split_at_checked(end) else {
            break;
        };
        records.push(RawRecord {
            kind: *kind,
            payload: bytes.get(5..).unwrap_or_default(),
            bytes,
        });
        rest = behind;
    }
    records
}

/// Fills the places of the origins of a lost part, so that those in `records` and later ones get their own numbers.
/// Returns true if these could be determined.
pub(in crate::store) fn fill_places(
    origins: &mut OriginDictionary,
    stand_ins: &mut StandIns,
    records: &[RawRecord<'_>],
) -> bool {
    let known = origins.len() as u64;
    let (mut reported, mut needed) = (0_u64, known);
    for record in records {
        if record.kind == RecordKind::Origin as u8 {
            reported += 1;
        } else if record.kind == RecordKind::Entry as u8 {
            let Ok(highest) = highest_number(record.payload) else {
                continue;
            };
            if reported > 0 {
                let first = (highest + 1).checked_sub(reported);
                let first = first.filter(|first| *first >= known);
                return first.is_some_and(|first| fill(origins, stand_ins, first));
            }
            needed = needed.max(highest + 1);
        }
    }
    // No log written by this program has an origin without an entry after it.
    reported == 0 && fill(origins, stand_ins, needed)
}

/// Puts stand-ins in all places that a damaged checkpoint may use, whose origins were named in one piece.
pub(in crate::store) fn fill_all(origins: &mut OriginDictionary, stand_ins: &mut StandIns) {
    fill(origins, stand_ins, LOST_IN_CHECKPOINT);
}

fn fill(origins: &mut OriginDictionary, stand_ins: &mut StandIns, places: u64) -> bool {
    let lost = places.saturating_sub(origins.len() as u64);
    let is_sane = lost <= LOST_MAX;
    for _ in 0..if is_sane { lost } else { 0 } {
        origins.stand_in(stand_ins.next());
    }
    is_sane
}

/// The highest number in an entry, as its author or in its version vector.
fn highest_number(payload: &[u8]) -> Result<u64, DecodeError> {
    let mut reader = ByteReader::new(payload);
    reader.u8()?;
    let parts = reader.u8()?;
    reader.u64()?;
    let mut highest = reader.varint()?;
    for _ in ["sequence", "version", "lseq", "key length"] {
        reader.varint()?;
    }
    if parts & crate::store::record::HAS_VECTOR != 0 {
        for _ in 0..reader.varint()? {
            highest = highest.max(reader.varint()?);
            reader.varint()?;
        }
    }
    if highest == u64::MAX {
        return Err(DecodeError::Malformed("origin number"));
    }
    Ok(highest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::identity::Dot;
    use crate::core::stamp::Stamp;
    use crate::store::entry::{Entry, EntryFlags, Extra};
    use crate::store::record::{Record, decode, encode};
    use proptest::prelude::*;

    fn record(author: u8, seen: Option<u8>) -> Record {
        let dot = |origin| Dot {
            origin: Origin([origin; 16]),
            sequence: 9,
        };
        let vector = seen
            .filter(|seen| *seen != author)
            .map(dot)
            .into_iter()
            .collect();
        let extra = Extra {
            vector,
            extension: Vec::new(),
        };
        let payload = Box::from(&[0, b'k', b'v'][..]);
        let entry = Entry::new(
            payload,
            2,
            EntryFlags::default(),
            dot(author),
            Stamp(5),
            1,
            extra,
        );
        Record::Entry {
            entry: entry.unwrap(),
            lseq: 1,
        }
    }

    proptest! {
            #[test]
            fn whatever_frames_are_lost_no_entry_of_another_gets_a_wrong_author(
                frames in prop::collection::vec(
                    (prop::collection::vec((1_u8..9, prop::option::of(1_u8..9)), 1..5), any::<bool>()), 1..12),
            ) {
                let (mut writer, mut reader) = (OriginDictionary::default(), OriginDictionary::default());
                let mut stand_ins = StandIns::new(Origin([77; 16]));
                for (records, is_lost) in frames {
                    let mut body = Vec::new();
                    let records: Vec<Record> = records.iter().map(|(author, seen)| record(*author, *seen)).collect();
                    for record in &records {
                        encode(&mut body, &mut writer, record);
                    }
                    if is_lost {
                        continue;
                    }
                    let raw = raw_records(&body);
                    prop_assert!(fill_places(&mut reader, &mut stand_ins, &raw));
                    let mut read = Vec::new();
                    for record in &raw {
                        decode(record.bytes, &mut reader, |record| read.push(record)).unwrap();
                    }
                    prop_assert_eq!(read.len(), records.len());
                    for record in &read {
                        let Record::Entry { entry, .. } = record else { continue };
    let is_lost = |dot: &Dot| stand_ins.contains(dot.origin);
                        let has_lost = is_lost(&entry.dot) || entry.vector().iter().any(is_lost);
                        prop_assert!(has_lost || records.contains(record), "{record:?}");
                    }
                }
            }

            #[test]
            fn any_bytes_are_met(body: Vec<u8>) {
                let mut origins = OriginDictionary::default();
                let mut stand_ins = StandIns::new(Origin::default());
                fill_places(&mut origins, &mut stand_ins, &raw_records(&body));
            }
        }
}
