//! The outbox: a view of this node's own entries by how far peers are, not a queue of its own (PROTOCOL rule
//! 7). What a row counts as follows from its local sequence and a few marks, so the counters are how many rows lie
//! between them.

use std::collections::BTreeSet;

use crate::store::error::StoreError;
use crate::store::state::map::EntryMap;

/// How many rows there are of each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxCounts {
    /// Sent to nobody yet.
    pub queued: u64,
    /// Sent, and not acknowledged by enough peers.
    pub in_flight: u64,
    /// Acknowledged by enough peers, and not pruned.
    pub acknowledged: u64,
    /// Given up until a peer returns, or refused by one.
    pub failed: u64,
}

impl OutboxCounts {
    /// All rows.
    pub fn total(self) -> u64 {
        self.queued + self.in_flight + self.acknowledged + self.failed
    }

    /// A row was counted as its marks say, and counts as failed, since a peer refuses it: unless it is held by enough
    /// others.
    pub(in crate::sync) fn refuse(
        &mut self,
        watermarks: &Watermarks,
        lseq: u64,
        is_held: impl FnOnce() -> bool,
    ) {
        let in_flight_to = watermarks.sent.max(watermarks.acknowledged);
        let failed_to = watermarks.failed.max(in_flight_to);
        if lseq <= watermarks.acknowledged {
            if is_held() {
                return;
            }
            self.failed += 1;
            let is_pruned = lseq <= watermarks.pruned;
            self.acknowledged = self.acknowledged.saturating_sub(u64::from(!is_pruned));
        } else if lseq <= in_flight_to {
            self.failed += 1;
            self.in_flight = self.in_flight.saturating_sub(1);
        } else if lseq > failed_to {
            self.failed += 1;
            self.queued = self.queued.saturating_sub(1);
        }
    }
}

/// The marks that decide what a row counts as; each is the highest local sequence it reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watermarks {
    /// Acknowledged rows up to here are pruned.
    pub pruned: u64,
    /// Acknowledged by enough peers.
    pub acknowledged: u64,
    /// Sent to somebody who is connected.
    pub sent: u64,
    /// Given up.
    pub failed: u64,
}

/// The outbox.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    watermarks: Watermarks,
    pub(in crate::sync) rejected: BTreeSet<u64>,
}

impl Outbox {
    /// The outbox that these marks show, with rows that a peer has refused.
    pub fn new(watermarks: Watermarks, rejected: impl IntoIterator<Item = u64>) -> Self {
        Self {
            watermarks,
            rejected: rejected.into_iter().collect(),
        }
    }

    /// The counters: a row of the map counts as what the first mark at or above it says, and one that a peer refuses
    /// as failed, unless it `is_held` by enough others.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be.
    pub fn counts(
        &self,
        map: &EntryMap,
        is_held: impl Fn(u64) -> bool,
    ) -> Result<OutboxCounts, StoreError> {
        let Watermarks {
            pruned,
            acknowledged,
            sent,
            failed,
        } = self.watermarks;
        let in_flight_to = sent.max(acknowledged);
        let failed_to = failed.max(in_flight_to);
        let mut counts = OutboxCounts {
            acknowledged: map.own_rows(pruned, acknowledged)?,
            in_flight: map.own_rows(acknowledged, in_flight_to)?,
            failed: map.own_rows(in_flight_to, failed_to)?,
            queued: map.own_rows(failed_to, u64::MAX)?,
        };
        for lseq in &self.rejected {
            counts.refuse(&self.watermarks, *lseq, || is_held(*lseq));
        }
        Ok(counts)
    }

    /// The marks.
    pub fn watermarks(&self) -> Watermarks {
        self.watermarks
    }

    /// Moves marks.
    pub fn set_watermarks(&mut self, watermarks: Watermarks) {
        self.watermarks = watermarks;
    }

    /// An entry was replaced: its row is gone.
    pub fn forget(&mut self, lseq: u64) {
        self.rejected.remove(&lseq);
    }

    /// A peer refused a row for good.
    pub fn park(&mut self, lseq: u64) {
        self.rejected.insert(lseq);
    }

    /// A row that was refused is tried again, or has arrived.
    pub fn unpark(&mut self, lseq: u64) {
        self.rejected.remove(&lseq);
    }
}
