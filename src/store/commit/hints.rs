//! Small facts that a group remembers beside entries and cursors. No sync is made for their sake: losing the last ones to
//! a power cut loses no entry and no cursor.

use super::ledger::{KnownIdentityConflict, Ledger, PeerRecord};
use super::operation::Request;
use crate::core::identity::Origin;
use crate::store::record::{OriginDictionary, Record, encode};

/// What a group is to remember.
#[derive(Debug, Default)]
pub(in crate::store) struct Hints {
    /// What is known of peers from now on; `None`: nothing any more.
    peers: Vec<(Origin, Option<PeerRecord>)>,
    pruned: Option<u64>,
    released: Option<u64>,
    identity_conflict: Option<KnownIdentityConflict>,
}

impl Hints {
    /// Takes in a request that is one; any other is none.
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

    /// Appends their records. That nothing is known of a peer any more is not told: the next checkpoint leaves it out.
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

    /// Where a peer is forgotten, its cursor is, before this group may set another one.
    pub(in crate::store) fn forget_cursors(&self, ledger: &mut Ledger) {
        for (peer, record) in &self.peers {
            if record.is_none() {
                ledger.forget_peer(*peer);
            }
        }
    }

    /// They count from now on.
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
