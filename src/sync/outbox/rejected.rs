//! Entries that a peer refused for good: on record until they are replaced, or until the peer is shown to hold
//! the same as this node.

use std::sync::Arc;

use crate::core::clock::{MonotonicMs, Now};
use crate::core::identity::Origin;
use crate::core::rules::{Rule, is_broken};
use crate::store::commit::ledger::{FeedPosition, PeerRecord, Rejected};
use crate::store::commit::operation::{Received, Request};
use crate::store::record::REJECTED_MAX;
use crate::store::state::map::{EntryMap, Held};
use crate::sync::message::{Nack, Positions, RefusalCode, Stream};
use crate::sync::peer::link::{LargeSend, Link, LinkId, RetryCause};
use crate::sync::replica::{Output, Replica};

/// Entries larger than a peer takes that are put on its list at once: each is looked up, and the list is made durable.
const REJECTED_AT_ONCE: usize = 256;

/// Entries larger than a peer takes that are listed before it has acknowledged the first of them: who comes, takes nothing
/// and leaves makes this node keep no more.
const LISTED_AHEAD_OF_STRANGER_MAX: usize = 64;

/// Entries that are listed before the next acknowledgement of a peer that has acknowledged something.
const LISTED_AHEAD_MAX: usize = 1_024;

/// How many more entries may be put on the list of what a peer does not take.
pub(in crate::sync) fn list_room(link: &Link) -> usize {
    let ahead_max = if link.sending.acknowledged == Positions::default() {
        LISTED_AHEAD_OF_STRANGER_MAX
    } else {
        LISTED_AHEAD_MAX
    };
    let room = ahead_max.saturating_sub(link.sending.listed_ahead);
    room.min(REJECTED_AT_ONCE)
}

/// How long at least lies between two records of what one peer refuses, in milliseconds: each holds the whole list and
/// takes a sync. What is sent to that peer waits as long.
const RECORD_DELAY_MS: u64 = 100;

impl Replica {
    /// A peer refused an entry, for now or for good.
    pub(in crate::sync) fn refusal(
        &mut self,
        id: LinkId,
        link: &mut Link,
        nack: &Nack,
        now: Now,
        map: &EntryMap,
    ) {
        // A large entry of a reconciliation has no place to be named by. It has to come all the same.
        let is_retryable = nack.retryable || nack.lseq == 0;
        let is_known = is_retryable && link.is_taken_back(now.monotonic);
        if is_known {
            // One attempt may be refused in several parts.
        } else if !self.may_refuse(link, nack, is_retryable, map) && !is_broken(Rule::RefusalUnsent)
        {
            // Nothing of it was sent: a peer's word about it is worth nothing.
            self.unfounded_refusals += 1;
        } else if is_retryable && link.sending.attempts >= self.options.max_retries {
            self.give_up(id, link);
        } else if is_retryable && is_broken(Rule::RetryNotDone) {
            link.sending.progress_at = MonotonicMs(u64::MAX / 2);
        } else if is_retryable {
            self.retry(link, RetryCause::Refused(nack.code as u8), now, map);
        } else if nack.writes.is_empty() {
            self.refused_at(id, link, (nack.stream, nack.lseq), nack.code, now, map);
        } else {
            self.refused_by_name(id, link, nack, now, map);
        }
    }

    /// A peer refused what is at a place for good.
    fn refused_at(
        &mut self,
        id: LinkId,
        link: &mut Link,
        refused: (Stream, u64),
        code: RefusalCode,
        now: Now,
        map: &EntryMap,
    ) {
        // What it refuses it does not keep.
        link.sending.parts.clear();
        let is_refused = |large: &mut LargeSend| (large.stream, large.lseq) == refused;
        if let Some(large) = link.sending.large.take_if(is_refused) {
            // Refused before all of it was sent: the feed goes on behind it, and so will the cursor.
            link.sending.large_abandoned = true;
            for place in [&mut link.sending.sent, &mut link.sending.reported] {
                let place = place.get_mut(large.stream);
                *place = large.lseq.max(*place);
            }
        }
        if self.park(link.origin, refused.1, code as u8, map, now.monotonic) {
            self.list_refusals(id, link, now.monotonic);
        }
    }

