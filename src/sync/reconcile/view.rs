//! The view of this node's state that a reconciliation works on: sums, splits and entries of key ranges, within the
//! scope of the connection.

use std::borrow::Cow;
use std::ops::ControlFlow;

use crate::store::entry::REPLICATED_END;
use crate::store::entry::Summary;
use crate::store::error::StoreError;
use crate::store::memtable::held::Held;
use crate::store::scope::Scope;
use crate::store::state::map::EntryMap;
use crate::store::state::range_sums::RangeSums;
use crate::sync::feed::admission::lie_of;
use crate::sync::message::Positions;
use crate::sync::outbox::held_back::HeldBack;

/// A scope, and the ranges of keys that it consists of.
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

    /// The parts of `[from, to)` that are in the scope, in order.
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
/// Sums count all entries. Entries that may not be sent yet, own writes that wait for a tick and those that are not
/// durable, are in no list and are not sent: they are held back, their range stays unequal, and the feed brings them
/// later. That costs a list without them for each range that holds some.
pub(super) struct View<'a> {
    pub(super) map: &'a EntryMap,
    pub(super) sums: &'a RangeSums,
    /// The scope of the connection: no other keys are visible, whatever the peer says of them.
    pub(super) scope: &'a ScopedRanges,
    /// Positions up to which entries of each stream may be sent.
    pub(super) limit: Positions,
    /// Removals that may not be sent yet, whatever their place.
    pub(super) held_back: &'a HeldBack,
    /// Largest value that the peer takes, in bytes.
    pub(super) value_bytes_max: u64,
}

/// The end of the range of a part whose end is `to`.
pub(super) fn end_of(to: &[u8]) -> &[u8] {
    if to.is_empty() { &REPLICATED_END } else { to }
}

impl View<'_> {
    /// True if an entry may be sent.
    pub(super) fn may_travel(&self, held: &Held) -> bool {
        let limit = if held.is_row() {
            self.limit.own
        } else {
            self.limit.relay
        };
        held.lseq <= limit && !self.held_back.holds(held.lseq) && lie_of(&held.entry).is_none()
    }

    /// Entry count and fingerprint of `[from, to)`.
    pub(super) fn sum(&self, from: &[u8], to: &[u8]) -> Result<Summary, StoreError> {
        let mut total = Summary::default();
        for (from, to) in self.scope.within(from, to) {
            total = total.with(self.sums.sum(self.map, from, to)?);
        }
        Ok(total)
    }

    /// Divides `[from, to)` evenly, into about `pieces` parts and not twice as many. Keys between the ranges of a
    /// scope belong to the part after them: they are not visible.
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
        // Short ranges share a part.
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

    /// Visits the entries of `[from, to)`, in key order, until `visit` breaks.
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

    /// The entry of a key; `None` if there is none or it is out of scope.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, Held>>, StoreError> {
        if !self.scope.scope.contains(key) {
            return Ok(None);
        }
        self.map.held_entry(key)
    }
}
