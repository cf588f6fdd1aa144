//! What a reconciliation looks at: sums, splits and entries of ranges of this node's state, as far as the connection
//! carries them.

use std::borrow::Cow;
use std::ops::ControlFlow;

use crate::store::entry::Summary;
use crate::store::error::StoreError;
use crate::store::scope::Scope;
use crate::store::state::map::{EntryMap, Held};
use crate::store::state::range_sums::{REPLICATED_END, RangeSums};
use crate::sync::feed::admission::lie_of;
use crate::sync::message::Positions;
use crate::sync::outbox::held_back::HeldBack;

/// A scope, and the ranges that it is made of.
pub(super) struct ScopedRanges {
    scope: Scope,
    ranges: Vec<(Vec<u8>, Vec<u8>)>,
}

impl ScopedRanges {
    pub(super) fn new(scope: &Scope) -> Self {
        Self {
            scope: scope.clone(),
            ranges: scope.ranges(),
        }
    }

    /// What of `[from, to)` is in the scope, in order.
    fn within<'a>(
        &'a self,
        from: &'a [u8],
        to: &'a [u8],
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let begin = self.ranges.partition_point(|(_, end)| &end[..] <= from);
        let ranges = self.ranges.get(begin..).unwrap_or_default().iter();
        ranges
            .map(move |(begin, end)| (from.max(begin), to.min(end)))
            .take_while(|(begin, end)| begin < end)
    }
}

/// The state as one peer may see it.
///
/// Sums count everything. What may not travel yet, own writes that wait for a tick and what is not durable, is in no list
/// and is not sent: it is held back, its range stays unequal, and the feed brings it later. That costs a list without it
/// for each range that holds some.
pub(super) struct View<'a> {
    pub(super) map: &'a EntryMap,
    pub(super) sums: &'a RangeSums,
    /// What the connection carries: nothing else is seen, whatever the peer says of it.
    pub(super) scope: &'a ScopedRanges,
    /// What may travel, in each stream.
    pub(super) limit: Positions,
    /// What may not whatever its place.
    pub(super) held_back: &'a HeldBack,
    /// Largest value that the peer takes.
    pub(super) value_bytes_max: u64,
}

/// Where a part ends that ends before `to`.
pub(super) fn end_of(to: &[u8]) -> &[u8] {
    if to.is_empty() { &REPLICATED_END } else { to }
}

impl View<'_> {
    /// Whether an entry may travel.
    pub(super) fn may_travel(&self, held: &Held) -> bool {
        let limit = if held.is_row() {
            self.limit.own
        } else {
            self.limit.relay
        };
        held.lseq <= limit && !self.held_back.holds(held.lseq) && lie_of(&held.entry).is_none()
    }

    /// Count and fingerprint of `[from, to)`.
    pub(super) fn sum(&self, from: &[u8], to: &[u8]) -> Result<Summary, StoreError> {
        let mut total = Summary::default();
        for (from, to) in self.scope.within(from, to) {
            total = total.with(self.sums.sum(self.map, from, to)?);
        }
        Ok(total)
    }

    /// Parts `[from, to)` evenly, into about so many pieces and not twice as many. What is between the ranges of a scope
    /// belongs to the part behind it: nobody looks at it.
    pub(super) fn split(
        &self,
        from: &[u8],
        to: &[u8],
        pieces: usize,
    ) -> Result<Vec<(Vec<u8>, Summary)>, StoreError> {
        let mut sums = Vec::new();
        let mut count = 0;
        for (from, to) in self.scope.within(from, to) {
            let sum = self.sums.sum(self.map, from, to)?;
            count += sum.count;
            sums.push((from, to, sum));
        }
        let share = count.div_ceil(pieces.max(1) as u64).max(1);
        let mut parts: Vec<(Vec<u8>, Summary)> = Vec::new();
        // Short ranges are told together.
        let mut together = Summary::default();
        for (from, to, sum) in sums {
            if sum.count <= share {
                together = together.with(sum);
                if together.count >= share {
                    parts.push((to.to_vec(), std::mem::take(&mut together)));
                }
                continue;
            }
            if together.count > 0 {
                parts.push((from.to_vec(), std::mem::take(&mut together)));
            }
            let pieces = usize::try_from(sum.count.div_ceil(share)).unwrap_or(pieces);
            parts.extend(self.sums.split(self.map, from, to, pieces)?);
        }
        if together.count > 0 || parts.is_empty() {
            parts.push((to.to_vec(), together));
        } else if let Some((end, _)) = parts.last_mut() {
            to.clone_into(end);
        }
        Ok(parts)
    }

    /// The entries of `[from, to)`, in key order, until told to stop.
    pub(super) fn walk(
        &self,
        from: &[u8],
        to: &[u8],
        mut visit: impl FnMut(Cow<'_, Held>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut flow = ControlFlow::Continue(());
        for (from, to) in self.scope.within(from, to) {
            self.sums.walk(self.map, from, to, |held| {
                flow = visit(held);
                flow
            })?;
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The entry of a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, Held>>, StoreError> {
        if !self.scope.scope.contains(key) {
            return Ok(None);
        }
        self.map.held_entry(key)
    }
}
