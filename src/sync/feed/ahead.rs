//! Entries sent ahead of their place in a stream, because they would wait too long there. Such a batch moves no
//! position. When the stream comes to their place it passes over only the entries that the peer has confirmed as
//! durable: otherwise the peer's cursor could cover an entry that it failed to store. Three sorts go ahead: the newest
//! write of a key that is rewritten again and again while it waits to be relayed; small writes after a large value;
//! and new writes after a long backlog. Only keys of users go ahead: a removal of a sibling must not pass the value
//! that settled the conflict, and the feed has each key once, so no entry passes another of its key.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;

use super::send::{Gate, entry_cost};
use crate::core::clock::MonotonicMs;
use crate::core::identity::{Dot, Incarnation, Origin};
use crate::core::limits::CHUNK_BYTES_MAX;
use crate::core::rules::{Rule, is_broken};
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::memtable::held::{Held, Installed};
use crate::store::state::map::EntryMap;
use crate::store::state::totals::is_user;
use crate::sync::message::{Batch, Feed, Stream};
use crate::sync::options::BATCH_COST;
use crate::sync::peer::link::{Course, Link, LinkId};
use crate::sync::replica::Replica;

/// Most entries that one link sends ahead of a stream's position: their numbers are remembered until the stream has
/// come to them.
pub(in crate::sync) const AHEAD_MAX: usize = 16_384;

/// Cost of one batch sent ahead: a quarter of a normal batch, so that most of the line is left to the streams in
/// order.
pub(in crate::sync) const AHEAD_COST: u64 = BATCH_COST / 4;

/// Most entries that are looked up at once to go ahead: more than one message of them holds.
const AHEAD_AT_ONCE: usize = 256;

/// Time that a stream may take for its backlog, in milliseconds, before newer entries pass it. A short burst of writes
/// goes in order, which costs least.
const BACKLOG_MS: u64 = 250;

/// Greatest age of a write that passes a backlog, in milliseconds. Writes that a node brings after an absence are not
/// urgent.
const FRESH_MS: u64 = 60_000;

/// Disconnected peers whose entries held ahead are remembered: each has up to [`AHEAD_MAX`] numbers.
const KEPT_AHEAD_MAX: usize = 16;

/// Batches sent ahead that are kept although no entry of theirs may be left: fewer are not worth looking through.
const ASIDES_SPARED: usize = 4;

/// Places in streams.
type Places = BTreeSet<(Stream, u64)>;

/// A batch sent ahead, which moved no position.
#[derive(Debug, Clone)]
pub(in crate::sync) struct Aside {
    /// Number of the batch among those sent ahead on its connection, from 1.
    number: u64,
    entries: Vec<(Stream, u64)>,
}

/// Backlog of one stream: the place where it ends, and the time since when the stream has worked on it.
#[derive(Debug, Clone, Copy, Default)]
struct Backlog {
    up_to: u64,
    since: MonotonicMs,
}

/// Backlogs of both streams of a link: the entries in front of the new ones.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::sync) struct Backlogs {
    own: Backlog,
    relay: Backlog,
}

impl Backlogs {
    /// The end of the backlog after which newer entries go ahead; `None` while the backlog is younger than
    /// [`BACKLOG_MS`]. A stream at `sent` that has passed its backlog begins a new one up to `limit`.
    fn end_of(&mut self, stream: Stream, sent: u64, limit: u64, now: MonotonicMs) -> Option<u64> {
        let backlog = match stream {
            Stream::Own => &mut self.own,
            Stream::Relay => &mut self.relay,
        };
        if sent >= backlog.up_to {
            *backlog = Backlog {
                up_to: limit,
                since: now,
            };
        }
        let is_long = sent < backlog.up_to && backlog.since.after(BACKLOG_MS) <= now;
        is_long.then_some(backlog.up_to)
    }
}

