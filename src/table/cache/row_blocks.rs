//! Verified blocks of rows in memory, up to a number of bytes.
//!
//! They have dense numbers, and as many neighbours as a set has room for can be in the same set, so that they never
//! push each other out, and whoever knows about where a block is finds its set: no hash. Within a set the hand of a
//! clock goes round and takes the first block that was not used since it last came by. A block lies where its number
//! and its place in the set tell.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, Ordering};

use parking_lot::RwLock;

use super::huge_pages::{BlockMemory, LARGE_PAGE_BYTES, SLOT_BYTES};

/// How many blocks a set holds at most: what tells them apart fits one cache line of the processor.
const WAYS: usize = NEIGHBOURS as usize;

/// How many blocks that follow each other can be in the same set: as many as there are places in it.
const NEIGHBOURS: u32 = 8;

/// How many bytes the blocks of a set take.
const SET_BYTES: usize = WAYS * SLOT_BYTES;

/// Sets that are made at once: their blocks fill a large page.
const PIECE_SETS: usize = LARGE_PAGE_BYTES / SET_BYTES;

/// For how many bytes of blocks large pages are worth it: the processor knows by heart where less is.
const LARGE_PAGES_FROM_BYTES: usize = 16 << 20;

/// With how many blocks a piece moves to a large page, which takes as much memory as all of them: half. So nobody pays
/// for more than twice what he reads.
const LARGE_PAGES_FROM_BLOCKS: usize = PIECE_SETS * WAYS / 2;

/// The kept blocks of one file.
pub(in crate::table) struct RowBlocks {
    /// Each made when the first block comes that can be in it: making all of a large cache takes longer than
    /// opening a file does.
    pieces: Box<[OnceLock<Box<Piece>>]>,
    sets_max: usize,
}

/// Some sets, and their blocks. Who has the lock to write changes the sets too.
struct Piece {
    kept: RwLock<Kept>,
    sets: [Set; PIECE_SETS],
}

struct Kept {
    /// None if the system gave none: then nothing is kept.
    memory: Option<BlockMemory>,
    blocks: usize,
}

#[derive(Default)]
#[repr(C, align(64))]
struct Set {
    /// Which of the blocks that can be here it is, from 1 on; 0 is a free place.
    marks: [AtomicU32; WAYS],
    /// How long it is, in bytes.
    lengths: [AtomicU16; WAYS],
    /// One bit for each place: used since the hand was there.
    used: AtomicU8,
    hand: AtomicU8,
}

impl RowBlocks {
    /// Room for at most `bytes`, and never for more than all blocks of a file of `file_bytes`.
    pub(in crate::table) fn new(bytes: usize, file_bytes: u64) -> Self {
        let useful = usize::try_from(file_bytes).unwrap_or(usize::MAX);
        // An eighth more than there are, because not each is as long as it may be.
        let wanted = useful.saturating_add(useful / 8).div_ceil(SET_BYTES);
        let sets_max = wanted.min(bytes / SET_BYTES);
        let pieces = std::iter::repeat_with(OnceLock::new);
        Self {
            pieces: pieces.take(sets_max.div_ceil(PIECE_SETS)).collect(),
            sets_max,
        }
    }

    /// Looks at the block, if it is here. `look` must be short, because whoever wants to keep a block waits for it; it
    /// is given back if the block is not here.
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
            // Looked at first, because writing takes the line from all other processors.
            if set.used.load(Ordering::Relaxed) & 1 << way == 0 {
                set.used.fetch_or(1 << way, Ordering::Relaxed);
            }
        }
        Ok(found)
    }

    /// Has the processor load what tells where the first and the last of a few blocks are, for who is about to look at
    /// one of them.
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
        // Another thread may have been faster.
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

    /// The piece that the block can be in, if it was made, the place of its set there, and how it is told from others.
    #[inline]
    fn find(&self, number: u32) -> Option<(&Piece, usize, u32)> {
        let (at, mark) = self.place(number)?;
        let piece = self.pieces.get(at / PIECE_SETS)?.get()?;
        Some((piece, at % PIECE_SETS, mark))
    }

    /// Which set a block can be in, and how it is told from the others that can be there.
    #[inline]
    fn place(&self, number: u32) -> Option<(usize, u32)> {
        let count = u32::try_from(self.sets_max)
            .ok()
            .filter(|count| *count > 0)?;
        let (neighbours, place) = (number / NEIGHBOURS, number % NEIGHBOURS);
        // Most have room for their whole file: then nothing has to be divided.
        let (round, at) = if neighbours < count {
            (0, neighbours)
        } else {
            (neighbours / count, neighbours % count)
        };
        Some((at as usize, round * NEIGHBOURS + place + 1))
    }

    /// How many bytes the kept blocks have.
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

    /// How much memory they take, if all that was made room for was written to.
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
    /// A place for one more block, and whether it was free: whoever was there is gone.
    fn make_room(&self) -> (usize, bool) {
        let is_free = |mark: &AtomicU32| mark.load(Ordering::Relaxed) == 0;
        if let Some(way) = self.marks.iter().position(is_free) {
            return (way, true);
        }
        // Once round at most: on its way the hand takes the bits of all that were used.
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
