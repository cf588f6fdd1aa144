//! Conflicts: which of two concurrent writes wins, which is kept as a sibling, and how siblings are resolved.

pub mod open_conflicts;
pub mod policy;
pub(super) mod re_removal;
pub(super) mod reported_losers;
pub(super) mod resolve;
pub mod sibling_limit;
pub mod siblings;
