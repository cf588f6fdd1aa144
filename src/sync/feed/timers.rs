//! Timers: acknowledgement timeouts, hints and relays that are due, ends to compare, and peer records to be written
//! (`docs/internals/replication.md`, rule 6).

use crate::core::checksum::hash128;
use crate::core::clock::{MonotonicMs, Now};
use crate::core::rules::{Rule, is_broken, unless};
use crate::store::error::StoreError;
use crate::store::state::map::EntryMap;
use crate::sync::options::{REMEMBER_DELAY_MS, RETRY_DELAY_MS_MAX};
use crate::sync::peer::link::{Course, LargeSend, Link, LinkId, RetryCause};
use crate::sync::replica::{Output, PartingReason, Replica};

/// Divisor of the jitter: a retry's jitter is less than this part of its delay.
const JITTER_PART: u64 = 8;

impl Replica {
    /// Does everything that is due at `now`, and sends what may be sent.
    pub fn on_time(&mut self, now: Now, map: &EntryMap) {
        self.renew_if_due(now.monotonic);
        self.expire(now, map);
        self.record_due_refusals(now.monotonic);
        if self.reconcile_due.is_some_and(|due| due <= now.monotonic) {
            self.reconcile_due = None;
        }
        if self.have_due.is_some_and(|due| due <= now.monotonic) {
            self.send_hints();
        }
        self.send_some(now, map);
        self.prove_all(now, map);
        if self.links.values().any(Link::is_reconciling) {
            self.send_some(now, map);
        }
        if let Err(error) = self.bound_rows(now.monotonic, map) {
            tracing::error!(%error, "rows of the outbox cannot be counted");
        }
        let due = |since: &MonotonicMs| since.after(REMEMBER_DELAY_MS) <= now.monotonic;
        let peers: Vec<_> = self
            .unremembered
            .iter()
            .filter(|(_, since)| due(since))
            .map(|(peer, _)| *peer)
            .collect();
        for peer in peers {
            self.remember(peer);
        }
        self.settle_waits(map);
    }

