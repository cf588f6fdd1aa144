//! The writes that came up last, up to a number.

use std::collections::{BTreeSet, VecDeque};

use crate::core::identity::Dot;

/// How many are remembered: some hundred kilobytes. One that is forgotten may be told of twice.
const RECENT_MAX: usize = 4096;

/// The writes that came up last.
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
