//! Entries by number, in pieces that never move: growing one large vector would copy all of it at once, while readers
//! wait.

use crate::store::memtable::held::Held;

/// Entries of one piece.
const PIECE: usize = 4096;

/// Entries by slot number, counted from 0 in the order of insertion.
#[derive(Debug, Default)]
pub(in crate::store) struct Slots {
    pieces: Vec<Vec<Held>>,
}

impl Slots {
    /// The slot number of the next entry.
    pub(in crate::store) fn next(&self) -> u32 {
        let held = match self.pieces.split_last() {
            Some((last, full)) => full.len() * PIECE + last.len(),
            None => 0,
        };
        u32::try_from(held).unwrap_or(u32::MAX)
    }

    pub(in crate::store) fn get(&self, slot: u32) -> Option<&Held> {
        let slot = slot as usize;
        self.pieces.get(slot / PIECE)?.get(slot % PIECE)
    }

    pub(in crate::store) fn get_mut(&mut self, slot: u32) -> Option<&mut Held> {
        let slot = slot as usize;
        self.pieces.get_mut(slot / PIECE)?.get_mut(slot % PIECE)
    }

    pub(in crate::store) fn push(&mut self, held: Held) {
        if let Some(piece) = self.pieces.last_mut().filter(|piece| piece.len() < PIECE) {
            piece.push(held);
        } else {
            let mut piece = Vec::with_capacity(PIECE);
            piece.push(held);
            self.pieces.push(piece);
        }
    }
}
