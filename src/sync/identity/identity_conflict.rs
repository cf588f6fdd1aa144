//! Identity conflicts: a node can no longer be sure that its identity is its own, because another node has it too, or
//! because its own disk went back in time. Then it has to write under a new identity (`docs/internals/replication.md`,
//! section 2). Pure.

use crate::core::clock::{MonotonicMs, WallMs};
use crate::store::commit::ledger::{KnownIdentityConflict, Ledger};
use crate::store::commit::operation::Request;
use crate::sync::replica::{Output, Replica};

/// Delay after taking a new identity before another may be taken, in milliseconds: false claims must not make a node
/// start over again and again. Doubles up to [`RENEWAL_DELAY_MS_MAX`].
pub const RENEWAL_DELAY_MS: u64 = 60_000;

/// The longest such delay, in milliseconds.
pub const RENEWAL_DELAY_MS_MAX: u64 = 3_600_000;

/// Why a node can no longer trust its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityConflictReason {
    /// Another node has the same identity: a peer, or the author of a write that a peer relays. One of the two is a
    /// copy of the other's files, and both are running.
    Shared,
    /// A peer knows more of this node's writes than the node itself: its files went back to an earlier state.
    WentBack,
}

impl IdentityConflictReason {
    /// The number of the reason in the log.
    fn number(self) -> u8 {
        match self {
            Self::Shared => 1,
            Self::WentBack => 2,
        }
    }

    fn of_number(number: u8) -> Self {
        if number == Self::WentBack.number() {
            Self::WentBack
        } else {
            Self::Shared
        }
    }

    /// The name of the reason that users see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::WentBack => "went_back",
        }
    }
}

/// An identity conflict: its reason, and the peer that revealed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityConflict {
    /// Reason of the conflict.
    pub reason: IdentityConflictReason,
    /// Label of the peer that revealed it.
    pub node_id: String,
}

/// The open identity conflict, the count of new identities taken, and the earliest time for the next.
#[derive(Debug, Clone, Default)]
pub(in crate::sync) struct Renewals {
    count: u32,
    not_before: MonotonicMs,
    /// The first conflict that was found under the present identity.
    identity_conflict: Option<IdentityConflict>,
    /// When the first peer was met under the present identity since the opening.
    met_since: Option<WallMs>,
}

impl Renewals {
    /// Records a conflict. It stays until a new identity is taken, because what revealed it may never come again.
    fn raise(&mut self, identity_conflict: IdentityConflict) {
        self.identity_conflict.get_or_insert(identity_conflict);
    }

    /// The conflict for which a new identity is due now. Starts the delay until the next: if nothing comes of this
    /// one, it is due once more.
    fn begin(&mut self, now: MonotonicMs) -> Option<IdentityConflict> {
        let identity_conflict = self
            .identity_conflict
            .as_ref()
            .filter(|_| now >= self.not_before)?;
        let delay_ms = RENEWAL_DELAY_MS << self.count.min(6);
        self.not_before = now.after(delay_ms.min(RENEWAL_DELAY_MS_MAX));
        self.count += 1;
        Some(identity_conflict.clone())
    }

    /// When a new identity is due; `None` without a conflict.
    pub(in crate::sync) fn due(&self) -> Option<MonotonicMs> {
        self.identity_conflict
            .as_ref()
            .map(|_| self.not_before.max(MonotonicMs(1)))
    }

    /// State after a new identity was taken: no conflict, with count and delay carried over.
    pub(in crate::sync) fn mended(&self) -> Self {
        Self {
            count: self.count,
            not_before: self.not_before,
            ..Self::default()
        }
    }

    /// Records that a peer was met at `wall`, if it is the first.
    pub(in crate::sync) fn met(&mut self, wall: WallMs) {
        self.met_since.get_or_insert(wall);
    }

    /// True if a peer had been met before `at`: a write of that time was made during this opening.
    pub(in crate::sync) fn had_met(&self, at: WallMs) -> bool {
        self.met_since.is_some_and(|since| since < at)
    }
}

