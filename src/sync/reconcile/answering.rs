//! Answers of a range-based set reconciliation (Meyer 2022) to the peer's sums and lists.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::exchange::Exchange;
use super::gathering::Gathered;
use super::view::View;
use crate::core::rules::{Rule, is_broken};
use crate::store::conflict::policy::is_sibling_removal;
use crate::store::entry::Summary;
use crate::store::error::StoreError;
use crate::store::state::totals::is_user;
use crate::sync::message::{Claim, Listed};

/// Most ranges that an unequal range is split into: more take fewer turns, and send more sums of equal ranges. A
/// million entries come down to lists after three splits.
const SPLIT_INTO_MAX: u64 = 32;

/// Entries of a range that is not worth another split.
const SPLIT_DOWN_TO: u64 = 16;

/// Entries up to which a range is listed rather than split: about as many bytes as the sums of a split.
pub(super) const LISTED: u64 = 32;

impl Exchange {
    /// Answers a range of which the peer sent the sum: says nothing if the sums are equal, else lists the range or
    /// splits it.
    pub(super) fn answer_sum(
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
                // A list without them would make the peer take both sides for equal.
                self.reply.say(&self.lower, to, Claim::Sum(mine));
                return Ok(());
            }
            for held in held_back {
                self.outcome.count_held_back(&held.entry);
            }
            self.reply.say(&self.lower, to, Claim::List(listed));
        } else if theirs.count <= LISTED {
            // The peer's list is the shorter one.
            self.reply.say(&self.lower, to, Claim::Sum(mine));
        } else if is_broken(Rule::RangeSentWhole) {
            self.trailing.add(&self.lower, to);
            self.reply.say(&self.lower, to, Claim::All);
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

    /// Processes a range that the peer has listed: gathers entries that the peer lacks or holds older, and notes keys
    /// of which it holds greater ones. Returns true if the range is done; false if the message is full, and `lower` is
    /// where to resume.
    pub(super) fn gather(
        &mut self,
        view: &View<'_>,
        listed: &mut Vec<Listed>,
        to: &[u8],
        gathered: &mut Gathered,
    ) -> Result<bool, StoreError> {
        let (mut at, mut resume) = (0, None);
        let (wants, owed) = (&mut self.wants, &mut self.owed);
        let (outcome, has_held_back) = (&mut self.outcome, &mut self.has_held_back);
        let removals = &mut self.removals;
        view.walk(&self.lower, to, |held| {
            let key = held.entry.key();
            gathered.look();
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
                && theirs.is_some_and(|theirs| {
                    theirs.is_concurrent_with(&held.entry, view.map.lineage())
                })
                && !is_broken(Rule::LesserNotExchanged);
            if (is_concurrent || order.is_lt()) && !view.may_travel(&held) {
                *has_held_back = true;
                outcome.count_held_back(&held.entry);
            }
            if is_concurrent && order.is_lt() {
                wants.push(key.to_vec());
                owed.extend(view.may_travel(&held).then(|| key.to_vec()));
            } else if order.is_lt() && is_sibling_removal(&held.entry) && view.may_travel(&held) {
                removals.note(key);
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
                // Resume at the next possible key.
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
