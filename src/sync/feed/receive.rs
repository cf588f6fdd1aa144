//! Receiving: entries go to the committer together with the cursor that covers them, and are acknowledged when both are
//! durable (`docs/internals/replication.md`, rule 2).

use crate::core::clock::{MonotonicMs, Now};
use crate::core::identity::Origin;
use crate::core::limits::CHUNK_BYTES_MAX;
use crate::core::rules::{Rule, is_broken, unless};
use crate::store::commit::ledger::FeedPosition;
use crate::store::commit::operation::{Received, Request};
use crate::store::entry::Entry;
use crate::store::scope::Scope;
use crate::store::state::map::EntryMap;
use crate::sync::identity::identity_conflict::IdentityConflictReason;
use crate::sync::message::{Ack, Batch, Feed, Nack, Positions, RefusalCode};
use crate::sync::options::{BATCH_COST, WINDOW_COST};
use crate::sync::peer::link::{Link, LinkId, Rewound, Sending};
use crate::sync::peer::scope_sums::leave_out_strays;
use crate::sync::reconcile::Reconciling;
use crate::sync::replica::{Output, PartingReason, Replica};

/// Most that a peer may send beyond its credit: the message that uses the credit up costs at most a batch and the
/// entry that fills it.
const OVERDRAFT_COST: u64 = 2 * BATCH_COST + 2 * CHUNK_BYTES_MAX as u64;

pub(in crate::sync) const OVERDRAWN: &str = "more than was granted";

impl Replica {
    /// Takes in a message of a peer. `charged`: the cost of the message was charged before, with [`Self::charged`].
    pub fn received(&mut self, id: LinkId, feed: Feed, charged: bool, now: Now, map: &EntryMap) {
        let Some(mut link) = self.links.remove(&id) else {
            return;
        };
        if !charged {
            link.receiving.consumed += feed.cost();
        }
        let verdict = match feed {
            _ if is_overdrawn(&link) => Err(OVERDRAWN),
            Feed::Batch(_) | Feed::End(_) | Feed::Ranges(_) if link.scope.is_nothing() => {
                let grant = due_grant(&mut link).map(|ack| Output::Send(id, Feed::Ack(ack)));
                self.outputs.extend(grant);
                Ok(())
            }
            Feed::Batch(batch) => {
                link.active_at = now.monotonic;
                if link.is_reconciling() {
                    link.sending.progress_at = now.monotonic;
                }
                self.batch(id, &mut link, batch, charged, now, map)
            }
            Feed::Ack(ack) => self.acknowledged(id, &mut link, ack, now, map),
            Feed::End(end) => {
                self.end(id, &mut link, end, now, map);
                Ok(())
            }
            Feed::Nack(nack) => {
                self.refusal(id, &mut link, &nack, now, map);
                Ok(())
            }
            Feed::Have(have) => {
                have.ranges
                    .into_iter()
                    .for_each(|range| link.sending.peer_has.insert(range));
                Ok(())
            }
            Feed::Ranges(ranges) => self.heard_ranges(id, &mut link, ranges, now, map),
            Feed::Large(_) | Feed::Chunk(_) => Err("a chunk outside of a large value"),
        };
        self.links.insert(id, link);
        if let Err(reason) = verdict {
            self.outputs
                .push_back(Output::Close(id, PartingReason::Breach(reason)));
        }
        self.send_some(now, map);
        self.settle_waits(map);
    }

