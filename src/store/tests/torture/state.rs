//! Content of a store at one moment, and the states that may and must be there after a stop.

use std::collections::BTreeMap;

use super::Told;
use crate::core::identity::{Incarnation, Origin};
use crate::store::commit::ledger::{FeedPosition, Ledger, PeerRecord};
use crate::store::entry::Entry;
use crate::store::state::map::EntryMap;

/// An entry with its place in the feed, and the peer that sent it.
pub(crate) type Placed = (Entry, u64, Option<Origin>);

/// Entries by key, each with its place in the feed and its source, and the facts remembered besides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct State {
    pub(super) entries: BTreeMap<Vec<u8>, Placed>,
    pub(super) cursors: BTreeMap<Origin, FeedPosition>,
    pub(super) peers: BTreeMap<Origin, PeerRecord>,
    pub(super) pruned: u64,
}

impl State {
    /// State of an open store. Checks every count that can be made in two ways.
    pub(super) fn of(map: &mut EntryMap, ledger: &Ledger) -> Told<Self> {
        let failed = |error: crate::store::error::StoreError| error.to_string();
        while map.base_unknown() > 0 {
            map.look_up_base().map_err(failed)?;
        }
        let mut state = Self {
            cursors: ledger.cursors.clone(),
            peers: ledger.peers.clone(),
            pruned: ledger.pruned,
            ..Self::default()
        };
        for rows in [map.own_after(0), map.relay_after(0)] {
            let mut last = 0;
            for held in rows {
                let held = held.map_err(failed)?;
                if held.lseq <= last {
                    return Err("a feed goes back".to_owned());
                }
                last = held.lseq;
                let place = (held.entry.clone(), held.lseq, map.source_of(held.via));
                state.entries.insert(held.entry.key().to_vec(), place);
            }
        }
        let mut in_order = state.entries.values();
        for entry in map.range_from(std::ops::Bound::Unbounded) {
            let entry = entry.map_err(failed)?;
            if in_order.next().map(|(expected, ..)| expected) != Some(&*entry) {
                return Err("order and feeds differ".to_owned());
            }
        }
        if in_order.next().is_some() {
            return Err("a feed has more than the order".to_owned());
        }
        if map.totals() != map.recount().map_err(failed)? {
            return Err("the totals are wrong".to_owned());
        }
        Ok(state)
    }

    /// The difference between two states, in few words.
    pub(super) fn difference(&self, found: &Self) -> String {
        for (key, expected) in &self.entries {
            let held = found.entries.get(key);
            if held != Some(expected) {
                let shown = held.map(|(entry, lseq, _)| (entry.dot, *lseq));
                return format!("{key:?}: {shown:?} for {:?}", (expected.0.dot, expected.1));
            }
        }
        if self.entries.len() != found.entries.len() {
            return format!("{} for {} entries", found.entries.len(), self.entries.len());
        }
        let rest =
            |state: &Self| format!("{:?}", (&state.cursors, state.pruned, state.peers.keys()));
        format!("{} for {}", rest(found), rest(self))
    }
}

/// A promise that holds from a number of disk calls on.
#[derive(Debug, Clone, Default)]
pub(super) struct Promise {
    pub(super) calls: u64,
    /// The states that a power cut may leave: from the last one reported as durable to the one being written.
    pub(super) least: usize,
    pub(super) most: usize,
    /// The earliest state that may be left if only the process is killed.
    pub(super) written: usize,
    /// The highest sequence that any caller was told.
    pub(super) told_sequence: u64,
    /// The epoch of the feed, and the position up to which it is durable.
    pub(super) reached: Option<(Incarnation, u64)>,
}

impl Promise {
    /// Checks a found state against the promise. Returns its place among the states.
    pub(super) fn find(&self, states: &[State], found: &State, killed: bool) -> Told<usize> {
        let least = if killed { self.written } else { self.least };
        let allowed = least..=self.most;
        let anywhere = states.iter().rposition(|state| state == found);
        let place = (least..=self.most)
            .rev()
            .find(|place| states.get(*place) == Some(found));
        place.ok_or_else(|| {
            if let Some(other) = anywhere {
                return format!("state {other} is there, {allowed:?} was promised");
            }
            let nearest = states.get(self.most).map(|state| state.difference(found));
            format!("a state that never was; against the last: {nearest:?}")
        })
    }

    /// Checks that a new epoch does not go back behind the promise.
    pub(super) fn check_ledger(&self, ledger: &Ledger) -> Told<()> {
        if ledger.last_sequence < self.told_sequence {
            let (last, reported) = (ledger.last_sequence, self.told_sequence);
            return Err(format!("sequence {reported} was told, {last} is the last"));
        }
        if let Some((incarnation, durable)) = self.reached {
            let mut links = ledger.epochs.iter();
            if !links.any(|link| link.incarnation == incarnation) {
                return Err("a stretch of the feed is forgotten".to_owned());
            }
            if links.next().is_none_or(|next| next.began_after < durable) {
                return Err("a stretch ended before it did".to_owned());
            }
        }
        Ok(())
    }
}
