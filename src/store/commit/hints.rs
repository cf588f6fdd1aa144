//! Hints: small facts that a group remembers beside entries and cursors. They cause no sync of their own: a power cut
//! that takes the last hints loses no entry and no cursor.

use super::ledger::{KnownIdentityConflict, Ledger, PeerRecord};
use super::operation::Request;
use crate::core::identity::Origin;
use crate::store::record::{OriginDictionary, Record, encode};

/// The hints of one group.
#[derive(Debug, Default)]
pub(in crate::store) struct Hints {
    /// New records of peers; `None`: the peer is forgotten.
    peers: Vec<(Origin, Option<PeerRecord>)>,
    pruned: Option<u64>,
    released: Option<u64>,
    identity_conflict: Option<KnownIdentityConflict>,
}

impl Hints {
    /// Takes in a request that is a hint, and ignores any other.
    pub(in crate::store) fn note(&mut self, request: Request) {
        match request {
            Request::Peer { peer, record } => self.peers.push((peer, Some(record))),
            Request::ForgetPeer { peer } => self.peers.push((peer, None)),
            Request::Pruned { lseq } => self.pruned = Some(lseq),
            Request::Released { lseq } => self.released = Some(lseq),
            Request::IdentityConflict(identity_conflict) => {
                self.identity_conflict = Some(identity_conflict);
            }
            Request::Write { .. }
            | Request::Batch { .. }
            | Request::Resolve(_)
            | Request::Received(_)
            | Request::Flush { .. } => {}
        }
    }

    /// Appends the records of the hints. A forgotten peer has no record: the next checkpoint leaves it out.
    pub(in crate::store) fn encode(&self, body: &mut Vec<u8>, origins: &mut OriginDictionary) {
        for (peer, record) in &self.peers {
            if let Some(record) = record.clone() {
                encode(
                    body,
                    origins,
                    &Record::Peer {
                        peer: *peer,
                        record,
                    },
                );
            }
        }
        let pruned = self.pruned.map(|lseq| Record::Pruned { lseq });
        let released = self.released.map(|lseq| Record::Released { lseq });
        let identity_conflict = self.identity_conflict.clone().map(Record::Doubt);
        for record in [pruned, released, identity_conflict].into_iter().flatten() {
            encode(body, origins, &record);
        }
    }

    /// Removes the cursors of the peers that the group forgets, before the group sets any cursor anew.
    pub(in crate::store) fn forget_cursors(&self, ledger: &mut Ledger) {
        for (peer, record) in &self.peers {
            if record.is_none() {
                ledger.forget_peer(*peer);
            }
        }
    }

    /// Applies the hints to the ledger.
    pub(in crate::store) fn apply(self, ledger: &mut Ledger) {
        for (peer, record) in self.peers {
            match record {
                Some(record) => {
                    ledger.peers.insert(peer, record);
                }
                None => {
                    ledger.peers.remove(&peer);
                }
            }
        }
        ledger.pruned = self.pruned.unwrap_or(ledger.pruned);
        ledger.released = ledger.released.max(self.released.unwrap_or_default());
        if self.identity_conflict.is_some() {
            ledger.identity_conflict = self.identity_conflict;
        }
    }
}
