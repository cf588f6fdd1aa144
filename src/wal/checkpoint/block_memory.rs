//! Memory for blocks that are kept. Who reads keys here and there meets a new page with nearly every block, and to find
//! out where a page is can take as long as to read from it: so the system is asked for large pages.

use memmap2::MmapMut;

use super::format::DATA_BLOCK_BYTES_MAX;

/// How much room there is for a block, in bytes: a line of the processor's cache more than most blocks take, because
/// a line can be kept in few places only, which its address tells. If all blocks began alike, so would all lines that
/// are looked at first, and would push each other out.
pub(super) const SLOT_BYTES: usize = DATA_BLOCK_BYTES_MAX + 64;

/// How large the large pages of most processors are, in bytes.
pub(super) const LARGE_PAGE_BYTES: usize = 2 << 20;

/// Room for some blocks. Only what was written to takes memory: a page, or a large one.
pub(super) struct BlockMemory {
    map: MmapMut,
    /// Where the first slot begins.
    start: usize,
}

impl BlockMemory {
    /// Room for so many blocks, if the system gives any. `in_large_pages` asks for those, which only Linux is asked
    /// for: elsewhere they need a right that programs rarely have.
    pub(super) fn new(slots: usize, in_large_pages: bool) -> Option<Self> {
        let bytes = slots.checked_mul(SLOT_BYTES)?;
        if !in_large_pages {
            let map = MmapMut::map_anon(bytes).ok()?;
            return Some(Self { map, start: 0 });
        }
        // What is too much at both ends is never written to.
        let map = MmapMut::map_anon(bytes.checked_add(LARGE_PAGE_BYTES)?).ok()?;
        let start = map.as_ptr().align_offset(LARGE_PAGE_BYTES);
        let start = if start < LARGE_PAGE_BYTES { start } else { 0 };
        #[cfg(target_os = "linux")]
        if let Err(error) = map.advise_range(memmap2::Advice::HugePage, start, bytes) {
            // A system without them works too.
            tracing::debug!(%error, "no large pages for blocks");
        }
        Some(Self { map, start })
    }

    /// The room of a block.
    #[inline]
    pub(super) fn slot(&self, slot: usize) -> Option<&[u8]> {
        let at = self.start + slot * SLOT_BYTES;
        self.map.get(at..at + SLOT_BYTES)
    }

    /// The room of a block, to write it.
    pub(super) fn slot_mut(&mut self, slot: usize) -> Option<&mut [u8]> {
        let at = self.start + slot * SLOT_BYTES;
        self.map.get_mut(at..at + SLOT_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_has_room_of_its_own() {
        for in_large_pages in [false, true] {
            let mut memory = BlockMemory::new(512, in_large_pages).unwrap();
            for slot in 0..512 {
                let text = format!("block {slot}");
                let room = memory.slot_mut(slot).unwrap();
                assert!(room.iter().all(|byte| *byte == 0));
                room[..text.len()].copy_from_slice(text.as_bytes());
                room[SLOT_BYTES - 1] = 1;
            }
            for slot in 0..512 {
                let room = memory.slot(slot).unwrap();
                assert!(room.starts_with(format!("block {slot}\0").as_bytes()));
                assert_eq!(room[SLOT_BYTES - 1], 1);
                assert_eq!(room.as_ptr().align_offset(64), 0);
            }
            assert!(memory.slot(1024).is_none());
        }
        assert!(BlockMemory::new(usize::MAX, true).is_none());
    }
}
