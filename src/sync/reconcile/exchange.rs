//! One side of a range-based set reconciliation (Meyer 2022). The sides take turns. A turn answers the parts of the
//! peer's message in key order: equal ranges are settled, unequal ones are split or, if they are short, listed; entries
//! that the peer holds older are sent before the answer, and the answer asks for those that are lacking here. Ranges of
//! which the peer has nothing follow the answer, so that both sides send at once. An answer has a limit: everything
//! after it is summed up as one part, to be answered in a later turn. So neither side keeps more than one message, and
//! the ranges that follow.
//!
//! A side sends an empty message once it has nothing to ask or to send, and all that it received is durable. The
//! exchange is over when an empty message answers an empty one. An empty message also acknowledges: everything that its
//! receiver had sent before its own last message is durable at the sender.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::answering::LISTED;
use super::gathering::Gathered;
use super::outcome::Outcome;
use super::removals::Removals;
use super::reply::Reply;
use super::trailing::Trailing;
use super::view::{View, end_of};
use crate::store::entry::REPLICATED_END;
use crate::store::entry::{Entry, Summary};
use crate::store::error::StoreError;
use crate::sync::message::{Claim, Part, Positions, Ranges};

/// Turns that are allowed whatever the number of entries.
const STEPS_MIN: u64 = 64;

/// Parts of a message that are answered at once; each is a sum or a list, and may be split into as many as thirty-two:
/// some hundred microseconds together. Other work has its turn between such pieces.
const ANSWERED_AT_ONCE: usize = 64;

/// Next action of a side.
#[derive(Debug)]
pub(super) enum Act {
    /// Wait for the peer.
    Nothing,
    /// Go on later: there is more to answer, once other work has had its turn.
    Pause,
    /// Send these entries; the local sequence numbers name entries that are larger than the peer takes.
    Send(Vec<Entry>, Vec<u64>),
    /// Send the entry at this local sequence number, whose value goes in chunks.
    Large(u64),
    /// Send this message; the turn is over.
    Say(Ranges),
}

impl Act {
    /// True if entries that the peer lacks are not sent because they are too large for it.
    fn has_held_back(&self) -> bool {
        matches!(self, Self::Send(_, too_large) if !too_large.is_empty())
    }
}

/// State of one side of a reconciliation.
#[derive(Debug, Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
pub(in crate::sync) struct Exchange {
    /// Number of the exchange on its connection.
    pub(super) number: u64,
    /// Positions up to which this exchange covers this node's feed.
    pub(super) start: Positions,
    /// Entries that have travelled, and those that could not.
    pub(super) outcome: Outcome,
    /// Number of entries here when it began.
    count: u64,
    /// Number of entries received.
    received: u64,
    pub(super) step: u64,
    is_my_turn: bool,
    /// Parts of the peer's message that are not answered yet; the first begins at `lower`, where its answer was
    /// interrupted.
    pub(super) incoming: VecDeque<Part>,
    pub(super) lower: Vec<u8>,
    is_interrupted: bool,
    /// Keys of which the peer holds a greater entry, in the part that is being answered.
    pub(super) wants: Vec<Vec<u8>>,
    /// Keys of which the peer holds a lesser, concurrent entry: both sides have to meet the other's. So the peer's is
    /// asked for first, and this side's is sent in the next turn.
    pub(super) owed: Vec<Vec<u8>>,
    /// The owed keys whose entries are to be sent in this turn.
    due: Vec<Vec<u8>>,
    /// Ranges of which the peer has nothing, to be sent after the answer.
    pub(super) trailing: Trailing,
    /// Keys of removed siblings. The removals are sent last: the entry that settled the conflict must not come after
    /// them.
    pub(super) removals: Removals,
    /// True if entries were sent since this side spoke last: the peer may have spoken before they came.
    has_sent: bool,
    /// True if an entry that the peer lacks may not be sent to it.
    pub(super) has_held_back: bool,
    pub(super) reply: Reply,
    has_said_nothing: bool,
    has_heard_nothing: bool,
}

impl Exchange {
    fn new(number: u64, start: Positions, count: u64, step: u64, incoming: Vec<Part>) -> Self {
        Self {
            number,
            start,
            outcome: Outcome {
                compared: count,
                ..Outcome::default()
            },
            count,
            received: 0,
            step,
            is_my_turn: true,
            incoming: incoming.into(),
            lower: Vec::new(),
            is_interrupted: false,
            wants: Vec::new(),
            owed: Vec::new(),
            due: Vec::new(),
            trailing: Trailing::default(),
            removals: Removals::default(),
            has_sent: false,
            has_held_back: false,
            reply: Reply::default(),
            has_said_nothing: false,
            has_heard_nothing: false,
        }
    }

