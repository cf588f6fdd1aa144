//! Replacement of peers: a restored or copied node has its old label, and an identity of its own. The predecessor's
//! acknowledgements say nothing about the data there now, and nobody will acknowledge for it again.

use crate::core::identity::Origin;
use crate::sync::replica::Replica;

impl Replica {
    /// Supersedes all disconnected peers with the label of a peer that has just greeted: they are gone for good.
    pub(in crate::sync) fn supersede_namesakes(&mut self, origin: Origin) {
        let Some(record) = self.peers.get_mut(&origin) else {
            return;
        };
        record.is_superseded = false;
        let node_id = record.node_id.clone();
        let before = self.peers.iter().filter(|(other, record)| {
            **other != origin && record.node_id == node_id && !record.is_superseded
        });
        let before: Vec<Origin> = before.map(|(other, _)| *other).collect();
        for other in before {
            // Two connected peers with one label are two nodes.
            if !self.is_connected(other) {
                self.supersede(other, origin);
            }
        }
    }

    /// Supersedes a peer that has disconnected, if another peer with its label connected while its own connection
    /// still seemed to hold.
    pub(in crate::sync) fn supersede_gone(&mut self, origin: Origin) {
        let Some(record) = self.peers.get(&origin) else {
            return;
        };
        let mut others = self.links.values();
        let newer = others.find(|link| link.node_id == record.node_id);
        if let Some(newer) = newer.map(|link| link.origin) {
            self.supersede(origin, newer);
        }
    }

    pub(in crate::sync) fn is_connected(&self, origin: Origin) -> bool {
        self.links.values().any(|link| link.origin == origin)
    }

    /// Marks `origin` as superseded by `newer`, which goes on record first, so that one of the two always counts.
    fn supersede(&mut self, origin: Origin, newer: Origin) {
        let counted = self.peers.get(&origin);
        let counted = counted.is_some_and(|record| self.is_worth_keeping(origin, record));
        if let Some(record) = self.peers.get_mut(&newer) {
            record.is_named |= counted;
        }
        self.remember(newer);
        self.drop_rejected(origin);
        if let Some(record) = self.peers.get_mut(&origin) {
            record.is_superseded = true;
        }
        self.given_up.remove(&origin);
        self.part_from(origin);
        self.waits.look_again();
    }
}
