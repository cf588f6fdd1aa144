//! While the disk makes one large group durable, the group before it is installed and the one after it planned. Groups are
//! written, made durable, installed and told of in the order in which they were taken, one after the other; only the
//! waiting for the disk is not done by who has other things to do.

use super::committer::{CommitDriver, InFlight};
use crate::store::commit::committer::{Committed, Plan};
use crate::store::commit::operation::{Receipt, Request};
use crate::store::error::StoreError;
use crate::wal::log::syncing::Synced;

/// The least group, in bytes, for which another thread waits: to hand it over takes some ten microseconds twice.
const OVERLAP_BYTES_MIN: usize = 256 << 10;

/// Groups in a row, after which the log is looked after: a checkpoint may be due.
const OVERLAPPED_MAX: u32 = 8;

/// New keys that are not in order, from which on that is done while the disk is waited for: so many a scan puts in order
/// within some thirty milliseconds.
const UNSORTED_BEHIND: usize = 1 << 17;

impl CommitDriver {
    /// Whether a planned group should be waited for elsewhere: it is large, and something comes after it.
    pub(in crate::node) fn may_overlap(&self, plan: &Plan) -> bool {
        plan.bytes() >= OVERLAP_BYTES_MIN
            && plan.is_synced()
            && self.overlapped < OVERLAPPED_MAX
            && self.shared.options.enable_wal
            && self.shared.queue.is_awake()
            // Nothing more than has to be is written under an identity that somebody else may have.
            && self.shared.identity_conflict.lock().is_none()
    }

    /// Whether the group in flight should be waited for now: nothing comes after it.
    pub(in crate::node) fn is_last_in_flight(&self) -> bool {
        self.in_flight.is_some() && !self.shared.queue.is_awake()
    }

    /// Appends a group, has it synced, and installs the one before it meanwhile. Gives what had no place in it.
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

    /// Waits for the group in flight, after which `next` was planned. Gives the plan back, with what is to be installed
    /// before it is written; nothing if the disk failed, of which everybody was told.
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
        // The later one first: what planning it had counted up comes before what is counted now.
        let mut next = self.committer.take_back(next, StoreError::Stopped);
        self.landed(flight, outcome);
        if let Some(cause) = self.committer.poisoned() {
            next.error = cause;
        }
        self.tell_refused(next, false);
        self.under_way.clear();
        None
    }

    /// Puts keys in order while the disk has to be waited for: once too many are not, writers would wait for that.
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
