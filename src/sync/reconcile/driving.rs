//! Drives reconciliations for the replica: when they begin, what they hold up, and which positions they cover at their
//! end.

use super::Reconciling;
use super::exchange::{Act, Exchange};
use super::view::{ScopedRanges, View};
use crate::core::clock::{MonotonicMs, Now};
use crate::core::rules::{Rule, is_broken, unless};
use crate::store::error::StoreError;
use crate::store::state::map::EntryMap;
use crate::store::state::range_sums::ADDED_AT_ONCE;
use crate::sync::message::{Ack, Feed, Ranges, Stream};
use crate::sync::peer::link::{Course, Link, LinkId, RetryCause};

use crate::sync::feed::send::Gate;
use crate::sync::peer::scope_sums::state_of;
use crate::sync::replica::{Output, Replica};

impl Link {
    /// Moves to another stage of a reconciliation. The outcome of an attempt that this ends is kept for those who
    /// asked for it.
    pub(in crate::sync) fn set_reconciling(&mut self, next: Reconciling) {
        if let Reconciling::Active(exchange) = std::mem::replace(&mut self.reconciling, next) {
            self.comparing.set_aside(&exchange.outcome);
        }
    }

    /// True if the feed waits: entries that a reconciliation covers need not be sent, and later ones must not pass
    /// over them.
    pub(in crate::sync) fn is_reconciling(&self) -> bool {
        !matches!(self.reconciling, Reconciling::Idle) || self.covered.is_some()
    }

    /// True if it is the peer's turn in a reconciliation.
    pub(in crate::sync) fn owes_turn(&self) -> bool {
        matches!(&self.reconciling, Reconciling::Active(exchange) if !exchange.is_my_turn())
    }
}

impl Replica {
    /// True if this node opens the reconciliations with a peer: the side with the lower origin does.
    fn opens(&self, link: &Link) -> bool {
        self.origin < link.origin
    }

    /// Notes that both sides know that they are to reconcile.
    pub(in crate::sync) fn expect_reconciliation(&self, link: &mut Link) {
        if matches!(link.reconciling, Reconciling::Idle) {
            link.reconciling = self.not_begun(link);
        }
    }

    fn not_begun(&self, link: &Link) -> Reconciling {
        if self.opens(link) {
            Reconciling::Due
        } else {
            Reconciling::Awaited
        }
    }

    /// Starts a reconciliation with a peer that is able to, by opening it or asking the peer to.
    pub(in crate::sync) fn ask_to_reconcile(&mut self, id: LinkId, link: &mut Link) {
        if !matches!(link.reconciling, Reconciling::Idle) {
            return;
        }
        self.expect_reconciliation(link);
        self.ask_to_open(id, link);
    }

    /// Asks the peer to open a reconciliation, where it is the side that opens.
    fn ask_to_open(&mut self, id: LinkId, link: &Link) {
        if !self.opens(link) {
            let ack = Ack {
                cursor: link.cursor(),
                credit: link.receiving.granted,
                reconcile: true,
                ..Ack::default()
            };
            self.outputs.push_back(Output::Send(id, Feed::Ack(ack)));
        }
    }

    /// Discards the reconciliation under way; a new one begins once the link is not paused.
    pub(in crate::sync) fn begin_reconciliation_anew(&self, link: &mut Link) {
        if !matches!(link.reconciling, Reconciling::Idle) {
            link.set_reconciling(self.not_begun(link));
        }
    }

