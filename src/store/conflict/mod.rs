//! Conflicts: the winner of two concurrent writes, the sibling that keeps the loser, and the resolution of siblings.

pub mod open_conflicts;
pub mod policy;
pub(super) mod re_removal;
pub(super) mod reported_losers;
pub(super) mod resolve;
pub mod sibling_limit;
pub mod siblings;
