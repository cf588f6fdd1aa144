//! Watermarks of the outbox: one set for all rows where every peer takes all keys, and one for each class of keys
//! where some take only a part of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::class_counts::ClassCounts;
use super::key_classes::{ClassId, KeyClasses};
use super::watermarks::{OutboxCounts, Watermarks};
use crate::core::clock::MonotonicMs;
use crate::core::identity::Origin;
use crate::core::rules::{Rule, is_broken};
use crate::store::error::StoreError;
use crate::store::state::map::EntryMap;
use crate::sync::replica::Replica;

/// Most rows that are counted in one call: all other work waits for as long.
const COUNTED_AT_ONCE: usize = 8192;

/// The watermarks of all rows: of each class, or a single set.
pub(in crate::sync) struct ProgressMarks {
    key_classes: Option<Arc<KeyClasses>>,
    watermarks: Vec<Watermarks>,
}

impl ProgressMarks {
    /// The watermarks of the row with this stored key.
    pub(in crate::sync) fn of(&self, key: &[u8]) -> Watermarks {
        let class = self
            .key_classes
            .as_ref()
            .map_or(0, |key_classes| key_classes.class_of(key));
        self.watermarks.get(class).copied().unwrap_or_default()
    }

    /// The lowest and the highest place that `place` selects from the watermarks.
    pub(in crate::sync) fn bounds(&self, place: impl Fn(&Watermarks) -> u64) -> (u64, u64) {
        let places = self.watermarks.iter().map(place);
        let (low, high) = places.fold((u64::MAX, 0), |(low, high), place| {
            (low.min(place), high.max(place))
        });
        (low.min(high), high)
    }
}

impl Replica {
    /// Divides the outbox into classes anew, after the scope of a peer has changed.
    pub(in crate::sync) fn part_rows(&mut self) {
        let scopes = self.peers.iter();
        let key_classes = KeyClasses::of(scopes.map(|(peer, record)| (*peer, &record.scope)));
        match (key_classes.map(Arc::new), &mut self.class_counts) {
            (Some(key_classes), Some(class_counts)) => class_counts.part_anew(key_classes),
            (Some(key_classes), none) => *none = Some(ClassCounts::new(key_classes)),
            (None, class_counts) => *class_counts = None,
        }
    }

    /// The current watermarks of all rows.
    pub(in crate::sync) fn progress_marks(&self) -> ProgressMarks {
        let Some(class_counts) = &self.class_counts else {
            return ProgressMarks {
                key_classes: None,
                watermarks: vec![self.outbox.watermarks()],
            };
        };
        let sent = self.links.values();
        let sent: BTreeMap<Origin, u64> = sent
            .map(|link| (link.origin, link.sending.sent.own))
            .collect();
        let key_classes = Arc::clone(&class_counts.key_classes);
        ProgressMarks {
            watermarks: (0..key_classes.len())
                .map(|class| self.watermarks_of(&key_classes, class, &sent))
                .collect(),
            key_classes: Some(key_classes),
        }
    }

    /// The watermarks of a class: only peers that take its keys can acknowledge its rows, or fail them.
    fn watermarks_of(
        &self,
        key_classes: &KeyClasses,
        class: ClassId,
        sent: &BTreeMap<Origin, u64>,
    ) -> Watermarks {
        let mut watermarks = Watermarks {
            pruned: self.outbox.watermarks().pruned,
            ..Watermarks::default()
        };
        let mut reached = Vec::new();
        let everybody = self
            .peers
            .keys()
            .filter(|_| is_broken(Rule::RowsOutsideCount));
        for peer in key_classes.takers(class).chain(everybody.copied()) {
            let record = self.peers.get(&peer);
            if let Some(record) = record.filter(|record| self.counts(record)) {
                reached.push(record.acknowledged.own);
            }
            let given_up = self.given_up.get(&peer).map_or(0, |(_, to)| *to);
            watermarks.failed = watermarks.failed.max(given_up);
            watermarks.sent = watermarks.sent.max(sent.get(&peer).copied().unwrap_or(0));
        }
        reached.sort_unstable_by(|a, b| b.cmp(a));
        let needed = self.options.ack_policy.needed(reached.len());
        watermarks.acknowledged = reached.get(needed - 1).copied().unwrap_or(0);
        watermarks.sent = watermarks.sent.max(watermarks.acknowledged);
        watermarks
    }

    /// Furthest position that any peer has acknowledged whose acknowledgement counts: no row after it is
    /// acknowledged.
    pub(in crate::sync) fn acknowledged_anywhere(&self) -> u64 {
        let counting = self.peers.values().filter(|peer| self.counts(peer));
        let reached = counting.map(|peer| peer.acknowledged.own);
        reached.max().unwrap_or(0)
    }