    /// A peer refused writes for good, and names them. Those that were replaced meanwhile are of no account any more.
    fn refused_by_name(
        &mut self,
        id: LinkId,
        link: &mut Link,
        nack: &Nack,
        now: Now,
        map: &EntryMap,
    ) {
        let mut is_news = false;
        for write in &nack.writes {
            let held = map.held_entry(&write.key);
            let Ok(Some(held)) = held else {
                // What cannot be read now differs from what the peer holds, and is compared.
                continue;
            };
            if held.entry.dot != write.dot {
                continue;
            }
            let (stream, lseq) = (Self::stream_of(&held), held.lseq);
            // In a comparison it is sent by its key, at whatever place.
            let is_compared = link.is_reconciling() && lseq <= self.durable_lseq;
            if is_compared || self.was_sent(link, stream, lseq) {
                is_news |= self.park(link.origin, lseq, nack.code as u8, map, now.monotonic);
            } else {
                self.unfounded_refusals += 1;
            }
        }
        if is_news {
            self.list_refusals(id, link, now.monotonic);
        }
    }

    /// Whether a refusal is about something that the peer was sent on this connection, or is on record to refuse.
    fn may_refuse(&self, link: &Link, nack: &Nack, is_retryable: bool, map: &EntryMap) -> bool {
        let sending = &link.sending;
        if is_retryable {
            return link.is_owed() || link.is_reconciling() || sending.large.is_some();
        }
        if !nack.writes.is_empty() {
            // Each is looked at by itself.
            return true;
        }
        let of_stream = |held: &Held| Self::stream_of(held) == nack.stream;
        // What cannot be read now is looked up when it is offered again.
        let is_of_stream = map
            .at(nack.lseq)
            .map_or(true, |held| held.is_some_and(|held| of_stream(&held)));
        is_of_stream && self.was_sent(link, nack.stream, nack.lseq)
    }

    /// Whether the entry at a place was sent to a peer on this connection, or is on record to be refused by it.
    fn was_sent(&self, link: &Link, stream: Stream, lseq: u64) -> bool {
        let sending = &link.sending;
        let reported = sending.reported.furthest(sending.reported_before);
        let reported = reported.furthest(sending.reported_once).get(stream);
        let was_reported = lseq > sending.begun.get(stream) && lseq <= reported;
        let is_under_way = |large: &LargeSend| (large.stream, large.lseq) == (stream, lseq);
        let is_under_way = sending.large.as_ref().is_some_and(is_under_way);
        let is_ahead = link.has_sent_ahead((stream, lseq));
        let peer = self.peers.get(&link.origin);
        let is_known = peer.is_some_and(|peer| is_listed(peer, lseq));
        was_reported || is_under_way || is_ahead || is_known
    }

    /// A peer refuses more: the list goes on record at once, or where that was done a moment ago, with all that it refuses
    /// meanwhile. Each record holds the whole list.
    fn list_refusals(&mut self, id: LinkId, link: &mut Link, now: MonotonicMs) {
        let earliest = link.sending.recorded_at.map(|at| at.after(RECORD_DELAY_MS));
        if let Some(earliest) = earliest.filter(|earliest| *earliest > now) {
            link.sending.record_due.get_or_insert(earliest);
        } else {
            link.sending.recorded_at = Some(now);
            self.record_refusals(id, link);
        }
    }

    /// Records the lists that had to wait.
    pub(in crate::sync) fn record_due_refusals(&mut self, now: MonotonicMs) {
        let is_due = |link: &Link| link.sending.record_due.is_some_and(|due| due <= now);
        let due = self.links.iter().filter(|(_, link)| is_due(link));
        let due: Vec<LinkId> = due.map(|(id, _)| *id).collect();
        for id in due {
            if let Some(mut link) = self.links.remove(&id) {
                link.sending.recorded_at = Some(now);
                self.record_refusals(id, &mut link);
                self.links.insert(id, link);
            }
        }
    }

    /// Entries are larger than a peer takes. Says whether that is news, which goes on record before anything else is sent.
    pub(in crate::sync) fn park_too_large(
        &mut self,
        id: LinkId,
        link: &mut Link,
        too_large: &[u64],
        map: &EntryMap,
        now: MonotonicMs,
    ) -> bool {
        let is_news = self.note_too_large(link.origin, too_large, map, now);
        if is_news {
            self.record_refusals(id, link);
        }
        is_news
    }

    /// Entries are larger than a peer takes. Says whether that is news, which has to go on record before the peer is told
    /// of a place behind them.
    pub(in crate::sync) fn note_too_large(
        &mut self,
        peer: Origin,
        too_large: &[u64],
        map: &EntryMap,
        now: MonotonicMs,
    ) -> bool {
        let code = RefusalCode::ValueTooLarge as u8;
        let mut is_news = false;
        for lseq in too_large {
            is_news |= self.park(peer, *lseq, code, map, now);
        }
        is_news
    }

