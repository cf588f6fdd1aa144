//! Verified blocks in memory, up to a number of bytes.
//!
//! Blocks of rows have dense numbers, and as many neighbours as a set has room for can be in the same set, so that
//! they never push each other out, and whoever knows about where a block is finds one or two sets: no hash. Within a set the hand of a clock goes round and takes the first block
//! that was not used since it last came by.

use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

/// How many blocks a set holds at most: what tells them apart fits one cache line of the processor, together with
/// the lock.
const WAYS: usize = 8;

/// Sets that are made at once: some kilobytes.
const PIECE_SETS: usize = 64;

/// How many bytes a set holds at most: as many blocks of rows as it has places.
const SET_BYTES: usize = 33 << 10;

/// Which block it is, over all kinds of blocks of a file.
pub(super) type BlockNumber = u64;

/// The number of a block that shares its set with no neighbour, because it may be longer than a block of rows: the
/// one that has `index` others of its kind between itself and as many blocks of rows.
pub(super) fn apart(data_blocks: u64, index: u64) -> BlockNumber {
    (data_blocks.div_ceil(NEIGHBOURS) + index) * NEIGHBOURS
}

/// How many blocks of rows that follow each other can be in the same set: as many as there are places in it.
const NEIGHBOURS: u64 = WAYS as u64;

/// The cache of one file.
pub(super) struct BlockCache {
    /// Each made when the first block comes that can be in it: making all of a large cache takes longer than
    /// opening a file does.
    pieces: Box<[OnceLock<Box<[Set]>>]>,
    sets_max: usize,
    set_bytes: usize,
}

/// All but the pointers is in the first of three cache lines.
#[derive(Default)]
#[repr(C, align(64))]
struct Set {
    /// One bit for each place: used since the hand was there.
    used: AtomicU8,
    ways: RwLock<Ways>,
}

#[derive(Default)]
#[repr(C)]
struct Ways {
    /// Which of the blocks that can be here it is, from 1 on; 0 is a free place.
    marks: [u32; WAYS],
    bytes: usize,
    hand: usize,
    blocks: [Option<Arc<[u8]>>; WAYS],
}

impl BlockCache {
    /// A cache of at most `bytes`, for a file of `file_bytes`: it never makes room for more than those.
    pub(super) fn new(bytes: usize, file_bytes: u64) -> Self {
        let useful = usize::try_from(file_bytes).unwrap_or(usize::MAX);
        // An eighth more than there are blocks of rows, because those of other kinds are longer.
        let wanted = useful.saturating_add(useful / 8).div_ceil(SET_BYTES);
        let sets_max = wanted.min(bytes / SET_BYTES).max(1);
        let pieces = std::iter::repeat_with(OnceLock::new);
        Self {
            pieces: pieces.take(sets_max.div_ceil(PIECE_SETS)).collect(),
            sets_max,
            set_bytes: bytes / sets_max,
        }
    }

    /// Looks at the block, if it is here: without taking a share of it, which others would have to wait for.
    /// `look` must be short; it is given back if the block is not here.
    #[inline]
    pub(super) fn look<T, L: FnOnce(&Arc<[u8]>) -> T>(
        &self,
        number: BlockNumber,
        look: L,
    ) -> Result<T, L> {
        let Some((set, mark)) = self.set(number) else {
            return Err(look);
        };
        let ways = set.ways.read();
        let Some((place, block)) = ways.find(mark) else {
            return Err(look);
        };
        let found = look(block);
        let bit = 1 << place;
        // Looked at first, because writing takes the line from all other processors.
        if set.used.load(Ordering::Relaxed) & bit == 0 {
            set.used.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(found)
    }

    /// Has the processor load what tells where the first and the last of a few blocks of rows are, for who is about
    /// to look at one of them.
    #[inline]
    pub(super) fn approach(&self, blocks: Range<u32>) {
        for number in [blocks.start, blocks.end.saturating_sub(1)] {
            if let Some((set, _)) = self.set(number.into()) {
                std::hint::black_box(set.used.load(Ordering::Relaxed));
            }
        }
    }

    /// The set that the block can be in, if it was made, and how it is told from the others there.
    #[inline]
    fn set(&self, number: BlockNumber) -> Option<(&Set, u32)> {
        let (at, mark) = self.place(number)?;
        let piece = self.pieces.get(at / PIECE_SETS)?.get()?;
        Some((piece.get(at % PIECE_SETS)?, mark))
    }

    /// Keeps a block, if one of its size may be kept at all.
    pub(super) fn insert(&self, number: BlockNumber, block: &Arc<[u8]>) {
        if block.len() > self.set_bytes {
            return;
        }
        let Some((at, mark)) = self.place(number) else {
            return;
        };
        let Some(piece) = self.pieces.get(at / PIECE_SETS) else {
            return;
        };
        let sets = piece.get_or_init(|| {
            let sets = std::iter::repeat_with(Set::default);
            sets.take(PIECE_SETS).collect()
        });
        if let Some(set) = sets.get(at % PIECE_SETS) {
            set.ways
                .write()
                .insert(mark, block, self.set_bytes, &set.used);
        }
    }

    /// How many bytes of blocks it holds.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let pieces = self.pieces.iter().filter_map(OnceLock::get);
        pieces.flatten().map(|set| set.ways.read().bytes).sum()
    }

