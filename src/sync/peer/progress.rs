//! How far each peer is that this node knows, connected or not.

use std::collections::BTreeMap;

use super::link::Link;
use crate::core::identity::Origin;
use crate::store::error::StoreError;
use crate::store::scope::Scope;
use crate::store::state::map::EntryMap;
use crate::sync::message::Positions;
use crate::sync::outbox::rows::Trouble;
use crate::sync::replica::Replica;

/// How far one peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its author id.
    pub origin: Origin,
    /// Its label.
    pub node_id: String,
    /// Whether what it acknowledges is durable there.
    pub durable: bool,
    /// Whether it is connected.
    pub connected: bool,
    /// Whether both sides were shown to hold the same, with no change since.
    pub in_sync: bool,
    /// Sent to it.
    pub sent: Positions,
    /// Acknowledged by it.
    pub acknowledged: Positions,
    /// What it lacks.
    pub lag: Lag,
    /// Entries that it refused for good.
    pub refused: u64,
    /// How often in a row what is exchanged with it had to be tried again, in the direction that failed more often.
    pub attempts: u32,
    /// Why, as a stable word: `not_stored` where this node could not store what came, else as in the list of the outbox.
    pub last_error: Option<&'static str>,
    /// What is exchanged with it, and what all of this is about.
    pub scope: Scope,
}

/// Own writes that a peer has not acknowledged. Where it takes a part of the keys, those behind what it has acknowledged
/// are counted with the others: they are passed over as soon as all is quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// How many.
    pub entries: u64,
    /// About how many bytes of keys and values: so many entries of the average size.
    pub bytes_estimate: u64,
}

impl Replica {
    /// How far all peers are that were ever met, but for those whose place another one took. All must be resolved in the map.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be.
    pub fn peer_status(&self, map: &EntryMap) -> Result<Vec<PeerStatus>, StoreError> {
        // Most peers are equally far: they are counted once.
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

/// How often in a row the exchange on a link has failed, and why.
fn trouble_of(link: &Link) -> (u32, Option<&'static str>) {
    let (sent, received) = (link.sending.attempts, link.receiving.failures);
    if received > sent {
        return (received, Some("not_stored"));
    }
    let cause = link.sending.retry_cause.filter(|_| sent > 0);
    (sent, cause.map(|cause| Trouble::from(cause).as_str()))
}

/// What lies behind a place in the stream of own writes: counted by rows, not by looking at them.
///
/// # Errors
/// If the checkpoint cannot be read where it has to be.
pub fn lag_behind(acknowledged: u64, map: &EntryMap) -> Result<Lag, StoreError> {
    let entries = map.own_rows(acknowledged, u64::MAX)?;
    let totals = map.totals();
    let average = totals.live_bytes / (totals.live + totals.tombstones).max(1);
    Ok(Lag {
        entries,
        bytes_estimate: entries.saturating_mul(average),
    })
}
