//! Rows of a checkpoint that its owner has replaced since, counted by block: a block that has nothing left to show is passed
//! over without being read.

use std::collections::HashMap;

use super::index::IndexNode;

/// The block that a row is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockOf {
    /// The place of its index node in the top of the index.
    pub(in crate::table) node: u32,
    /// The number of the block among all blocks of rows.
    pub(in crate::table) block: u32,
}

/// Counts replaced rows that had something to show, in each block and below each node of the index. Takes some ten bytes
/// for a block in which there is one, and nothing for others.
#[derive(Debug, Default)]
pub struct GoneRows {
    blocks: HashMap<u32, u32>,
    nodes: HashMap<u32, u32>,
}

impl GoneRows {
    /// One more row was replaced. It must not have been counted before, and must not be dead in the file.
    pub fn add(&mut self, of: BlockOf) {
        *self.blocks.entry(of.block).or_default() += 1;
        *self.nodes.entry(of.node).or_default() += 1;
    }

    /// Says if nothing is left below a child of the top.
    pub(in crate::table) fn hides_node(&self, top: &IndexNode<'_>, index: usize) -> bool {
        let place = u32::try_from(index).ok();
        hides(&self.nodes, top, index, place)
    }

    /// Says if nothing is left in a block of rows below a node.
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
    // A file of an earlier format does not tell; then all of them may have something to show.
    let live = node.live(index).unwrap_or(rows);
    gone.get(&number).copied().unwrap_or(0) >= live
}
