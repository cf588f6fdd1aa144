//! Records in the body of a log frame, as bytes (docs/format.md, "Records"). One frame is one atomic step: all of its
//! records count, or none.

pub mod origin_dictionary;
pub(super) mod peer_record;

pub use super::record::origin_dictionary::OriginDictionary;

use super::commit::ledger::{FeedPosition, KnownIdentityConflict, PeerRecord};
use super::entry::{Entry, EntryFlags, Extra};
use super::lineage::{AUTHORS_PER_RECORD, Authorship, put_authors, read_authors};
use super::record::peer_record::{
    decode_peer, position, prefixes, put_peer, put_position, put_scope,
};
use super::scope::Scope;
use crate::core::byte_enum::byte_enum;
use crate::core::bytes::{ByteReader, ByteWriter, DecodeError};
use crate::core::identity::{Dot, Incarnation, Origin};
use crate::core::limits::{
    EXTENSION_BYTES_MAX, LABEL_BYTES_MAX, STORED_KEY_BYTES_MAX, VECTOR_ORIGINS_MAX,
};
use crate::core::rules::{Rule, unless};
use crate::core::stamp::Stamp;

/// Bit in the kind of a record: a reader that does not know the kind may skip it.
pub const MAY_BE_IGNORED: u8 = 0x80;

/// Most rejected entries that are remembered for one peer. Beyond that the oldest are forgotten, and offered to the
/// peer again.
pub const REJECTED_MAX: usize = 4096;

byte_enum! {
    /// The registry of record kinds.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum RecordKind {
        /// Identity of the node.
        Identity = 1,
        /// An epoch of the feed begins.
        Stretch = 2,
        /// An entry is installed.
        Entry = 3,
        /// Cursor on a peer's feed.
        Cursor = 4,
        /// Record of a peer.
        Peer = 5,
        /// Reserved sequences and stamps, which may have been given out.
        Reserve = 6,
        /// Rows of the outbox were pruned.
        Pruned = 7,
        /// An origin gets a short number in this file.
        Origin = 8,
        /// Peer that sent the entries that follow in this frame.
        Source = 9,
        /// Author under which the node writes from here on.
        Author = 10,
        /// The store was salvaged from a damaged one.
        Salvaged = 138,
        /// Scope of the last connection with a peer, if that was not all keys.
        Scope = 139,
        /// Own writes were released by a tick.
        Released = 140,
        /// The node has noticed an identity conflict.
        Doubt = 141,
    }
}

/// A decoded record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Identity of the node, with lease and label.
    Identity {
        /// The identity: the author of the node's first writes.
        origin: Origin,
        /// Content that the lease file must have.
        lease: [u8; 16],
        /// The node's label.
        node_id: String,
        /// True if the epoch history begins anew: peers' cursors are void.
        fresh_chain: bool,
    },
    /// An epoch of the feed begins behind a local sequence.
    Stretch {
        /// The incarnation of the epoch.
        incarnation: Incarnation,
        /// The highest local sequence before the epoch.
        began_after: u64,
    },
    /// An entry is installed at a local sequence.
    Entry {
        /// The entry.
        entry: Entry,
        /// The entry's local sequence: its place in the feed.
        lseq: u64,
    },
    /// The author under which the node writes from here on, and the authors that it continues.
    Author(Authorship),
    /// The peer that sent the entries that follow in this frame; `None`: they were written here, as are those before
    /// the first of these records.
    Source {
        /// The peer.
        peer: Option<Origin>,
    },
    /// Cursor on a peer's feed.
    Cursor {
        /// The peer.
        peer: Origin,
        /// Position up to which the feed is held.
        position: FeedPosition,
        /// Scope of the position.
        scope: Scope,
    },
    /// Scope of the record before this one, of the same peer, and the acknowledged position in that scope; all keys
    /// where none follows.
    PeerScope {
        /// The peer.
        peer: Origin,
        /// Position up to which the peer has acknowledged this node's feed, and the scope of that position.
        about: (FeedPosition, Scope),
    },
    /// Record of a peer.
    Peer {
        /// The peer.
        peer: Origin,
        /// The whole record.
        record: PeerRecord,
    },
    /// Reservation: neither a sequence nor a stamp up to these may be given again after an unclean stop.
    Reserve {
        /// Highest reserved operation sequence.
        sequence: u64,
        /// Highest reserved stamp.
        clock: Stamp,
    },
    /// The store was salvaged from a damaged one.
    Salvaged {
        /// Number of parts of the damaged store that could not be read.
        lost: u64,
    },
    /// Acknowledged rows up to a local sequence were pruned from the outbox.
    Pruned {
        /// Local sequence of the last pruned row.
        lseq: u64,
    },
    /// Own writes up to a local sequence were released by a tick.
    Released {
        /// Local sequence of the last released row.
        lseq: u64,
    },
    /// The node has noticed an identity conflict, which lasts until it takes another identity.
    Doubt(KnownIdentityConflict),
}

