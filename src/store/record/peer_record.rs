//! Records about peers, as bytes: positions in feeds, their scopes, and the record of a peer.

use super::{REJECTED_MAX, Record, RecordKind, record};
use crate::core::bytes::{ByteReader, ByteWriter, DecodeError};
use crate::core::identity::{Incarnation, Origin};
use crate::core::limits::{KEY_BYTES_MAX, LABEL_BYTES_MAX};
use crate::store::commit::ledger::{FeedPosition, PeerRecord, Rejected};
use crate::store::scope::{PREFIXES_MAX, Scope};

/// Most prefixes in the scope of a connection: each was named by one of the two sides.
const SCOPE_PREFIXES_MAX: usize = 2 * PREFIXES_MAX;

/// Bit in the state of a peer: entries that it acknowledges are durable there.
const DURABLE: u8 = 1;

/// Bit in the state of a peer: another one came in its place.
const SUPERSEDED: u8 = 1 << 1;

/// Bit in the state of a peer: the user named it. Older versions ignore the bit.
const NAMED: u8 = 1 << 2;

pub(in crate::store) fn put_position(payload: &mut Vec<u8>, position: &FeedPosition) {
    payload.extend_from_slice(&position.incarnation.0);
    payload.put_varint(position.own);
    payload.put_varint(position.relay);
}

pub(in crate::store) fn position(reader: &mut ByteReader<'_>) -> Result<FeedPosition, DecodeError> {
    Ok(FeedPosition {
        incarnation: Incarnation(reader.array()?),
        own: reader.varint()?,
        relay: reader.varint()?,
    })
}

pub(in crate::store) fn put_scope(payload: &mut Vec<u8>, scope: &Scope) {
    let prefixes = scope.prefixes().unwrap_or_default();
    payload.put_length(prefixes.len());
    for prefix in prefixes {
        payload.put_prefixed(prefix);
    }
}

/// Reads the prefixes of a scope.
pub(in crate::store) fn prefixes(reader: &mut ByteReader<'_>) -> Result<Vec<Vec<u8>>, DecodeError> {
    let count = reader.length(SCOPE_PREFIXES_MAX, "prefixes")?;
    let prefix = |_| Ok(reader.prefixed(KEY_BYTES_MAX, "prefix")?.to_vec());
    (0..count).map(prefix).collect()
}

/// Appends the record of a peer.
pub(in crate::store) fn put_peer(body: &mut Vec<u8>, peer: &Origin, known: &PeerRecord) {
    record(body, RecordKind::Peer, |payload| {
        payload.extend_from_slice(&peer.0);
        let superseded = if known.is_superseded { SUPERSEDED } else { 0 };
        let named = if known.is_named { NAMED } else { 0 };
        payload.push(u8::from(known.durable) | superseded | named);
        payload.put_prefixed(known.node_id.as_bytes());
        // A reader that skips the scope record would take the position for one in the feed of all keys, so a partial
        // A reader that skips the scope record would take the position for one in the feed of all keys, so the default
        // position is written where the scope is smaller.
        let is_about_all = known.scope.is_all();
        let acknowledged = is_about_all.then_some(known.acknowledged);
        put_position(payload, &acknowledged.unwrap_or_default());
        let rejected = known.rejected.len().min(REJECTED_MAX);
        payload.put_length(rejected);
        for entry in known.rejected.iter().rev().take(rejected) {
            payload.put_varint(entry.lseq);
            payload.push(entry.code);
        }
    });
}

/// Reads the record of a peer.
pub(in crate::store) fn decode_peer(payload: &mut ByteReader<'_>) -> Result<Record, DecodeError> {
    let peer = Origin(payload.array()?);
    let state = payload.u8()?;
    let node_id = payload.text(LABEL_BYTES_MAX, "node id")?.to_owned();
    let acknowledged = position(payload)?;
    let count = payload.length(REJECTED_MAX, "parked entries")?;
    let mut rejected = Vec::new();
    for _ in 0..count {
        rejected.push(Rejected {
            lseq: payload.varint()?,
            code: payload.u8()?,
        });
    }
    rejected.reverse();
    Ok(Record::Peer {
        peer,
        record: PeerRecord {
            node_id,
            durable: state & DURABLE != 0,
            is_superseded: state & SUPERSEDED != 0,
            is_named: state & NAMED != 0,
            acknowledged,
            rejected: rejected.into(),
            scope: Scope::ALL,
        },
    })
}
