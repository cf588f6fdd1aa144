//! Cache of verified blocks of rows, up to a number of bytes.
//!
//! Set-associative, without hashing: blocks have dense numbers, and as many neighbours share a set as it has places, so
//! that neighbours never push each other out, and an approximate block number is enough to find the set. Within a set
//! the hand of a clock evicts the first block that was not used since its last round (the CLOCK algorithm). The number
//! of a block and its place in the set give its address.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, Ordering};

use parking_lot::RwLock;

use super::huge_pages::{BlockMemory, LARGE_PAGE_BYTES, SLOT_BYTES};

/// Most blocks of a set: their marks fit one cache line.
const WAYS: usize = NEIGHBOURS as usize;

/// Neighbouring blocks that share a set: as many as it has places.
const NEIGHBOURS: u32 = 8;

/// Bytes of the blocks of a set.
const SET_BYTES: usize = WAYS * SLOT_BYTES;

/// Sets that are allocated together: their blocks fill a large page.
const PIECE_SETS: usize = LARGE_PAGE_BYTES / SET_BYTES;

/// Cache size from which large pages are used, in bytes: below it the processor's address translation cache is enough.
const LARGE_PAGES_FROM_BYTES: usize = 16 << 20;

/// Number of blocks at which a piece moves to a large page, which takes the memory of all its blocks: half of them. So
/// memory is at most twice that of the blocks read.
const LARGE_PAGES_FROM_BLOCKS: usize = PIECE_SETS * WAYS / 2;

/// The cached blocks of rows of one file.
pub(in crate::table) struct RowBlocks {
    /// Pieces, each allocated for the first block that belongs into it: allocating all of a large cache takes longer
    /// than opening a file.
    pieces: Box<[OnceLock<Box<Piece>>]>,
    sets_max: usize,
}

/// Some sets, and their blocks. The sets change under the write lock only.
struct Piece {
    kept: RwLock<Kept>,
    sets: [Set; PIECE_SETS],
}

struct Kept {
    /// `None` if the system had no memory: then nothing is kept.
    memory: Option<BlockMemory>,
    blocks: usize,
}

#[derive(Default)]
#[repr(C, align(64))]
struct Set {
    /// Mark of the block in each place, from 1 on, which tells the blocks of the set apart; 0 is a free place.
    marks: [AtomicU32; WAYS],
    /// Lengths of the blocks, in bytes.
    lengths: [AtomicU16; WAYS],
    /// One bit for each place: used since the hand last passed.
    used: AtomicU8,
    hand: AtomicU8,
}

impl RowBlocks {
    /// A cache of at most `bytes`, and never larger than all blocks of a file of `file_bytes`.
    pub(in crate::table) fn new(bytes: usize, file_bytes: u64) -> Self {
        let useful = usize::try_from(file_bytes).unwrap_or(usize::MAX);
        // An eighth more than the file, because not each block has full length.
        let wanted = useful.saturating_add(useful / 8).div_ceil(SET_BYTES);
        let sets_max = wanted.min(bytes / SET_BYTES);
        let pieces = std::iter::repeat_with(OnceLock::new);
        Self {
            pieces: pieces.take(sets_max.div_ceil(PIECE_SETS)).collect(),
            sets_max,
        }
    }

    /// Calls `look` with the block if it is cached, and gives `look` back otherwise. `look` must be short, because
    /// inserting a block waits for it.
    #[inline]
    pub(in crate::table) fn look<T, L: FnOnce(&[u8]) -> T>(
        &self,
        number: u32,
        look: L,
    ) -> Result<T, L> {
        let Some((piece, at, mark)) = self.find(number) else {
            return Err(look);
        };
        let kept = piece.kept.read();
        let Some((way, block)) = piece.find(&kept, at, mark) else {
            return Err(look);
        };
        let found = look(block);
        if let Some(set) = piece.sets.get(at) {
            // Read first, because a write takes the cache line from all other processors.
            if set.used.load(Ordering::Relaxed) & 1 << way == 0 {
                set.used.fetch_or(1 << way, Ordering::Relaxed);
            }
        }
        Ok(found)
    }

    /// Prefetches the sets of the first and the last of a few blocks, for a caller that is about to look at one of
    /// them.
    #[inline]
    pub(in crate::table) fn approach(&self, blocks: &Range<u32>) {
        for number in [blocks.start, blocks.end.saturating_sub(1)] {
            let found = self.find(number);
            if let Some(set) = found.and_then(|(piece, at, _)| piece.sets.get(at)) {
                std::hint::black_box(set.used.load(Ordering::Relaxed));
            }
        }
    }

