//! Planning of entries from peers: an entry that is greater than the held one replaces it, and concurrent writes are
//! handled by the conflict policy. Pure, like all of a group.

use super::group::{Group, Terms};
use super::ledger::{FeedPosition, Ledger};
use super::operation::Received;
use super::plan_base::PlanBase;
use crate::core::checksum::key_hash;
use crate::core::identity::Origin;
use crate::core::limits::GROUP_BYTES_MAX;
use crate::core::rules::{Rule, is_broken, unless};
use crate::store::conflict::policy::{ConflictPolicy, assertion, is_conflict, kept, loser_of};
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::lineage::Lineage;

/// Relation of a received entry to the held entry of its key.
struct Meeting {
    /// True if the held entry is at least as great.
    is_known: bool,
    /// The write that loses, if the two are a conflict: the loser, or the winner that a rewritten loser overrules.
    overruled: Option<Entry>,
    /// The loser, rewritten, if the policy and authorship let this node do so.
    assertion: Option<Entry>,
}

fn bytes_of(entry: &Entry) -> usize {
    entry.key().len() + entry.value_length()
}

impl Group {
    /// Plans entries from a peer: each that is greater than the held entry is planned, the others are known already.
    /// Returns the entries that have no room in this group any more, because siblings made it too large: they belong
    /// into the next group, and the cursor with them.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be; the whole group is void then.
    pub(in crate::store) fn receive(
        &mut self,
        received: Received,
        base: PlanBase<'_>,
        ledger: &mut Ledger,
        terms: &Terms<'_>,
    ) -> Result<Option<Received>, StoreError> {
        let begin = self.planned.len();
        let scope = received.scope.clone();
        let hash_of = |entry: &Entry| key_hash(entry.key());
        let hashes: Vec<u64> = received.entries.iter().map(hash_of).collect();
        base.touch(&hashes);
        let mut entries = received.entries.into_iter().zip(hashes);
        let mut left = None;
        while let Some((entry, hash)) = entries.next() {
            if !self.has_room_for_authors(&entry, received.token, base, terms) {
                continue;
            }
            let arrived = self.arrive(entry, hash, received.peer, base, ledger, terms)?;
            if let Some(entry) = arrived {
                let rest = entries.map(|(entry, _)| entry);
                left = Some(Received {
                    entries: std::iter::once(entry).chain(rest).collect(),
                    ..received
                });
                break;
            }
        }
        self.bound_siblings(begin, base, ledger, terms)?;
        self.join_from(begin);
        let moves = received.position != FeedPosition::default();
        if left.is_none() && moves && !scope.is_nothing() {
            self.cursors.push((received.peer, received.position, scope));
        }
        Ok(left)
    }

    /// Plans one entry. Returns it if the group has no room for it.
    fn arrive(
        &mut self,
        entry: Entry,
        hash: u64,
        peer: Origin,
        base: PlanBase<'_>,
        ledger: &mut Ledger,
        terms: &Terms<'_>,
    ) -> Result<Option<Entry>, StoreError> {
        // Learned even if the record loses against the record of a copy of its node.
        self.learn_lineage(&entry, base);
        let found = self.find(entry.key(), hash, base)?;
        let current = found.entry();
        let has_room = |bytes| self.planned.is_empty() || self.bytes + bytes <= GROUP_BYTES_MAX;
        let meeting = match current {
            None => Meeting {
                is_known: false,
                overruled: None,
                assertion: None,
            },
            Some(current) => {
                let is_tie = entry.stamp == current.stamp && is_broken(Rule::LocalTieBreak);
                let is_known = entry.order(current).is_le() && !is_broken(Rule::OrderByArrival);
                let is_known = is_known || is_tie;
                let (winner, loser) = if is_known {
                    (current, &entry)
                } else {
                    (&entry, current)
                };
                let lineage = self.lineage_over(base);
                let is_conflict = is_conflict(winner, loser, lineage);
                if is_conflict && !has_room(bytes_of(winner) + bytes_of(loser)) {
                    return Ok(Some(entry));
                }
                let assertion = if is_conflict {
                    rewritten_by_policy(winner, loser, ledger, lineage, terms)
                } else {
                    None
                };
                let overruled = if assertion.is_some() { winner } else { loser };
                Meeting {
                    is_known,
                    overruled: is_conflict.then(|| overruled.clone()),
                    assertion,
                }
            }
        };
        let base_row = found.into_base_row();
        if entry.dot.origin != ledger.authorship.current && !meeting.is_known {
            ledger.last_applied_remote = ledger.last_applied_remote.max(entry.dot.sequence);
        }
        if let Some(overruled) = meeting.overruled {
            if terms.policy == ConflictPolicy::Manual && !is_broken(Rule::LoserNotKept) {
                let bytes_before = self.bytes;
                self.keep(&overruled, base, ledger, terms)?;
                let is_too_large = self.bytes + bytes_of(&entry) > GROUP_BYTES_MAX;
                if self.bytes > bytes_before && is_too_large && !meeting.is_known {
                    // One frame cannot hold two of the largest values: the loser is kept first, and with the next group
                    // it is known.
                    return Ok(Some(entry));
                }
            }
            self.tell(overruled, base, terms);
        } else if !meeting.is_known
            && let Some(loser) = loser_of(&entry)
        {
            self.hear_of(loser, base, terms)?;
        }
        if let Some(assertion) = meeting.assertion {
            // The rewritten entry stands for both: the entry that it replaces need not be installed before.
            self.push(assertion, hash, base_row, ledger, None);
            self.declare_author(base, ledger, (terms.wall, terms.common))?;
        } else if !meeting.is_known {
            self.push(entry, hash, base_row, ledger, Some(peer));
        }
        Ok(None)
    }

