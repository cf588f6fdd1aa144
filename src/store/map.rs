//! The map from key to entry: found by hash, ordered by key bytes, and fed by local sequence.

use std::ops::Bound;

use hashbrown::HashTable;

use super::entry::{Entry, Namespace, Summary};
use super::key_index::KeyIndex;
use super::lane::Lane;
use super::slots::Slots;
use super::view::{ViewId, Views};
use crate::core::checksum::key_hash;
use crate::core::identity::{Dot, Origin};

/// Which peer an entry came from, as an index that is only good in this process; 0: from nobody, it was
/// written here.
pub type Via = u32;

/// An entry and what this node alone knows of it.
#[derive(Debug, Clone)]
#[repr(C)]
pub struct Held {
    /// The entry.
    pub entry: Entry,
    /// Its place in this node's feed.
    pub lseq: u64,
    /// Whom it came from.
    pub via: Via,
}

/// What an install changed in the feed, for those who count along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installed {
    /// The replaced entry's local sequence, if there was one.
    pub replaced: Option<u64>,
    /// The replaced entry's local sequence, if it was tracked for delivery.
    pub untracked: Option<u64>,
    /// The new entry's local sequence, if it is tracked for delivery.
    pub tracked: Option<u64>,
    /// The new entry's write.
    pub dot: Dot,
    /// The peer it came from; `None` if it was written here.
    pub from: Option<Origin>,
}

/// All entries of a node, tombstones included.
#[derive(Debug, Default)]
pub struct EntryMap {
    /// Who "own" is: the author whose entries form the lane of own writes.
    author: Origin,
    slots: Slots,
    /// Slots by key. The short hash beside each spares a look at most entries that are not meant, and lets
    /// the table grow without looking at any.
    by_hash: HashTable<(u32, u32)>,
    by_key: KeyIndex,
    own: Lane,
    relay: Lane,
    live: usize,
    live_bytes: u64,
    summary: Summary,
    views: Views,
    /// The peers that entries came from; a [`Via`] is the place in here, plus one.
    sources: Vec<Origin>,
}

impl EntryMap {
    /// An empty map of the node that writes as `author`.
    pub fn new(author: Origin) -> Self {
        Self {
            author,
            ..Self::default()
        }
    }

    /// The author whose entries are this node's own.
    pub fn author(&self) -> Origin {
        self.author
    }

    /// The node writes as `author` from now on: what the old author wrote is relayed like anybody's.
    pub fn set_author(&mut self, author: Origin) {
        self.author = author;
        let mut all: Vec<(u64, u32)> = self.own.iter().chain(self.relay.iter()).collect();
        all.sort_unstable();
        let (mut own, mut relay) = (Lane::default(), Lane::default());
        for (lseq, slot) in all {
            let is_own = |held: &Held| held.entry.dot.origin == author;
            let lane = if self.held(slot).is_some_and(is_own) {
                &mut own
            } else {
                &mut relay
            };
            lane.push(lseq, slot);
        }
        self.own = own;
        self.relay = relay;
    }

    /// The short name of a peer that entries come from.
    fn via(&mut self, peer: Origin) -> Via {
        self.via_of(peer).unwrap_or_else(|| {
            self.sources.push(peer);
            Via::try_from(self.sources.len()).unwrap_or(Via::MAX)
        })
    }

    /// As [`Self::via`], if anything came from that peer yet.
    pub fn via_of(&self, peer: Origin) -> Option<Via> {
        let place = self.sources.iter().position(|source| *source == peer)?;
        Via::try_from(place + 1).ok()
    }

    fn held(&self, slot: u32) -> Option<&Held> {
        self.slots.get(slot)
    }

    fn slot_of(&self, key: &[u8], hash: u64) -> Option<u32> {
        let short = short_hash(hash);
        let same = |found: &(u32, u32)| {
            found.0 == short
                && self
                    .held(found.1)
                    .is_some_and(|held| held.entry.key() == key)
        };
        self.by_hash.find(spread(short), same).map(|found| found.1)
    }

    /// The entry of a stored key, tombstones included.
    pub fn entry(&self, key: &[u8]) -> Option<&Entry> {
        self.entry_hashed(key, key_hash(key))
    }

    /// As [`Self::entry`], for who has the key's hash already.
    pub fn entry_hashed(&self, key: &[u8], hash: u64) -> Option<&Entry> {
        self.held(self.slot_of(key, hash)?).map(|held| &held.entry)
    }

    /// How many keys of users have a value.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether no key of a user has a value.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Bytes of keys and values of all live entries.
    pub fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Count and fingerprint of all replicated entries.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    fn count_in(&mut self, entry: &Entry) {
        if Namespace::of(entry.key()).is_some_and(Namespace::is_replicated) {
            self.summary.add(entry);
        }
        if let Some(value) = entry.value() {
            self.live_bytes += (entry.key().len() + value.len()) as u64;
            self.live += usize::from(is_user(entry));
        }
    }

    fn count_out(&mut self, entry: &Entry) {
        if Namespace::of(entry.key()).is_some_and(Namespace::is_replicated) {
            self.summary.remove(entry);
        }
        if let Some(value) = entry.value() {
            self.live_bytes -= (entry.key().len() + value.len()) as u64;
            self.live -= usize::from(is_user(entry));
        }
    }

    fn lane_of(&mut self, entry: &Entry) -> Option<&mut Lane> {
        if Namespace::of(entry.key()).is_none_or(|namespace| !namespace.is_replicated()) {
            None
        } else if entry.dot.origin == self.author {
            Some(&mut self.own)
        } else {
            Some(&mut self.relay)
        }
    }