    /// Keeps a block, if there is memory for it.
    pub(in crate::table) fn insert(&self, number: u32, block: &[u8]) {
        let Some((at, mark)) = self.place(number) else {
            return;
        };
        let (Some(piece), Ok(length)) =
            (self.pieces.get(at / PIECE_SETS), u16::try_from(block.len()))
        else {
            return;
        };
        let piece = piece.get_or_init(|| self.piece(at / PIECE_SETS));
        let at = at % PIECE_SETS;
        let mut kept = piece.kept.write();
        // Another thread may have inserted the block meanwhile.
        if piece.find(&kept, at, mark).is_some() {
            return;
        }
        let Some(set) = piece.sets.get(at) else {
            return;
        };
        let (way, was_free) = set.make_room();
        if was_free {
            kept.blocks += 1;
            if kept.blocks == LARGE_PAGES_FROM_BLOCKS
                && self.sets_max * SET_BYTES >= LARGE_PAGES_FROM_BYTES
            {
                kept.memory = kept.memory.take().map(BlockMemory::in_large_pages);
            }
        }
        let room = kept
            .memory
            .as_mut()
            .and_then(|memory| memory.slot_mut(at * WAYS + way));
        if let Some(room) = room.and_then(|room| room.get_mut(..block.len())) {
            room.copy_from_slice(block);
            set.name(way, mark, length);
        }
    }

    fn piece(&self, number: usize) -> Box<Piece> {
        let sets = PIECE_SETS.min(self.sets_max.saturating_sub(number * PIECE_SETS));
        Box::new(Piece {
            kept: RwLock::new(Kept {
                memory: BlockMemory::new(sets * WAYS),
                blocks: 0,
            }),
            sets: std::array::from_fn(|_| Set::default()),
        })
    }

    /// The piece of a block, if it is allocated, the place of its set, and its mark.
    #[inline]
    fn find(&self, number: u32) -> Option<(&Piece, usize, u32)> {
        let (at, mark) = self.place(number)?;
        let piece = self.pieces.get(at / PIECE_SETS)?.get()?;
        Some((piece, at % PIECE_SETS, mark))
    }

    /// The place of the set that can hold a block, and the block's mark there.
    #[inline]
    fn place(&self, number: u32) -> Option<(usize, u32)> {
        let count = u32::try_from(self.sets_max)
            .ok()
            .filter(|count| *count > 0)?;
        let (neighbours, place) = (number / NEIGHBOURS, number % NEIGHBOURS);
        // Most caches have room for their whole file: then no division is needed.
        let (round, at) = if neighbours < count {
            (0, neighbours)
        } else {
            (neighbours / count, neighbours % count)
        };
        Some((at as usize, round * NEIGHBOURS + place + 1))
    }

    /// Bytes of the cached blocks.
    #[cfg(test)]
    pub(in crate::table) fn bytes(&self) -> usize {
        let sets = self
            .pieces
            .iter()
            .filter_map(OnceLock::get)
            .flat_map(|piece| &piece.sets);
        let lengths = sets.flat_map(|set| &set.lengths);
        lengths
            .map(|length| usize::from(length.load(Ordering::Relaxed)))
            .sum()
    }

    /// Memory of the cached blocks, in bytes, with all allocated room written to.
    #[cfg(test)]
    pub(in crate::table) fn room_bytes(&self) -> usize {
        let made = self
            .pieces
            .iter()
            .filter(|piece| piece.get().is_some())
            .count();
        (made * PIECE_SETS).min(self.sets_max) * SET_BYTES
    }
}

impl Piece {
    #[inline]
    fn find<'a>(&self, kept: &'a Kept, at: usize, mark: u32) -> Option<(usize, &'a [u8])> {
        let set = self.sets.get(at)?;
        let mut marks = set.marks.iter();
        let way = marks.position(|found| found.load(Ordering::Relaxed) == mark)?;
        let length = set.lengths.get(way)?.load(Ordering::Relaxed);
        let block = kept
            .memory
            .as_ref()?
            .slot(at * WAYS + way)?
            .get(..length.into())?;
        Some((way, block))
    }
}

impl Set {
    /// A place for one more block, and true if it was free; otherwise its block was evicted.
    fn make_room(&self) -> (usize, bool) {
        let is_free = |mark: &AtomicU32| mark.load(Ordering::Relaxed) == 0;
        if let Some(way) = self.marks.iter().position(is_free) {
            return (way, true);
        }
        // Ends after about one round: the hand clears the used bits that it passes.
        loop {
            let way = usize::from(self.hand.fetch_add(1, Ordering::Relaxed)) % WAYS;
            if self.used.fetch_and(!(1 << way), Ordering::Relaxed) & 1 << way == 0 {
                self.name(way, 0, 0);
                return (way, false);
            }
        }
    }

    fn name(&self, way: usize, mark: u32, length: u16) {
        if let (Some(mark_of), Some(length_of)) = (self.marks.get(way), self.lengths.get(way)) {
            mark_of.store(mark, Ordering::Relaxed);
            length_of.store(length, Ordering::Relaxed);
        }
    }
}
