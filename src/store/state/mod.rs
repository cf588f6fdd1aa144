//! The current state: the memtable over the checkpoint, its orders, sums and snapshots.

pub mod authors;
pub mod base;
pub(super) mod checkpoint_snapshot;
pub mod feed_order;
mod footprint;
pub mod key_order;
pub(super) mod live_rows;
pub mod map;
pub mod range_sums;
pub mod rebase;
pub(super) mod row;
pub(super) mod shadowing;
pub mod snapshot;
pub mod totals;