    /// A peer is gone. What it refused counts for as long as it has taken anything: of who came, took nothing and left,
    /// nobody has to hear. Should it come back, it is gone over again, or its cursor shows that it passed over them.
    pub(in crate::sync) fn leave_rejected(&mut self, link: &Link, map: &EntryMap) {
        let nothing = Positions::default();
        let is_reported =
            link.sending.reported != nothing || link.sending.reported_before != nothing;
        let has_taken = self.peers.get(&link.origin).is_some_and(has_taken);
        if has_taken {
            // What was offered again and not shown to be there has failed as before.
            for entry in self.rejected_by(link.origin).iter() {
                self.park_row(entry.lseq, map);
            }
        } else if is_reported {
            for entry in self.rejected_by(link.origin).iter() {
                self.unpark_unless_listed(entry.lseq);
            }
        } else {
            self.drop_rejected(link.origin);
        }
    }

    /// A peer is back: what it refused counts again, if it has passed over it.
    pub(in crate::sync) fn recount_rejected(&mut self, link: &Link, map: &EntryMap) {
        if self.peers.get(&link.origin).is_some_and(has_taken) {
            for entry in self.rejected_by(link.origin).iter() {
                self.park_row(entry.lseq, map);
            }
        }
    }

    /// A row counts as refused no more, unless a peer that has taken anything refuses it.
    fn unpark_unless_listed(&mut self, lseq: u64) {
        let mut peers = self.peers.values();
        if !peers.any(|peer| has_taken(peer) && is_listed(peer, lseq)) {
            self.outbox.unpark(lseq);
        }
    }

    /// Has the list of what a peer refuses made durable. Nothing is sent until it is: the peer's cursor would pass over what
    /// is left out, and after a power cut nobody would know that it is not there.
    pub(in crate::sync) fn record_refusals(&mut self, id: LinkId, link: &mut Link) {
        self.remember(link.origin);
        link.sending.record_due = None;
        link.commit_begins(false);
        link.sending.recording = link.receiving.commits;
        // Takes in nothing, and is synced.
        self.outputs
            .push_back(Output::Commit(Request::Received(Received {
                peer: link.origin,
                token: id,
                from: FeedPosition::default(),
                position: FeedPosition::default(),
                scope: link.scope.clone(),
                entries: Vec::new(),
            })));
    }

    /// A peer refused an entry for good. Of more than are remembered the oldest are forgotten: they count as refused
    /// until the next open, and are not offered again by themselves. Says whether it is news.
    pub(in crate::sync) fn park(
        &mut self,
        origin: Origin,
        lseq: u64,
        code: u8,
        map: &EntryMap,
        now: MonotonicMs,
    ) -> bool {
        if matches!(map.at(lseq), Ok(None)) || is_broken(Rule::RefusalUnlisted) {
            // Replaced meanwhile.
            return false;
        }
        let rejected = Arc::make_mut(&mut self.peers.entry(origin).or_default().rejected);
        let place = rejected.binary_search_by_key(&lseq, |entry| entry.lseq);
        match place {
            Ok(place) => rejected
                .iter_mut()
                .skip(place)
                .take(1)
                .for_each(|entry| entry.code = code),
            Err(place) => rejected.insert(place, Rejected { lseq, code }),
        }
        let surplus = rejected.len().saturating_sub(REJECTED_MAX);
        rejected.drain(..surplus);
        self.refusing.insert(origin);
        self.park_row(lseq, map);
        self.unremembered.entry(origin).or_insert(now);
        place.is_err()
    }

    /// Counts an entry as refused, if it counts at all.
    pub(in crate::sync) fn park_row(&mut self, lseq: u64, map: &EntryMap) {
        if map.is_own_row(lseq).unwrap_or(false) {
            self.outbox.park(lseq);
        }
    }

    /// Whether as many peers hold a row as have to, whoever else refuses it. With its stored key, where peers take a part
    /// of the keys: the others have nothing to do with it.
    pub(in crate::sync) fn is_held_by_enough(&self, lseq: u64, key: Option<&[u8]>) -> bool {
        let takes = |peer: &PeerRecord| key.is_none_or(|key| peer.scope.contains(key));
        let counting = self.peers.values();
        let counting = counting.filter(|peer| self.counts(peer) && takes(peer));
        let (mut holding, mut registered) = (0, 0);
        for peer in counting {
            registered += 1;
            let is_refused = is_listed(peer, lseq) && !is_broken(Rule::RefusalCounts);
            holding += usize::from(peer.acknowledged.own >= lseq && !is_refused);
        }
        !self.is_forgotten(lseq) && holding >= self.options.ack_policy.needed(registered)
    }

    /// Whether a row was refused, and nobody remembers by whom.
    fn is_forgotten(&self, lseq: u64) -> bool {
        let is_refused = self.outbox.rejected.contains(&lseq);
        is_refused && !self.peers.values().any(|peer| is_listed(peer, lseq))
    }

