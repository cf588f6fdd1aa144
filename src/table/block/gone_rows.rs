//! Counts of replaced rows by block: a block without a row that is still valid and live is skipped unread.

use std::collections::HashMap;

use super::index::IndexNode;

/// The block that holds a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockOf {
    /// Place of the block's index node in the top node of the index.
    pub(in crate::table) node: u32,
    /// Number of the block among all blocks of rows.
    pub(in crate::table) block: u32,
}

/// Number of live rows that were replaced, for each block and for each node below the top of the index. Takes some ten
/// bytes for a block with such a row, and nothing for others.
#[derive(Debug, Default)]
pub struct GoneRows {
    blocks: HashMap<u32, u32>,
    nodes: HashMap<u32, u32>,
}

impl GoneRows {
    /// Counts one more replaced row. It must not have been counted before, and must not be dead in the file.
    pub fn add(&mut self, of: BlockOf) {
        *self.blocks.entry(of.block).or_default() += 1;
        *self.nodes.entry(of.node).or_default() += 1;
    }

    /// True if no valid live row is left below a child of the top.
    pub(in crate::table) fn hides_node(&self, top: &IndexNode<'_>, index: usize) -> bool {
        let place = u32::try_from(index).ok();
        hides(&self.nodes, top, index, place)
    }

    /// True if no valid live row is left in a block of rows below a node.
    pub(in crate::table) fn hides_block(&self, node: &IndexNode<'_>, index: usize) -> bool {
        hides(&self.blocks, node, index, node.number(index))
    }
}

fn hides(
    gone: &HashMap<u32, u32>,
    node: &IndexNode<'_>,
    index: usize,
    number: Option<u32>,
) -> bool {
    let (Some(number), Some(rows)) = (number, node.rows_of(index)) else {
        return false;
    };
    // A file of an earlier format has no counts: there each row may be live.
    let live = node.live(index).unwrap_or(rows);
    gone.get(&number).copied().unwrap_or(0) >= live
}
