//! Entries that are sent ahead of their place in a lane, because they have waited long enough there. No position moves with
//! them: the lane passes over them when it comes to their place. Two sorts are sent so: the newest write of a key that is
//! rewritten again and again while it waits to be relayed, and small writes behind something large.

use std::collections::{BTreeMap, BTreeSet};

use super::link::{Link, LinkId};
use super::message::{Batch, Feed, Lane};
use super::options::BATCH_COST;
use super::replica::Replica;
use super::send::{Gate, entry_cost};
use crate::core::clock::MonotonicMs;
use crate::core::identity::Dot;
use crate::core::limits::CHUNK_BYTES_MAX;
use crate::core::rules::{Rule, is_broken};
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::map::{EntryMap, Installed};

/// Entries that one link sends ahead of a lane's position at the most: so many numbers are remembered until the lane has
/// come to them.
pub(super) const AHEAD_MAX: usize = 16_384;

/// What is sent ahead at once costs that much: a part of a batch, so that most of the line is left to what is in order.
pub(super) const AHEAD_COST: u64 = BATCH_COST / 4;

/// A write that has replaced one which waited to be relayed.
#[derive(Debug, Clone, Copy)]
struct Rewritten {
    /// When the first of them was to be relayed.
    due: MonotonicMs,
    /// That write. Whoever says to have it gets this key from elsewhere.
    first: Dot,
}

/// What is to be relayed earlier than its place in the feed says.
#[derive(Debug, Clone, Default)]
pub(super) struct Ahead {
    rewritten: BTreeMap<u64, Rewritten>,
    /// What was handed to the links: what replaces it begins to wait anew.
    dispatched: BTreeSet<u64>,
}

impl Ahead {
    /// When something is due next of what is durable.
    pub(super) fn due(&self, durable_lseq: u64) -> Option<MonotonicMs> {
        let durable = self.rewritten.range(..=durable_lseq);
        durable.map(|(_, waiting)| waiting.due).min()
    }

    /// What is in its place from here on is relayed in its place.
    pub(super) fn forget_up_to(&mut self, lseq: u64) {
        self.rewritten = self.rewritten.split_off(&lseq.saturating_add(1));
        self.dispatched = self.dispatched.split_off(&lseq.saturating_add(1));
    }
}

impl Replica {
    /// A change was installed. What replaces a write that waits to be relayed inherits the time at which that was due: a
    /// key that is rewritten all the time would never be passed on.
    pub(super) fn inherit_delay(&mut self, change: &Installed) {
        let Some(replaced) = change.replaced.zip(change.replaced_dot) else {
            return;
        };
        let (replaced, first) = replaced;
        let inherited = self.ahead.rewritten.remove(&replaced);
        let was_dispatched = self.ahead.dispatched.remove(&replaced);
        let is_relayed = change.from.is_some() && change.is_user;
        for link in self.links.values_mut() {
            // It is not sent yet: its successor goes in its place.
            if link.sending.ahead.remove(&replaced) && is_relayed {
                link.sending.ahead.insert(change.lseq);
            }
        }
        if !is_relayed || was_dispatched || is_broken(Rule::RelayDelayAnew) {
            return;
        }
        let place = self
            .relay_marks
            .partition_point(|(begin, _)| *begin < replaced);
        let mark = place
            .checked_sub(1)
            .and_then(|place| self.relay_marks.get(place));
        let waiting = inherited.or(mark.map(|(_, due)| Rewritten { due: *due, first }));
        if let Some(waiting) = waiting {
            self.ahead.rewritten.insert(change.lseq, waiting);
        }
    }

    /// Hands what has waited long enough to the links that are to send it.
    pub(super) fn dispatch_rewritten(&mut self, now: MonotonicMs) {
        if let Some((begin, _)) = self.relay_marks.front() {
            self.ahead.forget_up_to(*begin);
        } else {
            self.ahead.forget_up_to(u64::MAX - 1);
        }
        let due = self.ahead.rewritten.iter();
        let due = due.filter(|(lseq, waiting)| waiting.due <= now && **lseq <= self.durable_lseq);
        let due: Vec<(u64, Rewritten)> = due.map(|(lseq, waiting)| (*lseq, *waiting)).collect();
        for (lseq, waiting) in due {
            self.ahead.rewritten.remove(&lseq);
            self.ahead.dispatched.insert(lseq);
            for link in self.links.values_mut() {
                let is_there = link.sending.peer_has.contains(waiting.first);
                let has_room = link.sending.ahead.len() + link.sending.sent_ahead.len() < AHEAD_MAX;
                if !is_there && has_room && link.sending.sent.relay < lseq {
                    link.sending.ahead.insert(lseq);
                }
            }
        }
    }

    /// Sends what is to go ahead of the lanes.
    pub(super) fn send_ahead(
        &mut self,
        id: LinkId,
        link: &mut Link,
        gate: Gate,
        map: &EntryMap,
    ) -> Result<(), StoreError> {
        let peer = map.via_of(link.origin);
        let (mut entries, mut cost) = (Vec::new(), 0);
        while let Some(lseq) = link.sending.ahead.first().copied() {
            if link.comparing.is_waiting() {
                // On its way it would count as different.
                break;
            }
            let has_credit = link.sending.spent + cost < link.sending.credit;
            if !has_credit || cost >= AHEAD_COST {
                link.sending.has_more |= has_credit;
                break;
            }
            let held = map.at(lseq)?;
            link.sending.ahead.pop_first();
            let Some(held) = held else {
                continue;
            };
            let lane = Self::lane_of(&held);
            let is_behind = link.sending.sent.get(lane) < lseq;
            let may_go = lseq <= gate.eligible.get(lane) && !self.withheld.holds(lseq);
            let length = held.entry.value_length();
            let fits = length <= CHUNK_BYTES_MAX && length as u64 <= link.value_bytes_max;
            if is_behind && may_go && fits && !super::send::is_left_out(link, &held, peer) {
                cost += entry_cost(&held.entry);
                link.sending.sent_ahead.insert((lane, lseq));
                entries.push(held.into_owned().entry);
            }
        }
        self.push_ahead(id, link, entries, gate);
        Ok(())
    }

    /// Sends entries in a batch that moves no position of the peer, so that each still comes in its place in the feed.
    /// Nothing is sent where there are none.
    pub(super) fn push_ahead(
        &mut self,
        id: LinkId,
        link: &mut Link,
        entries: Vec<Entry>,
        gate: Gate,
    ) {
        if entries.is_empty() {
            return;
        }
        link.active_at = gate.now;
        self.sent_entries += entries.len() as u64;
        let batch = Batch {
            lane: Lane::Relay,
            from: 0,
            to: 0,
            entries,
        };
        self.push_feed(id, link, Feed::Batch(batch));
    }
}
