//! The ledger: small facts beside the entries that a node must not forget, such as its identity, the epochs of its
//! feed, the sequences that it gave out, and the cursors of its peers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::identity::{Dot, Incarnation, Origin};
use crate::core::rules::{Rule, is_broken};
use crate::core::stamp::{HybridClock, Stamp};
use crate::store::lineage::Authorship;
use crate::store::scope::Scope;

/// Most epochs that are kept and sent to peers. A peer that was away for more openings than this starts its copy of the
/// feed anew, which costs bytes and loses nothing.
pub const EPOCHS_MAX: usize = 64;

/// One epoch of a feed: the incarnation and the local sequence at which it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// The incarnation of the opening that began the epoch.
    pub incarnation: Incarnation,
    /// The highest local sequence given before the epoch: every later one belongs to it or to a later epoch.
    pub began_after: u64,
}

/// True if a place in a feed is good: its epoch is in the feed's history, and reached that place before the next epoch
/// began. `last_lseq` is the end of the feed.
pub fn is_reached(epochs: &[Epoch], last_lseq: u64, place: &FeedPosition) -> bool {
    let is_of = |epoch: &Epoch| epoch.incarnation == place.incarnation;
    let Some(at) = epochs.iter().position(is_of) else {
        return false;
    };
    let next = epochs
        .get(at + 1)
        .filter(|_| !is_broken(Rule::StretchWithoutEnd));
    let reached = next.map_or(last_lseq, |next| next.began_after);
    place.own.max(place.relay) <= reached
}

/// A place in a peer's feed: the incarnation and a position in each stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeedPosition {
    /// The peer's incarnation to which the positions belong.
    pub incarnation: Incarnation,
    /// Position in the stream of the peer's own writes.
    pub own: u64,
    /// Position in the stream of entries that the peer relays.
    pub relay: u64,
}

/// An entry that a peer refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected {
    /// The entry's local sequence in this store.
    pub lseq: u64,
    /// The reason, as the peer's code.
    pub code: u8,
}

/// Everything known of a peer, keyed by its origin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerRecord {
    /// The peer's label at the last meeting.
    pub node_id: String,
    /// True if entries that the peer acknowledges are durable there.
    pub durable: bool,
    /// True if a peer with this label came in its place under another identity: the acknowledgements of this one count
    /// no more.
    pub is_superseded: bool,
    /// True if the user named the peer by address or label: it is remembered even before the first connection.
    pub is_named: bool,
    /// Position up to which the peer has acknowledged this node's feed, as last reported: a cache, for display.
    pub acknowledged: FeedPosition,
    /// Entries that the peer refused for good, by local sequence. Shared, so that reading or recording a list of
    /// thousands copies nothing.
    pub rejected: Arc<Vec<Rejected>>,
    /// Scope of the last connection with the peer, to which the acknowledged positions refer.
    pub scope: Scope,
}

/// An identity conflict of this node, as it is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownIdentityConflict {
    /// The identity that is in conflict.
    pub origin: Origin,
    /// Number of the reason.
    pub reason: u8,
    /// Label of the peer that showed the conflict.
    pub node_id: String,
}

/// Everything that must be remembered besides entries.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// This node's identity, under which peers know its feed; also the author of its writes in its first opening.
    pub origin: Origin,
    /// The author of this node's writes since the opening, and the authors before it.
    pub authorship: Authorship,
    /// The label with which the node was last opened.
    pub node_id: String,
    /// Content that the lease file beside the log must have; another content, or no file, means that the folder is a
    /// copy.
    pub lease: [u8; 16],
    /// The epochs of the feed, oldest first.
    pub epochs: Vec<Epoch>,
    /// The last operation sequence given.
    pub last_sequence: u64,
    /// Reserved operation sequences: none up to this one may be given again after an unclean stop.
    pub reserved_sequence: u64,
    /// The last local sequence given.
    pub last_lseq: u64,
    /// The hybrid logical clock of this node's own writes.
    pub clock: HybridClock,
    /// Cursors: the positions up to which this node holds each peer's feed. Authoritative, because they are written in
    /// one frame with the entries.
    pub cursors: BTreeMap<Origin, FeedPosition>,
    /// Scopes of the cursors, where they are not all keys.
    pub scopes: BTreeMap<Origin, Scope>,
    /// Records of the known peers.
    pub peers: BTreeMap<Origin, PeerRecord>,
    /// Local sequence up to which acknowledged rows were pruned from the outbox.
    pub pruned: u64,
    /// Local sequence up to which own writes were released by a tick.
    pub released: u64,
    /// An identity conflict that was noticed and not resolved by a new identity yet.
    pub identity_conflict: Option<KnownIdentityConflict>,
    /// The greatest operation sequence received from a peer.
    pub last_applied_remote: u64,
    /// Number of parts that could not be read of the damaged store from which this one was salvaged; `None` if it was
    /// not salvaged.
    pub salvaged: Option<u64>,
}

