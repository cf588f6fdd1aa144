//! Re-evaluates waits when peers' scopes change or peers begin or cease to count: a holder may no longer take the
//! keys, and a peer that was waited for may no longer be needed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Counting, Held, Holders, Subject, WaitId, Waits};
use crate::core::identity::Origin;
use crate::store::error::StoreError;
use crate::store::state::map::EntryMap;
use crate::sync::outbox::key_classes::ClassId;
use crate::sync::replica::Replica;

/// The peers that count by now, and the first outbox row that each of them does not take.
struct Takers<'a> {
    counting: &'a Counting,
    /// Peers that count, by label.
    called: BTreeMap<&'a str, Vec<Origin>>,
    /// The first row that each peer with a partial scope does not take.
    first_outside: BTreeMap<Origin, u64>,
    /// The first row that no peer takes.
    first_of_nobody: u64,
}

impl Waits {
    /// Marks all waits to be re-evaluated with the next step, because scopes or the peers that count have changed.
    pub(in crate::sync) fn look_again(&mut self) {
        self.is_due = true;
    }

    /// The scope of a peer has grown: it no longer counts as holding all that it takes.
    pub(in crate::sync) fn takes_more(&mut self, peer: Origin) {
        for wait in self.open.values_mut() {
            if matches!(
                (&wait.subject, &wait.holders),
                (Subject::Any(_), Holders::All)
            ) {
                wait.held_by.retain(|holder| *holder != peer);
            }
        }
    }

    /// For each open wait for all rows, the last row that it waits for.
    fn ends(&self) -> BTreeMap<WaitId, u64> {
        let all = self.strangers.all.iter();
        let ends = all.flat_map(|(lseq, places)| places.iter().map(|place| (place.id, *lseq)));
        ends.filter(|(id, _)| self.open.contains_key(id)).collect()
    }

    /// Updates the waits to the current scopes, and ends those that cannot be fulfilled any more or are fulfilled by
    /// it.
    fn review(&mut self, ends: &BTreeMap<WaitId, u64>, takers: &Takers<'_>) {
        let ended = &mut self.ended;
        let before = ended.len();
        self.open.retain(|id, wait| {
            if let Subject::Any(known) = &mut wait.subject {
                let end = ends.get(id).copied().unwrap_or(0);
                for (peer, first_outside) in &takers.first_outside {
                    let Some(scope) = takers.counting.get(peer) else {
                        continue;
                    };
                    let is_known = known.get(peer).is_some_and(|then| scope.covers(then));
                    if !is_known && *first_outside > end {
                        known.insert(*peer, scope.clone());
                    }
                }
                wait.is_short = wait.holders == Holders::All && takers.first_of_nobody <= end;
            }
            let would_do = |peer: &Origin| {
                let scope = takers.counting.get(peer);
                scope.is_some_and(|scope| wait.is_taken(*peer, scope))
            };
            let is_in_vain = match &wait.holders {
                Holders::Peer(label) => {
                    let called = takers.called.get(&label[..]);
                    called.is_some_and(|peers| !peers.iter().any(would_do))
                }
                Holders::Count(_) => {
                    let is_possible = wait.is_possible(takers.counting);
                    let was_possible = std::mem::replace(&mut wait.was_possible, is_possible);
                    was_possible && !is_possible
                }
                Holders::All => false,
            };
            let is_over = is_in_vain
                || wait.holders == Holders::All
                    && !wait.held_by.is_empty()
                    && wait.is_enough(takers.counting);
            if is_over {
                let held = Held {
                    peers: std::mem::take(&mut wait.held_by),
                    is_replaced: wait.is_replaced,
                    successor: wait.successor,
                    is_outside: is_in_vain || wait.is_short,
                };
                ended.push((*id, held));
            }
            !is_over
        });
        self.stale += self.ended.len() - before;
        self.sweep();
    }
}

impl Replica {
    /// Re-evaluates all waits, if that is due.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub(in crate::sync) fn look_again_at_waits(
        &mut self,
        map: &EntryMap,
    ) -> Result<(), StoreError> {
        let is_due = std::mem::take(&mut self.waits.is_due);
        if !is_due || self.waits.is_empty() {
            return Ok(());
        }
        let ends = self.waits.ends();
        let counting = self.counting();
        let last = ends.values().copied().max();
        let (first_outside, first_of_nobody) = self.first_outside(last, &counting, map)?;
        let mut called: BTreeMap<&str, Vec<Origin>> = BTreeMap::new();
        for peer in counting.keys() {
            if let Some(record) = self.peers.get(peer) {
                called.entry(&record.node_id).or_default().push(*peer);
            }
        }
        let takers = Takers {
            counting: &counting,
            called,
            first_outside,
            first_of_nobody,
        };
        self.waits.review(&ends, &takers);
        Ok(())
    }

    /// The first row up to `last` that each peer with a partial scope does not take, and the first that no peer takes;
    /// [`u64::MAX`] where there is none.
    fn first_outside(
        &self,
        last: Option<u64>,
        counting: &Counting,
        map: &EntryMap,
    ) -> Result<(BTreeMap<Origin, u64>, u64), StoreError> {
        let (Some(last), Some(class_counts)) = (last, self.settled(&self.progress_marks(), map)?)
        else {
            return Ok((BTreeMap::new(), u64::MAX));
        };
        let key_classes = &class_counts.key_classes;
        let classes = 0..key_classes.len();
        let mut unseen: BTreeSet<ClassId> = classes
            .filter(|class| class_counts.rows(*class) > 0)
            .collect();
        let mut first: Vec<(ClassId, u64)> = Vec::new();
        for held in map.own_after(0) {
            let held = held?;
            if unseen.is_empty() || held.lseq > last {
                break;
            }
            let class = key_classes.class_of(held.entry.key());
            if unseen.remove(&class) {
                first.push((class, held.lseq));
            }
        }
        let first_without = |is_taker: &dyn Fn(Origin) -> bool| {
            // Classes in the order of their first rows.
            let mut first = first.iter();
            let found = first.find(|(class, _)| !key_classes.takers(*class).any(is_taker));
            found.map_or(u64::MAX, |(_, lseq)| *lseq)
        };
        let partial = counting.iter().filter(|(_, scope)| !scope.is_all());
        let each = partial.map(|(peer, _)| (*peer, first_without(&|taker| taker == *peer)));
        let of_nobody = first_without(&|taker| counting.contains_key(&taker));
        Ok((each.collect(), of_nobody))
    }
}
