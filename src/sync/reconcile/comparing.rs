//! Requests to compare with a peer, as its link keeps them.

use super::Outcome;
use crate::sync::message::Positions;

/// Id of a requested comparison, never reused within a process.
pub type ComparisonId = u64;

/// Why a comparison has no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incomparable {
    /// The peer is not connected, or its connection ended meanwhile.
    Gone,
    /// The peer's version cannot compare.
    TooOld,
    /// No key is in the scopes of both sides.
    Outside,
}

/// Comparisons that were requested on a link.
#[derive(Debug, Clone, Default)]
pub(in crate::sync) struct Comparing {
    /// Requests that begin once all entries that were there at the first of them have arrived: an entry on its way
    /// would count as different.
    pub(super) waiting: Vec<ComparisonId>,
    /// Place up to which the feed goes until then, as a local sequence number.
    pub(super) up_to: u64,
    /// Requests that the reconciliation under way answers.
    pub(super) under_way: Vec<ComparisonId>,
    /// Outcome of earlier attempts of that reconciliation.
    pub(super) earlier: Outcome,
}

impl Comparing {
    /// Positions up to which the feed may go while a comparison waits to begin.
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

    /// True if a comparison was requested that has not begun.
    pub(in crate::sync) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Keeps the outcome of an attempt that is followed by another.
    pub(in crate::sync) fn set_aside(&mut self, outcome: &Outcome) {
        if !self.under_way.is_empty() {
            self.earlier.join(outcome);
        }
    }
}
