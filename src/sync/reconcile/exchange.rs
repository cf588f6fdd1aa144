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

use super::driving::Outcome;
use super::reply::Reply;
use super::view::{View, end_of};
use crate::core::limits::CHUNK_BYTES_MAX;
use crate::store::entry::{Entry, Summary};
use crate::store::error::StoreError;
use crate::store::range_sums::REPLICATED_END;
use crate::sync::message::{Claim, Listed, Part, Positions, Ranges};
use crate::sync::options::BATCH_COST;
use crate::sync::send::entry_cost;

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

/// Entries that were gathered for the peer.
#[derive(Default)]
struct Gathered {
    entries: Vec<Entry>,
    cost: u64,
    too_large: Vec<u64>,
    large: Option<u64>,
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
    step: u64,
    is_my_turn: bool,
    /// What is to be answered yet; the first of it begins at `lower`, and was begun there before it was interrupted.
    incoming: VecDeque<Part>,
    lower: Vec<u8>,
    is_interrupted: bool,
    /// What the peer holds greater of the part that is being answered.
    wants: Vec<Vec<u8>>,
    reply: Reply,
    has_said_nothing: bool,
    has_heard_nothing: bool,
}

impl Exchange {
    fn new(number: u64, start: Positions, count: u64, step: u64, incoming: Vec<Part>) -> Self {
        Self {
            number,
            start,
            outcome: Outcome::default(),
            count,
            step,
            is_my_turn: true,
            incoming: incoming.into(),
            lower: Vec::new(),
            is_interrupted: false,
            wants: Vec::new(),
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

    /// So many entries came from the peer.
    pub(in crate::sync) fn count_received(&mut self, entries: usize) {
        self.outcome.received += entries as u64;
    }

    /// Whether it is this side's turn.
    pub(super) fn is_my_turn(&self) -> bool {
        self.is_my_turn
    }

    /// Whether all that was sent is durable at the peer.
    pub(super) fn has_heard_nothing(&self) -> bool {
        self.has_heard_nothing
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
        let entries = self.count.saturating_add(self.outcome.received);
        if ranges.step > STEPS_MIN.saturating_add(entries / LISTED) {
            return Err("a reconciliation without an end");
        }
        self.step = ranges.step;
        self.has_heard_nothing = ranges.parts.is_empty();
        self.is_my_turn = !(self.has_heard_nothing && self.has_said_nothing);
        self.incoming = ranges.parts.into();
        self.lower.clear();
        Ok(())
    }

    /// Goes on with this side's turn up to the next thing that has to be done. `is_settled` says that all that came from
    /// the peer is durable here.
    pub(super) fn advance(&mut self, view: &View<'_>, is_settled: bool) -> Result<Act, StoreError> {
        if !self.is_my_turn {
            return Ok(Act::Nothing);
        }
        while let Some(part) = self.incoming.front_mut() {
            if self.reply.is_full() && !self.is_interrupted {
                let rest = view.sum(&self.lower, &REPLICATED_END)?;
                self.reply
                    .say(&self.lower, &REPLICATED_END, Claim::Sum(rest));
                self.incoming.clear();
                break;
            }
            let to = end_of(&part.to).to_vec();
            let act = match &mut part.claim {
                Claim::Settled => None,
                Claim::Sum(theirs) if theirs.count == 0 => {
                    // They have nothing there, so everything is for them.
                    part.claim = Claim::All;
                    continue;
                }
                Claim::Sum(theirs) => {
                    let theirs = *theirs;
                    self.answer_sum(view, theirs, &to)?;
                    None
                }
                Claim::List(listed) => {
                    let mut listed = std::mem::take(listed);
                    let act = self.gather(view, &mut listed, &to)?;
                    if let Some(part) = self.incoming.front_mut() {
                        part.claim = Claim::List(listed);
                    }
                    act
                }
                Claim::All => self.gather(view, &mut Vec::new(), &to)?,
                Claim::These(keys) => {
                    let mut keys = std::mem::take(keys);
                    let act = fetch(view, &mut keys)?;
                    self.is_interrupted = act.is_some();
                    part.claim = Claim::These(keys);
                    act
                }
            };
            if let Some(act) = act {
                if let Act::Send(entries, _) = &act {
                    self.outcome.sent += entries.len() as u64;
                }
                self.outcome.sent += u64::from(matches!(act, Act::Large(_)));
                return Ok(act);
            }
            if !self.wants.is_empty() {
                let keys = std::mem::take(&mut self.wants);
                self.reply.say(&[], &to, Claim::These(keys));
            }
            self.incoming.pop_front();
            self.lower = to;
        }
        if self.reply.is_empty() && !is_settled {
            return Ok(Act::Nothing);
        }
        self.step += 1;
        self.is_my_turn = false;
        let parts = self.reply.take();
        self.has_said_nothing = parts.is_empty();
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
        if mine == theirs {
            return Ok(());
        }
        if mine.count == 0 {
            self.reply.say(&self.lower, to, Claim::All);
        } else if mine.count <= LISTED {
            let mut listed = Vec::new();
            view.walk(&self.lower, to, |held| {
                if view.may_travel(&held) {
                    listed.push(Listed::of(&held.entry));
                }
                ControlFlow::Continue(())
            })?;
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
    /// what it holds greater. `None` once the range is through.
    fn gather(
        &mut self,
        view: &View<'_>,
        listed: &mut Vec<Listed>,
        to: &[u8],
    ) -> Result<Option<Act>, StoreError> {
        let mut gathered = Gathered::default();
        let (mut at, mut resume) = (0, None);
        let wants = &mut self.wants;
        view.walk(&self.lower, to, |held| {
            let key = held.entry.key();
            while let Some(theirs) = listed.get(at).filter(|theirs| &theirs.key[..] < key) {
                wants.push(theirs.key.clone());
                at += 1;
            }
            let theirs = listed.get(at).filter(|theirs| theirs.key == key);
            let order = theirs.map_or(Ordering::Less, |theirs| theirs.order(&held.entry));
            if order.is_lt() && view.may_travel(&held) {
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
        self.is_interrupted = resume.is_some();
        if let Some(resume) = resume {
            self.lower = resume;
            return Ok(Some(gathered.into_act()));
        }
        wants.extend(listed.drain(..).map(|theirs| theirs.key));
        if gathered.is_empty() {
            return Ok(None);
        }
        // What is left of it is nothing, and takes another look to end it.
        self.is_interrupted = true;
        to.clone_into(&mut self.lower);
        Ok(Some(gathered.into_act()))
    }
}

/// Gathers the entries that the peer asked for. `None` once there are no more.
fn fetch(view: &View<'_>, keys: &mut Vec<Vec<u8>>) -> Result<Option<Act>, StoreError> {
    let mut gathered = Gathered::default();
    let mut at = 0;
    while let Some(key) = keys.get(at).filter(|_| !gathered.is_full()) {
        if let Some(held) = view.get(key)?.filter(|held| view.may_travel(held))
            && !gathered.add(&held.entry, held.lseq, view.value_bytes_max)
        {
            break;
        }
        at += 1;
    }
    keys.drain(..at);
    Ok((!gathered.is_empty()).then(|| gathered.into_act()))
}

impl Gathered {
    /// Adds an entry, unless its value goes in chunks and others have to go before it.
    fn add(&mut self, entry: &Entry, lseq: u64, value_bytes_max: u64) -> bool {
        if entry.value_length() as u64 > value_bytes_max {
            self.too_large.push(lseq);
        } else if entry.value_length() <= CHUNK_BYTES_MAX {
            self.cost += entry_cost(entry);
            self.entries.push(entry.clone());
        } else if self.is_empty() {
            self.large = Some(lseq);
        } else {
            return false;
        }
        true
    }

    fn is_full(&self) -> bool {
        self.large.is_some() || self.cost >= BATCH_COST || self.too_large.len() >= 1024
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.too_large.is_empty() && self.large.is_none()
    }

    fn into_act(self) -> Act {
        match self.large {
            Some(lseq) => Act::Large(lseq),
            None => Act::Send(self.entries, self.too_large),
        }
    }
}
