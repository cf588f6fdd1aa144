//! Rows of the outbox counted by class of keys, where peers take only a part of the keys: the state of a row follows
//! from its place and the watermarks of its class (see `key_classes`), so rows are counted up to the watermarks of
//! each class.
//!
//! A count moves on when its watermark moves, by scanning the rows in between; a write pays only for the row that it
//! replaces. Memory grows with the classes, not with rows.

use std::sync::Arc;

use super::key_classes::{ClassId, KeyClasses};
use super::watermarks::{OutboxCounts, Watermarks};
use crate::store::error::StoreError;
use crate::store::state::map::EntryMap;

/// Number of rows of a class up to a place.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    at: u64,
    rows: u64,
}

/// Number of places up to which the rows of a class are counted, in the order of [`places_of`].
const PLACES: usize = 5;

/// Row counts of one class up to the pruned, acknowledged, sent, failed and last place.
#[derive(Debug, Clone, Copy, Default)]
struct Class {
    counted: [Counted; PLACES],
}

/// The places that watermarks stand for, ascending.
fn places_of(watermarks: Watermarks, last: u64) -> [u64; PLACES] {
    let sent = watermarks.sent.max(watermarks.acknowledged);
    let failed = watermarks.failed.max(sent);
    [
        watermarks.pruned.min(watermarks.acknowledged),
        watermarks.acknowledged,
        sent,
        failed,
        last.max(failed),
    ]
}

impl Class {
    /// The furthest counted place up to `place`.
    fn base(&self, place: u64) -> Counted {
        let known = self.counted.iter().filter(|known| known.at <= place);
        let furthest = known.max_by_key(|known| known.at);
        furthest.copied().unwrap_or_default()
    }

    fn counts(&self) -> OutboxCounts {
        let [pruned, acknowledged, sent, failed, all] = self.counted.map(|counted| counted.rows);
        OutboxCounts {
            acknowledged: acknowledged.saturating_sub(pruned),
            in_flight: sent.saturating_sub(acknowledged),
            failed: failed.saturating_sub(sent),
            queued: all.saturating_sub(failed),
        }
    }
}

/// Row counts of all classes.
#[derive(Debug, Clone)]
pub(in crate::sync) struct ClassCounts {
    pub(in crate::sync) key_classes: Arc<KeyClasses>,
    classes: Vec<Class>,
}

impl ClassCounts {
    /// Empty counts for these classes.
    pub(in crate::sync) fn new(key_classes: Arc<KeyClasses>) -> Self {
        let classes = vec![Class::default(); key_classes.len()];
        Self {
            key_classes,
            classes,
        }
    }

    /// Takes over classes after peers' scopes have changed. The counts stay valid if the keys are divided as before.
    pub(in crate::sync) fn part_anew(&mut self, key_classes: Arc<KeyClasses>) {
        if self.key_classes.are_parted_like(&key_classes) {
            self.key_classes = key_classes;
        } else {
            *self = Self::new(key_classes);
        }
    }

    /// Uncounts the replaced row of the stored key `key` at `lseq`.
    pub(in crate::sync) fn forget(&mut self, key: &[u8], lseq: u64) {
        let class = self.key_classes.class_of(key);
        let counted = self.classes.get_mut(class).map(|class| &mut class.counted);
        for counted in counted.into_iter().flatten() {
            counted.rows -= u64::from(counted.at >= lseq).min(counted.rows);
        }
    }

    /// Counts rows up to the watermarks of each class, scanning about `limit` rows at most. Returns true once all are
    /// counted.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub(in crate::sync) fn settle(
        &mut self,
        watermarks: &[Watermarks],
        limit: usize,
        map: &EntryMap,
    ) -> Result<bool, StoreError> {
        let last = map.last_own();
        let places = watermarks
            .iter()
            .map(|watermarks| places_of(*watermarks, last));
        let places: Vec<[u64; PLACES]> = places.collect();
        let mut settled = self.classes.clone();
        let (mut from, mut to) = (u64::MAX, 0);
        for ((class, known), places) in settled.iter_mut().zip(&self.classes).zip(&places) {
            for (counted, place) in class.counted.iter_mut().zip(places) {
                *counted = known.base(*place);
                if counted.at < *place {
                    (from, to) = (from.min(counted.at), to.max(*place));
                }
            }
        }
        let (mut looked_at, mut reached) = (0, u64::MAX);
        if from < to {
            for held in map.own_after(from) {
                let held = held?;
                if held.lseq > to {
                    break;
                }
                if looked_at >= limit {
                    reached = held.lseq - 1;
                    break;
                }
                looked_at += 1;
                let class = self.key_classes.class_of(held.entry.key());
                let (Some(class), Some(places)) = (settled.get_mut(class), places.get(class))
                else {
                    continue;
                };
                for (counted, place) in class.counted.iter_mut().zip(places) {
                    let is_between = counted.at < held.lseq && held.lseq <= *place;
                    counted.rows += u64::from(is_between);
                }
            }
        }
        for (class, places) in settled.iter_mut().zip(&places) {
            for (counted, place) in class.counted.iter_mut().zip(places) {
                counted.at = counted.at.max(reached.min(*place));
            }
        }
        self.classes = settled;
        Ok(reached == u64::MAX)
    }

    /// All rows by state, as counted so far.
    pub(in crate::sync) fn counts(&self) -> OutboxCounts {
        let each = self.classes.iter().map(Class::counts);
        each.fold(OutboxCounts::default(), |total, of_class| OutboxCounts {
            queued: total.queued + of_class.queued,
            in_flight: total.in_flight + of_class.in_flight,
            acknowledged: total.acknowledged + of_class.acknowledged,
            failed: total.failed + of_class.failed,
        })
    }

    /// Rows of a class, as counted so far.
    pub(in crate::sync) fn rows(&self, class: ClassId) -> u64 {
        let class = self.classes.get(class);
        let all = class.and_then(|class| class.counted.last());
        all.map_or(0, |all| all.rows)
    }
}
