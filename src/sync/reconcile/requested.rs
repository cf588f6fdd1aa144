//! Comparing everything with a peer because somebody asks for it. The work is a reconciliation's; this is about who asked,
//! when one begins that was asked for, and whom it is told.

use super::{Outcome, Reconciling};
use crate::store::entry::Entry;
use crate::store::state::map::EntryMap;
use crate::sync::feed::send::Gate;
use crate::sync::message::Positions;
use crate::sync::peer::link::{Link, LinkId};
use crate::sync::replica::Replica;

/// Names a comparison that was asked for, never again in one process.
pub type ComparisonId = u64;

/// Why there is nothing to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incomparable {
    /// The peer is not connected, or its connection ended meanwhile.
    Gone,
    /// The peer's version cannot compare.
    TooOld,
    /// No key is within the prefixes of both sides.
    Outside,
}

/// Comparisons that were asked for on a link.
#[derive(Debug, Clone, Default)]
pub(in crate::sync) struct Comparing {
    /// They begin once all that was there when the first of them was asked for has arrived: on its way it would count as
    /// different.
    waiting: Vec<ComparisonId>,
    /// How far the feed goes until then, as a local sequence.
    up_to: u64,
    /// They are told what the reconciliation comes to that begins or goes on now.
    under_way: Vec<ComparisonId>,
    /// What attempts of it moved before it began anew.
    earlier: Outcome,
}

impl Comparing {
    /// How far the feed may go now.
    pub(in crate::sync) fn limit(&self, limit: Positions) -> Positions {
        if self.waiting.is_empty() {
            return limit;
        }
        let up_to = Positions {
            own: self.up_to,
            relay: self.up_to,
        };
        limit.nearest(up_to)
    }

    /// Whether somebody has asked, and it has not begun.
    pub(in crate::sync) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// An attempt ends, and another follows.
    pub(in crate::sync) fn set_aside(&mut self, outcome: &Outcome) {
        if !self.under_way.is_empty() {
            self.earlier.join(outcome);
        }
    }
}

impl Link {
    /// Entries of a reconciliation came. Only who asked wants to know which of them are news.
    pub(in crate::sync) fn count_reconciled(&mut self, entries: &[Entry], map: &EntryMap) {
        let is_asked = !self.comparing.under_way.is_empty();
        let is_news = |entry: &Entry| {
            let held = is_asked.then(|| map.entry(entry.key()).ok().flatten());
            let held = held.flatten();
            held.is_none_or(|held| entry.order(&held).is_gt())
        };
        if let Reconciling::Active(exchange) = &mut self.reconciling {
            exchange.count_received(entries, is_news);
        }
    }
}

impl Replica {
    /// Whether a peer of that label was ever met.
    pub fn has_met(&self, node_id: &str) -> bool {
        self.peers.values().any(|peer| peer.node_id == node_id)
    }

    /// Compares everything with a connected peer, whatever is known, and sends what differs. It begins after this, also
    /// where one is under way already. What it comes to is told by [`Self::take_compared`].
    ///
    /// # Errors
    /// If there is no such peer, it is too old for that, or nothing is exchanged with it.
    pub fn compare_with(&mut self, id: LinkId) -> Result<ComparisonId, Incomparable> {
        let link = self.links.get_mut(&id).ok_or(Incomparable::Gone)?;
        if !link.reconciles {
            return Err(Incomparable::TooOld);
        }
        if link.scope.is_nothing() {
            // Neither side would answer the other.
            return Err(Incomparable::Outside);
        }
        self.last_comparison += 1;
        if link.comparing.waiting.is_empty() {
            link.comparing.up_to = self.last_lseq;
        }
        link.comparing.waiting.push(self.last_comparison);
        Ok(self.last_comparison)
    }

    /// Nobody wants to know any more. What has begun goes on, because both sides are in it.
    pub fn cancel_comparison(&mut self, id: ComparisonId) {
        for link in self.links.values_mut() {
            link.comparing.waiting.retain(|waiting| *waiting != id);
            link.comparing.under_way.retain(|waiting| *waiting != id);
        }
    }

    /// The comparisons that have ended, and how.
    pub fn take_compared(&mut self) -> Vec<(ComparisonId, Result<Outcome, Incomparable>)> {
        std::mem::take(&mut self.compared)
    }

    /// Begins what was asked for, if nothing else is under way with that peer.
    pub(in crate::sync) fn begin_comparison(&mut self, id: LinkId, link: &mut Link, gate: Gate) {
        let limit = link.comparing.limit(gate.limit);
        let Positions { own, relay } = link.sending.sent;
        let is_sent = own >= limit.own && relay >= limit.relay && link.sending.large.is_none();
        let is_busy = link.is_owed() || link.is_reconciling() || link.receiving.commits > 0;
        if link.comparing.waiting.is_empty() || is_busy || !is_sent {
            return;
        }
        link.comparing.under_way = std::mem::take(&mut link.comparing.waiting);
        link.comparing.earlier = Outcome::default();
        link.outcome = None;
        self.ask_to_reconcile(id, link);
    }

    /// Tells who asked, once it is over.
    pub(in crate::sync) fn end_comparison(&mut self, link: &mut Link) {
        let Some(mut outcome) = link.outcome.take() else {
            return;
        };
        outcome.join(&std::mem::take(&mut link.comparing.earlier));
        for id in link.comparing.under_way.drain(..) {
            self.compared.push((id, Ok(outcome.clone())));
        }
    }

    /// The peer is gone: nobody will be told anything.
    pub(in crate::sync) fn abandon_comparisons(&mut self, link: &mut Link) {
        let waiting = link.comparing.waiting.drain(..);
        for id in waiting.chain(link.comparing.under_way.drain(..)) {
            self.compared.push((id, Err(Incomparable::Gone)));
        }
    }
}
