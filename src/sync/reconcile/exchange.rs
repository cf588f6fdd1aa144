//! One reconciliation, as one side sees it. The sides take turns. A turn answers the parts of the peer's message in key
//! order: what is equal is settled, what is unequal is split or, if it is little, listed; what the peer holds smaller goes
//! out before the answer does, and the answer asks for what is lacking here. What the peer has nothing of follows behind the
//! answer, so that both sides send at once. An answer has a limit: what is behind it is summed up as one part, to be looked
//! at again. So neither side keeps more than one message, and the ranges that follow.
//!
//! Who has nothing to say any more, and has made durable all that it was sent, says nothing; that is answered alike, and
//! then it is over. Whoever hears nothing knows that all it sent before it spoke last is durable at the peer.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::answering::LISTED;
use super::gathering::Gathered;
use super::outcome::Outcome;
use super::removals::Removals;
use super::reply::Reply;
use super::trailing::Trailing;
use super::view::{View, end_of};
use crate::store::entry::{Entry, Summary};
use crate::store::error::StoreError;
use crate::store::state::range_sums::REPLICATED_END;
use crate::sync::message::{Claim, Part, Positions, Ranges};

/// Turns that are granted before it counts how much there was to do.
const STEPS_MIN: u64 = 64;

/// Parts of a message that are answered at once, each of them a sum or a list, and may be split into as many as
/// thirty-two: some hundred microseconds together. Between such pieces others have their turn.
const ANSWERED_AT_ONCE: usize = 64;

/// What a side wants done in its turn.
#[derive(Debug)]
pub(super) enum Act {
    /// It waits.
    Nothing,
    /// There is more to be looked at, once others have had their turn.
    Pause,
    /// Send these; those with the local sequences behind them are larger than the peer takes.
    Send(Vec<Entry>, Vec<u64>),
    /// Send the entry at this local sequence, whose value goes in chunks.
    Large(u64),
    /// Say this; the turn is over.
    Say(Ranges),
}

impl Act {
    /// Whether something stays here that the peer lacks.
    fn has_held_back(&self) -> bool {
        matches!(self, Self::Send(_, too_large) if !too_large.is_empty())
    }
}

/// One reconciliation.
#[derive(Debug, Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
pub(in crate::sync) struct Exchange {
    /// Which one.
    pub(super) number: u64,
    /// How far this node's feed is covered by it.
    pub(super) start: Positions,
    /// What has travelled.
    pub(super) outcome: Outcome,
    /// Entries here when it began.
    count: u64,
    /// Entries that came.
    received: u64,
    pub(super) step: u64,
    is_my_turn: bool,
    /// What is to be answered yet; the first of it begins at `lower`, and was begun there before it was interrupted.
    pub(super) incoming: VecDeque<Part>,
    pub(super) lower: Vec<u8>,
    is_interrupted: bool,
    /// What the peer holds greater of the part that is being answered.
    pub(super) wants: Vec<Vec<u8>>,
    /// Keys of which the peer holds a lesser entry that was written apart: both sides have to meet the other's. So the
    /// peer's is asked for first, and the one from here follows in the next turn.
    pub(super) owed: Vec<Vec<u8>>,
    /// Those of them that are due in this turn.
    due: Vec<Vec<u8>>,
    /// What follows behind the answer.
    pub(super) trailing: Trailing,
    /// Keys of siblings that were removed. The removal goes out last: what settled them must not come behind it.
    pub(super) removals: Removals,
    /// Entries went out since this side spoke last: what the peer says may have been said before they came.
    has_sent: bool,
    /// Something that the peer lacks may not be sent to it.
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

    /// Opened from here. `start` is how far this node's feed will be covered, `count` how many entries it holds.
    pub(super) fn opening(number: u64, start: Positions, count: u64) -> Self {
        // As if the peer had said of everything what nothing is equal to.
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

    /// Opened by the peer.
    pub(super) fn answering(opening: Ranges, start: Positions, count: u64) -> Self {
        let mut exchange = Self::new(opening.exchange, start, count, opening.step, opening.parts);
        exchange.has_heard_nothing = exchange.incoming.is_empty();
        exchange
    }

    /// Entries came from the peer; `is_news` says which of them were not held here in that state or a later one.
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

    /// Whether it is this side's turn.
    pub(super) fn is_my_turn(&self) -> bool {
        self.is_my_turn
    }

    /// Whether there is something to send, whoever's turn it is.
    pub(super) fn is_trailing(&self) -> bool {
        !self.trailing.is_empty()
    }

    /// Whether what changed has to be taken in, and added up, before it is advanced.
    pub(super) fn looks_at_sums(&self) -> bool {
        let is_looked_at = |part: &Part| !matches!(part.claim, Claim::Settled | Claim::These(_));
        self.is_my_turn && self.incoming.iter().any(is_looked_at)
    }

    /// Whether all that was sent is durable at the peer.
    pub(super) fn has_heard_nothing(&self) -> bool {
        let is_all_sent =
            self.due.is_empty() && self.trailing.is_empty() && self.removals.is_empty();
        self.has_heard_nothing && is_all_sent && !self.has_sent
    }

    /// Whether nothing is open on either side.
    pub(super) fn is_over(&self) -> bool {
        self.has_said_nothing && self.has_heard_nothing && !self.is_my_turn
    }

    /// The peer's turn is over.
    pub(super) fn hear(&mut self, ranges: Ranges) -> Result<(), &'static str> {
        if self.is_my_turn || ranges.step != self.step + 1 {
            return Err("a reconciliation out of turn");
        }
        // All that can be different was listed at least once, and what was received may have to be again.
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

    /// Goes on with this side's turn up to the next thing that has to be done. `is_settled` says that all that came from
    /// the peer is durable here.
    pub(super) fn advance(&mut self, view: &View<'_>, is_settled: bool) -> Result<Act, StoreError> {
        // What goes out in this turn goes together, whichever part of the message it answers.
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
            // There is no answer for the peer to wait for.
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
            // That the peer had nothing to say was before this: it has to say so again.
            self.has_heard_nothing = false;
            if self.reply.is_empty() {
                self.reply.say(&[], &REPLICATED_END, Claim::Settled);
            }
        }
        if std::mem::take(&mut self.has_held_back) && self.reply.is_empty() {
            // By silence the peer would take both sides for equal.
            self.reply.say(&[], &REPLICATED_END, Claim::Settled);
        }
        if self.reply.is_empty() && !is_settled {
            return Ok(Act::Nothing);
        }
        self.step += 1;
        self.is_my_turn = false;
        let parts = self.reply.take();
        self.has_said_nothing = parts.is_empty();
        // Who opens claims that everything differs; only an answer knows.
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
                // They have nothing there, so everything is for them.
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
