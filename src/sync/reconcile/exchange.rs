//! One reconciliation, as one side sees it. The sides take turns. A turn answers the parts of the peer's message in key
//! order: what is equal is settled, what is unequal is split or, if it is little, listed; what the peer lacks or holds
//! smaller goes out before the answer does, and the answer asks for what is lacking here. An answer has a limit: what is
//! behind it is summed up as one part, to be looked at again. So neither side keeps more than one message.
//!
//! Who has nothing to say any more, and has made durable all that it was sent, says nothing; that is answered alike, and
//! then it is over. Whoever hears nothing knows that all it sent is durable at the peer.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::gathering::Gathered;
use super::outcome::Outcome;
use super::reply::Reply;
use super::view::{View, end_of};
use crate::core::rules::{Rule, is_broken};
use crate::store::entry::{Entry, Summary};
use crate::store::error::StoreError;
use crate::store::range_sums::REPLICATED_END;
use crate::store::totals::is_user;
use crate::sync::message::{Claim, Listed, Part, Positions, Ranges};

/// Into how many ranges an unequal one is split at the most: more take fewer turns, and tell more sums of ranges that are
/// equal. A million entries are at lists after three splits.
const SPLIT_INTO_MAX: u64 = 32;

/// Entries of a range that is not worth another split.
const SPLIT_DOWN_TO: u64 = 16;

/// Entries of a range that are listed rather than split: about as many bytes as the sums of a split.
const LISTED: u64 = 32;

/// Turns that are granted before it counts how much there was to do.
const STEPS_MIN: u64 = 64;

/// What a side wants done in its turn.
#[derive(Debug)]
pub(super) enum Act {
    /// It waits.
    Nothing,
    /// Send these; those with the local sequences behind them are larger than the peer takes.
    Send(Vec<Entry>, Vec<u64>),
    /// Send the entry at this local sequence, whose value goes in chunks.
    Large(u64),
    /// Say this; the turn is over.
    Say(Ranges),
}