    /// The local sequence by which an entry counts in the outbox: own writes to keys of users.
    fn tracked(&self, entry: &Entry, lseq: u64) -> Option<u64> {
        (entry.dot.origin == self.author && is_user(entry)).then_some(lseq)
    }

    /// Puts `entry` in the place of whatever the key held. The caller has made sure that it is the greater
    /// one, and that `lseq` is the highest ever given.
    pub fn install(&mut self, entry: Entry, lseq: u64, from: Option<Origin>) -> Installed {
        let hash = key_hash(entry.key());
        self.install_hashed(entry, hash, lseq, from)
    }

    /// As [`Self::install`], for who has the key's hash already.
    pub fn install_hashed(
        &mut self,
        entry: Entry,
        hash: u64,
        lseq: u64,
        from: Option<Origin>,
    ) -> Installed {
        let via = from.map_or(0, |peer| self.via(peer));
        let tracked = self.tracked(&entry, lseq);
        let mut installed = Installed {
            replaced: None,
            untracked: None,
            tracked,
            dot: entry.dot,
            from,
        };
        self.count_in(&entry);
        let found = self.slot_of(entry.key(), hash);
        let slot = found.unwrap_or_else(|| self.slots.next());
        if let Some(lane) = self.lane_of(&entry) {
            lane.push(lseq, slot);
        }
        if let Some(place) = found.and_then(|slot| self.slots.get_mut(slot)) {
            let replaced = std::mem::replace(place, Held { entry, lseq, via });
            self.count_out(&replaced.entry);
            if let Some(lane) = self.lane_of(&replaced.entry) {
                lane.remove(replaced.lseq);
            }
            installed.replaced = Some(replaced.lseq);
            installed.untracked = self.tracked(&replaced.entry, replaced.lseq);
            self.views.keep_replaced(replaced.entry);
            return installed;
        }
        self.views.keep_absent(entry.key());
        self.by_key.insert(slot);
        self.slots.push(Held { entry, lseq, via });
        let short = short_hash(hash);
        self.by_hash
            .insert_unique(spread(short), (short, slot), |found| spread(found.0));
        installed
    }

    /// The entries of a lane behind `after`, in feed order.
    pub fn own_after(&self, after: u64) -> impl Iterator<Item = &Held> {
        self.lane_after(&self.own, after)
    }

    /// The entries received from others behind `after`, in feed order.
    pub fn relay_after(&self, after: u64) -> impl Iterator<Item = &Held> {
        self.lane_after(&self.relay, after)
    }

    fn lane_after<'a>(&'a self, lane: &'a Lane, after: u64) -> impl Iterator<Item = &'a Held> {
        lane.between(after, u64::MAX)
            .filter_map(|(_, slot)| self.held(slot))
    }

    /// The entry at a local sequence, if it was not replaced since.
    pub fn at(&self, lseq: u64) -> Option<&Held> {
        self.own
            .get(lseq)
            .or_else(|| self.relay.get(lseq))
            .and_then(|slot| self.held(slot))
    }

    /// The local sequences in `(after, to]` that count in the outbox.
    pub fn tracked_between(&self, after: u64, to: u64) -> impl DoubleEndedIterator<Item = u64> {
        self.own
            .between(after, to)
            .filter(|(_, slot)| self.held(*slot).is_some_and(|held| is_user(&held.entry)))
            .map(|(lseq, _)| lseq)
    }

    /// How many keys are not in order yet; see [`Self::settle_some`].
    pub fn unsettled(&self) -> usize {
        self.by_key.unsettled()
    }

    /// Puts some of the new keys in order, so that a scan need not.
    pub fn settle_some(&mut self) {
        self.by_key.settle_some(&self.slots);
    }

    /// Entries with keys in `[from, …)`, in key order, tombstones included.
    pub fn range_from(&self, from: Bound<&[u8]>) -> impl Iterator<Item = &Entry> {
        self.by_key
            .range_from(from, &self.slots)
            .filter_map(|slot| self.held(slot))
            .map(|held| &held.entry)
    }

    /// Begins a view of the map as it is now; see [`Views`].
    pub fn open_view(&mut self) -> ViewId {
        self.views.open()
    }

    /// Ends a view.
    pub fn close_view(&mut self, view: ViewId) {
        self.views.close(view);
    }

    /// The views that are open.
    pub fn views(&self) -> &Views {
        &self.views
    }

    /// Count and fingerprint, added up anew.
    pub fn recount(&self) -> Summary {
        let mut summary = Summary::default();
        for held in self.slots.iter() {
            if Namespace::of(held.entry.key()).is_some_and(Namespace::is_replicated) {
                summary.add(&held.entry);
            }
        }
        summary
    }

    /// The greatest sequence that `origin` has in any entry here.
    pub fn greatest_sequence_of(&self, origin: Origin) -> u64 {
        let of = |dot: &Dot| {
            if dot.origin == origin {
                dot.sequence
            } else {
                0
            }
        };
        self.slots
            .iter()
            .map(|held| of(&held.entry.dot))
            .max()
            .unwrap_or(0)
    }
}

fn is_user(entry: &Entry) -> bool {
    entry.key().first() == Some(&(Namespace::User as u8))
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the lower half of a hash is a hash"
)]
fn short_hash(hash: u64) -> u32 {
    hash as u32
}

/// A hash table looks at the lowest and the highest bits of a hash: both halves have to be good.
fn spread(short: u32) -> u64 {
    u64::from(short) << 32 | u64::from(short)
}