    /// When [`Self::on_time`] has something to do next, if nothing else happens; `None` if nothing is scheduled.
    pub fn deadline(&self, map: &EntryMap) -> Option<MonotonicMs> {
        let acknowledgement = |link: &Link| {
            let paused =
                (link.sending.paused_until > MonotonicMs(0)).then_some(link.sending.paused_until);
            let owed = is_awaited(link)
                .then(|| link.sending.progress_at.after(self.options.ack_timeout_ms));
            let listed = link.sending.record_due;
            paused.into_iter().chain(owed).chain(listed).min()
        };
        let links = self.links.values().filter_map(acknowledgement).min();
        let relay = self.relay_marks.front().map(|(_, due)| *due);
        let relay = relay
            .into_iter()
            .chain(self.ahead.due(self.durable_lseq))
            .min();
        let relay = relay.filter(|_| !self.links.is_empty());
        let remember = self
            .unremembered
            .values()
            .map(|since| since.after(REMEMBER_DELAY_MS))
            .min();
        [
            links,
            self.have_due,
            self.reconcile_due,
            self.looking.due(),
            self.renewals.due(),
            relay,
            remember,
            self.prove_deadline(map),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Retries links whose peers have owed an acknowledgement for too long, or gives them up after the last retry.
    /// Returns nothing: the rows taken back are counted for the tick.
    pub(in crate::sync) fn expire(&mut self, now: Now, map: &EntryMap) {
        let ids: Vec<LinkId> = self.links.keys().copied().collect();
        for id in ids {
            let Some(mut link) = self.links.remove(&id) else {
                continue;
            };
            if link.sending.paused_until <= now.monotonic {
                link.sending.paused_until = MonotonicMs(0);
            }
            let late = is_awaited(&link)
                && link.sending.progress_at.after(self.options.ack_timeout_ms) <= now.monotonic;
            if late && link.sending.attempts >= self.options.max_retries {
                self.give_up(id, &link);
            } else if late {
                self.retry(&mut link, RetryCause::Unanswered, now, map);
            }
            self.links.insert(id, link);
        }
        self.move_watermarks();
    }

    /// Takes back everything sent and not acknowledged; it is sent again after a delay.
    pub(in crate::sync) fn retry(
        &mut self,
        link: &mut Link,
        cause: RetryCause,
        now: Now,
        map: &EntryMap,
    ) {
        // The count is only for users: if it fails, the rows are sent again all the same.
        let taken_back = taken_back(link, map).unwrap_or(0);
        self.retried += taken_back;
        // A reconciliation that begins anew is one attempt more, however little of it was sent.
        self.total_retries += taken_back.max(u64::from(link.is_reconciling()));
        link.sending.attempts += 1;
        self.begin_reconciliation_anew(link);
        link.sending.retry_cause = Some(cause);
        link.take_back(link.sending.acknowledged);
        self.unsent(link.origin);
        link.sending.progress_at = now.monotonic;
        let delay = self.retry_delay(link.sending.attempts);
        let jitter = jitter(link, delay);
        let pause = unless(Rule::RetryAtOnce, delay + jitter, 0);
        link.sending.paused_until = now.monotonic.after(pause);
    }

    /// Delay before the next attempt after this many failures in a row, in milliseconds: doubles up to
    /// [`RETRY_DELAY_MS_MAX`].
    pub(in crate::sync) fn retry_delay(&self, attempts: u32) -> u64 {
        let doublings = attempts.saturating_sub(1).min(16);
        let doublings = unless(Rule::RetryWithoutDoubling, doublings, 0);
        let doubled = self.options.retry_interval_ms << doublings;
        doubled.min(RETRY_DELAY_MS_MAX.max(self.options.retry_interval_ms))
    }

    /// Gives up a peer that does not answer: its rows count as failed until it returns, and the connection ends.
    pub(in crate::sync) fn give_up(&mut self, id: LinkId, link: &Link) {
        let watermarks = self.outbox.watermarks();
        let failed = watermarks.failed.max(link.sending.reported.own);
        let failed = unless(Rule::FailureNotShown, failed, watermarks.failed);
        let owed = (link.sending.acknowledged.own, link.sending.reported.own);
        self.given_up.insert(link.origin, owed);
        self.outbox
            .set_watermarks(crate::sync::outbox::watermarks::Watermarks {
                failed,
                ..watermarks
            });
        self.outputs
            .push_back(Output::Close(id, PartingReason::Unanswered));
    }
}

impl Link {
    /// Pauses the second copy until `until` when part of the first copy, which was taken back because no answer came,
    /// turns out to arrive: the answer to the first copy is awaited before more of the second is sent.
    pub(in crate::sync) fn await_first_copy(&mut self, until: MonotonicMs) {
        let sending = &mut self.sending;
        let is_owed =
            sending.reported_before.furthest(sending.acknowledged) != sending.acknowledged;
        if is_owed && sending.retry_cause == Some(RetryCause::Unanswered) {
            sending.paused_until = sending.paused_until.max(until);
        }
    }

    /// Stops sending the second copy of rows whose first copy has arrived after all, so that what follows does not
    /// wait for it.
    pub(in crate::sync) fn end_second_copy(&mut self) {
        let sending = &mut self.sending;
        let is_there = |large: &LargeSend| {
            large.course == Course::InOrder && sending.acknowledged.get(large.stream) >= large.lseq
        };
        if sending.large.as_ref().is_some_and(is_there) {
            self.abandon_large();
        }
        let sending = &mut self.sending;
        let is_all =
            sending.reported_before.nearest(sending.acknowledged) == sending.reported_before;
        if is_all && sending.retry_cause == Some(RetryCause::Unanswered) {
            sending.paused_until = MonotonicMs(0);
        }
    }
}

/// True if the peer has to answer within the acknowledgement timeout.
fn is_awaited(link: &Link) -> bool {
    let is_owed = link.is_owed() || link.owes_turn() || is_broken(Rule::AttemptUnsent);
    is_owed && !is_broken(Rule::RetryNever)
}

/// Own rows that will be sent again: those after the acknowledged position that the peer takes.
fn taken_back(link: &Link, map: &EntryMap) -> Result<u64, StoreError> {
    let (from, to) = (link.sending.acknowledged.own, link.sending.reported.own);
    if link.scope.is_all() {
        return map.own_rows(from, to);
    }
    let mut count = 0;
    for held in map.own_after(from) {
        let held = held?;
        if held.lseq > to {
            break;
        }
        count += u64::from(link.scope.contains(held.entry.key()));
    }
    Ok(count)
}

/// Deterministic jitter of a delay, in milliseconds, so that many nodes do not retry in step: a hash of the peer, the
/// position and the attempt.
fn jitter(link: &Link, delay: u64) -> u64 {
    let position = link.sending.acknowledged.own.to_le_bytes();
    let attempts = link.sending.attempts.to_le_bytes();
    let hash = hash128(&[&link.origin.0[..], &position, &attempts].concat());
    let part = delay / JITTER_PART;
    u64::try_from(hash % u128::from(part.max(1))).unwrap_or(0)
}
