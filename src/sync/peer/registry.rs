//! The registry of peers: a peer is known while it is connected, and beyond that only if it has taken or brought
//! something durable, or if the user has named it. So strangers cost nothing once they are gone.

use std::collections::BTreeMap;

use crate::core::clock::MonotonicMs;
use crate::core::identity::Origin;
use crate::store::commit::ledger::{FeedPosition, PeerRecord, Rejected};
use crate::store::commit::operation::Request;
use crate::sync::replica::{Output, Replica};

/// Most peers that are remembered: twice what a hub is built for. Each costs some hundred bytes in memory and in each
/// checkpoint, and a check whenever an acknowledgement moves.
pub const PEERS_MAX: usize = 2_048;

/// Most bytes that the records of peers take: their prefixes may be long. A checkpoint holds them, and as much again
/// for cursors, in its meta area.
const PEERS_BYTES_MAX: usize = 32 << 20;

/// Approximate bytes of a record.
fn bytes_of(record: &PeerRecord) -> usize {
    let prefixes = record.scope.prefixes().unwrap_or_default();
    let prefixes: usize = prefixes.iter().map(|prefix| prefix.len() + 2).sum();
    128 + record.node_id.len() + record.rejected.len() * size_of::<Rejected>() + prefixes
}

fn has_moved(position: &FeedPosition) -> bool {
    position.own > 0 || position.relay > 0
}

impl Replica {
    /// Marks a connected peer as named: the user knows it by its address or label.
    pub fn name(&mut self, origin: Origin, now: MonotonicMs) {
        if let Some(record) = self.peers.get_mut(&origin)
            && !std::mem::replace(&mut record.is_named, true)
        {
            self.unremembered.entry(origin).or_insert(now);
        }
    }

    /// True if a peer is remembered or connected.
    pub fn is_known(&self, origin: Origin) -> bool {
        self.peers.contains_key(&origin)
    }

    /// True if a peer is worth a record.
    pub(in crate::sync) fn is_worth_keeping(&self, origin: Origin, record: &PeerRecord) -> bool {
        let cursor = self.cursors.get(&origin);
        let has_brought = cursor.is_some_and(|(position, _)| has_moved(position));
        let has_taken = has_moved(&record.acknowledged) || !record.rejected.is_empty();
        let is_named = record.is_named && !record.is_superseded;
        // A peer that was given up was retried for long, so its rows may still be waiting for it.
        let has_taken = has_taken || self.given_up.contains_key(&origin);
        has_brought || has_taken || is_named
    }

    /// Puts a peer that has disconnected on record, or forgets it.
    pub(in crate::sync) fn part_from(&mut self, origin: Origin) {
        let Some(record) = self.peers.get(&origin) else {
            return;
        };
        if self.is_worth_keeping(origin, record) {
            self.remember(origin);
        } else if !self.is_connected(origin) {
            self.forget(origin);
        }
    }

    /// Makes room for a peer that is not known yet, or whose scope has changed: forgets disconnected peers while there
    /// are too many, superseded ones first, then unnamed ones, then those met longest ago.
    pub(in crate::sync) fn make_room(&mut self) {
        let bytes =
            |peers: &BTreeMap<Origin, PeerRecord>| peers.values().map(bytes_of).sum::<usize>();
        while self.peers.len() >= PEERS_MAX || bytes(&self.peers) >= PEERS_BYTES_MAX {
            let gone = self.peers.iter();
            let gone = gone.filter(|(origin, _)| !self.is_connected(**origin));
            let least = gone.min_by_key(|(origin, record)| {
                let met = self.met_at.get(origin).copied().unwrap_or_default();
                (!record.is_superseded, record.is_named, met)
            });
            let Some(origin) = least.map(|(origin, _)| *origin) else {
                return;
            };
            tracing::warn!(peer = %origin, "too many peers were met: the record of one was dropped");
            self.forget(origin);
        }
    }

    /// Forgets peers that an earlier version, or an opening with other limits, has remembered.
    pub(in crate::sync) fn forget_surplus(&mut self) {
        let peers = self.peers.iter();
        let worthless = peers.filter(|(origin, record)| !self.is_worth_keeping(**origin, record));
        let worthless: Vec<Origin> = worthless.map(|(origin, _)| *origin).collect();
        for origin in worthless {
            self.forget(origin);
        }
        self.make_room();
    }

    /// Forgets everything about a peer. When it comes again, the two compare their states.
    fn forget(&mut self, origin: Origin) {
        self.drop_rejected(origin);
        let record = self.peers.remove(&origin);
        self.cursors.remove(&origin);
        self.unremembered.remove(&origin);
        self.given_up.remove(&origin);
        self.met_at.remove(&origin);
        self.moved.remove(&origin);
        self.waits.forget(origin);
        if record.is_some_and(|record| !record.scope.is_all()) {
            self.part_rows();
        }
        let forget = Request::ForgetPeer { peer: origin };
        self.outputs.push_back(Output::Commit(forget));
    }
}