    /// Refuses an entry that never reached the replica: the peer gets a NACK, and its feed goes on after the entry.
    pub fn refuse(
        &mut self,
        id: LinkId,
        stream: crate::sync::message::Stream,
        lseq: u64,
        code: RefusalCode,
    ) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if *link.receiving.rewound.get_mut(stream) || link.scope.is_nothing() {
            // The stream is being rewound after a failure to store: the entry comes again.
            return;
        }
        let nack = Nack {
            stream,
            lseq,
            code,
            retryable: false,
            writes: Vec::new(),
        };
        self.outputs.push_back(Output::Send(id, Feed::Nack(nack)));
        let place = link.receiving.pending.get_mut(stream);
        *place = lseq.max(*place);
        let request = take_in(id, link, Vec::new());
        self.outputs.push_back(Output::Commit(request));
    }

    fn batch(
        &mut self,
        id: LinkId,
        link: &mut Link,
        mut batch: Batch,
        is_assembled: bool,
        now: Now,
        map: &EntryMap,
    ) -> Result<(), &'static str> {
        let has_gap = batch.from > link.receiving.pending.get(batch.stream);
        let rewound = link.receiving.rewound.get_mut(batch.stream);
        let is_reconciled = batch.to == 0;
        if has_gap && *rewound {
            // The message is dropped, and its cost becomes credit again.
            let grant = due_grant(link).map(|ack| Output::Send(id, Feed::Ack(ack)));
            self.outputs.extend(grant);
            return Ok(());
        }
        if has_gap || batch.from > batch.to {
            return Err("a gap in the feed");
        }
        *rewound &= is_reconciled;
        let is_too_large =
            |entry: &Entry| entry.limited_length() as u64 > self.options.value_bytes_max;
        if batch.entries.iter().any(is_too_large) {
            return Err("a value over the limit that was told");
        }
        leave_out_strays(link, &mut batch);
        let lie = self.refuse_faulty(id, link, &mut batch, now.wall);
        self.heed_entries(link, &batch.entries, now, map);
        link.proof.equal_at = None;
        (link.receiving.end, link.receiving.reported) = (None, None);
        let request = if is_reconciled {
            link.count_reconciled(&batch.entries, map);
            link.commit_begins(!is_assembled);
            Request::Received(Received {
                peer: link.origin,
                token: id,
                from: FeedPosition::default(),
                position: FeedPosition::default(),
                scope: link.scope.clone(),
                entries: batch.entries,
            })
        } else {
            let place = link.receiving.pending.get_mut(batch.stream);
            *place = batch.to.max(*place);
            take_in(id, link, batch.entries)
        };
        self.outputs.push_back(Output::Commit(request));
        lie.map_or(Ok(()), Err)
    }

    /// Acknowledges received entries that are durable now. `position` is the cursor that became durable with them,
    /// valid for `scope`; the default position leaves the cursor where it was.
    pub fn received_durably(
        &mut self,
        id: LinkId,
        peer: Origin,
        position: FeedPosition,
        scope: &Scope,
        now: Now,
    ) {
        let moves = position != FeedPosition::default();
        if moves {
            let before = self.cursors.insert(peer, (position, scope.clone()));
            if before.is_none() {
                // A peer that has brought something is worth a record now.
                self.unremembered.entry(peer).or_insert(now.monotonic);
            }
        }
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let is_aside = link.commit_ended();
        link.receiving.aside += u64::from(is_aside && !link.receiving.is_aside_lost);
        if moves {
            let held = Positions {
                own: position.own,
                relay: position.relay,
            };
            link.has_progressed |= held != link.receiving.held;
            link.receiving.held = held;
            link.receiving.recorded = position;
            // A commit after `position` may have been taken for lost, together with what was left out before it.
            link.receiving.pending = link.receiving.pending.furthest(held);
        }
        link.active_at = now.monotonic;
        if !link.is_reconciling() {
            // During a reconciliation small commits may succeed again and again while most fail, so the failures stay
            // counted.
            link.receiving.failures = 0;
        }
        // A group gives one acknowledgement for all that it made durable.
        let ack = acknowledgement(link);
        let earlier = self.outputs.back_mut().and_then(|output| match output {
            Output::Send(to, Feed::Ack(ack)) if *to == id => Some(ack),
            _ => None,
        });
        match earlier {
            Some(earlier) => *earlier = ack,
            None => self.outputs.push_back(Output::Send(id, Feed::Ack(ack))),
        }
    }

    /// Takes in that received entries could not be stored. No later entry may be stored either, or the cursor would
    /// pass over a gap: the peer is asked to go back later to the position that is durable here.
    pub fn received_in_vain(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.sending.recording > 0 {
            // Nothing can be made durable: the list of entries that the peer refuses is written again with everything
            // else to be remembered.
            self.unremembered
                .entry(link.origin)
                .or_insert(MonotonicMs(0));
        }
        link.receiving.is_aside_lost |= link.commit_ended();
        link.receiving.pending = link.receiving.held;
        let recorded = link.receiving.recorded;
        let is_current = recorded.incarnation == link.incarnation;
        link.receiving.handed = if is_current {
            recorded
        } else {
            FeedPosition::default()
        };
        let was_reconciling = matches!(link.reconciling, Reconciling::Active(_));
        if was_reconciling || link.receiving.rewound != Rewound::ALL {
            link.receiving.failures += 1;
            self.total_retries += 1;
        }
        if was_reconciling {
            link.set_reconciling(Reconciling::Failed);
            // Due at once: the caller with a clock schedules a new beginning.
            self.reconcile_due = Some(MonotonicMs(1));
        }
        let was_reported =
            std::mem::replace(&mut link.receiving.rewound, Rewound::ALL) == Rewound::ALL;
        if was_reported && !was_reconciling {
            return;
        }
        let lseq = link.receiving.held.own;
        let nack = Nack {
            stream: crate::sync::message::Stream::Own,
            lseq,
            code: RefusalCode::StorageFailed,
            retryable: true,
            writes: Vec::new(),
        };
        self.outputs.push_back(Output::Send(id, Feed::Nack(nack)));
        let ack = acknowledgement(link);
        self.outputs.push_back(Output::Send(id, Feed::Ack(ack)));
    }

    fn acknowledged(
        &mut self,
        id: LinkId,
        link: &mut Link,
        ack: Ack,
        now: Now,
        map: &EntryMap,
    ) -> Result<(), &'static str> {
        self.take_credit(link, ack.credit, now.monotonic);
        for part in ack.parts.into_iter().rev() {
            link.note_part(part);
        }
        link.confirm_ahead(ack.aside);
        if ack.reconcile {
            self.expect_reconciliation(link);
        }
        if link.is_reconciling() {
            link.sending.progress_at = now.monotonic;
        }
        if !link.sending.started {
            link.sending.started = true;
            let is_forgotten = ack.void.is_some_and(|void| self.has_forgotten(void));
            if is_forgotten && !is_broken(Rule::ForgottenUnheeded) {
                self.identity_conflict(
                    IdentityConflictReason::WentBack,
                    &link.node_id,
                    now.monotonic,
                );
            }
            self.begin_feed(id, link, ack.cursor, now, map);
            return Ok(());
        }
        let Some(cursor) = ack.cursor else {
            if !link.is_reconciling() {
                self.begin_anew(link, now);
            }
            return Ok(());
        };
        if cursor.incarnation != self.incarnation() {
            return Ok(());
        }
        if move_acknowledged(&mut link.sending, cursor.positions)? {
            link.has_progressed = true;
            link.sending.listed_ahead = 0;
            link.end_second_copy();
            link.sending.attempts = 0;
            link.sending.retry_cause = None;
            link.sending.progress_at = now.monotonic;
            self.record_acknowledged(link, now.monotonic);
        }
        Ok(())
    }

    /// Takes in the credit that a peer grants, no more than one window beyond what it was sent.
    #[inline]
    fn take_credit(&self, link: &mut Link, credit: u64, now: MonotonicMs) {
        // No peer of this version grants more, and with a larger grant the whole feed would wait in memory.
        let grant = credit.min(link.sending.spent + WINDOW_COST);
        let is_boundless = is_broken(Rule::CreditIgnored);
        let grant = if is_boundless { u64::MAX } else { grant };
        let has_more_credit = grant > link.sending.credit && link.sending.started;
        link.sending.credit = link.sending.credit.max(grant);
        if has_more_credit && !is_broken(Rule::OnlyCursorsProgress) {
            // More credit shows that the peer has taken in some of what it owes. It cannot claim that for more than it
            // was sent.
            link.sending.progress_at = now;
            link.has_progressed = true;
            link.await_first_copy(now.after(self.options.ack_timeout_ms));
        }
    }

    pub(in crate::sync) fn record_acknowledged(&mut self, link: &Link, now: MonotonicMs) {
        let Positions { own, relay } = link.sending.acknowledged;
        let acknowledged = FeedPosition {
            incarnation: self.incarnation(),
            own,
            relay,
        };
        self.peers.entry(link.origin).or_default().acknowledged = acknowledged;
        self.moved.insert(link.origin);
        // A row that one peer holds was released once, so other peers get it without another tick.
        self.released = self.released.max(own);
        self.unremembered.entry(link.origin).or_insert(now);
    }
}

