//! Entries that a peer refused for good (rejected): on record until they are replaced, or until the peer is shown to
//! hold the same state as this node.

use std::sync::Arc;

use crate::core::clock::{MonotonicMs, Now};
use crate::core::identity::Origin;
use crate::core::rules::{Rule, is_broken};
use crate::store::commit::ledger::{FeedPosition, PeerRecord, Rejected};
use crate::store::commit::operation::{Received, Request};
use crate::store::memtable::held::Held;
use crate::store::record::REJECTED_MAX;
use crate::store::state::map::EntryMap;
use crate::sync::message::{Nack, Positions, RefusalCode, Stream};
use crate::sync::peer::link::{LargeSend, Link, LinkId, RetryCause};
use crate::sync::replica::{Output, Replica};

/// Most oversized entries that are put on a peer's list at once: each is looked up, and the list is made durable.
const REJECTED_AT_ONCE: usize = 256;

/// Most oversized entries that are listed before a peer has acknowledged anything: a peer that connects, takes nothing
/// and leaves makes this node keep no more.
const LISTED_AHEAD_OF_STRANGER_MAX: usize = 64;

/// Most oversized entries that are listed between two acknowledgements of a peer that has acknowledged something.
const LISTED_AHEAD_MAX: usize = 1_024;

/// Entries that may still be put on the list of those that a peer does not take.
pub(in crate::sync) fn list_room(link: &Link) -> usize {
    let ahead_max = if link.sending.acknowledged == Positions::default() {
        LISTED_AHEAD_OF_STRANGER_MAX
    } else {
        LISTED_AHEAD_MAX
    };
    let room = ahead_max.saturating_sub(link.sending.listed_ahead);
    room.min(REJECTED_AT_ONCE)
}

/// Least time between two records of one peer's refusals, in milliseconds: each holds the whole list and takes a sync.
/// Sending to that peer waits as long.
const RECORD_DELAY_MS: u64 = 100;

