//! Reading: always from memory, under a short lock, whatever the log and the network do.

use crate::store::entry::{EntryFlags, Namespace};
use crate::store::view::{ViewId, page};

use super::handle::Node;

/// Keys that a page may find out of order: sorting them costs less than the page.
const UNSETTLED_MAX: usize = 256;

impl Node {
    /// Reads the value of a stored key (namespace byte and key) under a short lock.
    pub fn read<R>(&self, key: &[u8], read: impl FnOnce(&[u8], bool) -> R) -> Option<R> {
        let map = self.shared.map.read();
        let entry = map.entry(key)?;
        let ascii = entry.flags.contains(EntryFlags::ASCII);
        entry.value().map(|value| read(value, ascii))
    }

    /// The value of a key of a user.
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut stored = vec![Namespace::User as u8];
        stored.extend_from_slice(key);
        self.read(&stored, |value, _| value.to_vec())
    }

    /// How many keys have a value.
    pub fn size(&self) -> usize {
        self.shared.map.read().len()
    }

    /// Begins a consistent view of all entries as they are now; end it with [`Self::close_view`].
    pub fn open_view(&self) -> ViewId {
        self.shared.settle_order(0);
        self.shared.map.write().open_view()
    }

    /// Ends a view.
    pub fn close_view(&self, view: ViewId) {
        self.shared.map.write().close_view(view);
    }

    /// Up to `limit` entries of a view in key order: key, value, whether it is ASCII text, version. Keys have
    /// the prefix, and lie behind `after`.
    pub fn page<R>(
        &self,
        view: ViewId,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        mut read: impl FnMut(&[u8], &[u8], bool, u64) -> R,
    ) -> Vec<R> {
        let stored = |key: &[u8]| {
            let mut stored = vec![Namespace::User as u8];
            stored.extend_from_slice(key);
            stored
        };
        self.shared.settle_order(UNSETTLED_MAX);
        let map = self.shared.map.read();
        let after = after.map(stored);
        page(&map, view, &stored(prefix), after.as_deref(), limit)
            .into_iter()
            .map(|entry| {
                let ascii = entry.flags.contains(EntryFlags::ASCII);
                let key = entry.key().get(1..).unwrap_or_default();
                read(key, entry.value().unwrap_or_default(), ascii, entry.version)
            })
            .collect()
    }
}
