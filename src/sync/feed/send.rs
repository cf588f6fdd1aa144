//! Sends durable entries in feed order, within the peer's credit (flow control; `docs/internals/replication.md`, rules
//! 1, 5 and 8).

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::admission::lie_of;
use super::picked::Picked;
use crate::core::clock::{MonotonicMs, Now, WallMs};
use crate::core::limits::CHUNK_BYTES_MAX;
use crate::core::rules::{Rule, is_broken, unless};
use crate::store::entry::{Entry, Namespace};
use crate::store::error::StoreError;
use crate::store::memtable::held::{Held, Via};
use crate::store::state::map::EntryMap;
use crate::store::state::totals::is_user;
use crate::sync::message::{Batch, Chunk, Feed, Positions, Stream};
use crate::sync::options::{BATCH_COST, PASSED_OVER_MS};
use crate::sync::peer::link::{Course, Link, LinkId};
use crate::sync::replica::{Output, PartingReason, Replica};

/// Cost of an entry besides its key and value: about the memory that it takes while it waits.
const ENTRY_COST: u64 = 64;

/// Most bytes that one origin of a version vector takes on the wire.
const SEEN_COST: u64 = 32;

/// Credit that an entry uses.
pub(in crate::sync) fn entry_cost(entry: &Entry) -> u64 {
    let extra = entry.vector().len() as u64 * SEEN_COST + entry.extension().len() as u64;
    (entry.key().len() + entry.value_length()) as u64 + extra + ENTRY_COST
}

impl Feed {
    /// Credit that a message uses at its receiver. Sender and receiver compute it alike.
    pub fn cost(&self) -> u64 {
        match self {
            Self::Batch(batch) => batch.entries.iter().map(entry_cost).sum(),
            Self::Large(large) => large.entry.key().len() as u64 + ENTRY_COST,
            Self::Chunk(chunk) => chunk_cost(chunk.bytes.len()),
            // A peer may send one RANGES message, and then waits for the answer.
            Self::End(_) | Self::Ack(_) | Self::Nack(_) | Self::Have(_) | Self::Ranges(_) => 0,
        }
    }
}

/// True if an entry is not sent to this peer: it came from there, is out of scope, the peer has it, or it lies.
pub(in crate::sync) fn is_left_out(link: &Link, held: &Held, peer: Option<Via>) -> bool {
    let echo = link.sending.skip_echo && peer.is_some_and(|peer| peer == held.via);
    let echo = echo && !is_broken(Rule::EchoSent);
    // Hints are about writes of users: a sibling has the dot of such a write.
    let is_there = is_user(&held.entry) && link.sending.peer_has.contains(held.entry.dot);
    let is_there = is_there && !is_broken(Rule::HintIgnored);
    let is_forgotten = held.entry.is_tombstone() && is_broken(Rule::RemovalsNotSent);
    let is_kept = held.entry.key().first() == Some(&(Namespace::Conflict as u8));
    let is_forgotten = is_forgotten || (is_kept && is_broken(Rule::KeptNotSent));
    let is_outside = || !link.scope.contains(held.entry.key()) && !is_broken(Rule::ScopeIgnored);
    // The value is read only for this last check.
    let is_lie = || lie_of(&held.entry).is_some();
    echo || is_there || is_forgotten || is_outside() || is_lie()
}

/// Credit that a chunk of this many bytes uses at its receiver.
pub fn chunk_cost(bytes: usize) -> u64 {
    bytes as u64 + ENTRY_COST
}

/// The limits that the replica sets for sending now, on top of each link's own.
#[derive(Debug, Clone, Copy)]
pub(in crate::sync) struct Gate {
    /// Positions up to which the feed may be sent.
    pub(in crate::sync) limit: Positions,
    /// Positions up to which entries may be sent out of order, in batches that move no position.
    pub(in crate::sync) eligible: Positions,
    /// Positions up to which a reconciliation that begins now will cover the feed.
    pub(in crate::sync) start: Positions,
    pub(in crate::sync) now: MonotonicMs,
    pub(in crate::sync) wall: WallMs,
}

impl Replica {
    /// Sends everything that may be sent now to every peer.
    pub fn send_all(&mut self, now: Now, map: &EntryMap) {
        self.send_some(now, map);
        while self.send_more(now, map) {}
    }