    /// An exchange opened by this side. `start`: positions up to which it will cover this node's feed; `count`: number
    /// of entries here.
    pub(super) fn opening(number: u64, start: Positions, count: u64) -> Self {
        // It begins as if the peer had sent a sum of all keys that equals nothing.
        let other = Summary {
            count: u64::MAX,
            fingerprint: 0,
        };
        let everything = Part {
            to: Vec::new(),
            claim: Claim::Sum(other),
        };
        Self::new(number, start, count, 0, vec![everything])
    }

    /// An exchange opened by the peer.
    pub(super) fn answering(opening: Ranges, start: Positions, count: u64) -> Self {
        let mut exchange = Self::new(opening.exchange, start, count, opening.step, opening.parts);
        exchange.has_heard_nothing = exchange.incoming.is_empty();
        exchange
    }

    /// Counts entries received from the peer. `is_news`: true for an entry that was not held here, nor a later one of
    /// its key.
    pub(in crate::sync) fn count_received(
        &mut self,
        entries: &[Entry],
        is_news: impl Fn(&Entry) -> bool,
    ) {
        self.received += entries.len() as u64;
        for entry in entries.iter().filter(|entry| is_news(entry)) {
            self.outcome.count_received(entry);
        }
    }

    /// True if it is this side's turn.
    pub(super) fn is_my_turn(&self) -> bool {
        self.is_my_turn
    }

    /// True if there are trailing ranges to send, even in the peer's turn.
    pub(super) fn is_trailing(&self) -> bool {
        !self.trailing.is_empty()
    }

    /// True if the next answer needs range sums, for which recent changes have to be added up first.
    pub(super) fn looks_at_sums(&self) -> bool {
        let is_looked_at = |part: &Part| !matches!(part.claim, Claim::Settled | Claim::These(_));
        self.is_my_turn && self.incoming.iter().any(is_looked_at)
    }

    /// True if everything that was sent is durable at the peer.
    pub(super) fn has_heard_nothing(&self) -> bool {
        let is_all_sent =
            self.due.is_empty() && self.trailing.is_empty() && self.removals.is_empty();
        self.has_heard_nothing && is_all_sent && !self.has_sent
    }

    /// True if nothing is open on either side.
    pub(super) fn is_over(&self) -> bool {
        self.has_said_nothing && self.has_heard_nothing && !self.is_my_turn
    }

