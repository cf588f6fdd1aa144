//! Ticks, and reports of the outbox and of peers' progress for users.

use super::message::Positions;
use super::options::{ACKNOWLEDGED_ROWS_MAX, BATCH_COST};
use super::outbox::watermarks::{OutboxCounts, Watermarks};
use super::peer::link::{Link, LinkId};
use super::replica::{Output, Replica};
use crate::core::clock::{MonotonicMs, Now};
use crate::core::identity::Origin;
use crate::core::rules::{Rule, is_broken};
use crate::store::commit::operation::Request;
use crate::store::error::StoreError;
use crate::store::state::map::EntryMap;

/// Result of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TickReport {
    /// Rows taken back since the last tick because their acknowledgement was overdue.
    pub retried: u64,
    /// Acknowledged rows taken out of the outbox.
    pub pruned: u64,
    /// Rows that were ready to be sent, at most the batch size.
    pub batch: u64,
    /// Entries handed to connections.
    pub sent: u64,
    /// Peers that are connected.
    pub connected: u64,
}

/// Progress of one connected peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerProgress {
    /// The identity of the peer.
    pub origin: Origin,
    /// The label of the peer.
    pub node_id: String,
    /// True if what the peer acknowledges is durable there.
    pub durable: bool,
    /// True if both sides were shown to hold the same state, with no change since.
    pub in_sync: bool,
    /// Positions up to which the peer was sent this node's feed.
    pub sent: Positions,
    /// Positions up to which the peer has acknowledged it.
    pub acknowledged: Positions,
}

/// The state of replication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncReport {
    /// The rows of the outbox by state.
    pub counts: OutboxCounts,
    /// Rows that were sent again since the open.
    pub total_retries: u64,
    /// Entries of peers that broke a rule, and refusals of entries that were not sent, since the open.
    pub total_refused: u64,
    /// This node's last sequence number.
    pub last_submitted: u64,
    /// The greatest sequence number of a write received from a peer.
    pub last_applied_remote: u64,
    /// Progress of each connected peer.
    pub peers: Vec<PeerProgress>,
}

