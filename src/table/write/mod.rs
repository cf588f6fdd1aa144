//! Writing of a table.

pub(super) mod feed_sorter;
pub(super) mod feed_writer;
pub(super) mod sink;
pub(super) mod writer;