    /// Takes in the message that ends the peer's turn. Fails if it is out of turn, or if the exchange has taken too
    /// many turns.
    pub(super) fn hear(&mut self, ranges: Ranges) -> Result<(), &'static str> {
        if self.is_my_turn || ranges.step != self.step + 1 {
            return Err("a reconciliation out of turn");
        }
        // Every entry can be listed about once, and received entries once more.
        let entries = self.count.saturating_add(self.received);
        if ranges.step > STEPS_MIN.saturating_add(entries / LISTED) {
            return Err("a reconciliation without an end");
        }
        self.step = ranges.step;
        self.has_heard_nothing = ranges.parts.is_empty();
        self.outcome.is_unequal |= !self.has_heard_nothing;
        self.is_my_turn = !(self.has_heard_nothing && self.has_said_nothing);
        self.incoming = ranges.parts.into();
        self.lower.clear();
        self.due = std::mem::take(&mut self.owed);
        Ok(())
    }

    /// Goes on with this side's turn up to the next action. `is_settled`: everything that came from the peer is
    /// durable here.
    pub(super) fn advance(&mut self, view: &View<'_>, is_settled: bool) -> Result<Act, StoreError> {
        // Entries sent in one turn share their messages, whichever part of the peer's message they answer.
        let mut gathered = Gathered::default();
        if !self.is_my_turn || self.trailing.is_full() {
            self.trail(view, &mut gathered)?;
            if !gathered.is_empty() || gathered.is_full() || !self.is_my_turn {
                return Ok(self.send(gathered));
            }
        }
        if self.answer(view, &mut gathered)?.is_break() {
            return Ok(Act::Pause);
        }
        if self.reply.is_empty() && self.incoming.is_empty() && self.due.is_empty() {
            // The peer waits for no answer, so the trailing ranges are sent first.
            self.trail(view, &mut gathered)?;
            if self.trailing.is_empty() {
                let mut keys = self.removals.take();
                gathered.fetch(view, &mut keys)?;
                for key in &keys {
                    self.removals.note(key);
                }
            }
        }
        if !gathered.is_empty() || gathered.is_full() {
            return Ok(self.send(gathered));
        }
        if self.reply.is_empty() {
            self.removals.ask_again(view, &mut self.reply)?;
        }
        if std::mem::take(&mut self.has_sent) && self.has_heard_nothing {
            // The peer's empty message was sent before these entries came: it has to say so again.
            self.has_heard_nothing = false;
            if self.reply.is_empty() {
                self.reply.say(&[], &REPLICATED_END, Claim::Settled);
            }
        }
        if std::mem::take(&mut self.has_held_back) && self.reply.is_empty() {
            // An empty message would make the peer take both sides for equal.
            self.reply.say(&[], &REPLICATED_END, Claim::Settled);
        }
        if self.reply.is_empty() && !is_settled {
            return Ok(Act::Nothing);
        }
        self.step += 1;
        self.is_my_turn = false;
        let parts = self.reply.take();
        self.has_said_nothing = parts.is_empty();
        // The opening message claims that everything differs; only an answer shows a difference.
        self.outcome.is_unequal |= self.step > 1 && !self.has_said_nothing;
        Ok(Act::Say(Ranges {
            exchange: self.number,
            step: self.step,
            parts,
        }))
    }

    /// Answers the parts of the peer's message in key order until the reply or `gathered` is full. Breaks off after
    /// [`ANSWERED_AT_ONCE`] parts that sent nothing, so that a small message cannot hold the state for long.
    fn answer(
        &mut self,
        view: &View<'_>,
        gathered: &mut Gathered,
    ) -> Result<ControlFlow<()>, StoreError> {
        gathered.fetch(view, &mut self.due)?;
        let mut is_through = self.due.is_empty();
        let mut answered = 0;
        while is_through && !gathered.is_full() {
            if answered >= ANSWERED_AT_ONCE && gathered.is_empty() {
                return Ok(ControlFlow::Break(()));
            }
            let said = self.reply.len();
            let Some(part) = self.incoming.front_mut() else {
                break;
            };
            if self.reply.is_full() && !self.is_interrupted {
                let rest = view.sum(&self.lower, &REPLICATED_END)?;
                self.reply
                    .say(&self.lower, &REPLICATED_END, Claim::Sum(rest));
                self.incoming.clear();
                break;
            }
            let to = end_of(&part.to).to_vec();
            is_through = match &mut part.claim {
                Claim::Settled => true,
                // The peer has nothing in this range, so all of it is sent.
                Claim::All | Claim::Sum(Summary { count: 0, .. }) => {
                    self.trailing.add(&self.lower, &to);
                    true
                }
                Claim::Sum(theirs) => {
                    let theirs = *theirs;
                    self.answer_sum(view, theirs, &to)?;
                    true
                }
                Claim::List(listed) => {
                    let mut listed = std::mem::take(listed);
                    let is_through = self.gather(view, &mut listed, &to, gathered)?;
                    if let Some(part) = self.incoming.front_mut() {
                        part.claim = Claim::List(listed);
                    }
                    is_through
                }
                Claim::These(keys) => {
                    self.removals.put_off(view, keys)?;
                    gathered.fetch(view, keys)?;
                    keys.is_empty()
                }
            };
            self.is_interrupted = !is_through;
            if !is_through {
                break;
            }
            if !self.wants.is_empty() {
                let keys = std::mem::take(&mut self.wants);
                self.reply.say(&[], &to, Claim::These(keys));
            }
            self.incoming.pop_front();
            self.lower = to;
            answered += 1 + self.reply.len().saturating_sub(said);
        }
        Ok(ControlFlow::Continue(()))
    }

    fn trail(&mut self, view: &View<'_>, gathered: &mut Gathered) -> Result<(), StoreError> {
        let has_held_back = self.trailing.gather(view, gathered, &mut self.outcome)?;
        self.has_held_back |= has_held_back;
        Ok(())
    }

    fn send(&mut self, gathered: Gathered) -> Act {
        if gathered.is_empty() {
            return if gathered.is_full() {
                Act::Pause
            } else {
                Act::Nothing
            };
        }
        self.has_sent = true;
        let act = gathered.into_act();
        self.has_held_back |= act.has_held_back();
        act
    }
}