    /// What a peer refuses, or may refuse as far as is remembered, in order.
    pub(in crate::sync) fn refused_by(&self, origin: Origin) -> Vec<u64> {
        let listed = self.peers.get(&origin).map(|peer| peer.rejected.iter());
        let listed = listed.into_iter().flatten().map(|entry| entry.lseq);
        let forgotten = self.outbox.rejected.iter().copied();
        let mut refused: Vec<u64> = listed
            .chain(forgotten.filter(|lseq| self.is_forgotten(*lseq)))
            .collect();
        refused.sort_unstable();
        refused
    }

    /// What a peer has refused.
    pub(in crate::sync) fn rejected_by(&self, origin: Origin) -> Arc<Vec<Rejected>> {
        self.peers
            .get(&origin)
            .map(|record| Arc::clone(&record.rejected))
            .unwrap_or_default()
    }

    /// An entry was replaced: nobody refuses it any more.
    pub(in crate::sync) fn forget_rejected(&mut self, lseq: u64) {
        for origin in &self.refusing {
            let Some(record) = self.peers.get_mut(origin) else {
                continue;
            };
            if let Ok(place) = record
                .rejected
                .binary_search_by_key(&lseq, |entry| entry.lseq)
            {
                Arc::make_mut(&mut record.rejected).remove(place);
            }
        }
    }

    /// A peer was shown to hold the same as this node: whatever it refused before is there.
    pub(in crate::sync) fn forget_all_rejected(&mut self, origin: Origin, now: MonotonicMs) {
        if self.drop_rejected(origin) {
            self.unremembered.entry(origin).or_insert(now);
        }
    }

    /// What a peer refused is of no account any more. Says whether it had refused anything.
    pub(in crate::sync) fn drop_rejected(&mut self, origin: Origin) -> bool {
        let Some(record) = self.peers.get_mut(&origin) else {
            return false;
        };
        self.moved.insert(origin);
        self.refusing.remove(&origin);
        let dropped = std::mem::take(&mut record.rejected);
        for entry in dropped.iter() {
            let rejected = |lseq| {
                let peers = &mut self.peers.values();
                peers.any(|peer| is_listed(peer, lseq))
            };
            if !rejected(entry.lseq) {
                self.outbox.unpark(entry.lseq);
            }
        }
        !dropped.is_empty()
    }

    /// Has what a peer refused offered to it once more, but for what it cannot take by its own word. On record
    /// it stays until the peer is shown to have it.
    pub(in crate::sync) fn offer_again(&mut self, link: &mut Link, map: &EntryMap) {
        for entry in self.rejected_by(link.origin).iter() {
            let fits = |held: &Held| {
                held.entry.limited_length() as u64 <= link.value_bytes_max
                    && link.scope.contains(held.entry.key())
            };
            let is_new = !link.sending.again.contains(&entry.lseq);
            let held = map.at(entry.lseq).ok().flatten();
            if is_new && held.is_some_and(|held| fits(&held)) {
                link.sending.again.push(entry.lseq);
                self.outbox.unpark(entry.lseq);
            }
        }
    }

    /// A peer takes other keys from now on: what it refused and does not take any more it does not refuse.
    pub(in crate::sync) fn forget_rejected_outside(&mut self, origin: Origin, map: &EntryMap) {
        let Some(record) = self.peers.get_mut(&origin) else {
            return;
        };
        let scope = record.scope.clone();
        let rejected = std::mem::take(&mut record.rejected);
        let is_taken = |entry: &Rejected| {
            // What cannot be looked up now is looked up when it is offered again.
            let held = map.at(entry.lseq);
            held.map_or(true, |held| {
                held.is_some_and(|held| scope.contains(held.entry.key()))
            })
        };
        let (taken, outside): (Vec<Rejected>, Vec<Rejected>) =
            rejected.iter().copied().partition(is_taken);
        record.rejected = taken.into();
        for entry in outside {
            if !self.peers.values().any(|peer| is_listed(peer, entry.lseq)) {
                self.outbox.unpark(entry.lseq);
            }
        }
    }

    /// The stream of an entry of this node's feed.
    pub(in crate::sync) fn stream_of(held: &Held) -> Stream {
        if held.is_row() {
            Stream::Own
        } else {
            Stream::Relay
        }
    }
}

/// Whether a peer is on record to hold any of this node's feed.
pub(in crate::sync) fn has_taken(peer: &PeerRecord) -> bool {
    peer.acknowledged.own > 0 || peer.acknowledged.relay > 0
}

fn is_listed(peer: &PeerRecord, lseq: u64) -> bool {
    let listed = peer
        .rejected
        .binary_search_by_key(&lseq, |entry| entry.lseq);
    listed.is_ok()
}
