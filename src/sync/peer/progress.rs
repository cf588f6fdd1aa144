//! Progress of every peer that this node knows, connected or not.

use std::collections::BTreeMap;

use super::link::Link;
use crate::core::identity::Origin;
use crate::store::error::StoreError;
use crate::store::scope::Scope;
use crate::store::state::map::EntryMap;
use crate::sync::message::Positions;
use crate::sync::outbox::rows::Trouble;
use crate::sync::replica::Replica;

/// Progress and state of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// The identity of the peer.
    pub origin: Origin,
    /// The label of the peer.
    pub node_id: String,
    /// True if what the peer acknowledges is durable there.
    pub durable: bool,
    /// True if the peer is connected.
    pub connected: bool,
    /// True if both sides were shown to hold the same state, with no change since.
    pub in_sync: bool,
    /// Positions up to which the peer was sent this node's feed.
    pub sent: Positions,
    /// Positions up to which the peer has acknowledged it.
    pub acknowledged: Positions,
    /// Own writes that the peer lacks.
    pub lag: Lag,
    /// Entries that the peer refused for good.
    pub refused: u64,
    /// Failures in a row of the exchange with the peer, in the direction that failed more often.
    pub attempts: u32,
    /// Reason of the failures, as a stable word: `not_stored` where this node could not store what came, else as in
    /// the list of the outbox.
    pub last_error: Option<&'static str>,
    /// The keys exchanged with the peer; all other fields are about those.
    pub scope: Scope,
}

/// Own writes that a peer has not acknowledged. Where it takes a part of the keys, the other rows after its
/// acknowledgement are counted too: they are passed over as soon as the link is quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Number of entries.
    pub entries: u64,
    /// Estimated bytes of keys and values: the entries at the store's average size.
    pub bytes_estimate: u64,
}

impl Replica {
    /// Progress of every peer ever met, except superseded ones. All base rows of the map must be resolved.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub fn peer_status(&self, map: &EntryMap) -> Result<Vec<PeerStatus>, StoreError> {
        // Most peers have acknowledged equally far: each distinct position is counted once.
        let mut lags: BTreeMap<u64, Lag> = BTreeMap::new();
        let mut status = Vec::with_capacity(self.peers.len());
        let peers = self.peers.iter();
        for (origin, record) in peers.filter(|(_, record)| !record.is_superseded) {
            let link = self.links.values().find(|link| link.origin == *origin);
            let shown = link.map(|link| self.progress(link));
            let (attempts, last_error) = link.map_or((0, None), trouble_of);
            let acknowledged = self.acknowledged_by(*origin);
            let lag = match lags.get(&acknowledged.own) {
                _ if record.scope.is_nothing() => Lag::default(),
                Some(lag) => *lag,
                None => *lags
                    .entry(acknowledged.own)
                    .or_insert(lag_behind(acknowledged.own, map)?),
            };
            status.push(PeerStatus {
                origin: *origin,
                node_id: record.node_id.clone(),
                durable: record.durable,
                connected: shown.is_some(),
                in_sync: shown.as_ref().is_some_and(|shown| shown.in_sync),
                sent: shown.map_or(acknowledged, |shown| shown.sent),
                acknowledged,
                lag,
                refused: record.rejected.len() as u64,
                attempts,
                last_error,
                scope: record.scope.clone(),
            });
        }
        Ok(status)
    }
}

/// Failures in a row of the exchange on a link, and their reason.
fn trouble_of(link: &Link) -> (u32, Option<&'static str>) {
    let (sent, received) = (link.sending.attempts, link.receiving.failures);
    if received > sent {
        return (received, Some("not_stored"));
    }
    let cause = link.sending.retry_cause.filter(|_| sent > 0);
    (sent, cause.map(|cause| Trouble::from(cause).as_str()))
}

/// The rows after a place in the stream of own writes, counted without scanning them.
///
/// # Errors
/// If the checkpoint cannot be read.
pub fn lag_behind(acknowledged: u64, map: &EntryMap) -> Result<Lag, StoreError> {
    let entries = map.own_rows(acknowledged, u64::MAX)?;
    let totals = map.totals();
    let average = totals.live_bytes / (totals.live + totals.tombstones).max(1);
    Ok(Lag {
        entries,
        bytes_estimate: entries.saturating_mul(average),
    })
}
