//! The numbers of origins in a file of which a part is lost. Numbers are given in order, so what was given in the
//! lost part would shift all that come later, and entries would get other authors.
//!
//! An origin is told only right before the first entry that names it, and gets the highest number that this entry
//! names. So the entry tells which number that was. Whose numbers were told in the lost part is not known any more:
//! others stand in for them.

use std::collections::HashSet;

use crate::core::bytes::{ByteReader, DecodeError};
use crate::core::checksum::hash128;
use crate::core::identity::Origin;
use crate::store::record::{OriginDictionary, RecordKind};

/// Most origins that a lost part may have told: far more than there are nodes in a network, and little memory.
const LOST_MAX: u64 = 1 << 16;

/// The origins that stand in for those that are lost. None is ever given twice, so that no two writes of different
/// authors pass for one.
#[derive(Debug)]
pub(in crate::store) struct StandIns {
    seed: Origin,
    made: HashSet<Origin>,
}

impl StandIns {
    /// `seed` is random.
    pub(in crate::store) fn new(seed: Origin) -> Self {
        Self {
            seed,
            made: HashSet::new(),
        }
    }

    /// Whether that origin stands in for another.
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

/// Origins of a checkpoint that stand-ins are made for when its meta area is lost.
const LOST_IN_CHECKPOINT: u64 = 1 << 12;

/// A record that was not decoded yet.
pub(in crate::store) struct RawRecord<'a> {
    pub(in crate::store) kind: u8,
    payload: &'a [u8],
    /// The whole of it.
    pub(in crate::store) bytes: &'a [u8],
}

/// The records of a body, as far as their lengths are right.
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

/// Fills the places that origins of a lost part had, so that those in `records` and later ones get the numbers
/// that they were given. Says whether that could be told.
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
    // An origin without an entry behind it is in no log that this program wrote.
    reported == 0 && fill(origins, stand_ins, needed)
}

/// Puts stand-ins in all places that a damaged checkpoint may name, whose origins were told in one piece.
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

/// The highest number that an entry names, as its author or in its version vector.
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
