//! Block cache of a table.

pub(super) mod block_cache;
pub(super) mod huge_pages;
pub(super) mod row_blocks;
pub(super) mod shared_blocks;