/// Entries that disconnected peers hold ahead of their cursors, valid until the peer is opened anew: what it made
/// durable in this incarnation is there when it comes back. Beyond [`KEPT_AHEAD_MAX`] peers the oldest are forgotten
/// and sent once more.
#[derive(Debug, Default)]
pub(in crate::sync) struct KeptAhead {
    peers: VecDeque<(Origin, Incarnation, Places)>,
}

impl KeptAhead {
    /// Keeps the entries that a peer holds ahead, when it disconnects.
    pub(in crate::sync) fn leave(&mut self, link: &mut Link) {
        let held = std::mem::take(&mut link.sending.held_ahead);
        if held.is_empty() {
            return;
        }
        self.peers.retain(|(origin, ..)| *origin != link.origin);
        if self.peers.len() >= KEPT_AHEAD_MAX {
            self.peers.pop_front();
        }
        self.peers.push_back((link.origin, link.incarnation, held));
    }

    /// Gives a peer that has come back its entries held ahead, if it was not opened anew, before its feed begins.
    pub(in crate::sync) fn come_back(&mut self, link: &mut Link) {
        let place = self
            .peers
            .iter()
            .position(|(origin, ..)| *origin == link.origin);
        let known = place.and_then(|place| self.peers.remove(place));
        if let Some((.., held)) = known.filter(|(_, opening, _)| *opening == link.incarnation) {
            link.sending.held_ahead = held;
            link.forget_sent_ahead(Stream::Own);
            link.forget_sent_ahead(Stream::Relay);
        }
    }
}

impl Link {
    /// True if the stream waits for a large value that is being sent in it.
    pub(in crate::sync) fn is_filled(&self, stream: Stream) -> bool {
        let large = self.sending.large.as_ref();
        large.is_some_and(|large| large.course == Course::InOrder && large.stream == stream)
    }

    /// The peer durably holds all batches sent ahead up to the one numbered `up_to`.
    pub(in crate::sync) fn confirm_ahead(&mut self, up_to: u64) {
        let sending = &mut self.sending;
        while let Some(aside) = sending
            .asides
            .front_mut()
            .filter(|aside| aside.number <= up_to)
        {
            let entries = std::mem::take(&mut aside.entries);
            sending.asides.pop_front();
            for place in entries {
                // An entry that the stream has passed already was sent in its place, and is no longer tracked.
                if sending.sent_ahead.remove(&place) {
                    sending.held_ahead.insert(place);
                }
            }
        }
    }

    /// Forgets the entries of a stream that were sent ahead once the stream is past them, and the batches with no
    /// other entry left: a peer of an older build never confirms those.
    pub(in crate::sync) fn forget_sent_ahead(&mut self, stream: Stream) {
        let sending = &mut self.sending;
        let passed = (stream, 0)..=(stream, sending.sent.get(stream));
        for places in [&mut sending.sent_ahead, &mut sending.held_ahead] {
            while let Some(first) = places.range(passed.clone()).next().copied() {
                places.remove(&first);
            }
        }
        // The batches are looked through once half of them may be over, so that the cost of a batch does not grow with
        // their number.
        if sending.asides.len() > 2 * sending.sent_ahead.len() + ASIDES_SPARED {
            let waiting = &sending.sent_ahead;
            sending.asides.retain_mut(|aside| {
                aside.entries.retain(|place| waiting.contains(place));
                !aside.entries.is_empty()
            });
        }
    }

    /// Entries that may still be sent ahead of their places, up to [`AHEAD_MAX`].
    fn room_ahead(&self) -> usize {
        let sending = &self.sending;
        let taken = sending.ahead.len() + sending.sent_ahead.len() + sending.held_ahead.len();
        AHEAD_MAX.saturating_sub(taken)
    }

    /// True if the entry at this place was sent ahead of it.
    pub(in crate::sync) fn has_sent_ahead(&self, place: (Stream, u64)) -> bool {
        self.sending.sent_ahead.contains(&place) || self.sending.held_ahead.contains(&place)
    }
}

/// A write that has replaced one which waited to be relayed.
#[derive(Debug, Clone, Copy)]
struct Rewritten {
    /// When the first write in the chain of replacements was due to be relayed.
    due: MonotonicMs,
    /// The first write in the chain. A peer that reports having it gets this key from another node.
    first: Dot,
}

