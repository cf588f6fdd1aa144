//! A stream of the feed: slots in the order of local sequences. It grows nearly always at its end, so it is a list of
//! sorted pieces: adding is a push, and a piece that has lost half of its members is packed.

/// Members of a piece: few enough that packing one takes no noticeable time.
const PIECE: usize = 1024;

/// Marks the slot of a removed member. No slot has this number, see [`Slots::next`](super::slots::Slots::next).
const GONE: u32 = u32::MAX;

/// Sorted local sequences and the slot of each.
#[derive(Debug)]
struct Piece {
    lseqs: Vec<u64>,
    slots: Vec<u32>,
    gone: usize,
}

impl Piece {
    fn new() -> Self {
        Self {
            lseqs: Vec::with_capacity(PIECE),
            slots: Vec::with_capacity(PIECE),
            gone: 0,
        }
    }

    fn first(&self) -> u64 {
        self.lseqs.first().copied().unwrap_or(u64::MAX)
    }

    fn members(&self, from: usize, to: usize) -> impl DoubleEndedIterator<Item = (u64, u32)> {
        let lseqs = self.lseqs.get(from..to).unwrap_or_default();
        let slots = self.slots.get(from..to).unwrap_or_default();
        lseqs
            .iter()
            .copied()
            .zip(slots.iter().copied())
            .filter(|(_, slot)| *slot != GONE)
    }

    /// Drops the removed members.
    fn pack(&mut self) {
        let (lseqs, slots) = self.members(0, self.lseqs.len()).unzip();
        (self.lseqs, self.slots, self.gone) = (lseqs, slots, 0);
    }
}

/// Slots in the order of local sequences.
#[derive(Debug, Default)]
pub(in crate::store) struct Stream {
    pieces: Vec<Piece>,
}

impl Stream {
    /// Adds a member after all others.
    pub(in crate::store) fn push(&mut self, lseq: u64, slot: u32) {
        let last = match self.pieces.last_mut() {
            Some(last) if last.lseqs.len() < PIECE => last,
            _ => {
                self.pieces.push(Piece::new());
                match self.pieces.last_mut() {
                    Some(last) => last,
                    None => return,
                }
            }
        };
        last.lseqs.push(lseq);
        last.slots.push(slot);
    }

    /// The slot of the member at a local sequence.
    pub(in crate::store) fn get(&self, lseq: u64) -> Option<u32> {
        let piece = self.pieces.get(self.piece_of(lseq))?;
        let place = piece.lseqs.binary_search(&lseq).ok()?;
        piece.slots.get(place).copied().filter(|slot| *slot != GONE)
    }

    /// The last local sequence that ever had a member, 0 if none had; the member may be removed since.
    pub(in crate::store) fn last(&self) -> u64 {
        let last = self.pieces.last().and_then(|piece| piece.lseqs.last());
        last.copied().unwrap_or(0)
    }

    /// Removes the member at a local sequence.
    pub(in crate::store) fn remove(&mut self, lseq: u64) {
        let number = self.piece_of(lseq);
        let Some(piece) = self.pieces.get_mut(number) else {
            return;
        };
        let Ok(place) = piece.lseqs.binary_search(&lseq) else {
            return;
        };
        if let Some(slot) = piece.slots.get_mut(place) {
            piece.gone += usize::from(*slot != GONE);
            *slot = GONE;
        }
        if piece.gone * 2 > piece.lseqs.len() {
            piece.pack();
            self.join(number);
        }
    }

    /// Merges a packed piece into the one before it, if both fit in one, so that small pieces do not pile up.
    fn join(&mut self, number: usize) {
        let is_empty = |piece: &Piece| piece.lseqs.is_empty();
        let Some((before, rest)) = self.pieces.split_at_mut_checked(number) else {
            return;
        };
        let Some(piece) = rest.first_mut() else {
            return;
        };
        if let Some(before) = before.last_mut()
            && before.lseqs.len() + piece.lseqs.len() <= PIECE
        {
            before.lseqs.append(&mut piece.lseqs);
            before.slots.append(&mut piece.slots);
        }
        if is_empty(piece) {
            self.pieces.remove(number);
        }
    }