    /// Sends the first message of entries that may be sent now to each peer. [`Self::send_more`] sends the rest.
    pub fn send_some(&mut self, now: Now, map: &EntryMap) {
        self.sort_out(now.monotonic, map);
        self.relay_what_is_due(now.monotonic);
        let mut ids: Vec<LinkId> = self.links.keys().copied().collect();
        let first = self.looking.begin(ids.len(), now.monotonic);
        ids.rotate_left(first);
        if !ids.is_empty() {
            // Without a link the gate would only cost a scan of the rows held back.
            let gate = self.gate(now, map);
            for id in ids {
                self.send_to(id, gate, map);
            }
        }
        self.move_watermarks();
    }

    /// True if [`Self::send_more`] may have something to send.
    pub fn has_more(&self) -> bool {
        self.links.values().any(|link| link.sending.has_more)
    }

    /// Sends the next message of entries to each peer. To be called whenever all outputs are carried out, until it
    /// returns false: so each message is on its way before the next is made, and at most one for each peer is in
    /// memory.
    pub fn send_more(&mut self, now: Now, map: &EntryMap) -> bool {
        let has_more = self.has_more();
        if has_more {
            self.send_some(now, map);
        }
        has_more
    }

    fn relay_what_is_due(&mut self, now: MonotonicMs) {
        while self.relay_marks.front().is_some_and(|(_, due)| *due <= now) {
            self.relay_marks.pop_front();
        }
        self.dispatch_rewritten(now);
    }

    /// The limits for sending now. The link that they are for may be taken out of the map of links meanwhile.
    pub(in crate::sync) fn gate(&mut self, now: Now, map: &EntryMap) -> Gate {
        self.relay_what_is_due(now.monotonic);
        let waiting_after = self
            .relay_marks
            .front()
            .map_or(u64::MAX, |(begin, _)| *begin);
        let durable_lseq = unless(Rule::SendBeforeSync, self.durable_lseq, self.last_lseq);
        let shadowed_from = unless(Rule::ShadowPassed, self.shadowed_from, u64::MAX);
        let reach = durable_lseq.min(shadowed_from - 1);
        let released = if self.options.automatic || is_broken(Rule::SentWithoutTick) {
            u64::MAX
        } else {
            self.released
        };
        let own = released.min(reach);
        let readable = self.look_at_held_back(map);
        let reach = reach.min(readable);
        let relay = unless(Rule::RelayNotDone, waiting_after.min(reach), 0);
        let relay = unless(Rule::RelayWithoutDelay, relay, reach);
        Gate {
            limit: Positions {
                own,
                relay: unless(Rule::RelayWaitsForTick, relay, relay.min(own)),
            },
            eligible: Positions {
                own: released.min(self.durable_lseq),
                relay: self.durable_lseq.min(readable),
            },
            start: Positions { own, relay: reach },
            now: now.monotonic,
            wall: now.wall,
        }
    }

    fn send_to(&mut self, id: LinkId, gate: Gate, map: &EntryMap) {
        let Some(mut link) = self.links.remove(&id) else {
            return;
        };
        link.sending.has_more = false;
        if link.sending.started && link.sending.paused_until <= gate.now {
            let was_owed = link.is_owed();
            self.send_lineage(id, &mut link, map, gate);
            if std::mem::take(&mut link.sending.large_abandoned) {
                self.push_feed(id, &mut link, Feed::Chunk(Chunk { bytes: Vec::new() }));
            }
            self.send_large(id, &mut link, map);
            self.begin_comparison(id, &mut link, gate);
            self.reconcile(id, &mut link, gate, map);
            self.end_comparison(&mut link);
            if !link.is_reconciling() {
                self.send_again(id, &mut link, map);
            }
            let begun = self.outputs.len();
            if !link.is_reconciling()
                && let Err(error) = self
                    .look_ahead(&mut link, gate, map)
                    .and_then(|()| self.send_ahead(id, &mut link, gate, map))
            {
                self.unreadable(id, &error);
            }
            let said = self.outputs.len();
            if !link.is_reconciling()
                && let Err(error) = self.send_removals(id, &mut link, gate, map)
            {
                self.unreadable(id, &error);
            }
            for stream in [Stream::Own, Stream::Relay] {
                while self.outputs.len() == said
                    && !link.is_filled(stream)
                    && !link.is_reconciling()
                    && self
                        .send_batch(id, &mut link, stream, gate, map)
                        .is_continue()
                {}
            }
            link.sending.has_more |= self.outputs.len() > begun;
            if !was_owed && link.is_owed() {
                link.sending.progress_at = gate.now;
            }
        }
        self.links.insert(id, link);
    }