/// Entries that are to be relayed earlier than their place in the feed says.
#[derive(Debug, Clone, Default)]
pub(in crate::sync) struct Ahead {
    rewritten: BTreeMap<u64, Rewritten>,
    /// Entries that were handed to the links; a write that replaces one begins to wait anew.
    dispatched: BTreeSet<u64>,
}

impl Ahead {
    /// When the next durable entry is due.
    pub(in crate::sync) fn due(&self, durable_lseq: u64) -> Option<MonotonicMs> {
        let durable = self.rewritten.range(..=durable_lseq);
        durable.map(|(_, waiting)| waiting.due).min()
    }

    /// Forgets entries up to `lseq`: from there on the feed relays them in their place.
    pub(in crate::sync) fn forget_up_to(&mut self, lseq: u64) {
        self.rewritten = self.rewritten.split_off(&lseq.saturating_add(1));
        self.dispatched = self.dispatched.split_off(&lseq.saturating_add(1));
    }
}

impl Replica {
    /// Lets a write that replaces one waiting to be relayed inherit its due time: otherwise a key that is rewritten
    /// all the time would never be passed on.
    pub(in crate::sync) fn inherit_delay(&mut self, change: &Installed) {
        let Some(replaced) = change.replaced.zip(change.replaced_dot) else {
            return;
        };
        let (replaced, first) = replaced;
        let inherited = self.ahead.rewritten.remove(&replaced);
        let was_dispatched = self.ahead.dispatched.remove(&replaced);
        let is_relayed = change.from.is_some() && change.is_user;
        for link in self.links.values_mut() {
            // The replaced entry is not sent yet: its successor goes in its place.
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

    /// Hands the entries that are due to the links that are to send them.
    pub(in crate::sync) fn dispatch_rewritten(&mut self, now: MonotonicMs) {
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
                if !is_there && link.room_ahead() > 0 && link.sending.sent.relay < lseq {
                    link.sending.ahead.insert(lseq);
                }
            }
        }
    }

