//! Counters of a running node. The commit thread counts without a lock, and any thread reads them without one.

use std::sync::atomic::{AtomicU64, Ordering};

use super::histogram::{Histogram, Percentiles};

/// Counts of commits, refusals and conflicts since the node was opened.
#[derive(Debug, Default)]
pub(super) struct Counters {
    commits: AtomicU64,
    refusals: AtomicU64,
    conflicts: AtomicU64,
    versions_dropped: AtomicU64,
    writes_per_group: Histogram,
    sync_us: Histogram,
}

impl Counters {
    /// Counts a committed group of `entries` entries. `took_us`: time of its write and sync in microseconds, `None` for
    /// a group that was not made durable at once.
    pub(super) fn committed(&self, entries: u64, took_us: Option<u64>) {
        if entries == 0 {
            return;
        }
        self.commits.fetch_add(entries, Ordering::Relaxed);
        self.writes_per_group.record(entries);
        if let Some(took_us) = took_us {
            self.sync_us.record(took_us);
        }
    }

    /// Counts a sync of earlier writes that took `took_us` microseconds.
    pub(super) fn synced(&self, took_us: u64) {
        self.sync_us.record(took_us);
    }

    /// Counts `writes` that the log could not take.
    pub(super) fn refused(&self, writes: u64) {
        self.refusals.fetch_add(writes, Ordering::Relaxed);
    }

    /// Counts `losers`: writes that lost against a concurrent write.
    pub(super) fn met_conflicts(&self, losers: u64) {
        self.conflicts.fetch_add(losers, Ordering::Relaxed);
    }

    /// Counts `versions` of conflicts that were removed because their keys had too many.
    pub(super) fn dropped_versions(&self, versions: u64) {
        self.versions_dropped.fetch_add(versions, Ordering::Relaxed);
    }

    /// Number of committed entries, own ones and those of peers.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Number of writes that the log refused.
    pub(super) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// Number of writes that lost against a concurrent write.
    pub(super) fn conflicts_met(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }

    /// Number of versions of conflicts that were removed because their keys had too many.
    pub(super) fn versions_dropped(&self) -> u64 {
        self.versions_dropped.load(Ordering::Relaxed)
    }

    /// Percentiles of the number of writes in one group.
    pub(super) fn writes_per_group(&self) -> Percentiles {
        self.writes_per_group.percentiles()
    }

    /// Percentiles of the time from a group's first byte until it was durable, in microseconds.
    pub(super) fn sync_us(&self) -> Percentiles {
        self.sync_us.percentiles()
    }
}