    /// Keeps a loser as a sibling, unless it is or was kept already.
    fn keep(
        &mut self,
        loser: &Entry,
        base: PlanBase<'_>,
        ledger: &mut Ledger,
        terms: &Terms<'_>,
    ) -> Result<(), StoreError> {
        let Some(mut kept) = kept(loser) else {
            return Ok(());
        };
        let own_stamp = ledger.clock.high_water();
        kept.stamp = unless(Rule::KeptWithOwnStamp, kept.stamp, own_stamp);
        kept.dot.origin = unless(Rule::KeptUnderOwnDot, kept.dot.origin, ledger.origin);
        let hash = key_hash(kept.key());
        let found = self.find(kept.key(), hash, base)?;
        if found.entry().is_none_or(|held| kept.order(held).is_gt()) {
            let base_row = found.into_base_row();
            self.push(kept, hash, base_row, ledger, None);
            self.remove_once_more(loser, base, ledger, terms)?;
        }
        Ok(())
    }

    /// Takes in a sibling from another node: a conflict here as well, if its winner is known.
    fn hear_of(
        &mut self,
        loser: Entry,
        base: PlanBase<'_>,
        terms: &Terms<'_>,
    ) -> Result<(), StoreError> {
        let hash = key_hash(loser.key());
        let found = self.find(loser.key(), hash, base)?;
        let current = found.entry();
        let lineage = self.lineage_over(base);
        if current.is_some_and(|current| is_conflict(current, &loser, lineage)) {
            self.tell(loser, base, terms);
        }
        Ok(())
    }

    /// Reports a loser, once: repetitions that arrive later by any way are not reported again.
    fn tell(&mut self, loser: Entry, base: PlanBase<'_>, terms: &Terms<'_>) {
        let is_reported = terms.reported.contains(loser.dot) || base.tells(loser.dot);
        let is_reported = is_reported && !is_broken(Rule::LoserToldAgain);
        if !is_reported && self.reported.insert(loser.dot) && !is_broken(Rule::LoserUntold) {
            self.bytes += bytes_of(&loser);
            self.losers.push(loser);
        }
    }
}

/// The loser rewritten over the winner, if the policy and authorship let this node do so; `None` otherwise.
fn rewritten_by_policy(
    winner: &Entry,
    loser: &Entry,
    ledger: &mut Ledger,
    lineage: &Lineage,
    terms: &Terms<'_>,
) -> Option<Entry> {
    let author = ledger.authorship.current;
    if !terms.policy.asserts(author, winner, loser, lineage) {
        return None;
    }
    let dot = ledger.next_dot();
    let stamp = ledger.clock.stamp(terms.wall, Some(winner.stamp));
    assertion(loser, winner, (dot, stamp), lineage, terms.common)
}
