//! Reads: under a short lock, independent of the log's syncs and of the network.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::store::entry::{EntryFlags, Namespace};
use crate::store::state::snapshot::{SnapshotId, page};

use super::handle::Node;
use crate::core::checksum::key_hash;
use crate::node::failure::Failure;

/// Most unsorted keys that a page tolerates: sorting them costs less than the page.
const UNSORTED_MAX: usize = 256;

/// Rounds of some thousand keys that a page sorts before it yields: a few milliseconds.
const SETTLED_BY_PAGE: usize = 4;

impl Node {
    /// Reads the value of a stored key (namespace byte and key): recent changes under a short lock, everything else in
    /// the checkpoint, small values under a short lock of their block. So `read` must be short. Its second argument is
    /// true for ASCII text.
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

    /// The value of a user's key; `None` if there is none.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let mut stored = vec![Namespace::User as u8];
        stored.extend_from_slice(key);
        self.read(&stored, |value, _| value.to_vec())
    }

    /// Number of keys with a value.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be: right after an unclean stop.
    pub fn size(&self) -> Result<usize, Failure> {
        self.shared.look_up_totals()?;
        Ok(self.shared.map.read().len())
    }

    /// Infallible form of `size`: returns the last known count and emits an `error` event if the checkpoint cannot be
    /// read.
    pub fn size_known(&self) -> usize {
        self.size().unwrap_or_else(|failure| {
            self.shared.events.failed(failure);
            self.shared.map.read().len()
        })
    }

    /// Begins a consistent snapshot of all present entries; end it with [`Self::close_snapshot`].
    pub fn open_snapshot(&self) -> SnapshotId {
        self.shared.map.write().open_snapshot()
    }

    /// Ends a snapshot.
    pub fn close_snapshot(&self, snapshot: SnapshotId) {
        self.shared.close_snapshot(snapshot);
    }

    /// Counter of the approximate bytes held for open snapshots. Stays current for as long as it is held.
    pub fn kept_bytes(&self) -> Arc<AtomicUsize> {
        Arc::clone(self.shared.map.read().snapshots().kept_bytes())
    }

    /// Up to `limit` entries of a snapshot in key order, after the key `after` and with the prefix; `read` gets key,
    /// value, a flag that is true for ASCII text, and version. Returns the results and the key after which the next
    /// page begins, `None` at the end. A page may be empty before the end, so that no call takes long.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn page<R>(
        &self,
        snapshot: SnapshotId,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        mut read: impl FnMut(&[u8], &[u8], bool, u64) -> R,
    ) -> Result<(Vec<R>, Option<Vec<u8>>), Failure> {
        let stored = |key: &[u8]| {
            let mut stored = vec![Namespace::User as u8];
            stored.extend_from_slice(key);
            stored
        };
        let prefix = stored(prefix);
        let after = after.map(stored);
        if !self.shared.sort_keys_for(UNSORTED_MAX, SETTLED_BY_PAGE) {
            return Ok((Vec::new(), Some(after.map_or_else(Vec::new, user_key))));
        }
        let map = self.shared.map.read();
        let page = page(&map, snapshot, &prefix, after.as_deref(), limit)?;
        let next = page.next.map(user_key);
        let rows = page
            .entries
            .iter()
            .map(|entry| {
                let ascii = entry.flags.contains(EntryFlags::ASCII);
                let key = entry.key().get(1..).unwrap_or_default();
                read(key, entry.value().unwrap_or_default(), ascii, entry.version)
            })
            .collect();
        Ok((rows, next))
    }
}

/// A stored key without its namespace.
fn user_key(mut stored: Vec<u8>) -> Vec<u8> {
    stored.drain(..1.min(stored.len()));
    stored
}