impl Act {
    /// Whether something stays here that the peer lacks.
    fn has_withheld(&self) -> bool {
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
    step: u64,
    is_my_turn: bool,
    /// What is to be answered yet; the first of it begins at `lower`, and was begun there before it was interrupted.
    incoming: VecDeque<Part>,
    lower: Vec<u8>,
    is_interrupted: bool,
    /// What the peer holds greater of the part that is being answered.
    wants: Vec<Vec<u8>>,
    /// Keys of which the peer holds a lesser entry that was written apart: both sides have to meet the other's. So the
    /// peer's is asked for first, and the one from here follows in the next turn.
    owed: Vec<Vec<u8>>,
    /// Those of them that are due in this turn, and whether some went out.
    due: Vec<Vec<u8>>,
    has_paid: bool,
    /// Something that the peer lacks may not be sent to it.
    has_withheld: bool,
    reply: Reply,
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
            has_paid: false,
            has_withheld: false,
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

    /// Whether all that was sent is durable at the peer.
    pub(super) fn has_heard_nothing(&self) -> bool {
        self.has_heard_nothing && self.due.is_empty() && !self.has_paid
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
        if !self.is_my_turn {
            return Ok(Act::Nothing);
        }
        // What goes out in this turn goes together, whichever part of the message it answers.
        let mut gathered = Gathered::default();
        gathered.fetch(view, &mut self.due)?;
        self.has_paid |= !gathered.is_empty();
        let mut is_through = self.due.is_empty();
        while is_through && !gathered.is_full() {
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
                Claim::Sum(theirs) if theirs.count == 0 => {
                    // They have nothing there, so everything is for them.
                    part.claim = Claim::All;
                    continue;
                }
                Claim::Sum(theirs) => {
                    let theirs = *theirs;
                    self.answer_sum(view, theirs, &to)?;
                    true
                }
                Claim::List(listed) => {
                    let mut listed = std::mem::take(listed);
                    let is_through = self.gather(view, &mut listed, &to, &mut gathered)?;
                    if let Some(part) = self.incoming.front_mut() {
                        part.claim = Claim::List(listed);
                    }
                    is_through
                }
                Claim::All => self.gather(view, &mut Vec::new(), &to, &mut gathered)?,
                Claim::These(keys) => {
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
        }
        if !gathered.is_empty() {
            let act = gathered.into_act();
            self.has_withheld |= act.has_withheld();
            return Ok(act);
        }
        if std::mem::take(&mut self.has_paid) {
            // That the peer had nothing to say was before this: it has to say so again.
            self.has_heard_nothing = false;
            if self.reply.is_empty() {
                self.reply.say(&[], &REPLICATED_END, Claim::Settled);
            }
        }
        if std::mem::take(&mut self.has_withheld) && self.reply.is_empty() {
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

    /// What to say of a range of which the peer told the sum.
    fn answer_sum(
        &mut self,
        view: &View<'_>,
        theirs: Summary,
        to: &[u8],
    ) -> Result<(), StoreError> {
        let mine = view.sum(&self.lower, to)?;
        let is_as_many = mine.count == theirs.count && is_broken(Rule::RangeEqualByCount);
        if mine == theirs || is_as_many {
            return Ok(());
        }
        if mine.count == 0 {
            self.reply.say(&self.lower, to, Claim::All);
        } else if mine.count <= LISTED {
            let mut listed = Vec::new();
            let mut held_back = Vec::new();
            view.walk(&self.lower, to, |held| {
                if view.may_travel(&held) {
                    listed.push(Listed::of(&held.entry));
                } else {
                    held_back.push(held.into_owned());
                }
                ControlFlow::Continue(())
            })?;
            if self.step == 0 && !held_back.is_empty() {
                // By a list without them the peer would take both sides for equal.
                self.reply.say(&self.lower, to, Claim::Sum(mine));
                return Ok(());
            }
            for held in held_back {
                self.outcome.count_held_back(&held.entry);
            }
            self.reply.say(&self.lower, to, Claim::List(listed));
        } else if theirs.count <= LISTED {
            // Theirs is the shorter list.
            self.reply.say(&self.lower, to, Claim::Sum(mine));
        } else {
            let mut from = std::mem::take(&mut self.lower);
            let pieces = (mine.count / SPLIT_DOWN_TO).clamp(2, SPLIT_INTO_MAX);
            let pieces = usize::try_from(pieces).unwrap_or(2);
            for (end, sum) in view.split(&from, to, pieces)? {
                self.reply.say(&from, &end, Claim::Sum(sum));
                from = end;
            }
        }
        Ok(())
    }

    /// Goes through a range of which the peer has listed what it holds: gathers what it lacks or holds smaller, and notes
    /// what it holds greater. Says whether the range is through: if not, there is no place for more of it.
    fn gather(
        &mut self,
        view: &View<'_>,
        listed: &mut Vec<Listed>,
        to: &[u8],
        gathered: &mut Gathered,
    ) -> Result<bool, StoreError> {
        let (mut at, mut resume) = (0, None);
        let (wants, owed) = (&mut self.wants, &mut self.owed);
        let (outcome, has_withheld) = (&mut self.outcome, &mut self.has_withheld);
        view.walk(&self.lower, to, |held| {
            let key = held.entry.key();
            while let Some(theirs) = listed.get(at).filter(|theirs| &theirs.key[..] < key) {
                wants.push(theirs.key.clone());
                at += 1;
            }
            let theirs = listed.get(at).filter(|theirs| theirs.key == key);
            let order = theirs.map_or(Ordering::Less, |theirs| theirs.order(&held.entry));
            let is_passed_over = theirs.is_some() && order.is_lt();
            let is_passed_over = is_passed_over && is_broken(Rule::SmallerNotSent);
            let order = if is_passed_over {
                Ordering::Equal
            } else {
                order
            };
            let is_concurrent = is_user(&held.entry)
                && theirs.is_some_and(|theirs| theirs.is_concurrent_with(&held.entry))
                && !is_broken(Rule::LesserNotExchanged);
            if (is_concurrent || order.is_lt()) && !view.may_travel(&held) {
                *has_withheld = true;
                outcome.count_held_back(&held.entry);
            }
            if is_concurrent && order.is_lt() {
                wants.push(key.to_vec());
                owed.extend(view.may_travel(&held).then(|| key.to_vec()));
            } else if (is_concurrent || order.is_lt()) && view.may_travel(&held) {
                let fits = gathered.add(&held.entry, held.lseq, view.value_bytes_max);
                if !fits {
                    resume = Some(key.to_vec());
                    return ControlFlow::Break(());
                }
            }
            at += usize::from(theirs.is_some());
            if order.is_gt() {
                wants.push(key.to_vec());
            }
            if gathered.is_full() {
                // The next key there is.
                resume = Some([key, &[0]].concat());
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        let rest = listed.split_off(at.min(listed.len()));
        *listed = rest;
        if let Some(resume) = resume {
            self.lower = resume;
            return Ok(false);
        }
        wants.extend(listed.drain(..).map(|theirs| theirs.key));
        Ok(true)
    }
}
