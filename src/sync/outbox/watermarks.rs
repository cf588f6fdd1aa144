//! The outbox: a view of this node's own entries by the progress of peers, not a queue of its own
//! (`docs/internals/replication.md`, rule 7). The state of a row follows from its local sequence number and a few
//! watermarks, so the counters are the numbers of rows between them.

use std::collections::BTreeSet;

use crate::store::error::StoreError;
use crate::store::state::map::EntryMap;

/// Rows of the outbox by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxCounts {
    /// Rows sent to no peer yet.
    pub queued: u64,
    /// Rows sent, and not acknowledged by enough peers.
    pub in_flight: u64,
    /// Rows acknowledged by enough peers, and not pruned.
    pub acknowledged: u64,
    /// Rows given up until a peer returns, or refused by a peer.
    pub failed: u64,
}

impl OutboxCounts {
    /// Number of all rows.
    pub fn total(self) -> u64 {
        self.queued + self.in_flight + self.acknowledged + self.failed
    }

    /// Recounts a row as failed because a peer refuses it, unless enough other peers hold it.
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

/// The watermarks that decide the state of a row; each is the highest local sequence number it reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watermarks {
    /// Acknowledged rows up to here are pruned.
    pub pruned: u64,
    /// Rows up to here are acknowledged by enough peers.
    pub acknowledged: u64,
    /// Rows up to here are sent to a connected peer.
    pub sent: u64,
    /// Rows up to here are given up.
    pub failed: u64,
}

/// The watermarks of the outbox, and the rows that peers refuse.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    watermarks: Watermarks,
    pub(in crate::sync) rejected: BTreeSet<u64>,
}

impl Outbox {
    /// An outbox with these watermarks and refused rows.
    pub fn new(watermarks: Watermarks, rejected: impl IntoIterator<Item = u64>) -> Self {
        Self {
            watermarks,
            rejected: rejected.into_iter().collect(),
        }
    }

    /// The rows of the map by state: each counts for the first watermark at or above it, and a refused row counts as
    /// failed, unless it `is_held` by enough other peers.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
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

    /// The current watermarks.
    pub fn watermarks(&self) -> Watermarks {
        self.watermarks
    }

    /// Sets the watermarks.
    pub fn set_watermarks(&mut self, watermarks: Watermarks) {
        self.watermarks = watermarks;
    }

    /// Forgets the refusal of a replaced row.
    pub fn forget(&mut self, lseq: u64) {
        self.rejected.remove(&lseq);
    }

    /// Marks a row as refused for good by a peer.
    pub fn park(&mut self, lseq: u64) {
        self.rejected.insert(lseq);
    }

    /// Unmarks a refused row that is tried again, or has arrived.
    pub fn unpark(&mut self, lseq: u64) {
        self.rejected.remove(&lseq);
    }
}
