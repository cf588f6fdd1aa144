//! Splitting of the rows in key order.

use super::open::{Checkpoint, Open};
use super::source::Keep;
use crate::table::block::data::DataBlock;
use crate::table::block::index::separator;
use crate::table::error::CheckpointError;

impl Checkpoint {
    /// The shortest bytes that are above the keys of the first `rows` rows, and not above any other key; `None` if
    /// there are no further rows. Reads the block of the row after them, and seldom the one before.
    pub fn split_at(&self, rows: u32) -> Result<Option<Vec<u8>>, CheckpointError> {
        let Some(behind) = self.open.key_of_row(rows)? else {
            return Ok(None);
        };
        let before = match rows.checked_sub(1) {
            Some(last) => self.open.key_of_row(last)?.unwrap_or_default(),
            None => Vec::new(),
        };
        Ok(Some(separator(&before, &behind).to_vec()))
    }
}

impl Open {
    fn key_of_row(&self, row: u32) -> Result<Option<Vec<u8>>, CheckpointError> {
        let Some(located) = self.locate_row(row, Keep::Cached)? else {
            return Ok(None);
        };
        let index = row.saturating_sub(located.rows_before) as usize;
        let found =
            DataBlock::parse(&located.block).and_then(|view| view.row(index, &located.block));
        let place = located.place;
        found
            .map(|row| Some(row.key()))
            .ok_or_else(|| self.source.damaged(place.offset, place.what))
    }
}
