//! Consequences of silence and of different states (`docs/internals/replication.md`, rules 5.3 and 5.6), as far as a
//! connection shows them: a node that is not answered sends again, and a request for a reconciliation has a reason.

use super::stream::State;
use super::world::World;
use crate::node::machine::conversation::ConversationId;
use crate::store::entry::Summary;
use crate::sync::message::{Ack, Cursor, Feed, Positions, Stream};

/// Longest time that a peer may owe an acknowledgement, and the longest delay after it before everything is sent
/// again, in milliseconds.
const OWED_MS: u64 = 10_000;
const PAUSE_MS_MAX: u64 = DELAY_MS_MAX + DELAY_MS_MAX / 8;
const ANSWER_MS: u64 = OWED_MS + PAUSE_MS_MAX;

/// The shortest delay before everything is sent again, the longest that it doubles to, and the shortest including the
/// wait for an answer, in milliseconds.
const DELAY_MS: u64 = 5_000;
const DELAY_MS_MAX: u64 = 30_000;
const AGAIN_MS: u64 = OWED_MS + DELAY_MS;

/// Least time between two repairs of one connection, in milliseconds.
const REPAIR_MS: u64 = 60_000;

/// Messages on one end that ask for an answer.
#[derive(Default)]
pub(super) struct Waiting {
    /// When the node sent entries that the peer has not acknowledged.
    since: Option<u64>,
    /// Furthest positions sent since the last new beginning, and the time of the first.
    furthest: Positions,
    sent_at: Option<u64>,
    /// The furthest END sent since then.
    told: Positions,
    /// When the first entry was sent since the peer was last heard, or since the last new beginning.
    unheard_since: Option<u64>,
    /// When the first entry was sent so long after `unheard_since` that a new beginning must have come with it at the
    /// latest.
    next_sent_at: Option<u64>,
    /// When the peer last answered that it could not store something.
    refused_at: Option<u64>,
    /// New beginnings since the peer was last heard.
    unanswered: u32,
    /// Until when one more new beginning is allowed: the peer's last answer may have come too late for the entries
    /// that it did not cover.
    pending_until: Option<u64>,
    /// Attempts: messages that ask for an answer and may belong to another attempt, and the time of the last.
    attempts: u32,
    attempted_at: u64,
    /// True if a program has asked for another attempt.
    is_wanted_again: bool,
    /// The summary in the peer's last END, and how often in a row it came.
    end: (Summary, u32),
    /// The summary in the node's own last END.
    own_end: Option<Summary>,
    /// When the node last asked for a reconciliation, unless both have sent equal summaries since.
    asked_at: Option<u64>,
    /// When the last message of a reconciliation came: if it is late, it may belong to one that was begun anew, which
    /// is then asked for again.
    last_words_at: Option<u64>,
}

impl Waiting {
    /// Records a message that the node sends.
    pub(super) fn said(&mut self, feed: &Feed, at: u64) {
        self.count_attempt(feed, at);
        match feed {
            Feed::Batch(batch) if batch.to > 0 => {
                self.sent(batch.stream, (batch.from, batch.to), at);
            }
            Feed::Large(large) if large.to > 0 => {
                self.sent(large.stream, (large.from, large.to), at);
            }
            Feed::Chunk(chunk) if chunk.bytes.is_empty() => {
                // The value was replaced in the middle: the feed goes on from the announced place.
                self.begin_anew();
            }
            Feed::Chunk(_) => self.since = self.since.map(|_| at),
            Feed::End(end) => {
                self.since = None;
                // An END moves a cursor, and has to be answered like entries.
                self.sent_at.get_or_insert(at);
                if self.told.furthest(end.positions) != self.told {
                    self.told = self.told.furthest(end.positions);
                    self.wants_answer(at);
                }
                self.own_end = Some(end.summary);
                self.end_repair();
            }
            Feed::Ranges(_) => self.begin_anew(),
            Feed::Ack(ack) if ack.reconcile => self.begin_anew(),
            _ => {}
        }
    }

