//! When a node can no longer be sure that its identity is its own: somebody else has it too, or its own disk went
//! back in time. Then it has to write as a new author (PROTOCOL section 2). Pure.

use crate::core::clock::MonotonicMs;

/// How long to wait before another identity is taken after one was: whoever claims an identity that is not his
/// must not be able to make a node start over again and again. Doubles up to [`RENEWAL_DELAY_MS_MAX`].
pub const RENEWAL_DELAY_MS: u64 = 60_000;

/// The longest such wait.
pub const RENEWAL_DELAY_MS_MAX: u64 = 3_600_000;

/// Why a node doubts its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoubtReason {
    /// A peer has the same identity: one of the two is a copy of the other's files, and both are running.
    Shared,
    /// A peer knows more of this node's feed than there is: the files went back to an earlier state.
    WentBack,
}

impl DoubtReason {
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
pub struct Doubt {
    /// Why.
    pub reason: DoubtReason,
    /// The peer that showed it.
    pub node_id: String,
}

/// How often the identity was renewed, and when it may be again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Renewals {
    count: u32,
    not_before: MonotonicMs,
}

impl Renewals {
    /// Whether a renewal may begin now; if so, it is taken to have begun.
    pub(super) fn begin(&mut self, now: MonotonicMs) -> bool {
        if now < self.not_before {
            return false;
        }
        let delay_ms = RENEWAL_DELAY_MS << self.count.min(6);
        self.not_before = now.after(delay_ms.min(RENEWAL_DELAY_MS_MAX));
        self.count += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_claims_an_identity_for_ever_renews_it_once_an_hour_in_the_end() {
        let mut renewals = Renewals::default();
        let begun: Vec<u64> = (0..=50_000_000_u64)
            .step_by(1_000)
            .filter(|ms| renewals.begin(MonotonicMs(*ms)))
            .collect();
        let waits: Vec<u64> = begun.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(waits[0], RENEWAL_DELAY_MS);
        assert!(waits.is_sorted());
        assert!(waits.ends_with(&[RENEWAL_DELAY_MS_MAX; 8]));
    }
}