/// Moves the acknowledged positions of a link to those that its peer claims, as far as they were sent and are not taken
/// back. True if they have moved.
///
/// # Errors
/// If the peer claims more than it was ever sent.
#[inline]
fn move_acknowledged(sending: &mut Sending, claimed: Positions) -> Result<bool, &'static str> {
    let countable = sending.reported.furthest(sending.reported_before);
    let Positions { own, relay } = claimed;
    let most = countable.furthest(sending.reported_once);
    let most = most.furthest(sending.claimed);
    let is_beyond = own > most.own || relay > most.relay;
    if is_beyond && !is_broken(Rule::AcknowledgementUnsent) {
        return Err("an acknowledgement of what was not sent");
    }
    let countable = if is_beyond { claimed } else { countable };
    sending.claimed = sending.claimed.furthest(claimed);
    let before = sending.acknowledged;
    let counted = claimed.nearest(countable).furthest(before);
    sending.acknowledged = counted;
    // A late acknowledgement may reach beyond what is being sent again now.
    sending.reported = sending.reported.furthest(counted);
    sending.sent = sending.sent.furthest(counted);
    Ok(sending.acknowledged != before)
}

/// An acknowledgement with more credit, once a quarter of the window is used up; `None` before.
pub(in crate::sync) fn due_grant(link: &mut Link) -> Option<Ack> {
    let is_due = link.receiving.consumed + WINDOW_COST > link.receiving.granted + WINDOW_COST / 4;
    is_due.then(|| acknowledgement(link))
}

/// True if a peer has sent more than its credit and one message.
pub(in crate::sync) fn is_overdrawn(link: &Link) -> bool {
    link.receiving.consumed > link.receiving.granted + OVERDRAFT_COST
}

/// The commit request that moves the cursor to the pending position, with the entries that it covers.
pub(in crate::sync) fn take_in(id: LinkId, link: &mut Link, entries: Vec<Entry>) -> Request {
    link.commit_begins(false);
    let position = link.position(link.receiving.pending);
    Request::Received(Received {
        peer: link.origin,
        token: id,
        from: std::mem::replace(&mut link.receiving.handed, position),
        position,
        scope: link.scope.clone(),
        entries,
    })
}

/// An acknowledgement: the cursor up to which the peer's feed is held, and the credit up to which it may send more.
pub(in crate::sync) fn acknowledgement(link: &mut Link) -> Ack {
    let grant = link.receiving.consumed + WINDOW_COST;
    link.receiving.granted = unless(Rule::CreditNotRenewed, grant, link.receiving.granted);
    Ack {
        cursor: Some(link.place()),
        credit: link.receiving.granted,
        void: link.void.take(),
        reconcile: false,
        aside: link.receiving.aside,
        parts: std::mem::take(&mut link.receiving.parts),
    }
}
