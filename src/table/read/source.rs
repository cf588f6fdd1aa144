//! The file of an open checkpoint: reads blocks, verifies each, and keeps some.

use std::sync::Arc;

use crate::core::checksum::placed_crc;
use crate::disk::storage::{StorageFile, read_full};

use crate::table::cache::block_cache::{BlockCache, BlockNumber};
use crate::table::error::CheckpointError;
use crate::table::format::CHECKSUM_BYTES;

/// Where a block is, and what it is.
#[derive(Debug, Clone, Copy)]
pub(in crate::table) struct Place {
    pub(in crate::table) offset: u64,
    /// With its checksum.
    pub(in crate::table) bytes: usize,
    pub(in crate::table) what: &'static str,
}

/// What happens to a block that comes from the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::table) enum Keep {
    /// It is kept, for whoever looks at it next.
    Cached,
    /// It is not: whoever reads everything once would push out what others need.
    Temp,
}

/// The file, what all its checksums cover, and the cache.
pub(in crate::table) struct Source {
    pub(in crate::table) file: Box<dyn StorageFile>,
    /// How users know it.
    pub(in crate::table) name: String,
    pub(in crate::table) salt: u64,
    /// How long it was when it was opened, in bytes.
    pub(in crate::table) file_bytes: u64,
    pub(in crate::table) cache: BlockCache,
}

impl Source {
    /// The error for a part of the file that is damaged.
    pub(in crate::table) fn damaged(&self, offset: u64, what: &'static str) -> CheckpointError {
        CheckpointError::Damaged {
            file: self.name.clone(),
            offset,
            what,
        }
    }

    /// The error for a block that is damaged.
    pub(in crate::table) fn damaged_at(&self, place: Place) -> CheckpointError {
        self.damaged(place.offset, place.what)
    }

    /// Reads the bytes of a block, unverified. Memory is taken only for what lies within the file.
    pub(in crate::table) fn read(&self, place: Place) -> Result<Arc<[u8]>, CheckpointError> {
        self.check(place)?;
        let mut block: Arc<[u8]> = std::iter::repeat_n(0, place.bytes).collect();
        if let Some(room) = Arc::get_mut(&mut block) {
            self.fill(place, room)?;
        }
        Ok(block)
    }

    /// An error unless the place is within the file.
    pub(in crate::table) fn check(&self, place: Place) -> Result<(), CheckpointError> {
        match place.offset.checked_add(place.bytes as u64) {
            Some(end) if end <= self.file_bytes => Ok(()),
            _ => Err(self.damaged(place.offset, place.what)),
        }
    }

    /// Reads as many bytes as there is room for.
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
            // Somebody cut the file since it was opened.
            return Err(self.damaged(place.offset, place.what));
        }
        Ok(())
    }

    /// An error unless the checksum at the end of the block is the one of what precedes it.
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

    /// A block of that number from the cache, or else from the disk.
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

    /// What `look` finds in a block of that number, in the cache or else from the disk.
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
