//! The feed of entries between two nodes: when entries are sent, which are believed, and how the end of the feed is
//! proved.

pub(super) mod admission;
pub(super) mod ahead;
pub(super) mod claim;
pub(super) mod credit;
pub mod dot_ranges;
pub(super) mod end_of_feed;
pub(super) mod installed;
pub(super) mod large_values;
pub(super) mod looking;
pub(super) mod picked;
pub(super) mod receive;
pub(super) mod restarts;
pub(super) mod send;
pub(super) mod timers;
