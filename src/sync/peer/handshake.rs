//! Connecting and disconnecting peers: their first messages, and their records.

use super::link::{Link, LinkId};
use super::scope_sums::state_of;
use crate::core::clock::{MonotonicMs, Now};
use crate::core::rules::{Rule, is_broken};
use crate::store::commit::ledger::FeedPosition;
use crate::store::scope::Scope;
use crate::store::state::map::EntryMap;
use crate::sync::feed::receive::take_in;
use crate::sync::message::{Ack, BegunValues, Feed, Greeting, Positions};
use crate::sync::replica::{Output, Replica};

impl Replica {
    /// The greeting for a peer that connects, with which the keys in `wanted` are to be exchanged.
    pub fn greeting(&mut self, wanted: &Scope, now: Now, map: &EntryMap) -> Greeting {
        // A summary that is not known at once is not sent: the two reconcile then.
        let summary = self.sum_of(wanted, map).unwrap_or_default();
        Greeting {
            node_id: self.node_id.clone(),
            origin: self.origin,
            epochs: self.epochs.clone(),
            durable: self.options.durable,
            scope: wanted.clone(),
            summary: summary.unwrap_or_default(),
            last_lseq: self.last_lseq,
            value_bytes_max: self.options.value_bytes_max,
            wall_ms: now.wall.0,
            reconciles: true,
            sums_content: true,
            resumes: true,
        }
    }

    /// Hands over the kept parts of a peer's large values, before the peer is [`Self::connected`].
    pub fn keeps(&mut self, id: LinkId, parts: BegunValues) {
        self.parts.insert(id, parts);
    }

    /// Adds the link of a peer that has greeted, after this node's greeting with scope `wanted`. The driver has made
    /// sure that it is the only link to that origin.
    pub fn connected(
        &mut self,
        id: LinkId,
        greeting: &Greeting,
        wanted: &Scope,
        now: Now,
        map: &EntryMap,
    ) {
        self.renewals.met(now.wall);
        let held = self.cursors.get(&greeting.origin).cloned();
        let mut link = Link::new(greeting, held, wanted, now.monotonic);
        link.receiving.parts = self.parts.remove(&id).unwrap_or_default();
        if link.scope.is_nothing() {
            tracing::warn!(peer = %link.node_id, "no key is within the prefixes of both sides: nothing is exchanged");
        }
        let is_new = !self.peers.contains_key(&greeting.origin);
        if is_new || !link.scope.is_all() {
            self.make_room();
        }
        self.met_at.insert(greeting.origin, now.monotonic);
        let record = self.peers.entry(greeting.origin).or_default();
        let is_rescoped = record.scope != link.scope;
        let is_wider = !record.scope.covers(&link.scope);
        if is_rescoped || record.node_id != greeting.node_id {
            if is_wider {
                self.waits.takes_more(greeting.origin);
            }
            self.waits.met(greeting.origin, &greeting.node_id);
        }
        let is_other = record.node_id != greeting.node_id || record.durable != greeting.durable;
        if is_rescoped || is_other {
            self.waits.look_again();
        }
        if is_rescoped {
            if is_wider {
                // The recorded position is about the earlier scope. The peer tells soon where it is now.
                record.acknowledged = FeedPosition::default();
            }
            record.scope = link.scope.clone();
            self.unremembered
                .entry(greeting.origin)
                .or_insert(now.monotonic);
        }
        self.moved.insert(greeting.origin);
        if is_other {
            greeting.node_id.clone_into(&mut record.node_id);
            record.durable = greeting.durable;
            self.unremembered
                .entry(greeting.origin)
                .or_insert(now.monotonic);
        }
        self.supersede_namesakes(greeting.origin);
        if is_rescoped {
            self.forget_rejected_outside(greeting.origin, map);
        }
        if is_new || (is_rescoped && !is_broken(Rule::RowsPartedOnce)) {
            self.part_rows();
        }
        // A peer that returns is sent the rows that were given up, without a command, and those that it accepts by
        // now.
        self.forgive();
        self.offer_again(&mut link, map);
        self.begin_with(id, &mut link, greeting, now.monotonic, map);
        self.links.insert(id, link);
        self.settle_waits(map);
    }

    /// Sends a peer that has greeted the first acknowledgement: the cursor to begin at.
    fn begin_with(
        &mut self,
        id: LinkId,
        link: &mut Link,
        greeting: &Greeting,
        now: MonotonicMs,
        map: &EntryMap,
    ) {
        self.sum_up(id, link, now, map);
        let (mine, theirs) = (state_of(link, map), greeting.summary);
        let has_cursor = link.cursor().is_some();
        let is_equal = mine.is_some() && mine == link.greeting_summary;
        let is_nobody_empty = theirs.count > 0 && mine.is_some_and(|mine| mine.count > 0);
        // With a partial scope the peer's summary covers its own wanted keys, so it says nothing about the common
        // ones.
        let is_worth_it = if link.scope.is_all() {
            is_nobody_empty
        } else {
            !link.scope.is_nothing()
        };
        let is_durable = self.durable_lseq == self.last_lseq;
        if is_equal && is_durable {
            link.sending.shown_equal = Positions {
                own: self.last_lseq,
                relay: self.last_lseq,
            };
        }
        if !has_cursor && is_equal && is_nobody_empty && is_durable {
            // All of the peer's feed is held. The peer is told so once that is on record.
            link.receiving.pending = Positions {
                own: greeting.last_lseq,
                relay: greeting.last_lseq,
            };
            let request = take_in(id, link, Vec::new());
            self.outputs.push_back(Output::Commit(request));
            return;
        }
        let reconcile = !has_cursor && !is_equal && is_worth_it && link.reconciles;
        if reconcile {
            self.expect_reconciliation(link);
        }
        let ack = Ack {
            cursor: link.cursor(),
            credit: link.receiving.granted,
            void: link.void.take(),
            reconcile,
            aside: 0,
            parts: std::mem::take(&mut link.receiving.parts),
        };
        self.outputs.push_back(Output::Send(id, Feed::Ack(ack)));
    }

    /// Removes the link of a peer that has disconnected. Rows that it was sent and did not acknowledge count as queued
    /// again.
    pub fn disconnected(&mut self, id: LinkId, map: &EntryMap) {
        if let Some(mut link) = self.links.remove(&id) {
            self.kept_ahead.leave(&mut link);
            self.abandon_comparisons(&mut link);
            self.leave_rejected(&link, map);
            self.supersede_gone(link.origin);
            self.unsent(link.origin);
            // Entries that the peer has brought may not be durable yet: its record is looked at again when they are.
            if link.receiving.pending == Positions::default() {
                self.part_from(link.origin);
            } else {
                self.remember(link.origin);
            }
            self.move_watermarks();
            self.settle_waits(map);
        }
    }
}
