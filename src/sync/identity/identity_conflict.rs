//! When a node can no longer be sure that its identity is its own: somebody else has it too, or its own disk went
//! back in time. Then it has to write as a new author (PROTOCOL section 2). Pure.

use crate::core::clock::{MonotonicMs, WallMs};
use crate::store::commit::ledger::{KnownIdentityConflict, Ledger};
use crate::store::commit::operation::Request;
use crate::sync::replica::{Output, Replica};

/// How long to wait before another identity is taken after one was: whoever claims an identity that is not his
/// must not be able to make a node start over again and again. Doubles up to [`RENEWAL_DELAY_MS_MAX`].
pub const RENEWAL_DELAY_MS: u64 = 60_000;

/// The longest such wait.
pub const RENEWAL_DELAY_MS_MAX: u64 = 3_600_000;

/// Why a node identity conflicts its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityConflictReason {
    /// Somebody else has the same identity: a peer, or who wrote what a peer passes on. One of the two is a copy of the
    /// other's files, and both are running.
    Shared,
    /// A peer knows more of what this node wrote than the node itself: its files went back to an earlier state.
    WentBack,
}

impl IdentityConflictReason {
    /// As it is on record.
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

    /// As users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::WentBack => "went_back",
        }
    }
}

/// What made a node doubt its identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityConflict {
    /// Why.
    pub reason: IdentityConflictReason,
    /// The peer that showed it.
    pub node_id: String,
}

/// What identity conflict there is, how often the identity was renewed, and when it may be again.
#[derive(Debug, Clone, Default)]
pub(in crate::sync) struct Renewals {
    count: u32,
    not_before: MonotonicMs,
    /// The first that has come up under the present identity.
    identity_conflict: Option<IdentityConflict>,
    /// When somebody was first met under the present identity since the opening.
    met_since: Option<WallMs>,
}

impl Renewals {
    /// There is identity conflict. It stays until it is mended, because what raised it may never come again.
    fn raise(&mut self, identity_conflict: IdentityConflict) {
        self.identity_conflict.get_or_insert(identity_conflict);
    }

    /// What a renewal is due for; it is taken to have begun. If nothing comes of it, it is due once more, later.
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

    /// When a renewal is due.
    pub(in crate::sync) fn due(&self) -> Option<MonotonicMs> {
        self.identity_conflict
            .as_ref()
            .map(|_| self.not_before.max(MonotonicMs(1)))
    }

    /// The same under a new identity, which nobody has doubted.
    pub(in crate::sync) fn mended(&self) -> Self {
        Self {
            count: self.count,
            not_before: self.not_before,
            ..Self::default()
        }
    }

    /// Somebody is met.
    pub(in crate::sync) fn met(&mut self, wall: WallMs) {
        self.met_since.get_or_insert(wall);
    }

    /// Whether somebody had been met at that time: this life had begun, whatever was written in an earlier one.
    pub(in crate::sync) fn had_met(&self, at: WallMs) -> bool {
        self.met_since.is_some_and(|since| since < at)
    }
}

impl Replica {
    /// This node may not be who it takes itself for. It goes on as it is for a while where its identity was renewed a
    /// short while ago.
    pub fn identity_conflict(
        &mut self,
        reason: IdentityConflictReason,
        node_id: &str,
        now: MonotonicMs,
    ) {
        let node_id = node_id.to_owned();
        if !self.has_identity_conflict() {
            // What raised it may never be shown again, and the renewal may have to wait: it outlives a restart.
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

    /// A identity conflict that was raised before this opening, and that nothing came of.
    pub(in crate::sync) fn recall_identity_conflict(&mut self, ledger: &Ledger) {
        // That of an identity that was given up since may have come to the log behind the new one.
        let known = ledger.identity_conflict.as_ref();
        if let Some(known) = known.filter(|known| known.origin == self.origin) {
            self.renewals.raise(IdentityConflict {
                reason: IdentityConflictReason::of_number(known.reason),
                node_id: known.node_id.clone(),
            });
        }
    }

    /// Whether it may not be, and has not taken another identity yet.
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
        // The disk has failed: it is due once more.
        let due = MonotonicMs(2 + RENEWAL_DELAY_MS);
        assert_eq!(renewals.due(), Some(due));
        assert_eq!(renewals.begin(MonotonicMs(3)), None);
        assert_eq!(renewals.begin(due), Some(some_identity_conflict("a")));
        let mut renewals = renewals.mended();
        assert_eq!(renewals.due(), None);
        assert_eq!(renewals.begin(MonotonicMs(u64::MAX / 2)), None);
        // The new identity is doubted too soon.
        let mended_at = due;
        renewals.raise(some_identity_conflict("c"));
        assert_eq!(renewals.begin(mended_at), None);
        let due = renewals.due().unwrap();
        assert_eq!(due, mended_at.after(2 * RENEWAL_DELAY_MS));
        assert_eq!(renewals.begin(due), Some(some_identity_conflict("c")));
    }
}