impl Replica {
    /// One tick: retries overdue rows, prunes if asked, releases the next batch of own writes, and sends.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub fn tick(
        &mut self,
        prune: bool,
        now: Now,
        map: &EntryMap,
    ) -> Result<TickReport, StoreError> {
        self.sort_out(now.monotonic, map);
        self.expire(now, map);
        let retried = std::mem::take(&mut self.retried);
        let pruned = if prune { self.prune(map)? } else { 0 };
        // Rows that no peer takes stay queued, and are no business of a tick.
        let queued = self.counts_of(map)?.queued;
        let queued = queued.saturating_sub(self.rows_untaken(map)?);
        let batch = queued.min(self.options.batch_size as u64);
        if !self.links.is_empty() {
            let behind = self.released.max(self.outbox.watermarks().sent);
            let last = map.own_row_after(behind, self.options.batch_size)?;
            // A batch that reaches the end also releases the entries after it that are no rows.
            let complete = queued <= self.options.batch_size as u64;
            let complete = complete || is_broken(Rule::BatchSizeIgnored);
            let released = if complete {
                self.last_lseq
            } else {
                last.unwrap_or(self.last_lseq)
            };
            self.release(released);
        }
        let sent_before = self.sent_entries;
        self.send_all(now, map);
        let sent = self.sent_entries - sent_before;
        Ok(TickReport {
            retried,
            pruned,
            batch,
            sent,
            connected: self.links.len() as u64,
        })
    }

    /// Releases own writes up to `lseq`. Where writes wait for ticks this goes on record: a peer's claim to hold a row
    /// does not show that it was released.
    fn release(&mut self, lseq: u64) {
        let is_news = lseq > self.released;
        self.released = lseq;
        if is_news && !self.options.automatic {
            let released = Output::Commit(Request::Released { lseq });
            self.outputs.push_back(released);
        }
    }

    /// Takes acknowledged rows out of the outbox. Only the view changes, nobody's data.
    fn prune(&mut self, map: &EntryMap) -> Result<u64, StoreError> {
        let watermarks = self.outbox.watermarks();
        let is_bold = is_broken(Rule::PruneUnacknowledged);
        self.prune_to(
            if is_bold {
                watermarks.sent
            } else {
                watermarks.acknowledged
            },
            map,
        )
    }

    fn prune_to(&mut self, lseq: u64, map: &EntryMap) -> Result<u64, StoreError> {
        let before = self.counts_of(map)?.acknowledged;
        let watermarks = self.outbox.watermarks();
        if lseq > watermarks.pruned {
            self.outbox.set_watermarks(Watermarks {
                pruned: lseq,
                ..watermarks
            });
            self.outputs
                .push_back(Output::Commit(Request::Pruned { lseq }));
        }
        Ok(before - self.counts_of(map)?.acknowledged)
    }

    /// Prunes acknowledged rows beyond [`ACKNOWLEDGED_ROWS_MAX`] when nobody else prunes them.
    pub(super) fn bound_rows(
        &mut self,
        now: MonotonicMs,
        map: &EntryMap,
    ) -> Result<(), StoreError> {
        if map.base_unknown() > 0 {
            // Rows would be counted twice. It can wait.
            return Ok(());
        }
        if !self.count_some(map)? {
            // Other work gets its turn between two steps.
            self.reconcile_due = self.reconcile_due.or(Some(now.after(1)));
            return Ok(());
        }
        if map.totals().own <= ACKNOWLEDGED_ROWS_MAX {
            return Ok(());
        }
        let surplus = self
            .counts_of(map)?
            .acknowledged
            .saturating_sub(ACKNOWLEDGED_ROWS_MAX);
        if surplus > ACKNOWLEDGED_ROWS_MAX / 8 {
            let watermarks = self.outbox.watermarks();
            let surplus = usize::try_from(surplus).unwrap_or(usize::MAX);
            if let Some(lseq) = map.own_row_after(watermarks.pruned, surplus)? {
                self.prune_to(lseq.min(watermarks.acknowledged), map)?;
            }
        }
        Ok(())
    }

    /// Resets the failed watermark and the peers that were given up.
    pub(super) fn forgive(&mut self) {
        let watermarks = self.outbox.watermarks();
        self.outbox.set_watermarks(Watermarks {
            failed: 0,
            ..watermarks
        });
        self.given_up.clear();
    }

    /// Queues failed rows again: peers that were given up are tried anew, and refused entries are offered once more to
    /// connected peers (others get them when they return). Returns the number of rows that had failed.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub fn retry_failed(&mut self, now: Now, map: &EntryMap) -> Result<u64, StoreError> {
        let failed = self.counts_of(map)?.failed;
        self.forgive();
        let ids: Vec<LinkId> = self.links.keys().copied().collect();
        for id in ids {
            if let Some(mut link) = self.links.remove(&id) {
                self.offer_again(&mut link, map);
                self.links.insert(id, link);
            }
        }
        for link in self.links.values_mut() {
            link.sending.attempts = 0;
            link.sending.retry_cause = None;
            link.sending.paused_until = MonotonicMs(0);
        }
        self.send_some(now, map);
        Ok(failed)
    }

    /// The state of replication.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub fn report(&self, map: &EntryMap) -> Result<SyncReport, StoreError> {
        Ok(SyncReport {
            counts: self.counts_of(map)?,
            total_retries: self.total_retries,
            total_refused: self.refused_entries + self.unfounded_refusals,
            last_submitted: self.last_sequence,
            last_applied_remote: self.last_applied_remote,
            peers: self
                .links
                .values()
                .map(|link| self.progress(link))
                .collect(),
        })
    }

    pub(super) fn progress(&self, link: &Link) -> PeerProgress {
        PeerProgress {
            origin: link.origin,
            node_id: link.node_id.clone(),
            durable: link.durable,
            in_sync: link.proof.equal_at == Some(self.last_lseq),
            sent: link.sending.reported,
            acknowledged: link.sending.acknowledged,
        }
    }

    /// True if a link's peer was shown to hold the same state, with no change since.
    pub fn is_in_sync(&self, id: LinkId) -> bool {
        let link = self.links.get(&id);
        link.is_some_and(|link| self.progress(link).in_sync)
    }

    /// True if a link is ready to send: its peer has told where to begin.
    pub fn is_started(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.sending.started)
    }

    /// Positions that the peer has acknowledged, and its credit as a number of batches; `None` if there is no such
    /// link.
    pub fn taken_by(&self, id: LinkId) -> Option<(Positions, u64)> {
        let sending = &self.links.get(&id)?.sending;
        Some((sending.acknowledged, sending.credit / BATCH_COST))
    }

    /// The failure to read an entry for a peer; returned once.
    pub fn take_unreadable(&mut self) -> Option<StoreError> {
        self.unreadable.take()
    }

    /// True if the connection to a peer has led to something: either side holds more, or an end was proven.
    pub fn has_progressed(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.has_progressed)
    }

    /// True if a connected peer owes an acknowledgement.
    pub fn is_owed(&self) -> bool {
        self.links.values().any(Link::is_owed)
    }
}
