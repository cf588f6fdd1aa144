//! The checkpoint under the memtable, read in place, row by row.

use std::ops::Bound;
use std::sync::Arc;

use super::row;
use super::totals::Totals;
use crate::core::identity::Origin;
use crate::store::entry::{Entry, EntryFlags};
use crate::store::error::StoreError;
use crate::store::record::origin_dictionary::OriginDictionary;
use crate::table::{BlockOf, Checkpoint, FeedCursor, RangeCursor, RowRef};

/// Number of the own stream: the rows of the outbox in a checkpoint.
pub(in crate::store) const OWN: u8 = 0;

/// Number of the relayed stream: all other replicated entries in a checkpoint.
pub(in crate::store) const RELAY: u8 = 1;

/// An entry of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseEntry {
    /// The entry.
    pub entry: Entry,
    /// The entry's local sequence: its place in the feed.
    pub lseq: u64,
    /// The peer that sent the entry; `None` if it was written here.
    pub source: Option<Origin>,
    /// The checkpoint's block that holds the row, if the lookup reported it.
    pub block_of: Option<BlockOf>,
}

/// A checkpoint, with the dictionaries that are needed to decode its rows.
#[derive(Debug)]
pub struct Base {
    file: Checkpoint,
    origins: OriginDictionary,
    sources: Vec<Origin>,
    totals: Totals,
}

impl Base {
    /// A checkpoint, with the origins that its rows name by number.
    pub fn new(
        file: Checkpoint,
        origins: OriginDictionary,
        sources: Vec<Origin>,
        totals: Totals,
    ) -> Arc<Self> {
        Arc::new(Self {
            file,
            origins,
            sources,
            totals,
        })
    }

    /// The file of the checkpoint.
    pub fn file(&self) -> &Checkpoint {
        &self.file
    }

    /// The peers that sent the rows.
    pub(in crate::store) fn sources(&self) -> &[Origin] {
        &self.sources
    }

    /// Totals over all rows.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Origins that rows name by number; more may be added after them.
    pub(in crate::store) fn origins(&self) -> &OriginDictionary {
        &self.origins
    }

    pub(in crate::store) fn decode(&self, row: &RowRef) -> Result<BaseEntry, StoreError> {
        let body = self.file.body(row)?;
        let (entry, source) = row::decode(row.key_parts(), &body, &self.origins)
            .map_err(|reason| self.malformed(reason))?;
        Ok(BaseEntry {
            entry,
            lseq: row.lseq(),
            source,
            block_of: row.block_of(),
        })
    }

    fn malformed(&self, reason: crate::core::bytes::DecodeError) -> StoreError {
        StoreError::Row {
            path: self.file.file().to_owned(),
            reason,
        }
    }

    /// The entry of a stored key.
    pub fn entry(&self, key: &[u8]) -> Result<Option<BaseEntry>, StoreError> {
        self.file
            .find(key)?
            .map(|row| self.decode(&row))
            .transpose()
    }

    /// Reads the value of a stored key with that [hash](crate::core::checksum::key_hash), and a flag that is true if it
    /// is ASCII text. `read` must be short, as for [`Checkpoint::read`].
    #[inline]
    pub fn read<R>(
        &self,
        key: &[u8],
        hash: u64,
        read: impl FnOnce(&[u8], bool) -> R,
    ) -> Result<Option<R>, StoreError> {
        let found = self.file.read(key, hash, |body| {
            let (flags, value) = row::value(body)?;
            Ok(value.map(|value| read(value, flags.contains(EntryFlags::ASCII))))
        })?;
        found
            .transpose()
            .map(Option::flatten)
            .map_err(|reason| self.malformed(reason))
    }

    /// The fingerprint of a stored key's row; `None` if there is none.
    pub(in crate::store) fn sum_of(&self, key: &[u8]) -> Result<Option<u128>, StoreError> {
        Ok(self.file.find(key)?.map(|row| row.sum()))
    }

    /// Number and sum of the rows with keys below this one.
    pub(in crate::store) fn sum_before(&self, key: &[u8]) -> Result<(u32, u128), StoreError> {
        Ok(self.file.sum_of(Bound::Unbounded, Bound::Excluded(key))?)
    }

    /// A cursor over the rows from a key on, in key order.
    pub(in crate::store) fn range(&self, from: Bound<&[u8]>) -> Result<RangeCursor, StoreError> {
        Ok(self.file.range(from)?)
    }

    /// A cursor over the rows of a stream after a local sequence.
    pub(in crate::store) fn feed_after(
        &self,
        stream: u8,
        after: u64,
    ) -> Result<FeedCursor, StoreError> {
        Ok(self.file.feed(stream).after(after)?)
    }

    /// Number of rows of a stream in `(after, to]`.
    pub(in crate::store) fn rows_between(
        &self,
        stream: u8,
        after: u64,
        to: u64,
    ) -> Result<u64, StoreError> {
        let feed = self.file.feed(stream);
        let up_to = |lseq| feed.rows_up_to(lseq);
        Ok(u64::from(up_to(to)?.saturating_sub(up_to(after)?)))
    }

    /// The last local sequence of a stream, 0 if it is empty.
    pub(in crate::store) fn last(&self, stream: u8) -> u64 {
        self.file.feed(stream).last_lseq().unwrap_or(0)
    }

    /// The row at a local sequence, of either stream.
    pub(in crate::store) fn at(&self, lseq: u64) -> Result<Option<BaseEntry>, StoreError> {
        let row = self.row_at(lseq)?;
        row.map(|row| self.decode(&row)).transpose()
    }

    /// The undecoded row at a local sequence, without a value that is stored apart.
    pub(in crate::store) fn row_at(&self, lseq: u64) -> Result<Option<RowRef>, StoreError> {
        for stream in [OWN, RELAY] {
            if let Some(row) = self.file.feed(stream).at(lseq)? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}