    /// Number of the piece that holds a local sequence, if it is there.
    fn piece_of(&self, lseq: u64) -> usize {
        self.pieces
            .partition_point(|piece| piece.first() <= lseq)
            .saturating_sub(1)
    }

    /// Members after the place `after` up to and with `to`, in order.
    pub(in crate::store) fn between(
        &self,
        after: u64,
        to: u64,
    ) -> impl DoubleEndedIterator<Item = (u64, u32)> {
        let begin = self.piece_of(after).min(self.pieces.len());
        let end = if after < to {
            self.pieces.partition_point(|piece| piece.first() <= to)
        } else {
            begin
        };
        let pieces = self.pieces.get(begin..end.max(begin)).unwrap_or_default();
        pieces.iter().flat_map(move |piece| {
            let from = piece.lseqs.partition_point(|lseq| *lseq <= after);
            let to = piece.lseqs.partition_point(|lseq| *lseq <= to);
            piece.members(from, to.max(from))
        })
    }

    /// Number of members up to and with `lseq`.
    pub(in crate::store) fn count_up_to(&self, lseq: u64) -> u64 {
        let number = self.piece_of(lseq);
        let (whole, rest) = self.pieces.split_at_checked(number).unwrap_or_default();
        let members = |piece: &Piece| (piece.lseqs.len() - piece.gone) as u64;
        let last = rest.first().map_or(0, |piece| {
            let to = piece.lseqs.partition_point(|member| *member <= lseq);
            piece.members(0, to).count() as u64
        });
        whole.iter().map(members).sum::<u64>() + last
    }

    /// All members in order, with their local sequences.
    #[cfg(test)]
    pub(in crate::store) fn iter(&self) -> impl Iterator<Item = (u64, u32)> {
        self.between(0, u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn a_stream_is_a_sorted_map_that_grows_at_its_end(
            steps in proptest::collection::vec((any::<bool>(), 1_u64..4, any::<prop::sample::Index>()), 0..3000),
            ranges in proptest::collection::vec((0_u64..9000, 0_u64..9000), 8),
        ) {
            let (mut stream, mut model) = (Stream::default(), BTreeMap::new());
            let mut last = 0;
            for (number, (adds, step, which)) in steps.into_iter().enumerate() {
                if adds || model.is_empty() {
                    last += step;
                    stream.push(last, u32::try_from(number).unwrap());
                    model.insert(last, u32::try_from(number).unwrap());
                } else {
                    let (gone, _) = model.iter().nth(which.index(model.len())).unwrap();
                    let gone = *gone;
                    model.remove(&gone);
                    stream.remove(gone);
                    prop_assert_eq!(stream.get(gone), None);
                }
            }
            prop_assert!(stream.iter().eq(model.iter().map(|(lseq, slot)| (*lseq, *slot))));
            for (after, to) in ranges {
                let want: Vec<(u64, u32)> = model
                    .iter()
                    .filter(|(lseq, _)| after < **lseq && **lseq <= to)
                    .map(|(lseq, slot)| (*lseq, *slot))
                    .collect();
                prop_assert!(stream.between(after, to).eq(want.iter().copied()));
                prop_assert!(stream.between(after, to).rev().eq(want.iter().rev().copied()));
            }
            for (count, (lseq, slot)) in model.iter().enumerate() {
                prop_assert_eq!(stream.get(*lseq), Some(*slot));
                prop_assert_eq!(stream.count_up_to(*lseq), count as u64 + 1);
                prop_assert_eq!(stream.count_up_to(*lseq - 1), count as u64);
            }
            let members: usize = stream.pieces.iter().map(|piece| piece.lseqs.len()).sum();
            prop_assert!(members <= 2 * model.len() + 1);
        }
    }

    #[test]
    fn what_is_left_of_many_pieces_is_put_together() {
        let mut stream = Stream::default();
        for lseq in 1..=100 * PIECE as u64 {
            stream.push(lseq, 1);
        }
        for lseq in 1..=100 * PIECE as u64 {
            if lseq % 100 != 0 {
                stream.remove(lseq);
            }
        }
        assert_eq!(stream.iter().count(), PIECE);
        assert!(stream.pieces.len() <= 4, "{} pieces", stream.pieces.len());
    }
}