    /// Counts an attempt: between two attempts nothing is sent for a while.
    fn count_attempt(&mut self, feed: &Feed, at: u64) {
        if matches!(feed, Feed::Ack(_) | Feed::Nack(_) | Feed::Have(_)) {
            return;
        }
        if self.attempts == 0 || at >= self.attempted_at + DELAY_MS {
            self.attempts += 1;
        }
        self.attempted_at = at;
    }

    /// Rule 6: the node gives up, which it may only after it has sent everything once, and again `retries_max` times.
    /// Returns the furthest position sent.
    pub(super) fn given_up(&self, retries_max: u32) -> u64 {
        assert!(
            self.attempts > retries_max,
            "6: a node gives up on a peer after {} attempts",
            self.attempts
        );
        self.furthest.own
    }

    /// Forgets the request for a repair once both have sent the same summary: the next difference is a new one.
    fn end_repair(&mut self) {
        self.asked_at = self.asked_at.filter(|_| self.own_end != Some(self.end.0));
    }

    /// Forgets everything sent before a new beginning.
    fn begin_anew(&mut self) {
        (self.since, self.sent_at, self.refused_at) = (None, None, None);
        (self.unheard_since, self.next_sent_at) = (None, None);
        (self.furthest, self.told) = Default::default();
        (self.unanswered, self.pending_until) = (0, None);
    }

    /// Records a message that the peer has to answer.
    fn wants_answer(&mut self, at: u64) {
        let unheard_since = *self.unheard_since.get_or_insert(at);
        if at >= unheard_since + AGAIN_MS {
            self.next_sent_at.get_or_insert(at);
        }
    }

    /// Rule 6: entries are sent again only after a while without an answer, or after the peer could not store them.
    fn sent(&mut self, stream: Stream, (from, to): (u64, u64), at: u64) {
        let is_again = from < self.furthest.get(stream) && from != to;
        let doubled = (DELAY_MS << self.unanswered.min(8)).min(DELAY_MS_MAX);
        let is_late = |since: Option<u64>, ms| since.is_some_and(|since| at >= since + ms);
        assert!(
            !is_again
                || self.is_wanted_again
                || is_late(self.sent_at, AGAIN_MS + doubled - DELAY_MS)
                || is_late(self.refused_at, DELAY_MS),
            "6: what was sent at {:?} and refused at {:?} is sent again, and was so {} times",
            self.sent_at,
            self.refused_at,
            self.unanswered
        );
        self.wants_answer(at);
        if is_again {
            // After an answer that came within the delay, attempts are counted from there: the delay is waited for,
            // and the next sending is the first of the new count.
            let was_pending = self.pending_until.take().is_some_and(|until| at <= until);
            self.unanswered += u32::from(!was_pending);
            // Both streams have gone back, and the other one may have gone on first, with something new.
            (self.furthest, self.sent_at) = (Positions::default(), self.next_sent_at.take());
            self.unheard_since = self.sent_at.or(Some(at));
        }
        let furthest = self.furthest.get_mut(stream);
        *furthest = to.max(*furthest);
        self.sent_at.get_or_insert(at);
        self.since = Some(at);
    }

    /// Records an acknowledgement that covers less than the peer has to answer for by now.
    fn see_late_answer(&mut self, feed: &Feed, at: u64) {
        let Feed::Ack(ack) = feed else { return };
        let told = self.furthest.furthest(self.told);
        let holds_all = |cursor: Cursor| cursor.positions.furthest(told) == cursor.positions;
        let is_late = self.sent_at.is_some_and(|sent| at >= sent + OWED_MS);
        let is_pending = is_late && !ack.cursor.is_some_and(holds_all);
        self.pending_until = is_pending.then_some(at + PAUSE_MS_MAX);
    }

