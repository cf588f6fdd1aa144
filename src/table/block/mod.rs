//! Blocks of a table as bytes.

pub(super) mod data;
pub(super) mod data_builder;
pub(super) mod feed_block;
pub(super) mod fences;
pub(super) mod gone_rows;
pub(super) mod index;
