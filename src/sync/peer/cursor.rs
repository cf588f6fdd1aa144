//! Validity of positions in a feed, this node's own or a peer's.

use crate::core::identity::Incarnation;

use super::link::is_good;
use crate::store::commit::ledger::EPOCHS_MAX;
use crate::sync::message::{Cursor, Epoch};
use crate::sync::replica::Replica;

impl Replica {
    /// True if this node's feed has that epoch.
    pub fn has_epoch(&self, incarnation: Incarnation) -> bool {
        let mut epochs = self.epochs.iter();
        epochs.any(|epoch| epoch.incarnation == incarnation)
    }

    /// True if a cursor on this node's feed is valid.
    pub(in crate::sync) fn has_reached(&self, cursor: Cursor) -> bool {
        is_good(&self.epochs, self.last_lseq, &cursor.into())
    }

    /// True if a peer's cursor lies where this node's feed no longer is, because the disk has forgotten it. An unknown
    /// epoch may also be an old one that was dropped; and a place beyond the end of the feed at the greeting may have
    /// been reached since, and acknowledged on another connection.
    pub(in crate::sync) fn has_forgotten(&self, void: Cursor) -> bool {
        let is_known = |epoch: &Epoch| epoch.incarnation == void.incarnation;
        let may_be_lost = self.epochs.len() < EPOCHS_MAX || self.epochs.iter().any(is_known);
        may_be_lost && !self.has_reached(void)
    }
}
