//! The file of an open checkpoint: reads blocks, verifies each, and caches some.

use std::sync::Arc;

use crate::core::checksum::placed_crc;
use crate::disk::storage::{StorageFile, read_full};

use crate::table::cache::block_cache::{BlockCache, BlockNumber};
use crate::table::error::CheckpointError;
use crate::table::format::CHECKSUM_BYTES;

/// The place of a block in the file, and its kind.
#[derive(Debug, Clone, Copy)]
pub(in crate::table) struct Place {
    pub(in crate::table) offset: u64,
    /// Length with the checksum.
    pub(in crate::table) bytes: usize,
    pub(in crate::table) what: &'static str,
}

/// Treatment of a block that was read from the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::table) enum Keep {
    /// The block is cached for the next reader.
    Cached,
    /// The block is not cached: a reader of the whole file would evict the blocks that others need.
    Temp,
}

/// The file, the salt of its checksums, and its cache.
pub(in crate::table) struct Source {
    pub(in crate::table) file: Box<dyn StorageFile>,
    /// Name of the file, as the user gave it.
    pub(in crate::table) name: String,
    pub(in crate::table) salt: u64,
    /// Length of the file at its opening, in bytes.
    pub(in crate::table) file_bytes: u64,
    pub(in crate::table) cache: BlockCache,
}

impl Source {
    /// The error for a damaged part of the file.
    pub(in crate::table) fn damaged(&self, offset: u64, what: &'static str) -> CheckpointError {
        CheckpointError::Damaged {
            file: self.name.clone(),
            offset,
            what,
        }
    }

    /// The error for a damaged block.
    pub(in crate::table) fn damaged_at(&self, place: Place) -> CheckpointError {
        self.damaged(place.offset, place.what)
    }

    /// Reads the bytes of a block, unverified. Takes memory only for a place within the file.
    pub(in crate::table) fn read(&self, place: Place) -> Result<Arc<[u8]>, CheckpointError> {
        self.check(place)?;
        let mut block: Arc<[u8]> = std::iter::repeat_n(0, place.bytes).collect();
        if let Some(room) = Arc::get_mut(&mut block) {
            self.fill(place, room)?;
        }
        Ok(block)
    }

    /// Checks that the place is within the file.
    pub(in crate::table) fn check(&self, place: Place) -> Result<(), CheckpointError> {
        match place.offset.checked_add(place.bytes as u64) {
            Some(end) if end <= self.file_bytes => Ok(()),
            _ => Err(self.damaged(place.offset, place.what)),
        }
    }

    /// Fills `room` with the bytes at a place.
    pub(in crate::table) fn fill(
        &self,
        place: Place,
        room: &mut [u8],
    ) -> Result<(), CheckpointError> {
        let read = read_full(&*self.file, place.offset, room);
        let read = read.map_err(|error| CheckpointError::Read {
            file: self.name.clone(),
            offset: place.offset,
            cause: error.into(),
        })?;
        if read < room.len() {
            // The file was cut since it was opened.
            return Err(self.damaged(place.offset, place.what));
        }
        Ok(())
    }

    /// Checks that the checksum at the end of the block is that of the bytes before it.
    pub(in crate::table) fn verify(
        &self,
        place: Place,
        block: &[u8],
    ) -> Result<(), CheckpointError> {
        match block.split_last_chunk::<CHECKSUM_BYTES>() {
            Some((payload, checksum))
                if placed_crc(self.salt, place.offset, &[payload])
                    == u32::from_le_bytes(*checksum) =>
            {
                Ok(())
            }
            _ => Err(self.damaged(place.offset, place.what)),
        }
    }

    /// Reads a block and verifies it.
    pub(in crate::table) fn load(&self, place: Place) -> Result<Arc<[u8]>, CheckpointError> {
        let block = self.read(place)?;
        self.verify(place, &block)?;
        Ok(block)
    }

    /// A block from the cache, or from the disk.
    pub(in crate::table) fn block(
        &self,
        number: BlockNumber,
        keep: Keep,
        place: Place,
    ) -> Result<Arc<[u8]>, CheckpointError> {
        match self.cache.share(number) {
            Some(block) => Ok(block),
            None => self.miss(number, keep, place),
        }
    }

    /// The result of `look` for a block from the cache, or from the disk.
    #[inline]
    pub(in crate::table) fn look<T>(
        &self,
        number: BlockNumber,
        keep: Keep,
        place: impl FnOnce() -> Result<Place, CheckpointError>,
        look: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, CheckpointError> {
        match self.cache.look(number, look) {
            Ok(found) => Ok(found),
            Err(look) => self.miss(number, keep, place()?).map(|block| look(&block)),
        }
    }

    #[cold]
    fn miss(
        &self,
        number: BlockNumber,
        keep: Keep,
        place: Place,
    ) -> Result<Arc<[u8]>, CheckpointError> {
        let block = self.load(place)?;
        if keep == Keep::Cached {
            self.cache.insert(number, &block);
        }
        Ok(block)
    }
}
