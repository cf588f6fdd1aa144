//! Identity conflicts: a peer holds a write under the name of this node that it never made.

pub(super) mod foreign_writes;
pub mod identity_conflict;