    pub(in crate::sync) fn push_feed(&mut self, id: LinkId, link: &mut Link, feed: Feed) {
        link.sending.spent += feed.cost();
        link.sending.end = None;
        link.receiving.end = None;
        self.outputs.push_back(Output::Send(id, feed));
    }

    /// Sends the next batch of a stream. Breaks when there is nothing (more) to send now.
    fn send_batch(
        &mut self,
        id: LinkId,
        link: &mut Link,
        stream: Stream,
        gate: Gate,
        map: &EntryMap,
    ) -> ControlFlow<()> {
        let limit = stream_limit(link, stream, gate);
        let from = link.sending.sent.get(stream);
        if from >= limit || link.sending.spent >= link.sending.credit || self.is_held_up(link) {
            return ControlFlow::Break(());
        }
        let peer = map.via_of(link.origin);
        let held_back = Some(&self.held_back).filter(|held_back| held_back.holds_some());
        let mut passed_over = Vec::new();
        let has_sent_ahead = !link.sending.held_ahead.is_empty();
        let mut picked = Picked::new(link, stream, limit, self.looking.allowance());
        let mut pick = |held: Result<Cow<'_, Held>, StoreError>| {
            if let Ok(held) = &held
                && held.lseq <= limit
            {
                if has_sent_ahead && link.sending.held_ahead.contains(&(stream, held.lseq)) {
                    return picked.pass_over(held.lseq, false);
                }
                let is_held_back = held_back.is_some_and(|held_back| held_back.holds(held.lseq));
                if is_held_back && !is_left_out(link, held, peer) {
                    passed_over.push(held.lseq);
                    return picked.pass_over(held.lseq, false);
                }
            }
            picked.pick(link, peer, held)
        };
        let _ = match stream {
            Stream::Own => map.own_after(from).try_for_each(&mut pick),
            Stream::Relay => map.relay_after(from).try_for_each(&mut pick),
        };
        let Picked {
            to,
            entries,
            large,
            rejected,
            ..
        } = picked;
        let (is_cut, is_held_back) = (picked.is_cut, picked.is_held_back);
        self.looking.passed(picked.passed, is_cut, gate.now);
        if let Some(error) = picked.unreadable {
            // Nothing was passed over: the entries after the unreadable one must not be taken for all there are.
            self.unreadable(id, &error);
            return ControlFlow::Break(());
        }
        self.owe_removals(link, &passed_over);
        if let Some(last) = rejected.last() {
            *link.sending.listed.get_mut(stream) = *last;
            link.sending.listed_ahead += rejected.len();
            if self.park_too_large(id, link, &rejected, map, gate.now) {
                // The stream goes on after the rejected entries once they are on record.
                *link.sending.sent.get_mut(stream) = to;
                return ControlFlow::Break(());
            }
        }
        if let Some(lseq) = large {
            if link.sending.large.is_some() {
                // The large value's turn comes after the one that is under way in the other stream.
                return self.move_on(id, link, (stream, lseq - 1), entries, (gate, false));
            }
            self.begin_large(id, link, (stream, lseq), Course::InOrder, map);
            // A large value that cannot be read must not be tried again at once and for ever.
            let has_moved = link.sending.large.is_some() || link.sending.sent.get(stream) >= lseq;
            return if has_moved {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            };
        }
        let is_through = !is_cut && !is_held_back;
        self.move_on(id, link, (stream, to), entries, (gate, is_through))
    }

    /// True if no entry may go to a peer in order: it takes no keys, or its list of rejected entries is being recorded.
    #[inline]
    fn is_held_up(&self, link: &Link) -> bool {
        let is_held_up =
            is_broken(Rule::RefusalBlocks) && !self.rejected_by(link.origin).is_empty();
        is_held_up || link.scope.is_nothing() || link.is_recording()
    }

    /// Moves a stream to the place up to which it was scanned, and sends the entries found. `is_through`: the scan was
    /// not cut.
    fn move_on(
        &mut self,
        id: LinkId,
        link: &mut Link,
        (stream, to): (Stream, u64),
        entries: Vec<Entry>,
        (gate, is_through): (Gate, bool),
    ) -> ControlFlow<()> {
        *link.sending.sent.get_mut(stream) = to;
        link.forget_sent_ahead(stream);
        if entries.is_empty() {
            // Entries were only passed over: the peer learns of it with the next END. That waits until the link is
            // quiet, since every write that is not for the peer would otherwise cost an END; but not for ever.
            let since = *link.sending.passed_over_at.get_or_insert(gate.now);
            if !link.scope.is_all() && gate.now < since.after(PASSED_OVER_MS) {
                link.active_at = link.active_at.max(gate.now);
            }
            return if is_through {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            };
        }
        link.active_at = gate.now;
        self.sent_entries += entries.len() as u64;
        // The batch covers the entries passed over before it, so it begins at the position that the peer knows.
        let from = std::mem::replace(link.sending.reported.get_mut(stream), to);
        self.push_feed(
            id,
            link,
            Feed::Batch(Batch {
                stream,
                from,
                to,
                entries,
            }),
        );
        ControlFlow::Continue(())
    }

    /// Ends the connection because an entry for the peer cannot be read; it is tried again later. The error is
    /// reported once.
    pub(in crate::sync) fn unreadable(&mut self, id: LinkId, error: &StoreError) {
        tracing::error!(%error, "what a peer should be sent cannot be read");
        if !std::mem::replace(&mut self.is_unreadable_reported, true) {
            self.unreadable = Some(error.clone());
        }
        self.outputs
            .push_back(Output::Close(id, PartingReason::Unreadable));
    }

    /// Sends lineage records ahead of the feed, of a comparison and of writes that wait for a tick: the receiver of an
    /// entry needs to know which author its author follows, or it takes their writes for concurrent. A record goes also to
    /// the peer that it came from: that peer's disk may have gone back to before it. No position moves, so a record that is lost here still comes in its place in the feed.
    fn send_lineage(&mut self, id: LinkId, link: &mut Link, map: &EntryMap, gate: Gate) {
        if link.scope.is_nothing() || is_broken(Rule::LineageLate) {
            return;
        }
        let (mut entries, mut cost) = (Vec::new(), 0);
        for lseq in map.lineage_after(link.sending.lineage_reported) {
            let has_credit = link.sending.spent + cost < link.sending.credit;
            if lseq > self.durable_lseq || !has_credit || cost >= BATCH_COST {
                break;
            }
            match map.at(lseq) {
                Ok(Some(held)) => {
                    cost += entry_cost(&held.entry);
                    entries.push(held.entry.clone());
                }
                Ok(None) => {}
                Err(error) => return self.unreadable(id, &error),
            }
            link.sending.lineage_reported = lseq;
        }
        self.push_ahead(id, link, entries, gate);
    }

    /// Sends entries again that the peer had refused. Its cursor has passed them, and stays where it is.
    fn send_again(&mut self, id: LinkId, link: &mut Link, map: &EntryMap) {
        let waiting = std::mem::take(&mut link.sending.again);
        for lseq in waiting {
            let held = match map.at(lseq) {
                Ok(Some(held)) => held,
                Ok(None) => continue,
                Err(error) => {
                    self.unreadable(id, &error);
                    continue;
                }
            };
            let stream = Self::stream_of(&held);
            let is_passed = link.sending.acknowledged.get(stream) >= lseq;
            let has_credit = link.sending.spent < link.sending.credit;
            if !is_passed || !has_credit || link.sending.large.is_some() {
                link.sending.again.push(lseq);
            } else if held.entry.value_length() > CHUNK_BYTES_MAX {
                self.begin_large(id, link, (stream, lseq), Course::Again, map);
            } else {
                self.sent_entries += 1;
                let batch = Batch {
                    stream,
                    from: lseq,
                    to: lseq,
                    entries: vec![held.entry.clone()],
                };
                self.push_feed(id, link, Feed::Batch(batch));
            }
        }
    }
}

/// Place up to which a link's stream may be sent now.
#[inline]
fn stream_limit(link: &Link, stream: Stream, gate: Gate) -> u64 {
    let limit = link.comparing.limit(gate.limit).get(stream);
    if stream == Stream::Own {
        limit.min(link.limit_before_removals())
    } else {
        limit
    }
}
