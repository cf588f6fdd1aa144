//! Memory for blocks that are kept. Who reads keys here and there meets a new page with nearly every block, and to find
//! out where a page is can take as long as to read from it: so the system is asked for large pages.

use memmap2::MmapMut;

use crate::table::format::DATA_BLOCK_BYTES_MAX;

/// How much room there is for a block, in bytes: a line of the processor's cache more than most blocks take, because
/// a line can be kept in few places only, which its address tells. If all blocks began alike, so would all lines that
/// are looked at first, and would push each other out.
pub(in crate::table) const SLOT_BYTES: usize = DATA_BLOCK_BYTES_MAX + 64;

/// How large the large pages of most processors are, in bytes.
pub(in crate::table) const LARGE_PAGE_BYTES: usize = 2 << 20;

/// Room for some blocks. Only what was written to takes memory: a page, or a large one.
pub(in crate::table) struct BlockMemory {
    map: MmapMut,
    /// Where the first slot begins.
    start: usize,
}

impl BlockMemory {
    /// Room for so many blocks, if the system gives any.
    pub(in crate::table) fn new(slots: usize) -> Option<Self> {
        let map = MmapMut::map_anon(slots.checked_mul(SLOT_BYTES)?).ok()?;
        Some(Self { map, start: 0 })
    }

    /// The same blocks in large pages, which only Linux is asked for: elsewhere they need a right that programs rarely
    /// have. As they are where the system has no more memory.
    pub(in crate::table) fn in_large_pages(self) -> Self {
        let bytes = self.map.len() - self.start;
        // What is too much at both ends is never written to.
        let map = if cfg!(target_os = "linux") {
            MmapMut::map_anon(bytes + LARGE_PAGE_BYTES).ok()
        } else {
            None
        };
        let Some(mut map) = map else {
            return self;
        };
        let start = map.as_ptr().align_offset(LARGE_PAGE_BYTES);
        if start >= LARGE_PAGE_BYTES {
            return self;
        }
        #[cfg(target_os = "linux")]
        if let Err(error) = map.advise_range(memmap2::Advice::HugePage, start, bytes) {
            tracing::debug!(%error, "no large pages for blocks");
            return self;
        }
        let (Some(from), Some(to)) = (
            self.map.get(self.start..),
            map.get_mut(start..start + bytes),
        ) else {
            return self;
        };
        to.copy_from_slice(from);
        Self { map, start }
    }

    /// The room of a block.
    #[inline]
    pub(in crate::table) fn slot(&self, slot: usize) -> Option<&[u8]> {
        let at = self.start + slot * SLOT_BYTES;
        self.map.get(at..at + SLOT_BYTES)
    }

    /// The room of a block, to write it.
    pub(in crate::table) fn slot_mut(&mut self, slot: usize) -> Option<&mut [u8]> {
        let at = self.start + slot * SLOT_BYTES;
        self.map.get_mut(at..at + SLOT_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(memory: &mut BlockMemory, slots: std::ops::Range<usize>) {
        for slot in slots {
            let text = format!("block {slot}.");
            let room = memory.slot_mut(slot).unwrap();
            room[..text.len()].copy_from_slice(text.as_bytes());
            room[SLOT_BYTES - 1] = 1;
        }
    }

    #[test]
    fn each_block_has_room_of_its_own_and_moves_with_the_others() {
        let mut memory = BlockMemory::new(504).unwrap();
        fill(&mut memory, 0..252);
        let mut memory = memory.in_large_pages();
        fill(&mut memory, 252..504);
        for slot in 0..504 {
            let room = memory.slot(slot).unwrap();
            assert!(room.starts_with(format!("block {slot}.").as_bytes()));
            assert_eq!(room[SLOT_BYTES - 1], 1);
            assert_eq!(room.as_ptr().align_offset(64), 0);
        }
        assert!(memory.slot(1024).is_none());
        assert!(BlockMemory::new(usize::MAX).is_none());
    }
}