impl Replica {
    /// Raises an identity conflict. The node takes a new identity at once, or goes on as it is until the delay since
    /// the last one is over.
    pub fn identity_conflict(
        &mut self,
        reason: IdentityConflictReason,
        node_id: &str,
        now: MonotonicMs,
    ) {
        let node_id = node_id.to_owned();
        if !self.has_identity_conflict() {
            // The evidence may never be shown again, and the new identity may have to wait: so the
            // conflict is logged and outlives a restart.
            let known = KnownIdentityConflict {
                origin: self.origin,
                reason: reason.number(),
                node_id: node_id.clone(),
            };
            let known = Output::Commit(Request::IdentityConflict(known));
            self.outputs.push_back(known);
        }
        self.renewals.raise(IdentityConflict { reason, node_id });
        self.renew_if_due(now);
    }

    /// Restores a conflict that was raised before this opening and not mended.
    pub(in crate::sync) fn recall_identity_conflict(&mut self, ledger: &Ledger) {
        // The record of a conflict about an identity given up since may lie in the log after the new identity.
        let known = ledger.identity_conflict.as_ref();
        if let Some(known) = known.filter(|known| known.origin == self.origin) {
            self.renewals.raise(IdentityConflict {
                reason: IdentityConflictReason::of_number(known.reason),
                node_id: known.node_id.clone(),
            });
        }
    }

    /// True if this node has an identity conflict and has not taken a new identity yet.
    pub(crate) fn has_identity_conflict(&self) -> bool {
        self.renewals.identity_conflict.is_some()
    }

    pub(in crate::sync) fn renew_if_due(&mut self, now: MonotonicMs) {
        let due = self.renewals.begin(now);
        self.outputs.extend(due.map(Output::Renew));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_identity_conflict(node_id: &str) -> IdentityConflict {
        IdentityConflict {
            reason: IdentityConflictReason::Shared,
            node_id: node_id.to_owned(),
        }
    }

    #[test]
    fn who_claims_an_identity_for_ever_renews_it_once_an_hour_in_the_end() {
        let mut renewals = Renewals::default();
        let mut begun = Vec::new();
        for ms in (0..=50_000_000_u64).step_by(1_000) {
            renewals.raise(some_identity_conflict("a"));
            if renewals.begin(MonotonicMs(ms)).is_some() {
                begun.push(ms);
                renewals = renewals.mended();
            }
        }
        let waits: Vec<u64> = begun.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(waits[0], RENEWAL_DELAY_MS);
        assert!(waits.is_sorted());
        assert!(waits.ends_with(&[RENEWAL_DELAY_MS_MAX; 8]));
    }

    #[test]
    fn what_raised_doubt_once_is_mended_once_and_not_forgotten_before() {
        let mut renewals = Renewals::default();
        assert_eq!(renewals.begin(MonotonicMs(1)), None);
        renewals.raise(some_identity_conflict("a"));
        renewals.raise(some_identity_conflict("b"));
        assert_eq!(
            renewals.begin(MonotonicMs(2)),
            Some(some_identity_conflict("a"))
        );
        // The disk has failed: the new identity is due once more.
        let due = MonotonicMs(2 + RENEWAL_DELAY_MS);
        assert_eq!(renewals.due(), Some(due));
        assert_eq!(renewals.begin(MonotonicMs(3)), None);
        assert_eq!(renewals.begin(due), Some(some_identity_conflict("a")));
        let mut renewals = renewals.mended();
        assert_eq!(renewals.due(), None);
        assert_eq!(renewals.begin(MonotonicMs(u64::MAX / 2)), None);
        // The new identity is in conflict too soon.
        let mended_at = due;
        renewals.raise(some_identity_conflict("c"));
        assert_eq!(renewals.begin(mended_at), None);
        let due = renewals.due().unwrap();
        assert_eq!(due, mended_at.after(2 * RENEWAL_DELAY_MS));
        assert_eq!(renewals.begin(due), Some(some_identity_conflict("c")));
    }
}