    /// Where a block can be, and how it is told from the others that can be there.
    #[inline]
    fn place(&self, number: BlockNumber) -> Option<(usize, u32)> {
        let (neighbours, place) = (number / NEIGHBOURS, number % NEIGHBOURS);
        let count = self.sets_max as u64;
        // Most caches have room for their whole file: then nothing has to be divided.
        let (round, at) = if neighbours < count {
            (0, neighbours)
        } else {
            (neighbours / count, neighbours % count)
        };
        let mark = round * NEIGHBOURS + place + 1;
        let at = usize::try_from(at).ok()?;
        Some((at, u32::try_from(mark).ok()?))
    }
}

impl Ways {
    #[inline]
    fn place(&self, mark: u32) -> Option<usize> {
        self.marks.iter().position(|found| *found == mark)
    }

    #[inline]
    fn find(&self, mark: u32) -> Option<(usize, &Arc<[u8]>)> {
        let place = self.place(mark)?;
        Some((place, self.blocks.get(place)?.as_ref()?))
    }

    fn insert(&mut self, mark: u32, block: &Arc<[u8]>, bytes_max: usize, used: &AtomicU8) {
        if self.place(mark).is_some() {
            // Another thread was faster.
            return;
        }
        // Twice round at most: the first time takes the bits, the second one the blocks.
        for _ in 0..WAYS * 2 {
            if self.bytes + block.len() <= bytes_max
                && let Some(place) = self.marks.iter().position(|mark| *mark == 0)
            {
                self.put(place, mark, Some(Arc::clone(block)));
                used.fetch_and(!(1 << place), Ordering::Relaxed);
                return;
            }
            let bit = 1 << self.hand;
            if used.fetch_and(!bit, Ordering::Relaxed) & bit == 0 {
                self.put(self.hand, 0, None);
            }
            self.hand = (self.hand + 1) % WAYS;
        }
    }

    fn put(&mut self, place: usize, mark: u32, block: Option<Arc<[u8]>>) {
        if let (Some(mark_of), Some(block_of)) =
            (self.marks.get_mut(place), self.blocks.get_mut(place))
        {
            self.bytes -= block_of.as_ref().map_or(0, |block| block.len());
            self.bytes += block.as_ref().map_or(0, |block| block.len());
            *mark_of = mark;
            *block_of = block;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(bytes: usize) -> Arc<[u8]> {
        vec![0; bytes].into()
    }

    #[test]
    fn it_never_holds_more_than_its_limit_and_keeps_what_is_used() {
        for limit in [0, 1000, 20_000, 100_000, 1_000_000] {
            let cache = BlockCache::new(limit, 10 << 20);
            for number in 0..2_000 {
                cache.insert(number, &block(if number % 9 == 0 { 16_000 } else { 4_000 }));
                assert!(cache.bytes() <= limit);
                let _ = cache.look(7, |_| ());
            }
            assert_eq!(cache.look(7, |_| ()).is_ok(), limit > 4_000);
        }
    }

    #[test]
    fn all_of_a_file_stays_if_there_is_room_for_it() {
        let cache = BlockCache::new(4_500 * 100, 4_096 * 97);
        for number in 0..97 {
            cache.insert(number, &block(4_096));
        }
        assert!((0..97).all(|number| cache.look(number, |_| ()).is_ok()));
    }
}
