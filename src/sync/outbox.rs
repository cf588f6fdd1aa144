//! The outbox: a view of this node's own entries by how far peers are, not a queue of its own (PROTOCOL rule
//! 7). What a row counts as follows from its local sequence and a few marks; the counters are kept as marks
//! move, and equal a recount at any time.

use std::collections::BTreeSet;

use crate::store::map::{EntryMap, Installed};

/// How many rows there are of each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxCounts {
    /// Sent to nobody yet.
    pub queued: u64,
    /// Sent, and not acknowledged by enough peers.
    pub in_flight: u64,
    /// Acknowledged by enough peers, and not pruned.
    pub acknowledged: u64,
    /// Given up until a peer returns, or refused by one.
    pub failed: u64,
}

impl OutboxCounts {
    /// All rows.
    pub fn total(self) -> u64 {
        self.queued + self.in_flight + self.acknowledged + self.failed
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowState {
    Queued,
    InFlight,
    Acknowledged,
    Failed,
    Pruned,
}

/// The marks that decide what a row counts as; each is the highest local sequence it reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    /// Acknowledged rows up to here are pruned.
    pub pruned: u64,
    /// Acknowledged by enough peers.
    pub acknowledged: u64,
    /// Sent to somebody who is connected.
    pub sent: u64,
    /// Given up.
    pub failed: u64,
}

/// The outbox.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    marks: Marks,
    parked: BTreeSet<u64>,
    counts: OutboxCounts,
}

impl Outbox {
    /// The outbox of a map as these marks show it.
    pub fn new(marks: Marks, parked: impl IntoIterator<Item = u64>, map: &EntryMap) -> Self {
        let mut outbox = Self {
            marks,
            parked: parked
                .into_iter()
                .filter(|lseq| is_row(*lseq, map))
                .collect(),
            counts: OutboxCounts::default(),
        };
        outbox.counts = outbox.recount(map);
        outbox
    }

    /// The counters, added up anew.
    pub fn recount(&self, map: &EntryMap) -> OutboxCounts {
        let mut counts = OutboxCounts::default();
        for lseq in map.tracked_between(0, u64::MAX) {
            add(&mut counts, self.state(lseq));
        }
        counts
    }

    /// The counters.
    pub fn counts(&self) -> OutboxCounts {
        self.counts
    }

    /// The marks.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    fn state(&self, lseq: u64) -> RowState {
        if self.parked.contains(&lseq) {
            RowState::Failed
        } else if lseq <= self.marks.acknowledged {
            if lseq <= self.marks.pruned {
                RowState::Pruned
            } else {
                RowState::Acknowledged
            }
        } else if lseq <= self.marks.sent {
            RowState::InFlight
        } else if lseq <= self.marks.failed {
            RowState::Failed
        } else {
            RowState::Queued
        }
    }

    /// Follows an install.
    pub fn installed(&mut self, change: &Installed) {
        if let Some(lseq) = change.untracked {
            let state = self.state(lseq);
            subtract(&mut self.counts, state);
            self.parked.remove(&lseq);
        }
        if let Some(lseq) = change.tracked {
            let state = self.state(lseq);
            add(&mut self.counts, state);
        }
    }

    /// Moves marks, and counts again what lies between old and new ones.
    pub fn set_marks(&mut self, marks: Marks, map: &EntryMap) {
        let old = self.marks;
        let moved = [
            (old.pruned, marks.pruned),
            (old.acknowledged, marks.acknowledged),
            (old.sent, marks.sent),
            (old.failed, marks.failed),
        ];
        let moved = moved.into_iter().filter(|(from, to)| from != to);
        let (mut low, mut high) = (u64::MAX, 0);
        for (from, to) in moved {
            low = low.min(from.min(to));
            high = high.max(from.max(to));
        }
        for lseq in map.tracked_between(low, high) {
            let before = self.state(lseq);
            self.marks = marks;
            let after = self.state(lseq);
            self.marks = old;
            if before != after {
                subtract(&mut self.counts, before);
                add(&mut self.counts, after);
            }
        }
        self.marks = marks;
    }

    /// A peer refused a row for good.
    pub fn park(&mut self, lseq: u64, map: &EntryMap) {
        if is_row(lseq, map) && !self.parked.contains(&lseq) {
            let before = self.state(lseq);
            subtract(&mut self.counts, before);
            self.parked.insert(lseq);
            add(&mut self.counts, RowState::Failed);
        }
    }

    /// A row that was refused is tried again, or has arrived.
    pub fn unpark(&mut self, lseq: u64) {
        if self.parked.remove(&lseq) {
            subtract(&mut self.counts, RowState::Failed);
            let state = self.state(lseq);
            add(&mut self.counts, state);
        }
    }
}

fn is_row(lseq: u64, map: &EntryMap) -> bool {
    let mut there = map.tracked_between(lseq.saturating_sub(1), lseq);
    there.next().is_some()
}

fn counter(counts: &mut OutboxCounts, state: RowState) -> Option<&mut u64> {
    match state {
        RowState::Queued => Some(&mut counts.queued),
        RowState::InFlight => Some(&mut counts.in_flight),
        RowState::Acknowledged => Some(&mut counts.acknowledged),
        RowState::Failed => Some(&mut counts.failed),
        RowState::Pruned => None,
    }
}

fn add(counts: &mut OutboxCounts, state: RowState) {
    if let Some(counter) = counter(counts, state) {
        *counter += 1;
    }
}

fn subtract(counts: &mut OutboxCounts, state: RowState) {
    if let Some(counter) = counter(counts, state) {
        *counter = counter.saturating_sub(1);
    }
}
