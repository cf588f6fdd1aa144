//! Invariants of all messages. The numbers are those of the rules in `docs/internals/replication.md`, section 5, except
//! where an invariant is named.

use super::conflicts::name_of;
use super::node::Running;
use super::stream::State;
use super::world::World;
use crate::core::identity::{Incarnation, Origin};
use crate::node::machine::conversation::ConversationId;
use crate::store::entry::{Entry, Summary};
use crate::store::state::totals::is_user;
use crate::sync::message::{Ack, Batch, Feed, Stream};
use crate::sync::options::{BATCH_COST, HAVE_INTERVAL_MS};
use crate::transport::wire::message::{GoodbyeReason, Message};

/// Most that may be sent beyond credit: the message that uses it up.
const OVERDRAFT_COST: u64 = 2 * BATCH_COST + (1 << 20);

impl World<'_> {
    /// Checks a message before a node sends it.
    pub(super) fn check_sent(&mut self, node: usize, id: ConversationId, message: &Message) {
        match message {
            Message::Feed(feed) => self.check_feed(node, id, feed),
            Message::Hello(hello) => self.check_greeting(node, id, hello),
            Message::Goodbye(goodbye) => {
                let accuses = matches!(
                    goodbye.reason,
                    GoodbyeReason::Malformed
                        | GoodbyeReason::Protocol
                        | GoodbyeReason::WrongNode
                        | GoodbyeReason::SelfConnection
                        | GoodbyeReason::Identity
                );
                let is_excused = self.excuses.damaged
                    // A disk that went back has parted from the history that its former life told, whose connection
                    // may still seem to live.
                    || (goodbye.reason == GoodbyeReason::Identity
                        && (self.excuses.hurt || self.excuses.repeats_numbers()));
                assert!(
                    !accuses || is_excused,
                    "honest nodes accuse each other: {node} on {id}: {goodbye:?}"
                );
                if goodbye.text.contains("acknowledges nothing") {
                    self.see_giving_up(node, id);
                }
                let is_unreadable = goodbye.text.contains("cannot be read");
                assert!(
                    !is_unreadable || self.excuses.hurt,
                    "{node} cannot read its store"
                );
            }
            _ => {}
        }
    }

    fn check_feed(&mut self, node: usize, id: ConversationId, feed: &Feed) {
        self.see_exchange(id, feed);
        let entries: &[Entry] = match feed {
            Feed::Batch(batch) => &batch.entries,
            Feed::Large(large) => std::slice::from_ref(&large.entry),
            Feed::Ack(ack) => {
                self.check_acknowledgement(node, id, ack);
                self.check_asked(node, id, ack);
                return self.see_first_cursor(id, ack);
            }
            Feed::Ranges(ranges) => {
                self.check_lists(node, id, ranges);
                &[]
            }
            _ => &[],
        };
        let at = self.at;
        // An entry that was refused before is offered out of its order.
        let is_again = matches!(feed, Feed::Batch(batch) if batch.from == batch.to)
            || matches!(feed, Feed::Large(large) if large.from == large.to);
        assert!(self.ends.contains_key(&id), "{node} speaks on {id}");
        let links = self.nodes[node].up().machine.replica.acknowledged_links();
        let peer = links
            .into_iter()
            .find_map(|(other, origin, _)| (other == id).then_some(origin));
        self.check_is_carried(node, id, entries);
        for entry in entries {
            self.check_is_due(node, id, entry, peer, is_again);
        }
        if let Feed::Batch(Batch {
            stream,
            to,
            entries,
            ..
        }) = feed
            && !entries.is_empty()
            && !is_again
        {
            self.check_stream(node, id, *stream, *to, entries, at);
        }
        let cost = feed.cost();
        let end = self.end_mut(id).unwrap();
        for entry in entries {
            end.seen.owed.sent(entry);
        }
        end.seen.waiting.said(feed, at);
        if end.state == State::Open {
            end.seen.spent += cost;
            let (spent, granted) = (end.seen.spent, end.seen.granted);
            assert!(
                cost == 0 || spent <= granted + OVERDRAFT_COST,
                "1: {node} sends {spent} on {id} where {granted} was granted"
            );
        }
    }

    /// Checks an entry before it is sent to `peer`: it is durable, and nothing says that the peer holds it. `is_again`:
    /// it is offered again.
    fn check_is_due(
        &self,
        node: usize,
        id: ConversationId,
        entry: &Entry,
        peer: Option<Origin>,
        is_again: bool,
    ) {
        let running = self.nodes[node].up();
        let (line, side) = self.ends[&id];
        let seen = &self.lines[&line].ends[side].seen;
        let is_volatile = running
            .volatile
            .iter()
            .any(|(_, other)| name_of(other) == name_of(entry));
        assert!(
            !is_volatile,
            "invariant 4: {node} ships what is not durable: {entry:?}"
        );
        assert!(
            !is_user(entry) || !seen.is_hinted(entry.dot) || seen.is_begun_anew || is_again,
            "5: {node} sends {entry:?} on {id} although it was told that it is there"
        );
        let from = (!self.excuses.hurt)
            .then(|| source(&running.store.map, entry))
            .flatten();
        let is_echo = from.is_some() && from == peer;
        assert!(
            !is_echo || seen.is_begun_anew || seen.is_void_told != Some(false) || is_again,
            "5: {node} sends {entry:?} back to where it came from"
        );
    }

    fn check_stream(
        &self,
        node: usize,
        id: ConversationId,
        stream: Stream,
        to: u64,
        entries: &[Entry],
        at: u64,
    ) {
        let running = self.nodes[node].up();
        if stream == Stream::Own {
            assert!(
                to <= running
                    .ticked
                    .max(running.machine.replica.recorded_anywhere()),
                "8: {node} sends its writes up to {to}, but it was ticked at {}",
                running.ticked
            );
            return;
        }
        for entry in entries {
            let Some((came_at, others)) = running.came.get(&name_of(entry)) else {
                continue;
            };
            let is_hasty =
                others.len() > 1 && others.contains(&id) && at < came_at + 2 * HAVE_INTERVAL_MS;
            assert!(
                !is_hasty
                    || self.excuses.repeats_numbers()
                    || self.excuses.lied
                    || self.excuses.hurt,
                "5: {node} passes on {entry:?}, which came at {came_at}"
            );
        }
    }

    fn see_first_cursor(&mut self, id: ConversationId, ack: &Ack) {
        let (line, side) = self.ends[&id];
        let seen = &mut self.lines.get_mut(&line).unwrap().ends[side].seen;
        seen.is_void_told.get_or_insert(ack.void.is_some());
    }

    /// Invariant 3: acknowledged entries are durable.
    fn check_acknowledgement(&self, node: usize, id: ConversationId, ack: &Ack) {
        let Some(cursor) = ack.cursor else { return };
        let (line, side) = self.ends[&id];
        let peer = &self.nodes[self.lines[&line].ends[1 - side].node];
        let Some(peer) = &peer.running else { return };
        let origin = peer.machine.replica.origin();
        for (of, position) in &self.nodes[node].up().volatile_cursors {
            let is_told = *of == origin
                && position.incarnation == cursor.incarnation
                && (position.own, position.relay) == (cursor.positions.own, cursor.positions.relay);
            assert!(
                !is_told,
                "invariant 3: {node} acknowledges {cursor:?} before it is synced"
            );
        }
    }

    /// Section 2: a node that learns that its disk has forgotten entries which a peer saw takes another identity,
    /// except for a while after it last did.
    pub(super) fn check_identity_conflict(&self, node: usize, id: ConversationId) {
        let is_doubted = |running: &Running| running.doubted_at.is_some();
        assert!(
            self.nodes[node].running.as_ref().is_none_or(is_doubted),
            "2: {node} was told on {id} that its disk went back, and keeps its identity"
        );
    }

    /// The state of the node at an end, where connections carry all keys.
    fn whole_state_at(&self, id: ConversationId) -> Option<Summary> {
        let (line, side) = self.ends.get(&id)?;
        let node = &self.nodes[self.lines.get(line)?.ends[*side].node];
        let running = node.running.as_ref().filter(|_| !self.has_prefixes)?;
        Some(running.store.map.summary())
    }

    /// Records a message that has arrived at an end and is about to be handed to its machine.
    pub(super) fn see_arrival(&mut self, id: ConversationId, message: &Message) {
        let at = self.at;
        let held = self.whole_state_at(id);
        let Some(end) = self.end_mut(id) else { return };
        if let Message::Feed(feed) = message {
            end.seen.waiting.heard(feed, held, at);
        }
        match message {
            Message::Feed(Feed::Ranges(ranges)) => self.see_lists(id, ranges),
            Message::Feed(Feed::Have(have)) => end.seen.hints.extend(&have.ranges),
            Message::Feed(Feed::Ack(ack)) => {
                end.seen.granted = end.seen.granted.max(ack.credit);
                if end.seen.first_cursor.is_none() {
                    end.seen.first_cursor = Some(ack.cursor);
                } else if ack.cursor.is_none() {
                    end.seen.is_begun_anew = true;
                }
            }
            _ => {}
        }
    }

    /// Section 2: a node that goes on from a peer's cursor has that place in a feed that the peer saw.
    pub(super) fn check_taken_up(&self, node: usize, id: ConversationId) {
        let Some(running) = &self.nodes[node].running else {
            return;
        };
        let Some((line, side)) = self.ends.get(&id) else {
            return;
        };
        let seen = &self.lines[line].ends[*side].seen;
        let Some(Some(cursor)) = seen.first_cursor else {
            return;
        };
        let replica = &running.machine.replica;
        let mut links = replica.acknowledged_links().into_iter();
        let Some((.., positions)) = links.find(|(other, ..)| *other == id) else {
            return;
        };
        let is_taken_up = positions == cursor.positions && !seen.is_begun_anew;
        let is_excused = self.excuses.hurt || self.excuses.went_back_unnoticed;
        if is_excused || !is_taken_up || cursor.incarnation == replica.incarnation() {
            return;
        }
        self.check_was_seen(
            node,
            id,
            cursor.incarnation,
            (positions.own, positions.relay),
        );
    }

    fn check_was_seen(&self, node: usize, id: u64, epoch: Incarnation, reached: (u64, u64)) {
        let Some(feed) = self.feeds.get(&epoch) else {
            panic!("2: {node} goes on from a stretch on {id} that never was");
        };
        for (stream, lseq, entry) in super::checks::all_rows(&self.nodes[node].up().store.map) {
            let to = match stream {
                Stream::Own => reached.0,
                Stream::Relay => reached.1,
            };
            let is_named = feed
                .get(&lseq)
                .is_some_and(|names| names.contains(&name_of(&entry)));
            assert!(
                lseq > to || is_named,
                "2: {node} takes up a cursor on {id} that is of another feed: {entry:?} at {lseq} was not in it"
            );
        }
    }
}

/// The peer that an entry came from.
fn source(
    map: &crate::store::state::map::EntryMap,
    entry: &Entry,
) -> Option<crate::core::identity::Origin> {
    let mut rows = map.relay_after(0).map(Result::unwrap);
    let held = rows.find(|held| held.entry == *entry)?;
    map.source_of(held.via)
}

pub(super) fn shown(message: &Message) -> String {
    let entries = |batch: &Batch| {
        let entries = batch.entries.iter();
        let entries: Vec<String> = entries
            .map(|entry| {
                let key = String::from_utf8_lossy(&entry.key()[1..]).into_owned();
                format!("{key}@{}", entry.dot.sequence)
            })
            .collect();
        entries.join(" ")
    };
    match message {
        Message::Feed(Feed::Batch(batch)) => format!(
            "{:?} ({}, {}] {}",
            batch.stream,
            batch.from,
            batch.to,
            entries(batch)
        ),
        Message::Feed(Feed::Large(large)) => format!("large ({}, {}]", large.from, large.to),
        Message::Feed(Feed::Chunk(chunk)) => format!("a chunk of {}", chunk.bytes.len()),
        Message::Hello(hello) => format!("hello, {:?}", hello.greeting),
        other => format!("{other:?}"),
    }
}
