//! The memory of one node: how much there is, and how it is shared out.

pub mod budget;
pub(super) mod limit;
