//! Cache of verified blocks that readers share: nodes of the index, and blocks of feeds. Evicts by second chance.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

/// The cached blocks of one file, by number.
pub(in crate::table) struct SharedBlocks {
    bytes_max: usize,
    kept: RwLock<Kept>,
}

#[derive(Default)]
struct Kept {
    blocks: HashMap<u64, Shared>,
    /// Blocks in the order of eviction; a block that was used meanwhile goes to the end instead.
    turns: VecDeque<u64>,
    bytes: usize,
}

struct Shared {
    block: Arc<[u8]>,
    is_used: AtomicBool,
}

impl SharedBlocks {
    /// A cache of at most that many bytes.
    pub(in crate::table) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            kept: RwLock::default(),
        }
    }

    /// The block, if it is cached.
    pub(in crate::table) fn share(&self, number: u64) -> Option<Arc<[u8]>> {
        let kept = self.kept.read();
        let shared = kept.blocks.get(&number)?;
        if !shared.is_used.load(Ordering::Relaxed) {
            shared.is_used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&shared.block))
    }

    /// Keeps a block, unless it is larger than the cache.
    pub(in crate::table) fn insert(&self, number: u64, block: &Arc<[u8]>) {
        if block.len() > self.bytes_max {
            return;
        }
        let mut kept = self.kept.write();
        if kept.blocks.contains_key(&number) {
            // Another thread inserted the block meanwhile.
            return;
        }
        while kept.bytes + block.len() > self.bytes_max {
            kept.drop_one();
        }
        kept.bytes += block.len();
        kept.turns.push_back(number);
        let shared = Shared {
            block: Arc::clone(block),
            is_used: AtomicBool::new(false),
        };
        kept.blocks.insert(number, shared);
    }

    /// Bytes of the cached blocks.
    #[cfg(test)]
    pub(in crate::table) fn bytes(&self) -> usize {
        let kept = self.kept.read();
        let bytes: usize = kept.blocks.values().map(|shared| shared.block.len()).sum();
        assert_eq!((bytes, kept.blocks.len()), (kept.bytes, kept.turns.len()));
        bytes
    }
}

impl Kept {
    /// Evicts one block. A block that was used since its last turn gets another turn, once.
    fn drop_one(&mut self) {
        while let Some(number) = self.turns.pop_front() {
            let was_used = self.blocks.get(&number);
            if was_used.is_some_and(|shared| shared.is_used.swap(false, Ordering::Relaxed)) {
                self.turns.push_back(number);
            } else {
                let shared = self.blocks.remove(&number);
                self.bytes -= shared.map_or(0, |shared| shared.block.len());
                return;
            }
        }
    }
}