    /// Takes in a RANGES message, which ends the peer's turn in a reconciliation.
    pub(in crate::sync) fn heard_ranges(
        &mut self,
        id: LinkId,
        link: &mut Link,
        ranges: Ranges,
        now: Now,
        map: &EntryMap,
    ) -> Result<(), &'static str> {
        link.active_at = now.monotonic;
        link.sending.progress_at = now.monotonic;
        (link.sending.end, link.receiving.end) = (None, None);
        self.heed_lists(link, &ranges, now, map);
        link.receiving.reported = None;
        if ranges.step == 1 {
            if self.opens(link) {
                return Err("a reconciliation that was opened from the wrong side");
            }
            link.openings.count(now.monotonic)?;
            let gate = self.gate(now, map);
            self.sum_up(id, link, now.monotonic, map);
            let exchange = Exchange::answering(ranges, gate.start, count_in(link, map));
            link.set_reconciling(Reconciling::Active(Box::new(exchange)));
            return Ok(());
        }
        let Reconciling::Active(exchange) = &mut link.reconciling else {
            // The message belongs to an exchange that began anew here. If it is an empty one, the peer takes that
            // exchange for over, and nobody would open the one that is awaited.
            if ranges.parts.is_empty() && matches!(link.reconciling, Reconciling::Awaited) {
                self.ask_to_open(id, link);
            }
            return Ok(());
        };
        if exchange.number == ranges.exchange {
            exchange.hear(ranges)?;
            if !matches!(link.sending.retry_cause, Some(RetryCause::Refused(_))) {
                link.sending.attempts = 0;
            }
            look_at_end(link);
        }
        Ok(())
    }

    /// Goes on with the reconciliation of a link while it is this side's turn, and lets the feed go on once it is
    /// over.
    pub(in crate::sync) fn reconcile(
        &mut self,
        id: LinkId,
        link: &mut Link,
        gate: Gate,
        map: &EntryMap,
    ) {
        if let Err(error) = self.take_turn(id, link, gate, map) {
            self.unreadable(id, &error);
        }
        let is_over = matches!(link.reconciling, Reconciling::Idle);
        if is_over && std::mem::take(&mut link.sending.is_unrecorded) {
            self.record_refusals(id, link);
        }
        // The peer durably holds everything covered, so its cursor may move there; but not while a power cut here
        // could bring back a replaced entry, which nobody would send.
        let lasts = |start: &super::super::message::Positions| {
            self.shadowed_from > start.own.max(start.relay)
        };
        if (is_over || is_broken(Rule::CoveredEarly))
            && !link.is_recording()
            && let Some(start) = link.covered.filter(lasts)
        {
            link.covered = None;
            let start = unless(Rule::CoveredToEnd, start, gate.start);
            link.sending.sent = link.sending.sent.furthest(start);
            link.sending.knows_removals = false;
            link.active_at = gate.now;
            self.sum_up(id, link, gate.now, map);
            self.tell_end(id, link, gate.now, map);
        }
    }

    fn take_turn(
        &mut self,
        id: LinkId,
        link: &mut Link,
        gate: Gate,
        map: &EntryMap,
    ) -> Result<(), StoreError> {
        match &link.reconciling {
            Reconciling::Failed => {
                link.reconciling = self.not_begun(link);
                // The peer waits as long, or longer.
                let pause = self.retry_delay(link.receiving.failures);
                link.sending.paused_until = gate.now.after(pause);
                return Ok(());
            }
            Reconciling::Active(exchange) if exchange.is_my_turn() || exchange.is_trailing() => {}
            // The side that is to answer sums up its ranges while the other does.
            Reconciling::Due | Reconciling::Awaited => {}
            _ => return Ok(()),
        }
        let looks_at_sums = match &link.reconciling {
            Reconciling::Active(exchange) => {
                exchange.looks_at_sums() || exchange.is_trailing() && !self.sums.is_over(map)
            }
            _ => true,
        };
        if looks_at_sums && !self.are_added_up(gate.now, map)? {
            return Ok(());
        }
        if matches!(link.reconciling, Reconciling::Due) {
            self.sums.forget_if_wrong(map)?;
            if !self.are_added_up(gate.now, map)? {
                return Ok(());
            }
            link.exchanges += 1;
            self.sum_up(id, link, gate.now, map);
            let count = count_in(link, map);
            let exchange = Exchange::opening(link.exchanges, gate.start, count);
            link.reconciling = Reconciling::Active(Box::new(exchange));
        }
        let scope = ScopedRanges::new(&link.scope);
        while link.sending.large.is_none() && link.sending.spent < link.sending.credit {
            if self.looking.is_used_up() {
                self.looking.listed(0, gate.now);
                break;
            }
            let Reconciling::Active(exchange) = &mut link.reconciling else {
                break;
            };
            let limit = gate.eligible.furthest(exchange.start);
            let view = View {
                map,
                sums: &self.sums,
                scope: &scope,
                // Entries that the reconciliation covers are sent, even if own writes have begun to wait for ticks
                // since.
                limit: unless(Rule::WaitingNotReconciled, limit, gate.limit),
                held_back: &self.held_back,
                value_bytes_max: link.value_bytes_max,
            };
            let is_settled = link.receiving.commits == 0;
            match exchange.advance(&view, is_settled)? {
                Act::Nothing => break,
                Act::Pause => {
                    link.sending.has_more = true;
                    break;
                }
                Act::Send(entries, too_large) => {
                    for entry in &entries {
                        exchange.outcome.count_sent(entry);
                    }
                    for lseq in &too_large {
                        if let Some(held) = map.at(*lseq)? {
                            exchange.outcome.count_refused(&held.entry);
                        }
                    }
                    // The list of rejected entries has to be on record before the exchange covers anything.
                    let is_news = self.note_too_large(link.origin, &too_large, map, gate.now);
                    link.sending.is_unrecorded |= is_news;
                    if entries.is_empty() {
                        self.looking.listed(too_large.len(), gate.now);
                    } else {
                        link.sending.has_more = true;
                    }
                    self.push_ahead(id, link, entries, gate);
                    break;
                }
                Act::Large(lseq) => {
                    if let Some(held) = map.at(lseq)? {
                        exchange.outcome.count_sent(&held.entry);
                    }
                    self.begin_large(id, link, (Stream::Relay, lseq), Course::Reconciled, map);
                }
                Act::Say(ranges) => {
                    link.sending.progress_at = gate.now;
                    self.push_feed(id, link, Feed::Ranges(ranges));
                    look_at_end(link);
                }
            }
        }
        Ok(())
    }

    /// True if sums of ranges are ready to be asked for; adds up some of them otherwise.
    fn are_added_up(&mut self, now: MonotonicMs, map: &EntryMap) -> Result<bool, StoreError> {
        if self.reconcile_due.is_some_and(|due| due <= now) {
            // Some sums were added up just now, for this link or another one.
            return Ok(false);
        }
        let are_added_up = self.sums.refresh(map, ADDED_AT_ONCE)?;
        if !are_added_up {
            // Other work gets its turn between two steps.
            self.reconcile_due = Some(now);
        }
        Ok(are_added_up)
    }
}

/// Notes which positions are durable at the peer by now, and ends the exchange if it is over.
fn look_at_end(link: &mut Link) {
    let Reconciling::Active(exchange) = &link.reconciling else {
        return;
    };
    if exchange.has_heard_nothing() || is_broken(Rule::CoveredEarly) {
        link.covered = Some(exchange.start);
    }
    if exchange.is_over() {
        let outcome = exchange.outcome.clone();
        tracing::info!(peer = %link.node_id, sent = outcome.sent, received = outcome.received, "reconciled");
        link.reconciling = Reconciling::Idle;
        link.outcome = Some(outcome);
    }
}

/// Number of entries here within a link's scope; where that is not summed up at the moment, the last known number, or
/// that of all entries.
fn count_in(link: &Link, map: &EntryMap) -> u64 {
    let state = state_of(link, map).or(link.summed_up.map(|(_, part)| part));
    state.map_or(map.summary().count, |state| state.count)
}
