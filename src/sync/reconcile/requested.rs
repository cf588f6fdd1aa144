//! Comparisons of all entries with a peer on request. The work is a reconciliation's; this module keeps the requests,
//! begins the reconciliations for them, and reports their outcomes.

use super::comparing::{ComparisonId, Incomparable};
use super::{Outcome, Reconciling};
use crate::store::entry::Entry;
use crate::store::state::map::EntryMap;
use crate::sync::feed::send::Gate;
use crate::sync::message::Positions;
use crate::sync::peer::link::{Link, LinkId};
use crate::sync::replica::Replica;

impl Link {
    /// Counts entries received in a reconciliation. Which of them are news is looked up only for a requested
    /// comparison.
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
    /// True if a peer of that label is on record.
    pub fn has_met(&self, node_id: &str) -> bool {
        self.peers.values().any(|peer| peer.node_id == node_id)
    }

    /// Requests a comparison of all entries with a connected peer; differing entries are sent. It begins after this
    /// call, even where a reconciliation is under way already. [`Self::take_compared`] returns its outcome.
    ///
    /// # Errors
    /// If there is no such peer, if it is too old for that, or if nothing is exchanged with it.
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

    /// Drops a request. A reconciliation that has begun for it goes on, because both sides are in it.
    pub fn cancel_comparison(&mut self, id: ComparisonId) {
        for link in self.links.values_mut() {
            link.comparing.waiting.retain(|waiting| *waiting != id);
            link.comparing.under_way.retain(|waiting| *waiting != id);
        }
    }

    /// Removes and returns the comparisons that have ended, with their outcomes.
    pub fn take_compared(&mut self) -> Vec<(ComparisonId, Result<Outcome, Incomparable>)> {
        std::mem::take(&mut self.compared)
    }

    /// Begins the requested comparisons once nothing else is under way with that peer.
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

    /// Reports the outcome of a reconciliation that is over to its requests.
    pub(in crate::sync) fn end_comparison(&mut self, link: &mut Link) {
        let Some(mut outcome) = link.outcome.take() else {
            return;
        };
        outcome.join(&std::mem::take(&mut link.comparing.earlier));
        for id in link.comparing.under_way.drain(..) {
            self.compared.push((id, Ok(outcome.clone())));
        }
    }

    /// Ends all comparisons with a peer that has disconnected.
    pub(in crate::sync) fn abandon_comparisons(&mut self, link: &mut Link) {
        let waiting = link.comparing.waiting.drain(..);
        for id in waiting.chain(link.comparing.under_way.drain(..)) {
            self.compared.push((id, Err(Incomparable::Gone)));
        }
    }
}
