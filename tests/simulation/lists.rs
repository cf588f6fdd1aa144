//! Duties that follow from a list in a reconciliation (`docs/internals/replication.md`, rule 5.4): where two entries
//! are concurrent, both sides meet the other's, or only one of them would know that there was a conflict.

use super::conflicts::name_of;
use super::world::World;
use crate::node::machine::conversation::ConversationId;
use crate::store::entry::Entry;
use crate::store::state::totals::is_user;
use crate::sync::message::{Claim, Listed, Ranges};

/// Duties of a node that received lists, until its turn is over.
#[derive(Default)]
pub(super) struct Owed {
    exchange: u64,
    step: u64,
    /// Entries held that are less than the listed ones: they are sent to the peer.
    lesser: Vec<(Entry, Listed)>,
    /// Entries held that are greater: the peer's are asked for.
    greater: Vec<(Entry, Listed)>,
}

impl Owed {
    /// Removes an entry that was sent.
    pub(super) fn sent(&mut self, entry: &Entry) {
        self.lesser
            .retain(|(owed, _)| name_of(owed) != name_of(entry));
    }
}

/// True if a key lies in a range that a message leaves for later.
fn is_left(ranges: &Ranges, key: &[u8]) -> bool {
    let mut parts = ranges.parts.iter();
    let part = parts.find(|part| part.to.is_empty() || &part.to[..] > key);
    part.is_some_and(|part| matches!(part.claim, Claim::Sum(_)))
}

impl World<'_> {
    /// Records the duties from lists that are about to be handed to a machine.
    pub(super) fn see_lists(&mut self, id: ConversationId, ranges: &Ranges) {
        let Some(end) = self.end_mut(id) else { return };
        let node = end.node;
        let Some(running) = &self.nodes[node].running else {
            return;
        };
        let mut owed = Owed {
            exchange: ranges.exchange,
            step: ranges.step,
            ..Owed::default()
        };
        // Entries that wait for a tick or the disk are held back, and sent later.
        let may_travel = running.ticked == u64::MAX && running.volatile.is_empty();
        let lists = ranges.parts.iter().filter_map(|part| match &part.claim {
            Claim::List(listed) => Some(listed),
            _ => None,
        });
        for listed in lists.flatten() {
            let Ok(Some(held)) = running.store.map.entry(&listed.key) else {
                continue;
            };
            if !is_user(&held) || !listed.is_concurrent_with(&held, running.store.map.lineage()) {
                continue;
            }
            let held = held.into_owned();
            if listed.order(&held).is_lt() {
                owed.greater.push((held, listed.clone()));
            } else if may_travel {
                owed.lesser.push((held, listed.clone()));
            }
        }
        if let Some(end) = self.end_mut(id) {
            end.seen.owed = owed;
        }
    }

    /// Checks the duties at the end of a node's turn.
    pub(super) fn check_lists(&mut self, node: usize, id: ConversationId, ranges: &Ranges) {
        let (line, side) = self.ends[&id];
        let ends = &mut self.lines.get_mut(&line).unwrap().ends;
        let peer = ends[1 - side].node;
        let owed = std::mem::take(&mut ends[side].seen.owed);
        let is_answer = (owed.exchange, owed.step + 1) == (ranges.exchange, ranges.step);
        if !is_answer || self.nodes[node].is_hurt {
            return;
        }
        let map = &self.nodes[node].up().store.map;
        let limit = self.nodes[peer].plan.options.value_bytes_max;
        let is_due = |(entry, listed): &(Entry, Listed)| {
            let held = map.entry(entry.key()).ok().flatten();
            // Lineage that came meanwhile may tell that the one had seen the other.
            listed.is_concurrent_with(entry, map.lineage())
                && held.is_some_and(|held| *held == *entry)
                && !is_left(ranges, entry.key())
        };
        let kept = owed.lesser.iter().find(|owed| is_due(owed));
        let kept = kept.map(|(entry, _)| entry);
        let kept = kept.filter(|entry| entry.value_length() as u64 <= limit);
        assert!(
            kept.is_none(),
            "4: {node} does not show {kept:?} on {id} to whom it was written apart from"
        );
        let is_asked = |key: &[u8]| {
            ranges.parts.iter().any(|part| match &part.claim {
                Claim::These(keys) => keys.iter().any(|asked| asked == key),
                _ => false,
            })
        };
        let mut greater = owed.greater.iter();
        let unasked = greater.find(|owed| is_due(owed) && !is_asked(owed.0.key()));
        let unasked = unasked.map(|(entry, _)| entry);
        assert!(
            unasked.is_none(),
            "4: {node} does not ask on {id} for what was written apart from {unasked:?}"
        );
    }
}
