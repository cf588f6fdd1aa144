//! Memory for cached blocks. Random reads meet a new page with nearly every block, and translating its address can take
//! as long as reading it (a TLB miss): so the system is asked for large pages.

use memmap2::MmapMut;

use crate::table::format::DATA_BLOCK_BYTES_MAX;

/// Room for one block, in bytes: a cache line more than most blocks take. The address of a line decides the few places
/// in the processor's cache where it can be kept; if all blocks began at like addresses, their first lines would push
/// each other out.
pub(in crate::table) const SLOT_BYTES: usize = DATA_BLOCK_BYTES_MAX + 64;

/// Bytes of a large page on most processors.
pub(in crate::table) const LARGE_PAGE_BYTES: usize = 2 << 20;

/// Memory for a number of blocks. Only written parts take memory, by pages or large pages.
pub(in crate::table) struct BlockMemory {
    map: MmapMut,
    /// Offset of the first slot.
    start: usize,
}

impl BlockMemory {
    /// Memory for that many blocks; `None` if the system has none.
    pub(in crate::table) fn new(slots: usize) -> Option<Self> {
        let map = MmapMut::map_anon(slots.checked_mul(SLOT_BYTES)?).ok()?;
        Some(Self { map, start: 0 })
    }

    /// Moves the blocks to large pages. Only Linux is asked for them: elsewhere they need a privilege that programs
    /// rarely have. Returns the blocks unmoved if the system has no more memory.
    pub(in crate::table) fn in_large_pages(self) -> Self {
        let bytes = self.map.len() - self.start;
        // The surplus at both ends is never written to.
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

    /// The room of one block.
    #[inline]
    pub(in crate::table) fn slot(&self, slot: usize) -> Option<&[u8]> {
        let at = self.start + slot * SLOT_BYTES;
        self.map.get(at..at + SLOT_BYTES)
    }

    /// The room of one block, for writing.
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
