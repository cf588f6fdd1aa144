//! Trailing entries, sent after an answer: all entries of ranges of which the peer has nothing.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::gathering::Gathered;
use super::outcome::Outcome;
use super::view::View;
use crate::store::error::StoreError;
use crate::sync::reconcile::ranges::PARTS_MAX;

/// Ranges whose entries are to be sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Trailing {
    ranges: VecDeque<(Vec<u8>, Vec<u8>)>,
}

impl Trailing {
    /// Adds the range `[from, to)`.
    pub(super) fn add(&mut self, from: &[u8], to: &[u8]) {
        match self.ranges.back_mut().filter(|(_, end)| end == from) {
            Some((_, end)) => to.clone_into(end),
            None => self.ranges.push_back((from.to_vec(), to.to_vec())),
        }
    }

    /// True if nothing is to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// True if the peer has to wait for an answer until some ranges are sent, so that what it asks for cannot grow
    /// without end.
    pub(super) fn is_full(&self) -> bool {
        self.ranges.len() >= PARTS_MAX
    }

    /// Gathers the next entries until `gathered` is full. Returns true if some of them may not be sent.
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
                    // The entry was replaced since keys were last taken in, after the covered place: the feed brings
                    // its successor.
                } else if !view.may_travel(&held) {
                    has_held_back = true;
                    outcome.count_held_back(&held.entry);
                } else if !gathered.add(&held.entry, held.lseq, view.value_bytes_max) {
                    resume = Some(key.to_vec());
                }
                if resume.is_none() && gathered.is_full() {
                    // Resume at the next possible key.
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
