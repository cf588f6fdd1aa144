//! Memory of one node: the amount available, and its shares.

pub mod budget;
pub(super) mod limit;
