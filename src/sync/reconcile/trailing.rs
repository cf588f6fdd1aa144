//! What follows behind an answer: all entries of ranges of which the peer has nothing.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::gathering::Gathered;
use super::outcome::Outcome;
use super::view::View;
use crate::store::error::StoreError;
use crate::sync::reconcile::ranges::PARTS_MAX;

/// Ranges that are to be sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Trailing {
    ranges: VecDeque<(Vec<u8>, Vec<u8>)>,
}

impl Trailing {
    /// `[from, to)` is to be sent too.
    pub(super) fn add(&mut self, from: &[u8], to: &[u8]) {
        match self.ranges.back_mut().filter(|(_, end)| end == from) {
            Some((_, end)) => to.clone_into(end),
            None => self.ranges.push_back((from.to_vec(), to.to_vec())),
        }
    }

    /// Whether nothing is to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether the peer has to wait for an answer until some of it is sent: what it asks for must not grow without end.
    pub(super) fn is_full(&self) -> bool {
        self.ranges.len() >= PARTS_MAX
    }

    /// Gathers what comes next, as much as there is place for. Says whether something of it may not travel.
    pub(super) fn gather(
        &mut self,
        view: &View<'_>,
        gathered: &mut Gathered,
        outcome: &mut Outcome,
    ) -> Result<bool, StoreError> {
        let mut has_held_back = false;
        while let Some((from, to)) = self.ranges.front_mut().filter(|_| !gathered.is_full()) {
            let mut resume = None;
            view.walk(from, to, |held| {
                let key = held.entry.key();
                gathered.look();
                if matches!(held, Cow::Owned(_)) && view.map.has_changed(key) {
                    // It was replaced since keys were last taken in, behind what is covered: the feed brings that.
                } else if !view.may_travel(&held) {
                    has_held_back = true;
                    outcome.count_held_back(&held.entry);
                } else if !gathered.add(&held.entry, held.lseq, view.value_bytes_max) {
                    resume = Some(key.to_vec());
                }
                if resume.is_none() && gathered.is_full() {
                    // The next key there is.
                    resume = Some([key, &[0]].concat());
                }
                if resume.is_some() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })?;
            if let Some(resume) = resume {
                *from = resume;
                break;
            }
            self.ranges.pop_front();
        }
        Ok(has_held_back)
    }
}