pub(super) fn record(body: &mut Vec<u8>, kind: RecordKind, write: impl FnOnce(&mut Vec<u8>)) {
    body.push(kind as u8);
    let at = body.len();
    body.extend_from_slice(&[0; 4]);
    write(body);
    let length = u32::try_from(body.len() - at - 4).unwrap_or(u32::MAX);
    if let Some(place) = body.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

pub(in crate::store) const HAS_VECTOR: u8 = 1;
pub(in crate::store) const HAS_EXTENSION: u8 = 2;

/// Appends an entry record, and before it records of the origins that the file does not name yet.
pub fn encode_entry(body: &mut Vec<u8>, origins: &mut OriginDictionary, entry: &Entry, lseq: u64) {
    let author = origins.number(entry.dot.origin, body);
    let seen: Vec<(u64, u64)> = entry
        .vector()
        .iter()
        .map(|dot| (origins.number(dot.origin, body), dot.sequence))
        .collect();
    let extension = unless(Rule::ExtensionNotKept, entry.extension(), &[]);
    record(body, RecordKind::Entry, |payload| {
        payload.push(entry.flags.0);
        let vector_bit = if seen.is_empty() { 0 } else { HAS_VECTOR };
        payload.push(
            vector_bit
                | if extension.is_empty() {
                    0
                } else {
                    HAS_EXTENSION
                },
        );
        payload.extend_from_slice(&entry.stamp.0.to_le_bytes());
        payload.put_varint(author);
        payload.put_varint(entry.dot.sequence);
        payload.put_varint(entry.version);
        payload.put_varint(lseq);
        payload.put_length(entry.key().len());
        if !seen.is_empty() {
            payload.put_length(seen.len());
            for (number, sequence) in &seen {
                payload.put_varint(*number);
                payload.put_varint(*sequence);
            }
        }
        if !extension.is_empty() {
            payload.put_prefixed(extension);
        }
        payload.extend_from_slice(entry.key());
        payload.extend_from_slice(entry.value().unwrap_or_default());
    });
}

/// Appends a record of any kind.
pub fn encode(body: &mut Vec<u8>, origins: &mut OriginDictionary, what: &Record) {
    match what {
        Record::Entry { entry, lseq } => encode_entry(body, origins, entry, *lseq),
        Record::Identity {
            origin,
            lease,
            node_id,
            fresh_chain,
        } => record(body, RecordKind::Identity, |payload| {
            payload.extend_from_slice(&origin.0);
            payload.extend_from_slice(lease);
            payload.push(u8::from(*fresh_chain));
            payload.put_prefixed(node_id.as_bytes());
        }),
        Record::Source { peer } => record(body, RecordKind::Source, |payload| {
            payload.extend(peer.iter().flat_map(|peer| peer.0));
        }),
        Record::Author(authorship) => encode_author(body, authorship),
        Record::Stretch {
            incarnation,
            began_after,
        } => record(body, RecordKind::Stretch, |payload| {
            payload.extend_from_slice(&incarnation.0);
            payload.put_varint(*began_after);
        }),
        Record::Cursor {
            peer,
            position,
            scope,
        } => record(body, RecordKind::Cursor, |payload| {
            payload.extend_from_slice(&peer.0);
            put_position(payload, position);
            // No prefixes stand for all keys. A cursor whose scope is empty is never kept.
            put_scope(payload, scope);
        }),
        Record::PeerScope { peer, about } => record(body, RecordKind::Scope, |payload| {
            payload.extend_from_slice(&peer.0);
            put_position(payload, &about.0);
            put_scope(payload, &about.1);
        }),
        Record::Peer {
            peer,
            record: known,
        } => encode_peer(body, origins, *peer, known),
        Record::Reserve { sequence, clock } => record(body, RecordKind::Reserve, |payload| {
            payload.put_varint(*sequence);
            payload.extend_from_slice(&clock.0.to_le_bytes());
        }),
        Record::Pruned { lseq } => record(body, RecordKind::Pruned, |payload| {
            payload.put_varint(*lseq);
        }),
        Record::Salvaged { lost } => record(body, RecordKind::Salvaged, |payload| {
            payload.put_varint(*lost);
        }),
        Record::Released { lseq } => record(body, RecordKind::Released, |payload| {
            payload.put_varint(*lseq);
        }),
        Record::Doubt(identity_conflict) => record(body, RecordKind::Doubt, |payload| {
            payload.extend_from_slice(&identity_conflict.origin.0);
            payload.push(identity_conflict.reason);
            payload.put_prefixed(identity_conflict.node_id.as_bytes());
        }),
    }
}

/// Appends the record of the author under which the node writes from here on.
fn encode_author(body: &mut Vec<u8>, authorship: &Authorship) {
    record(body, RecordKind::Author, |payload| {
        payload.extend_from_slice(&authorship.current.0);
        payload.push(u8::from(authorship.has_written));
        payload.put_varint(authorship.record_number);
        payload.put_length(authorship.foreign);
        put_authors(payload, &authorship.before);
    });
}

/// Appends the record of a peer, and behind it the scope that its acknowledgement is about if that is not all keys.
fn encode_peer(
    body: &mut Vec<u8>,
    origins: &mut OriginDictionary,
    peer: Origin,
    known: &PeerRecord,
) {
    put_peer(body, &peer, known);
    if !known.scope.is_all() {
        let about = (known.acknowledged, known.scope.clone());
        encode(body, origins, &Record::PeerScope { peer, about });
    }
}

/// Reads the records of a frame's body in order and hands each to `visit`.
///
/// # Errors
/// At the first record that does not decode, or is of a kind that this version neither knows nor may ignore.
pub fn decode(
    body: &[u8],
    origins: &mut OriginDictionary,
    mut visit: impl FnMut(Record),
) -> Result<(), DecodeError> {
    let mut reader = ByteReader::new(body);
    while !reader.is_empty() {
        let kind = reader.u8()?;
        let length = usize::try_from(reader.u32()?).map_err(|_| DecodeError::Number)?;
        let mut payload = ByteReader::new(reader.take(length)?);
        let Some(what) = decode_record(kind, &mut payload, origins)? else {
            continue;
        };
        payload.finish()?;
        visit(what);
    }
    Ok(())
}

/// Reads the payload of one record. `None` for one that is complete without a visit: an origin that was learnt, or a
/// record of an unknown kind that may be ignored, whose payload is left unread.
#[inline]
fn decode_record(
    kind: u8,
    payload: &mut ByteReader<'_>,
    origins: &mut OriginDictionary,
) -> Result<Option<Record>, DecodeError> {
    let Some(kind) = RecordKind::from_byte(kind) else {
        return match kind & MAY_BE_IGNORED {
            0 => Err(DecodeError::Malformed("record kind")),
            _ => Ok(None),
        };
    };
    Ok(Some(match kind {
        RecordKind::Identity => Record::Identity {
            origin: Origin(payload.array()?),
            lease: payload.array()?,
            fresh_chain: payload.u8()? != 0,
            node_id: payload.text(LABEL_BYTES_MAX, "node id")?.to_owned(),
        },
        RecordKind::Stretch => Record::Stretch {
            incarnation: Incarnation(payload.array()?),
            began_after: payload.varint()?,
        },
        RecordKind::Entry => decode_entry(payload, origins)?,
        RecordKind::Cursor => decode_cursor(payload)?,
        RecordKind::Peer => decode_peer(payload)?,
        RecordKind::Reserve => Record::Reserve {
            sequence: payload.varint()?,
            clock: Stamp(payload.u64()?),
        },
        RecordKind::Pruned => Record::Pruned {
            lseq: payload.varint()?,
        },
        RecordKind::Origin => {
            origins.learn(Origin(payload.array()?));
            return Ok(None);
        }
        RecordKind::Source if payload.is_empty() => Record::Source { peer: None },
        RecordKind::Source => Record::Source {
            peer: Some(Origin(payload.array()?)),
        },
        RecordKind::Author => Record::Author(Authorship {
            current: Origin(payload.array()?),
            has_written: payload.u8()? != 0,
            is_declared: false,
            record_number: payload.varint()?,
            foreign: payload.length(AUTHORS_PER_RECORD, "authors")?,
            before: read_authors(payload)?,
        }),
        RecordKind::Salvaged => Record::Salvaged {
            lost: payload.varint()?,
        },
        RecordKind::Scope => Record::PeerScope {
            peer: Origin(payload.array()?),
            about: (position(payload)?, Scope::of(prefixes(payload)?)),
        },
        RecordKind::Released => Record::Released {
            lseq: payload.varint()?,
        },
        RecordKind::Doubt => Record::Doubt(KnownIdentityConflict {
            origin: Origin(payload.array()?),
            reason: payload.u8()?,
            node_id: payload.text(LABEL_BYTES_MAX, "node id")?.to_owned(),
        }),
    }))
}

/// Reads the position of a peer's feed. A scope without prefixes is that of all keys.
fn decode_cursor(payload: &mut ByteReader<'_>) -> Result<Record, DecodeError> {
    let peer = Origin(payload.array()?);
    let position = position(payload)?;
    let prefixes = prefixes(payload)?;
    let is_all = prefixes.is_empty();
    Ok(Record::Cursor {
        peer,
        position,
        scope: if is_all {
            Scope::ALL
        } else {
            Scope::of(prefixes)
        },
    })
}

/// Reads the parts of an entry or a row that `parts` names: its version vector, and the bytes of a newer version.
#[inline]
pub(in crate::store) fn decode_extra(
    reader: &mut ByteReader<'_>,
    origins: &OriginDictionary,
    parts: u8,
) -> Result<Extra, DecodeError> {
    let mut extra = Extra::default();
    if parts & HAS_VECTOR != 0 {
        let count = reader.length(VECTOR_ORIGINS_MAX, "version vector")?;
        for _ in 0..count {
            extra.vector.push(Dot {
                origin: origins.origin(reader)?,
                sequence: reader.varint()?,
            });
        }
        if origins.has_stand_ins() {
            extra.vector.sort_unstable_by_key(|seen| seen.origin);
        }
    }
    if parts & HAS_EXTENSION != 0 {
        extra.extension = reader.prefixed(EXTENSION_BYTES_MAX, "extension")?.to_vec();
    }
    Ok(extra)
}

fn decode_entry(
    payload: &mut ByteReader<'_>,
    origins: &OriginDictionary,
) -> Result<Record, DecodeError> {
    let flags = EntryFlags(payload.u8()?);
    let parts = payload.u8()?;
    let stamp = Stamp(payload.u64()?);
    let dot = Dot {
        origin: origins.origin(payload)?,
        sequence: payload.varint()?,
    };
    let version = payload.varint()?;
    let lseq = payload.varint()?;
    let key_length = payload.length(STORED_KEY_BYTES_MAX, "key")?;
    let extra = decode_extra(payload, origins, parts)?;
    let rest = payload.take(payload.remaining())?;
    let entry = Entry::new(rest.into(), key_length, flags, dot, stamp, version, extra)
        .ok_or(DecodeError::Malformed("entry"))?;
    Ok(Record::Entry { entry, lseq })
}

#[cfg(test)]
mod tests;