impl Ledger {
    /// True if a peer's cursor on this node's feed is good; see [`is_reached`].
    pub fn is_reached(&self, cursor: &FeedPosition) -> bool {
        is_reached(&self.epochs, self.last_lseq, cursor)
    }

    /// Sets the cursor on a peer's feed, for the keys in `scope`.
    pub fn hold(&mut self, peer: Origin, position: FeedPosition, scope: Scope) {
        self.cursors.insert(peer, position);
        if scope.is_all() {
            self.scopes.remove(&peer);
        } else {
            self.scopes.insert(peer, scope);
        }
    }

    /// Records a connection with a peer that exchanges only some keys, and the position that the peer has acknowledged
    /// of them.
    pub fn exchange(&mut self, peer: Origin, about: (FeedPosition, Scope)) {
        let record = self.peers.entry(peer).or_default();
        (record.acknowledged, record.scope) = about;
    }

    /// Forgets a peer, its cursor included.
    pub fn forget_peer(&mut self, peer: Origin) {
        self.peers.remove(&peer);
        self.cursors.remove(&peer);
        self.scopes.remove(&peer);
    }

    /// Scope of the cursor on a peer's feed; all keys by default.
    pub fn scope_of(&self, peer: Origin) -> Scope {
        self.scopes.get(&peer).cloned().unwrap_or_default()
    }

    /// Takes another identity, with a feed that no peer knows yet, and writes as its author from now on.
    ///
    /// Rows keep their local sequences, so peers still hold the rows that they acknowledged: these positions are
    /// carried over to the epoch `incarnation`, which begins now. Relayed entries are other nodes' work, and are not
    /// counted. Rows that nobody has acknowledged stay in this node's outbox.
    pub fn take_identity(&mut self, origin: Origin, lease: [u8; 16], incarnation: Incarnation) {
        let epochs = std::mem::take(&mut self.epochs);
        for peer in self.peers.values_mut() {
            let held = &mut peer.acknowledged;
            if is_reached(&epochs, self.last_lseq, held) {
                (held.incarnation, held.relay) = (incarnation, 0);
            } else {
                *held = FeedPosition::default();
            }
        }
        (self.origin, self.lease) = (origin, lease);
        self.write_as(origin);
        self.authorship.begin_identity();
        self.begin_anew();
        self.begin_epoch(incarnation);
    }

    /// Writes as another author from now on, which continues the author before.
    pub fn write_as(&mut self, author: Origin) {
        self.authorship.go_on_as(author, self.last_sequence);
    }

    /// Gives out the dot of the next write.
    pub fn next_dot(&mut self) -> Dot {
        self.last_sequence += 1;
        self.authorship.has_written = true;
        Dot {
            origin: self.authorship.current,
            sequence: self.last_sequence,
        }
    }

    /// Forgets the epochs of the feed and the cursors on peers' feeds. Those cursors passed entries that were refused
    /// under the former identity. Peers list the refusals under it, so under a new one they would take such entries for
    /// acknowledged.
    pub fn begin_anew(&mut self) {
        self.identity_conflict = None;
        self.epochs.clear();
        self.cursors.clear();
        self.scopes.clear();
    }

    /// Begins an epoch of the feed, and forgets the oldest ones beyond [`EPOCHS_MAX`].
    pub fn begin_epoch(&mut self, incarnation: Incarnation) {
        self.epochs.push(Epoch {
            incarnation,
            began_after: self.last_lseq,
        });
        let surplus = self.epochs.len().saturating_sub(EPOCHS_MAX);
        self.epochs.drain(..surplus);
    }

    /// Incarnation of the current epoch; all zeros before the first.
    #[cfg(test)]
    pub fn incarnation(&self) -> Incarnation {
        self.epochs
            .last()
            .map(|link| link.incarnation)
            .unwrap_or_default()
    }

    /// Raises the clock's high water mark: stamps up to `high_water` may have been given.
    pub fn raise_clock(&mut self, high_water: Stamp) {
        if high_water > self.clock.high_water() {
            self.clock = HybridClock::resume(high_water);
        }
    }
}
