//! Identity conflicts: a peer holds a write under the name of this node that it never made.

pub mod doubt;
pub(super) mod foreign_writes;
