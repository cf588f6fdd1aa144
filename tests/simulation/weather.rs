//! Kinds of faults that a run has.

use crate::store::conflict::policy::ConflictPolicy::{
    self, KeepLocal, KeepRemote, LastWriteWins, Manual,
};
use crate::sync::tests::dice::Dice;

/// Policies that the nodes of a run may have: each node draws one of them.
const POLICIES: [&[ConflictPolicy]; 6] = [
    &[LastWriteWins],
    &[LastWriteWins],
    &[Manual],
    &[Manual],
    &[KeepLocal, KeepRemote],
    &[LastWriteWins, KeepLocal, KeepRemote, Manual],
];

/// Kinds of faults that a run has.
#[allow(clippy::struct_excessive_bools, reason = "they are drawn one by one")]
pub(super) struct Weather {
    pub(super) has_crashes: bool,
    pub(super) has_disk_faults: bool,
    pub(super) has_partitions: bool,
    pub(super) has_corruption: bool,
    pub(super) has_lies: bool,
    pub(super) goes_back: bool,
    /// True if disks also go back under a running feed, which excuses a node that accepts a cursor then.
    pub(super) goes_back_unnoticed: bool,
    pub(super) has_copies: bool,
    pub(super) loses_disks: bool,
    pub(super) has_clock_jumps: bool,
    pub(super) has_limits: bool,
    pub(super) has_large_values: bool,
    pub(super) has_checkpoints: bool,
    /// True if no program waits for a sync, and few keys are written often.
    pub(super) is_unsynced: bool,
    pub(super) policies: &'static [ConflictPolicy],
    /// True if no two writes have the same content, removals included: then no conflict passes for agreement.
    pub(super) is_unambiguous: bool,
    pub(super) begins_apart: bool,
    /// True if there are so many keys that a reconciliation has to split them.
    pub(super) has_many_keys: bool,
    /// True if nodes exchange parts of the keys.
    pub(super) has_prefixes: bool,
    /// True if some scopes are for single peers.
    pub(super) names_peers: bool,
    /// True if some messages are forged.
    pub(super) has_forgeries: bool,
    /// True if some nodes are of a newer version.
    pub(super) has_newer: bool,
    /// True if few losers of one key are kept.
    pub(super) keeps_few: bool,
    /// True if power cuts again and again take an overwrite, and bring back a write that had waited for a tick.
    pub(super) loses_overwrites: bool,
}

impl Weather {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        Self {
            has_crashes: !dice.one_in(4),
            has_disk_faults: dice.one_in(3),
            has_partitions: dice.one_in(2),
            has_corruption: dice.one_in(4),
            has_lies: dice.one_in(6),
            goes_back: dice.one_in(4),
            goes_back_unnoticed: dice.one_in(2),
            has_copies: dice.one_in(7),
            loses_disks: dice.one_in(7),
            has_clock_jumps: dice.one_in(3),
            has_limits: dice.one_in(9),
            has_large_values: dice.one_in(12),
            has_checkpoints: dice.one_in(2),
            is_unsynced: dice.one_in(6),
            policies: POLICIES[dice.index(POLICIES.len())],
            is_unambiguous: dice.one_in(5),
            begins_apart: dice.one_in(4),
            has_many_keys: dice.one_in(10),
            has_prefixes: false,
            names_peers: false,
            has_forgeries: false,
            has_newer: false,
            keeps_few: false,
            loses_overwrites: false,
        }
    }

    /// True if every identity that is met stays: only then can all of them acknowledge.
    pub(super) fn keeps_identities(&self) -> bool {
        !(self.goes_back
            || self.has_copies
            || self.loses_disks
            || self.has_limits
            || self.has_forgeries)
    }
}
