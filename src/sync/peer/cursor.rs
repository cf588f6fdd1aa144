//! Which places in a feed are good, this node's own or a peer's.

use crate::core::identity::Incarnation;
use crate::core::rules::{Rule, is_broken};
use crate::store::commit::ledger::{EPOCHS_MAX, FeedPosition, is_reached};
use crate::sync::message::{Cursor, Epoch};
use crate::sync::replica::Replica;

/// Whether a place in the feed that has this chain and ends there is good.
pub(in crate::sync) fn is_good(epochs: &[Epoch], last_lseq: u64, place: &FeedPosition) -> bool {
    if is_broken(Rule::CursorWithoutIncarnation) {
        return place.own.max(place.relay) <= last_lseq;
    }
    is_reached(epochs, last_lseq, place)
}

impl Replica {
    /// Whether this node's feed has that epoch.
    pub fn has_epoch(&self, incarnation: Incarnation) -> bool {
        let mut epochs = self.epochs.iter();
        epochs.any(|epoch| epoch.incarnation == incarnation)
    }

    /// Whether a cursor on this node's feed is good.
    pub(in crate::sync) fn has_reached(&self, cursor: Cursor) -> bool {
        is_good(&self.epochs, self.last_lseq, &cursor.into())
    }

    /// Whether a peer was where this node's feed is not any more because the disk has forgotten it. An epoch that
    /// is not known may also be an old one that was dropped; and a place that lay beyond the end of the feed when this
    /// node greeted may have been reached since, and acknowledged on another connection.
    pub(in crate::sync) fn has_forgotten(&self, void: Cursor) -> bool {
        let is_known = |epoch: &Epoch| epoch.incarnation == void.incarnation;
        let may_be_lost = self.epochs.len() < EPOCHS_MAX || self.epochs.iter().any(is_known);
        may_be_lost && !self.has_reached(void)
    }
}
