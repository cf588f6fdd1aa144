//! Block cache: verified blocks in memory, up to a number of bytes.

use std::ops::Range;
use std::sync::Arc;

use super::row_blocks::RowBlocks;
use super::shared_blocks::SharedBlocks;

/// One in this many bytes of the cache is for blocks other than those of rows: for files of ten gigabytes and keys of
/// usual length half the nodes of the index, with a cache of a quarter of a gigabyte. An unused share takes no memory.
const SHARED_PART: usize = 4;

/// Number of a block in its cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::table) enum BlockNumber {
    /// A block of rows: the number of such blocks before it.
    Rows(u32),
    /// A block of another kind: the number of blocks that are not of rows before it.
    Other(u64),
}

/// The block cache of one file.
pub(in crate::table) struct BlockCache {
    rows: RowBlocks,
    others: SharedBlocks,
}

impl BlockCache {
    /// A cache of at most `bytes`, for a file of `file_bytes`.
    pub(in crate::table) fn new(bytes: usize, file_bytes: u64) -> Self {
        let shared = bytes / SHARED_PART;
        Self {
            rows: RowBlocks::new(bytes - shared, file_bytes),
            others: SharedBlocks::new(shared),
        }
    }

    /// Calls `look` with the block if it is cached, and gives `look` back otherwise. `look` must be short, because
    /// inserting a block waits for it.
    #[inline]
    pub(in crate::table) fn look<T, L: FnOnce(&[u8]) -> T>(
        &self,
        number: BlockNumber,
        look: L,
    ) -> Result<T, L> {
        match number {
            BlockNumber::Rows(number) => self.rows.look(number, look),
            BlockNumber::Other(number) => match self.others.share(number) {
                Some(block) => Ok(look(&block)),
                None => Err(look),
            },
        }
    }

    /// The block, if it is cached: a copy of a block of rows, a share of any other.
    pub(in crate::table) fn share(&self, number: BlockNumber) -> Option<Arc<[u8]>> {
        match number {
            BlockNumber::Rows(number) => self.rows.look(number, |block| block.into()).ok(),
            BlockNumber::Other(number) => self.others.share(number),
        }
    }

    /// Prefetches the entries of a few neighbouring blocks of rows, for a caller that is about to look at one of them.
    #[inline]
    pub(in crate::table) fn approach(&self, rows: &Range<u32>) {
        self.rows.approach(rows);
    }

    /// Keeps a block, unless it is larger than the cache.
    pub(in crate::table) fn insert(&self, number: BlockNumber, block: &Arc<[u8]>) {
        match number {
            BlockNumber::Rows(number) => self.rows.insert(number, block),
            BlockNumber::Other(number) => self.others.insert(number, block),
        }
    }
}

#[cfg(test)]
impl BlockCache {
    /// Bytes of the cached blocks.
    pub(in crate::table) fn bytes(&self) -> usize {
        self.rows.bytes() + self.others.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: u32, bytes: usize) -> Arc<[u8]> {
        let mut block = vec![0; bytes];
        block[..4].copy_from_slice(&number.to_le_bytes());
        block.into()
    }

    #[test]
    fn it_never_takes_more_than_its_limit_and_keeps_what_is_used() {
        for limit in [0, 40_000, 200_000, 1_000_000, 40 << 20] {
            let cache = BlockCache::new(limit, 100 << 20);
            let used = [BlockNumber::Rows(5), BlockNumber::Other(5)];
            for number in 0..20_000 {
                let rows = block(number, [4_000, 4_096, 100][number as usize % 3]);
                let other = block(number, [16_000, 4_100][number as usize % 2]);
                for (number, block) in [
                    (BlockNumber::Rows(number), rows),
                    (BlockNumber::Other(number.into()), other),
                ] {
                    cache.insert(number, &block);
                    if let Some(kept) = cache.share(number) {
                        assert_eq!(kept, block);
                        let found = cache.look(number, |found| found == &*block);
                        assert!(found.is_ok_and(|is_same| is_same));
                    }
                }
                assert!(cache.rows.room_bytes() + cache.others.bytes() <= limit);
                let _ = used.map(|used| cache.look(used, |_| ()).is_ok());
            }
            let are_here = used.map(|used| cache.look(used, |_| ()).is_ok());
            assert_eq!(are_here, [limit > 100_000; 2]);
        }
    }

    #[test]
    fn all_of_a_file_stays_if_there_is_room_for_it() {
        for blocks in [97_u32, 9_700] {
            let bytes = 4_096 * blocks as usize;
            let cache = BlockCache::new(bytes * 3 / 2 + (64 << 10), bytes as u64);
            for number in 0..blocks {
                cache.insert(BlockNumber::Rows(number), &block(number, 4_096));
            }
            for number in 0..blocks {
                let found = cache.share(BlockNumber::Rows(number));
                assert_eq!(found, Some(block(number, 4_096)));
            }
        }
    }
}
