//! Reading: always from memory, under a short lock, whatever the log and the network do.

use crate::store::entry::{EntryFlags, Namespace};
use crate::store::view::{ViewId, page};

use super::failure::Failure;
use super::handle::Node;
use crate::core::checksum::key_hash;

/// Keys that a page may find out of order: sorting them costs less than the page.
const UNSETTLED_MAX: usize = 256;

impl Node {
    /// Reads the value of a stored key (namespace byte and key): what has changed lately under a short lock,
    /// everything else in the checkpoint, small values under a short lock of its block. So `read` must be short.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn read<R>(
        &self,
        key: &[u8],
        read: impl FnOnce(&[u8], bool) -> R,
    ) -> Result<Option<R>, Failure> {
        let map = self.shared.map.read();
        let hash = key_hash(key);
        if let Some(entry) = map.changed_entry(key, hash) {
            let ascii = entry.flags.contains(EntryFlags::ASCII);
            return Ok(entry.value().map(|value| read(value, ascii)));
        }
        let base = map.base().cloned();
        drop(map);
        match base {
            Some(base) => Ok(base.read(key, hash, read)?),
            None => Ok(None),
        }
    }

    /// The value of a key of a user.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let mut stored = vec![Namespace::User as u8];
        stored.extend_from_slice(key);
        self.read(&stored, |value, _| value.to_vec())
    }

    /// How many keys have a value.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be: right after an unclean stop.
    pub fn size(&self) -> Result<usize, Failure> {
        self.shared.resolve_totals()?;
        Ok(self.shared.map.read().len())
    }

    /// The same for who cannot be told of a failure: as many as are known then, and the failure is an event.
    pub fn size_known(&self) -> usize {
        self.size().unwrap_or_else(|failure| {
            self.shared.events.failed(failure);
            self.shared.map.read().len()
        })
    }

    /// Begins a consistent view of all entries as they are now; end it with [`Self::close_view`].
    pub fn open_view(&self) -> ViewId {
        self.shared.settle_order(0);
        self.shared.map.write().open_view()
    }

    /// Ends a view.
    pub fn close_view(&self, view: ViewId) {
        self.shared.close_view(view);
    }

    /// Up to `limit` entries of a view in key order: key, value, whether it is ASCII text, version. Keys have
    /// the prefix, and lie behind `after`.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn page<R>(
        &self,
        view: ViewId,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        mut read: impl FnMut(&[u8], &[u8], bool, u64) -> R,
    ) -> Result<Vec<R>, Failure> {
        let stored = |key: &[u8]| {
            let mut stored = vec![Namespace::User as u8];
            stored.extend_from_slice(key);
            stored
        };
        self.shared.settle_order(UNSETTLED_MAX);
        let map = self.shared.map.read();
        let after = after.map(stored);
        let rows = page(&map, view, &stored(prefix), after.as_deref(), limit)?;
        let rows = rows
            .iter()
            .map(|entry| {
                let ascii = entry.flags.contains(EntryFlags::ASCII);
                let key = entry.key().get(1..).unwrap_or_default();
                read(key, entry.value().unwrap_or_default(), ascii, entry.version)
            })
            .collect();
        Ok(rows)
    }
}
