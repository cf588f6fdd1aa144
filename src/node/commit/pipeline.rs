//! Pipelined group commit: while the disk makes one large group durable, the group before it is installed and the one
//! after it planned. Groups are written, made durable, installed and answered strictly in order; only the wait for the
//! disk is on another thread.

use super::committer::{CommitDriver, InFlight};
use crate::store::commit::committer::{Committed, Plan};
use crate::store::commit::operation::{Receipt, Request};
use crate::store::error::StoreError;
use crate::wal::log::syncing::Synced;

/// Smallest group, in bytes, whose sync is handed over: two handovers cost some ten microseconds each.
const OVERLAP_BYTES_MIN: usize = 256 << 10;

/// Overlapping groups in a row, after which upkeep is done: a checkpoint may be due.
const OVERLAPPED_MAX: u32 = 8;

/// Number of unsorted new keys from which on they are sorted during a sync: a scan sorts that many within some thirty
/// milliseconds.
const UNSORTED_BEHIND: usize = 1 << 17;

impl CommitDriver {
    /// True if the sync of a planned group should be handed over: the group is large, and more requests wait.
    pub(in crate::node) fn may_overlap(&self, plan: &Plan) -> bool {
        plan.bytes() >= OVERLAP_BYTES_MIN
            && plan.is_synced()
            && self.overlapped < OVERLAPPED_MAX
            && self.shared.options.enable_wal
            && self.shared.queue.is_awake()
            // Under an identity that another node may have, no more is written than necessary.
            && self.shared.identity_conflict.lock().is_none()
    }

    /// True if the group in flight should be waited for now, because no more requests wait.
    pub(in crate::node) fn is_last_in_flight(&self) -> bool {
        self.in_flight.is_some() && !self.shared.queue.is_awake()
    }

    /// Appends a group, hands over its sync, and installs the group before it meanwhile. Returns the requests without
    /// room in the group.
    pub(in crate::node) fn overlap(
        &mut self,
        plan: Plan,
        landed: Option<Committed>,
        tell: &mut impl FnMut(&[Receipt]),
    ) -> Vec<Request> {
        let began_us = self.shared.clock.elapsed_us();
        let (mut rest, mut refused) = (Vec::new(), None);
        match self.committer.append(plan, false) {
            Ok(mut appended) => {
                rest = appended.take_rest();
                self.sync_thread.begin(appended.job.take());
                self.overlapped += 1;
                self.in_flight = Some(InFlight { appended, began_us });
            }
            Err(error) => refused = Some(error),
        }
        if let Some(landed) = landed {
            self.install(landed, tell);
        }
        if let Some(refused) = refused {
            self.refused(*refused);
        }
        self.under_way.clear();
        if let Some(flight) = &self.in_flight {
            self.under_way.extend_from_slice(flight.appended.tickets());
        }
        rest
    }

    /// Waits for the group in flight, after which `next` was planned. Returns the plan, with the group to install
    /// before it is written; `None` if the disk failed, which was reported to all callers.
    pub(in crate::node) fn land_before(&mut self, next: Plan) -> Option<(Plan, Option<Committed>)> {
        let Some(flight) = self.in_flight.take() else {
            return Some((next, None));
        };
        self.sort_while_waiting();
        let outcome = self.sync_thread.wait();
        if outcome.is_ok() {
            let landed = self.landed(flight, outcome);
            return Some((next, landed));
        }
        // The later plan is undone first: its counters continue those of the earlier one.
        let mut next = self.committer.take_back(next, StoreError::Stopped);
        self.landed(flight, outcome);
        if let Some(cause) = self.committer.poisoned() {
            next.error = cause;
        }
        self.tell_refused(next, false);
        self.under_way.clear();
        None
    }

    /// Sorts keys while the disk is busy: beyond a number of unsorted keys writers would have to wait for it.
    fn sort_while_waiting(&mut self) {
        while !self.sync_thread.is_done() && self.shared.map.read().unsorted() > UNSORTED_BEHIND {
            self.shared.map.write().sort_some();
        }
    }

    /// Waits for the group in flight, if there is one, and installs it.
    pub(in crate::node) fn land(&mut self, tell: &mut impl FnMut(&[Receipt])) {
        self.overlapped = 0;
        let Some(flight) = self.in_flight.take() else {
            return;
        };
        let outcome = self.sync_thread.wait();
        if let Some(landed) = self.landed(flight, outcome) {
            self.install(landed, tell);
        }
        self.under_way.clear();
    }

    fn landed(&mut self, flight: InFlight, outcome: Synced) -> Option<Committed> {
        let InFlight { appended, began_us } = flight;
        match self.committer.complete(appended, outcome) {
            Ok(committed) => {
                let took_us = self.shared.clock.elapsed_us().saturating_sub(began_us);
                self.count(&committed, took_us);
                Some(committed)
            }
            Err(refused) => {
                self.refused(*refused);
                None
            }
        }
    }
}