    /// Records a message that the node receives. `held`: the state that it holds, which it may not have sent yet.
    pub(super) fn heard(&mut self, feed: &Feed, held: Option<Summary>, at: u64) {
        match feed {
            Feed::Nack(nack) if nack.retryable => {
                // Entries sent before the first refusal may be refused in several parts. Until something else is sent,
                // the delay goes on from the first.
                let is_known = |refused: &u64| self.attempted_at <= *refused;
                self.refused_at = self.refused_at.filter(is_known).or(Some(at));
                (self.unheard_since, self.next_sent_at) = (None, None);
                self.unanswered = 0;
            }
            Feed::Ack(ack) if ack.cursor.is_none() || ack.reconcile => self.begin_anew(),
            Feed::Ranges(ranges) => {
                self.last_words_at = ranges.parts.is_empty().then_some(at);
                self.begin_anew();
            }
            Feed::Ack(_) | Feed::Nack(_) => {
                self.see_late_answer(feed, at);
                (self.since, self.unheard_since, self.next_sent_at) = (None, None, None);
                self.unanswered = 0;
            }
            Feed::End(end) => {
                let before = if end.summary == self.end.0 {
                    self.end.1
                } else {
                    0
                };
                self.end = (end.summary, before + 1);
                self.end_repair();
                // The other side need not hear that the states are equal when its END arrives.
                self.asked_at = self.asked_at.filter(|_| held != Some(end.summary));
            }
            _ => {}
        }
    }
}

impl World<'_> {
    /// Records that a program asks for failed rows to be retried at once.
    pub(super) fn wants_again(&mut self, node: usize) {
        let ends = self.lines.values_mut().flat_map(|line| &mut line.ends);
        for end in ends.filter(|end| end.node == node) {
            end.seen.waiting.is_wanted_again = true;
        }
    }

    /// Records that a node leaves because the peer acknowledges nothing.
    pub(super) fn see_giving_up(&mut self, node: usize, id: ConversationId) {
        let retries_max = self.nodes[node].plan.options.max_retries;
        if let Some(end) = self.end_mut(id) {
            let reached = end.seen.waiting.given_up(retries_max);
            self.nodes[node].up_mut().given_up = Some(reached);
        }
    }

    /// Rule 6: rows sent to a given-up peer count as failed, unless another peer may acknowledge them.
    pub(super) fn check_given_up(&mut self, node: usize) {
        let Some(reached) = self.nodes[node].up_mut().given_up.take() else {
            return;
        };
        let running = self.nodes[node].up();
        let (replica, map) = (&running.machine.replica, &running.store.map);
        let has_others = !replica.acknowledged_links().is_empty();
        if has_others || self.has_prefixes || self.nodes[node].is_hurt || map.base_unknown() > 0 {
            return;
        }
        let rows = map
            .own_rows(replica.watermarks().acknowledged, reached)
            .unwrap();
        let counts = replica.rows(map);
        assert!(
            counts.failed >= rows,
            "6: {node} has given up on a peer with {rows} writes up to {reached}, and shows {counts:?}"
        );
    }

    /// Rule 6: a node that is not answered sends again after a while.
    pub(super) fn check_answered(&self) {
        let ends = self.lines.values().flat_map(|line| &line.ends);
        for end in ends.filter(|end| end.state == State::Open) {
            let Some(since) = end.seen.waiting.since else {
                continue;
            };
            let node = &self.nodes[end.node];
            let may_send = end.seen.spent < end.seen.granted && !node.is_hurt;
            assert!(
                !may_send || node.running.is_none() || self.at <= since + ANSWER_MS + 1_000,
                "6: {} has sent on {} at {since}, is not answered, and does not send again",
                end.node,
                end.id
            );
        }
    }

    /// Rule 3: only a node that has met the peer before, on this connection, asks for a reconciliation.
    pub(super) fn check_asked(&mut self, node: usize, id: ConversationId, ack: &Ack) {
        let at = self.at;
        let Some(end) = self.end_mut(id) else { return };
        let is_first = end.seen.is_void_told.is_none();
        if is_first || !ack.reconcile {
            return;
        }
        let waiting = &mut end.seen.waiting;
        if waiting.last_words_at == Some(at) {
            return;
        }
        let told = waiting.end.1;
        assert!(
            told >= 2,
            "3: {node} wants to reconcile on {id}, where it was told {told} times of a state that differs"
        );
        let before = waiting.asked_at.replace(at);
        assert!(
            before.is_none_or(|before| at >= before + REPAIR_MS),
            "3: {node} wants to reconcile on {id}, and wanted so at {before:?}"
        );
    }
}
