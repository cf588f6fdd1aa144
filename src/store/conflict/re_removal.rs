//! Re-removals. A write that resolved a conflict may lose in turn before any peer has it: it is kept as a sibling, and
//! the siblings that it resolved were removed before that. In the feed these removals would precede it, and if this
//! node were lost in between, no node would hold either. So the removals are made again, after it. Pure, like all of a
//! group.

use std::cmp::Reverse;

use super::policy::user_key_of;
use super::resolve::Kept;
use super::sibling_limit::SIBLINGS_MAX;
use crate::core::checksum::key_hash;
use crate::store::commit::group::{Group, Terms};
use crate::store::commit::ledger::Ledger;
use crate::store::commit::plan_base::PlanBase;
use crate::store::entry::Entry;
use crate::store::error::StoreError;

/// Most removals that are made again after one superseded resolution, newest first: more than a conflict has versions.
/// Peers can have this node remove any number of siblings of a key, see [`SIBLINGS_MAX`].
const MADE_AGAIN_MAX: usize = 8 * SIBLINGS_MAX;

impl Group {
    /// Removes again the siblings that this node removed of a key before `superseded`, a write of it, was kept; without
    /// those whose removal a peer has acknowledged already, after the resolution.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be.
    pub(in crate::store) fn remove_once_more(
        &mut self,
        superseded: &Entry,
        base: PlanBase<'_>,
        ledger: &mut Ledger,
        terms: &Terms<'_>,
    ) -> Result<(), StoreError> {
        // A resolution has seen writes of others: its version vector is not empty.
        let author = ledger.authorship.current;
        let is_own = |group: &Self, entry: &Entry| {
            let lineage = group.lineage_over(base);
            lineage.is_own(author, entry.dot)
        };
        let can_settle = is_own(self, superseded) && !superseded.vector().is_empty();
        if !can_settle || self.removed.is_empty() && !base.has_siblings()? {
            return Ok(());
        }
        let user_key = superseded.key().get(1..).unwrap_or_default();
        let mut places = base.kept_places(user_key)?;
        places.extend(self.removed_of(user_key).map(|key| (key.clone(), None)));
        let mut places = Vec::from_iter(places);
        if places.len() > MADE_AGAIN_MAX {
            // A sibling without a place in the feed yet is the newest.
            places.sort_unstable_by_key(|(_, lseq)| Reverse(lseq.unwrap_or(u64::MAX)));
            places.truncate(MADE_AGAIN_MAX);
        }
        for (key, lseq) in places {
            let mut peers = ledger.peers.values();
            let has_left = peers.any(|peer| {
                let is_reported = lseq.is_some_and(|lseq| lseq <= peer.acknowledged.relay);
                is_reported && !peer.is_superseded && peer.scope.contains(&key)
            });
            let hash = key_hash(&key);
            let found = self.find(&key, hash, base)?;
            let removal = found.entry().filter(|_| !has_left);
            let removal = removal.filter(|held| held.is_tombstone() && is_own(self, held));
            // A removal that was kept as a loser is not the removal of a sibling.
            let removal = removal.filter(|held| user_key_of(held).is_none());
            let Some((dot, seen, stamp, version)) =
                removal.map(|held| (held.dot, held.vector().to_vec(), held.stamp, held.version))
            else {
                continue;
            };
            let base_row = found.into_base_row();
            let kept = Kept {
                key,
                hash,
                base_row,
                dot,
                seen,
                stamp,
                version,
            };
            self.remove_siblings(kept, base, ledger, terms);
            self.declare_author(base, ledger, (terms.wall, terms.common))?;
        }
        Ok(())
    }
}
