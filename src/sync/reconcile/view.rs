//! What a reconciliation looks at: sums, splits and entries of ranges of this node's state.

use std::borrow::Cow;
use std::ops::ControlFlow;

use crate::core::identity::Origin;
use crate::store::entry::Summary;
use crate::store::error::StoreError;
use crate::store::map::{EntryMap, Held};
use crate::store::range_sums::{REPLICATED_END, RangeSums};
use crate::store::totals::is_row;
use crate::sync::message::Positions;

/// The state as one peer may see it.
///
/// Sums count everything. What may not travel yet, own writes that wait for a tick and what is not durable, is in no list
/// and is not sent: it is held back, its range stays unequal, and the feed brings it later. That costs a list without it
/// for each range that holds some.
pub(super) struct View<'a> {
    pub(super) map: &'a EntryMap,
    pub(super) sums: &'a RangeSums,
    /// Who wrote what is "own".
    pub(super) author: Origin,
    /// What may travel, in each lane.
    pub(super) limit: Positions,
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
        let limit = if is_row(&held.entry, self.author) {
            self.limit.own
        } else {
            self.limit.relay
        };
        held.lseq <= limit
    }

    /// Count and fingerprint of `[from, to)`.
    pub(super) fn sum(&self, from: &[u8], to: &[u8]) -> Result<Summary, StoreError> {
        self.sums.sum(self.map, from, to)
    }

    /// Parts `[from, to)` evenly.
    pub(super) fn split(
        &self,
        from: &[u8],
        to: &[u8],
        pieces: usize,
    ) -> Result<Vec<(Vec<u8>, Summary)>, StoreError> {
        self.sums.split(self.map, from, to, pieces)
    }

    /// The entries of `[from, to)`, in key order, until told to stop.
    pub(super) fn walk(
        &self,
        from: &[u8],
        to: &[u8],
        visit: impl FnMut(Cow<'_, Held>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.sums.walk(self.map, from, to, visit)
    }

    /// The entry of a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, Held>>, StoreError> {
        self.map.held_entry(key)
    }
}