impl Replica {
    /// Takes in a peer's NACK, which refuses entries for now or for good.
    pub(in crate::sync) fn refusal(
        &mut self,
        id: LinkId,
        link: &mut Link,
        nack: &Nack,
        now: Now,
        map: &EntryMap,
    ) {
        // A large entry of a reconciliation has no place to be named by, and it has to come in any case.
        let is_retryable = nack.retryable || nack.lseq == 0;
        let is_known = is_retryable && link.is_taken_back(now.monotonic);
        if is_known {
            // One attempt may be refused in several parts, and counts once.
        } else if !self.may_refuse(link, nack, is_retryable, map) && !is_broken(Rule::RefusalUnsent)
        {
            // No such entry was sent, so the refusal has no effect.
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

    /// Takes in that a peer refused the entry at a place for good.
    fn refused_at(
        &mut self,
        id: LinkId,
        link: &mut Link,
        refused: (Stream, u64),
        code: RefusalCode,
        now: Now,
        map: &EntryMap,
    ) {
        // A peer keeps no part of a value that it refuses.
        link.sending.parts.clear();
        let is_refused = |large: &mut LargeSend| (large.stream, large.lseq) == refused;
        if let Some(large) = link.sending.large.take_if(is_refused) {
            // The value was refused before all of it was sent: the feed goes on after it, and so will the cursor.
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

    /// Takes in that a peer refused writes for good, by name. Names of writes that were replaced meanwhile are
    /// ignored.
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
                // An entry that cannot be read now still differs from the peer's state, and is compared later.
                continue;
            };
            if held.entry.dot != write.dot {
                continue;
            }
            let (stream, lseq) = (Self::stream_of(&held), held.lseq);
            // A reconciliation sends an entry by its key, whatever its place.
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

    /// True if a refusal is about entries that the peer was sent on this connection, or is on record to refuse.
    fn may_refuse(&self, link: &Link, nack: &Nack, is_retryable: bool, map: &EntryMap) -> bool {
        let sending = &link.sending;
        if is_retryable {
            return link.is_owed() || link.is_reconciling() || sending.large.is_some();
        }
        if !nack.writes.is_empty() {
            // Named writes are checked one by one.
            return true;
        }
        let of_stream = |held: &Held| Self::stream_of(held) == nack.stream;
        // An entry that cannot be read now is looked up when it is offered again.
        let is_of_stream = map
            .at(nack.lseq)
            .map_or(true, |held| held.is_some_and(|held| of_stream(&held)));
        is_of_stream && self.was_sent(link, nack.stream, nack.lseq)
    }

    /// True if the entry at a place was sent to a peer on this connection, or is on record to be refused by it.
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

    /// Puts a longer list of refusals on record: at once, or [`RECORD_DELAY_MS`] after the last record, with
    /// everything that is refused meanwhile. Each record holds the whole list.
    fn list_refusals(&mut self, id: LinkId, link: &mut Link, now: MonotonicMs) {
        let earliest = link.sending.recorded_at.map(|at| at.after(RECORD_DELAY_MS));
        if let Some(earliest) = earliest.filter(|earliest| *earliest > now) {
            link.sending.record_due.get_or_insert(earliest);
        } else {
            link.sending.recorded_at = Some(now);
            self.record_refusals(id, link);
        }
    }

    /// Records the lists whose delay is over.
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

    /// Lists entries that are larger than a peer takes. Returns true if any is new; the list then goes on record
    /// before anything else is sent.
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

    /// Lists entries that are larger than a peer takes. Returns true if any is new; the list then has to go on record
    /// before the peer is told of a place after them.
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

    /// Settles the refusals of a peer that disconnects. They count as long as the peer has taken anything; those of a
    /// peer that took nothing are dropped or left out of the counts. Should it come back, the feed passes over the
    /// entries again, or its cursor shows that it passed them.
    pub(in crate::sync) fn leave_rejected(&mut self, link: &Link, map: &EntryMap) {
        let nothing = Positions::default();
        let is_reported =
            link.sending.reported != nothing || link.sending.reported_before != nothing;
        let has_taken = self.peers.get(&link.origin).is_some_and(has_taken);
        if has_taken {
            // An entry that was offered again and not shown to be there has failed as before.
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

    /// Counts the refusals of a peer that is back, if it has taken anything.
    pub(in crate::sync) fn recount_rejected(&mut self, link: &Link, map: &EntryMap) {
        if self.peers.get(&link.origin).is_some_and(has_taken) {
            for entry in self.rejected_by(link.origin).iter() {
                self.park_row(entry.lseq, map);
            }
        }
    }

    /// Stops counting a row as refused, unless a peer that has taken anything refuses it.
    fn unpark_unless_listed(&mut self, lseq: u64) {
        let mut peers = self.peers.values();
        if !peers.any(|peer| has_taken(peer) && is_listed(peer, lseq)) {
            self.outbox.unpark(lseq);
        }
    }

    /// Has the list of a peer's refusals made durable. Nothing is sent until it is: the peer's cursor would pass over
    /// the entries left out, and after a power cut nobody would know that they are missing.
    pub(in crate::sync) fn record_refusals(&mut self, id: LinkId, link: &mut Link) {
        self.remember(link.origin);
        link.sending.record_due = None;
        link.commit_begins(false);
        link.sending.recording = link.receiving.commits;
        // The request takes in no entries, and is synced.
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

    /// Puts a refused entry on the peer's list. Beyond [`REJECTED_MAX`] the oldest are forgotten: they count as
    /// refused until the next open, and are not offered again by themselves. Returns true if the entry is new on the
    /// list.
    pub(in crate::sync) fn park(
        &mut self,
        origin: Origin,
        lseq: u64,
        code: u8,
        map: &EntryMap,
        now: MonotonicMs,
    ) -> bool {
        if matches!(map.at(lseq), Ok(None)) || is_broken(Rule::RefusalUnlisted) {
            // The entry was replaced meanwhile.
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

    /// Counts an entry as refused, if it is a row of the outbox.
    pub(in crate::sync) fn park_row(&mut self, lseq: u64, map: &EntryMap) {
        if map.is_own_row(lseq).unwrap_or(false) {
            self.outbox.park(lseq);
        }
    }

    /// True if enough peers hold a row, whichever others refuse it. `key`: its stored key, where peers take a part of
    /// the keys, so that only peers that take it are asked.
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

    /// True if a row was refused and no record says by which peer.
    fn is_forgotten(&self, lseq: u64) -> bool {
        let is_refused = self.outbox.rejected.contains(&lseq);
        is_refused && !self.peers.values().any(|peer| is_listed(peer, lseq))
    }

    /// Rows that a peer refuses, or may have refused if no record is left, ascending.
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

    /// The list of entries that a peer has refused.
    pub(in crate::sync) fn rejected_by(&self, origin: Origin) -> Arc<Vec<Rejected>> {
        self.peers
            .get(&origin)
            .map(|record| Arc::clone(&record.rejected))
            .unwrap_or_default()
    }

    /// Removes a replaced entry from the lists of all peers.
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

    /// Forgets all refusals of a peer that was shown to hold the same state as this node.
    pub(in crate::sync) fn forget_all_rejected(&mut self, origin: Origin, now: MonotonicMs) {
        if self.drop_rejected(origin) {
            self.unremembered.entry(origin).or_insert(now);
        }
    }

    /// Drops all refusals of a peer. Returns true if there were any.
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

    /// Offers a peer its refused entries again, except those beyond its own limits or scope. They stay on record until
    /// the peer is shown to have them.
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

    /// Drops the refusals that lie outside of a peer's new scope.
    pub(in crate::sync) fn forget_rejected_outside(&mut self, origin: Origin, map: &EntryMap) {
        let Some(record) = self.peers.get_mut(&origin) else {
            return;
        };
        let scope = record.scope.clone();
        let rejected = std::mem::take(&mut record.rejected);
        let is_taken = |entry: &Rejected| {
            // An entry that cannot be looked up now is looked up when it is offered again.
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

    /// The stream of this node's feed that an entry belongs to.
    pub(in crate::sync) fn stream_of(held: &Held) -> Stream {
        if held.is_row() {
            Stream::Own
        } else {
            Stream::Relay
        }
    }
}

/// True if a peer is on record to hold a part of this node's feed.
pub(in crate::sync) fn has_taken(peer: &PeerRecord) -> bool {
    peer.acknowledged.own > 0 || peer.acknowledged.relay > 0
}

fn is_listed(peer: &PeerRecord, lseq: u64) -> bool {
    let listed = peer
        .rejected
        .binary_search_by_key(&lseq, |entry| entry.lseq);
    listed.is_ok()
}
