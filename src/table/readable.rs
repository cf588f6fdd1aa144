//! Reads the rows of a damaged checkpoint, block by block, for salvage.

use super::block::data::DataBlock;
use super::block::index::IndexNode;
use super::error::CheckpointError;
use super::read::open::Checkpoint;
use super::row::{Body, RowRef};

impl Checkpoint {
    /// Calls `visit` with each row whose block and body are whole, in key order, and `lost` with each fault: a fault in
    /// a node of the index loses all rows below it, one in a block of rows those in it.
    pub fn readable_rows(
        &self,
        visit: &mut dyn FnMut(&RowRef, &Body),
        lost: &mut dyn FnMut(CheckpointError),
    ) {
        match self.open.top() {
            Ok(None) => {}
            Ok(Some(top)) => {
                for index in 0..top.len() {
                    if let Err(error) = self.readable_node(&top, index, visit, lost) {
                        lost(error);
                    }
                }
            }
            Err(error) => lost(error),
        }
    }

    fn readable_node(
        &self,
        top: &IndexNode<'_>,
        index: usize,
        visit: &mut dyn FnMut(&RowRef, &Body),
        lost: &mut dyn FnMut(CheckpointError),
    ) -> Result<(), CheckpointError> {
        let (_, place) = self.open.node_place(top, index)?;
        let block = self.open.source.load(place)?;
        let node = self.open.parse_node(&block, place)?;
        for child in 0..node.len() {
            if let Err(error) = self.readable_block(&node, child, visit, lost) {
                lost(error);
            }
        }
        Ok(())
    }

    fn readable_block(
        &self,
        node: &IndexNode<'_>,
        index: usize,
        visit: &mut dyn FnMut(&RowRef, &Body),
        lost: &mut dyn FnMut(CheckpointError),
    ) -> Result<(), CheckpointError> {
        let (_, place) = self.open.data_place(node, index)?;
        let block = self.open.source.load(place)?;
        let damaged = || self.open.source.damaged(place.offset, place.what);
        let view = DataBlock::parse(&block).ok_or_else(damaged)?;
        for within in 0..view.rows() {
            let row = view.row(within, &block).ok_or_else(damaged)?;
            match self.body(&row) {
                Ok(body) => visit(&row, &body),
                Err(error) => lost(error),
            }
        }
        Ok(())
    }
}
