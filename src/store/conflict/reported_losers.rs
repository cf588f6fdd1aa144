//! Dots of the losers that were reported last, up to a number.

use std::collections::{BTreeSet, VecDeque};

use crate::core::identity::Dot;

/// Most dots that are remembered, in some hundred kilobytes. A loser that is forgotten may be reported twice.
const RECENT_MAX: usize = 4096;

/// A bounded set of the newest dots: the oldest is forgotten first.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct RecentDots {
    known: BTreeSet<Dot>,
    order: VecDeque<Dot>,
}

impl RecentDots {
    pub(in crate::store) fn contains(&self, dot: Dot) -> bool {
        self.known.contains(&dot)
    }

    pub(in crate::store) fn insert(&mut self, dot: Dot) {
        if !self.known.insert(dot) {
            return;
        }
        self.order.push_back(dot);
        if self.order.len() > RECENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}