    /// Looks up the entries that are to pass a large value or a long backlog.
    pub(in crate::sync) fn look_ahead(
        &mut self,
        link: &mut Link,
        gate: Gate,
        map: &EntryMap,
    ) -> Result<(), StoreError> {
        for stream in [Stream::Own, Stream::Relay] {
            let (sent, limit) = (link.sending.sent.get(stream), gate.limit.get(stream));
            let backlog = link.sending.backlogs.end_of(stream, sent, limit, gate.now);
            let large = link.sending.large.as_ref().map(|large| large.lseq);
            let large = large.filter(|_| link.is_filled(stream));
            let is_large_under_way = large.is_some();
            let Some(behind) = large.or(backlog) else {
                continue;
            };
            let from = behind.max(link.sending.looked_ahead.get(stream));
            let room = link.room_ahead().min(AHEAD_AT_ONCE);
            let is_waiting = !link.sending.ahead.is_empty() || link.comparing.is_waiting();
            if from >= limit || room == 0 || is_waiting {
                continue;
            }
            let earliest_ms = gate.wall.0.saturating_sub(FRESH_MS);
            let is_fresh =
                |held: &Held| is_large_under_way || held.entry.stamp.wall().0 >= earliest_ms;
            let allowance = self.looking.allowance();
            let mut looked = Looked::new(from, limit, room, allowance);
            let look = |held: Result<Cow<'_, Held>, StoreError>| {
                looked.look(held, |held| {
                    goes_ahead(held) && is_fresh(held) && !link.has_sent_ahead((stream, held.lseq))
                })
            };
            let _ = match stream {
                Stream::Own => map.own_after(from).try_for_each(look),
                Stream::Relay => map.relay_after(from).try_for_each(look),
            };
            let Looked {
                to, found, error, ..
            } = looked;
            if let Some(error) = error {
                return Err(error);
            }
            self.looking.passed(looked.passed, looked.is_cut, gate.now);
            *link.sending.looked_ahead.get_mut(stream) = to;
            link.sending.ahead.extend(found);
        }
        Ok(())
    }

    /// Sends the entries that go ahead of the streams, in one batch of at most [`AHEAD_COST`].
    pub(in crate::sync) fn send_ahead(
        &mut self,
        id: LinkId,
        link: &mut Link,
        gate: Gate,
        map: &EntryMap,
    ) -> Result<(), StoreError> {
        let peer = map.via_of(link.origin);
        let (mut entries, mut cost, mut places) = (Vec::new(), 0, Vec::new());
        while let Some(lseq) = link.sending.ahead.first().copied() {
            if link.comparing.is_waiting() {
                // While a comparison waits to begin, an entry on its way would count as different.
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
            let stream = Self::stream_of(&held);
            let is_behind = link.sending.sent.get(stream) < lseq;
            let may_go = lseq <= gate.eligible.get(stream) && !self.held_back.holds(lseq);
            let length = held.entry.value_length();
            let fits = length <= CHUNK_BYTES_MAX && length as u64 <= link.value_bytes_max;
            let may_go = may_go && goes_ahead(&held);
            if is_behind && may_go && fits && !super::send::is_left_out(link, &held, peer) {
                cost += entry_cost(&held.entry);
                places.push((stream, lseq));
                entries.push(held.into_owned().entry);
            }
        }
        self.push_ahead(id, link, entries, gate);
        if !places.is_empty() {
            let number = link.sending.aside_batches;
            link.sending.sent_ahead.extend(&places);
            link.sending.asides.push_back(Aside {
                number,
                entries: places,
            });
        }
        if is_broken(Rule::AheadUnconfirmed) {
            link.confirm_ahead(u64::MAX);
        }
        Ok(())
    }

    /// Sends entries in a batch that moves no position of the peer, so that each still comes in its place in the feed.
    /// Sends nothing if `entries` is empty.
    pub(in crate::sync) fn push_ahead(
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
        link.sending.aside_batches += 1;
        let batch = Batch {
            stream: Stream::Relay,
            from: 0,
            to: 0,
            entries,
        };
        self.push_feed(id, link, Feed::Batch(batch));
    }
}

/// True if an entry may be sent ahead of its place: only keys of users.
fn goes_ahead(held: &Held) -> bool {
    is_user(&held.entry) || is_broken(Rule::RemovalsPassed)
}

/// Entries of a stream that are to be sent ahead, as one scan finds them.
struct Looked {
    /// The place up to which the stream was scanned.
    to: u64,
    found: Vec<u64>,
    /// Entries that the scan has passed.
    passed: u64,
    /// True if the scan stopped because it had passed as many entries as it may.
    is_cut: bool,
    error: Option<StoreError>,
    limit: u64,
    room: usize,
    allowance: u64,
}

impl Looked {
    /// An empty result for a scan after `from` up to `limit` that finds at most `room` entries and passes at most
    /// `allowance`.
    fn new(from: u64, limit: u64, room: usize, allowance: u64) -> Self {
        Self {
            to: from.max(limit),
            found: Vec::new(),
            passed: 0,
            is_cut: false,
            error: None,
            limit,
            room,
            allowance,
        }
    }

    /// Examines the next entry. Breaks when enough was found or passed.
    fn look(
        &mut self,
        held: Result<Cow<'_, Held>, StoreError>,
        is_wanted: impl FnOnce(&Held) -> bool,
    ) -> ControlFlow<()> {
        let held = match held {
            Ok(held) => held,
            Err(error) => {
                self.error = Some(error);
                return ControlFlow::Break(());
            }
        };
        if held.lseq > self.limit {
            return ControlFlow::Break(());
        }
        self.passed += 1;
        let fits = held.entry.value_length() <= CHUNK_BYTES_MAX;
        self.found
            .extend((fits && is_wanted(&held)).then_some(held.lseq));
        self.is_cut = self.passed >= self.allowance;
        if self.is_cut || self.found.len() >= self.room {
            self.to = held.lseq;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
