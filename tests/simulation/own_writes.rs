//! Own writes of a node: the writes that they know, their stamps, and the number that a tick releases
//! (`docs/internals/replication.md`, sections 3 and 5.8).

use super::forgeries::FORGED_SEQUENCE;
use super::kept::kept_of;
use super::world::World;
use crate::core::clock::WallMs;
use crate::core::limits::VECTOR_ORIGINS_WRITTEN_MAX;
use crate::core::stamp::Stamp;
use crate::store::entry::{Entry, EntryFlags};
use crate::store::state::totals::is_user;

impl World<'_> {
    /// Checks an entry that a node has made over another one.
    pub(super) fn check_own_write(&self, node: usize, entry: &Entry, before: Option<&Entry>) {
        let now = self.now(node).wall;
        let latest = self.nodes[node].latest_wall;
        let most = Stamp::at(WallMs(latest.0 + 1));
        if !is_user(entry) || entry.flags.contains(EntryFlags::REWRITTEN_BY_POLICY) {
            return;
        }
        assert!(
            entry.dot.sequence < FORGED_SEQUENCE,
            "{node} counts on from a number that it never gave: {entry:?}"
        );
        let lineage = self.nodes[node].up().store.map.lineage();
        let read = self.knowledge.read_by(entry);
        let mut forgotten = read.filter(|dot| !entry.has_seen(*dot, lineage));
        let forgotten = forgotten.next();
        let is_full = entry.vector().len() >= VECTOR_ORIGINS_WRITTEN_MAX;
        assert!(
            forgotten.is_none() || is_full || !self.knowledge.is_sure(entry.key()),
            "{node} writes {entry:?} over {before:?} and does not know of {forgotten:?}"
        );
        let map = &self.nodes[node].up().store.map;
        let settled = kept_of(map, &entry.key()[1..]).unwrap_or_default();
        let mut replaced = before.into_iter().chain(&settled);
        assert!(
            entry.stamp < most || replaced.any(|other| entry.stamp == other.stamp.next()),
            "the clock of {node} says {now:?} and said {most:?} at the most, but it writes {entry:?} over {before:?}"
        );
    }

    /// Rule 8: a tick releases at most a batch. `before`: rows that were released or sent before it.
    pub(super) fn check_released(&self, node: usize, before: u64) {
        let running = self.nodes[node].up();
        let counts_otherwise = self.has_prefixes || self.excuses.limited;
        let is_automatic = running.machine.replica.is_automatic();
        if counts_otherwise || is_automatic || self.nodes[node].is_hurt {
            // Untaken and refused rows are no part of a batch; with automatic sync there is no batch.
            return;
        }
        let released = running.machine.replica.released();
        let rows = running.store.map.own_rows(before, released).unwrap();
        let most = self.nodes[node].plan.options.batch_size;
        assert!(
            released <= before || rows <= most as u64,
            "8: a tick of {node} releases {rows} writes, and may {most}"
        );
    }

    /// Checks that policies have made at most as many writes as programs.
    pub(super) fn check_assertions(&self) {
        let is_rewritten_by_policy =
            |entry: &&Entry| entry.flags.contains(EntryFlags::REWRITTEN_BY_POLICY);
        let users = || self.told.values().filter(|entry| is_user(entry));
        let (all, rewritten_by_policy) = (
            users().count(),
            users().filter(is_rewritten_by_policy).count(),
        );
        assert!(
            2 * rewritten_by_policy <= all,
            "of {all} writes {rewritten_by_policy} were made by policies"
        );
    }
}
