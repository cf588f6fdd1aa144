//! Which places in this node's feed its peers may be at.

use super::message::{Cursor, Stretch};
use super::replica::Replica;
use crate::core::rules::{Rule, is_broken};
use crate::store::ledger::CHAIN_LENGTH_MAX;

impl Replica {
    /// Whether a cursor on this node's feed is good: its stretch is known and had come that far.
    pub(super) fn has_reached(&self, cursor: &Cursor) -> bool {
        if is_broken(Rule::CursorWithoutIncarnation) {
            return cursor.positions.own.max(cursor.positions.relay) <= self.last_lseq;
        }
        let Some(place) = self
            .chain
            .iter()
            .position(|stretch| stretch.incarnation == cursor.incarnation)
        else {
            return false;
        };
        let reached = self
            .chain
            .get(place + 1)
            .filter(|_| !is_broken(Rule::StretchWithoutEnd))
            .map_or(self.last_lseq, |next| next.began_after);
        cursor.positions.own.max(cursor.positions.relay) <= reached
    }

    /// Whether a peer was where this node's feed is not any more because the disk has forgotten it. A stretch that
    /// is not known may also be an old one that was dropped.
    pub(super) fn has_forgotten(&self, void: Cursor) -> bool {
        let is_known = |stretch: &Stretch| stretch.incarnation == void.incarnation;
        self.chain.len() < CHAIN_LENGTH_MAX || self.chain.iter().any(is_known)
    }
}
