//! Meeting a peer and losing it: what it is told first, and what is kept of it.

use super::link::{Link, LinkId};
use super::message::{Ack, Feed, Greeting, Positions};
use super::receive::take_in;
use super::replica::{Output, Replica};
use crate::core::clock::Now;
use crate::store::map::EntryMap;

impl Replica {
    /// What to say to a peer that connects.
    pub fn greeting(&self, now: Now, map: &EntryMap) -> Greeting {
        Greeting {
            node_id: self.node_id.clone(),
            origin: self.origin,
            chain: self.chain.clone(),
            durable: self.options.durable,
            prefixes: Vec::new(),
            summary: map.summary(),
            last_lseq: self.last_lseq,
            value_bytes_max: self.options.value_bytes_max,
            wall_ms: now.wall.0,
            reconciles: true,
        }
    }

    /// A peer has greeted. The driver has made sure that it is the only link to that origin.
    pub fn connected(&mut self, id: LinkId, greeting: &Greeting, now: Now, map: &EntryMap) {
        let link = Link::new(
            greeting,
            self.cursors.get(&greeting.origin).copied(),
            now.monotonic,
        );
        let record = self.peers.entry(greeting.origin).or_default();
        if record.node_id != greeting.node_id {
            self.waits.met(greeting.origin, &greeting.node_id);
        }
        self.moved.insert(greeting.origin);
        if record.node_id != greeting.node_id || record.durable != greeting.durable {
            greeting.node_id.clone_into(&mut record.node_id);
            record.durable = greeting.durable;
            self.unremembered
                .entry(greeting.origin)
                .or_insert(now.monotonic);
        }
        self.supersede_namesakes(greeting.origin);
        // A peer that returns gets what was given up, without anybody asking, and what it takes by now.
        self.forgive();
        let mut link = link;
        self.offer_again(&mut link, map);
        self.begin_with(id, &mut link, greeting, map);
        self.links.insert(id, link);
        self.settle_waits(map);
    }

    /// Tells a peer that has greeted where to begin.
    fn begin_with(&mut self, id: LinkId, link: &mut Link, greeting: &Greeting, map: &EntryMap) {
        let (mine, theirs) = (map.summary(), greeting.summary);
        let has_cursor = link.cursor().is_some();
        let is_nobody_empty = mine.count > 0 && theirs.count > 0;
        let is_durable = self.durable_lseq == self.last_lseq;
        if !has_cursor && mine == theirs && is_nobody_empty && is_durable {
            // All of its feed is held. It is told so once that is on record.
            link.receiving.pending = Positions {
                own: greeting.last_lseq,
                relay: greeting.last_lseq,
            };
            let request = take_in(id, link, Vec::new());
            self.outputs.push_back(Output::Commit(request));
            return;
        }
        let reconcile = !has_cursor && mine != theirs && is_nobody_empty && link.reconciles;
        if reconcile {
            self.expect_reconciliation(link);
        }
        let ack = Ack {
            cursor: link.cursor(),
            credit: link.receiving.granted,
            void: link.void.take(),
            reconcile,
        };
        self.outputs.push_back(Output::Send(id, Feed::Ack(ack)));
    }

    /// A peer is gone. What it was sent and did not acknowledge counts as queued again.
    pub fn disconnected(&mut self, id: LinkId, map: &EntryMap) {
        if let Some(mut link) = self.links.remove(&id) {
            self.abandon_comparisons(&mut link);
            self.remember(link.origin);
            self.supersede_gone(link.origin);
            self.unsent(link.origin);
            // What was offered again and not shown to be there has failed as before.
            for entry in self.parked_by(link.origin) {
                self.park_row(entry.lseq, map);
            }
            self.move_marks();
        }
    }
}
