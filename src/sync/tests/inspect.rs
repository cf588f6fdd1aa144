//! Test access to a replica's state, for proofs outside of this layer.

use crate::core::identity::Origin;
use crate::store::commit::ledger::FeedPosition;
use crate::store::scope::Scope;
use crate::store::state::map::EntryMap;
use crate::sync::message::Positions;
use crate::sync::outbox::rows::RowState;
use crate::sync::outbox::watermarks::{OutboxCounts, Watermarks};
use crate::sync::peer::link::LinkId;
use crate::sync::replica::Replica;

impl Replica {
    /// The counters of the outbox, counted row by row.
    pub(crate) fn recount(&self, map: &EntryMap) -> OutboxCounts {
        let progress_marks = self.progress_marks();
        let mut counts = OutboxCounts::default();
        for held in map.own_after(0) {
            let held = held.unwrap();
            match self.row_state(&held, &progress_marks.of(held.entry.key())) {
                Some(RowState::Queued) => counts.queued += 1,
                Some(RowState::InFlight) => counts.in_flight += 1,
                Some(RowState::Acknowledged) => counts.acknowledged += 1,
                Some(RowState::Failed) => counts.failed += 1,
                None => {}
            }
        }
        counts
    }

    /// The counters of the outbox.
    pub(crate) fn rows(&self, map: &EntryMap) -> OutboxCounts {
        self.counts_of(map).unwrap()
    }

    /// The watermarks of the outbox.
    pub(crate) fn watermarks(&self) -> Watermarks {
        self.outbox.watermarks()
    }

    /// Place up to which ticks have released own writes.
    pub(crate) fn released(&self) -> u64 {
        self.released
    }

    /// Local sequence number up to which the replica takes entries for durable.
    pub(crate) fn durable(&self) -> u64 {
        self.durable_lseq
    }

    /// The links, with each peer's origin and acknowledged positions.
    pub(crate) fn acknowledged_links(&self) -> Vec<(LinkId, Origin, Positions)> {
        let seen = |(id, link): (&LinkId, &crate::sync::peer::link::Link)| {
            (*id, link.origin, link.sending.acknowledged)
        };
        self.links.iter().map(seen).collect()
    }

    /// Recorded position that a peer has acknowledged.
    pub(crate) fn recorded_of(&self, peer: Origin) -> Option<FeedPosition> {
        self.peers.get(&peer).map(|record| record.acknowledged)
    }

    /// Recorded position that a peer has acknowledged, and the scope that it is valid for.
    pub(crate) fn recorded_in(&self, peer: Origin) -> Option<(FeedPosition, &Scope)> {
        let record = self.peers.get(&peer)?;
        Some((record.acknowledged, &record.scope))
    }

    /// Furthest recorded acknowledgement of own writes by any peer.
    pub(crate) fn recorded_anywhere(&self) -> u64 {
        let own = self.peers.values().map(|record| record.acknowledged.own);
        own.max().unwrap_or(0)
    }

    /// The last local sequence number of an own row that any peer is on record to have refused: it was sent once.
    pub(crate) fn refused_anywhere(&self, map: &EntryMap) -> u64 {
        let refused = self
            .peers
            .values()
            .flat_map(|record| record.rejected.iter());
        let own = refused.filter(|entry| map.is_own_row(entry.lseq).unwrap_or(false));
        own.map(|entry| entry.lseq).max().unwrap_or(0)
    }

    /// True if states are known to differ, and a repair waits for the delay since the last one.
    pub(crate) fn has_repairs_ahead(&self) -> bool {
        let is_due = |link: &crate::sync::peer::link::Link| {
            let is_unequal = link.proof.unequal.0 >= crate::sync::feed::end_of_feed::UNEQUAL_ENDS;
            is_unequal && link.receiving.end.is_some()
        };
        self.links.values().any(is_due)
    }

    /// True if a peer has refused the entry at a local sequence number.
    pub(crate) fn is_rejected(&self, peer: Origin, lseq: u64) -> bool {
        let record = self.peers.get(&peer);
        record.is_some_and(|record| record.rejected.iter().any(|entry| entry.lseq == lseq))
    }
}