    pub(in crate::sync) fn settled(
        &self,
        progress_marks: &ProgressMarks,
        map: &EntryMap,
    ) -> Result<Option<ClassCounts>, StoreError> {
        let Some(mut class_counts) = self.class_counts.clone() else {
            return Ok(None);
        };
        class_counts.settle(&progress_marks.watermarks, usize::MAX, map)?;
        Ok(Some(class_counts))
    }

    /// Counts up to [`COUNTED_AT_ONCE`] rows of the outbox where peers take only a part of the keys, and keeps the
    /// result, so that no row is looked at again. Returns true once all are counted: then asking for counts costs
    /// nothing. All base rows of the map must be resolved.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub fn count_some(&mut self, map: &EntryMap) -> Result<bool, StoreError> {
        let progress_marks = self.progress_marks();
        match &mut self.class_counts {
            Some(class_counts) => {
                class_counts.settle(&progress_marks.watermarks, COUNTED_AT_ONCE, map)
            }
            None => Ok(true),
        }
    }

    /// The rows of the outbox by state.
    pub(in crate::sync) fn counts_of(&self, map: &EntryMap) -> Result<OutboxCounts, StoreError> {
        let progress_marks = self.progress_marks();
        let Some(class_counts) = self.settled(&progress_marks, map)? else {
            let is_held = |lseq| self.is_held_by_enough(lseq, None);
            return self.outbox.counts(map, is_held);
        };
        let mut counts = class_counts.counts();
        for lseq in &self.outbox.rejected {
            if let Some(held) = map.at(*lseq)? {
                let key = held.entry.key();
                let is_held = || self.is_held_by_enough(*lseq, Some(key));
                counts.refuse(&progress_marks.of(key), *lseq, is_held);
            }
        }
        Ok(counts)
    }

    /// Rows that a peer does not take. All base rows of the map must be resolved.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub(in crate::sync) fn rows_outside(
        &self,
        peer: Origin,
        map: &EntryMap,
    ) -> Result<u64, StoreError> {
        let Some(class_counts) = self.settled(&self.progress_marks(), map)? else {
            return Ok(0);
        };
        let key_classes = &class_counts.key_classes;
        let is_outside = |class: &ClassId| !key_classes.takers(*class).any(|taker| taker == peer);
        let classes = (0..key_classes.len()).filter(is_outside);
        Ok(classes.map(|class| class_counts.rows(class)).sum())
    }

    /// Rows that no peer takes at all; 0 where every peer takes all keys. All base rows of the map must be resolved.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub(in crate::sync) fn rows_untaken(&self, map: &EntryMap) -> Result<u64, StoreError> {
        let Some(class_counts) = self.settled(&self.progress_marks(), map)? else {
            return Ok(0);
        };
        let is_untaken = |class: &ClassId| class_counts.key_classes.takers(*class).next().is_none();
        let classes = (0..class_counts.key_classes.len()).filter(is_untaken);
        Ok(classes.map(|class| class_counts.rows(class)).sum())
    }

    /// Rows that no peer takes whose acknowledgement counts. All base rows of the map must be resolved.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub(in crate::sync) fn rows_of_nobody(&self, map: &EntryMap) -> Result<u64, StoreError> {
        let Some(class_counts) = self.settled(&self.progress_marks(), map)? else {
            return Ok(0);
        };
        let counts = |peer| self.peers.get(&peer).is_some_and(|peer| self.counts(peer));
        let is_nobodys = |class: &ClassId| !class_counts.key_classes.takers(*class).any(counts);
        let classes = (0..class_counts.key_classes.len()).filter(is_nobodys);
        Ok(classes.map(|class| class_counts.rows(class)).sum())
    }

    /// Handles the installed changes that have to be looked at by key, where peers take only a part of the keys.
    pub(in crate::sync) fn sort_out(&mut self, now: MonotonicMs, map: &EntryMap) {
        let changes = std::mem::take(&mut self.unsorted);
        // An entry that a later change of the same group has replaced is gone from the map; its key is known from that
        // change.
        let mut keys: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        for change in changes.iter().rev() {
            let key = match map.at(change.lseq) {
                Ok(Some(held)) => Some(held.entry.key().to_vec()),
                Ok(None) => keys.remove(&change.lseq),
                Err(_) => None,
            };
            let (Some(key), true) = (key, change.is_user) else {
                continue;
            };
            if !change.is_row {
                self.tell_partial(&key, change, now);
            }
            let Some(replaced) = change.replaced else {
                continue;
            };
            if let Some(class_counts) = self.class_counts.as_mut().filter(|_| change.replaced_row) {
                class_counts.forget(&key, replaced);
            }
            keys.insert(replaced, key);
        }
    }
}
