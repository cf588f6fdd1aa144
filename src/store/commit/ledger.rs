//! The small facts beside the entries that a node must not forget: who it is, which stretches its feed has,
//! what it gave out, and how far it and its peers are.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::identity::{Dot, Incarnation, Origin};
use crate::core::rules::{Rule, is_broken};
use crate::core::stamp::{HybridClock, Stamp};
use crate::store::lineage::Authorship;
use crate::store::scope::Scope;

/// Most stretches that are kept and told. A peer that was away for longer than this many opens starts its
/// copy of the feed anew, which costs bytes and loses nothing.
pub const EPOCHS_MAX: usize = 64;

/// One epoch of a feed: the incarnation and the local sequence at which it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// Made at one open.
    pub incarnation: Incarnation,
    /// The highest local sequence given before it: everything above belongs to it or a later one.
    pub began_after: u64,
}

/// Whether a place in a feed is good: its epoch is in the feed's chain, and had come that far before the next one began.
/// `last_lseq` is where the feed ends.
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
    /// The peer's incarnation that the positions belong to.
    pub incarnation: Incarnation,
    /// In the stream of the peer's own writes.
    pub own: u64,
    /// In the stream of what the peer relays.
    pub relay: u64,
}

/// An entry that a peer refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected {
    /// Its local sequence here.
    pub lseq: u64,
    /// Why, as the peer said it.
    pub code: u8,
}

/// What is known of a peer, by its origin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerRecord {
    /// Its label when it was last met.
    pub node_id: String,
    /// Whether what it acknowledges is durable there.
    pub durable: bool,
    /// A peer of the same label came in its place under another identity: it counts for nothing any more.
    pub is_superseded: bool,
    /// The user knows it by address or label, so that it is remembered even if nothing came of it yet.
    pub is_named: bool,
    /// How far it has acknowledged this node's feed, as it was last told: a cache, for what users see.
    pub acknowledged: FeedPosition,
    /// What it refused for good, by local sequence. Shared: whoever goes through a list of thousands, or puts it on record,
    /// takes no copy of it.
    pub rejected: Arc<Vec<Rejected>>,
    /// What the last connection with it carried, and what those positions are about.
    pub scope: Scope,
}

/// Why a node identity conflicts its identity, as it is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownIdentityConflict {
    /// The identity that is doubted.
    pub origin: Origin,
    /// A number for the reason.
    pub reason: u8,
    /// The label of the peer that showed it.
    pub node_id: String,
}

/// What must be remembered besides entries.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// This node's identity, by which peers know its feed. The author of what it wrote in its first opening.
    pub origin: Origin,
    /// The author of this node's writes since the opening, and those that it goes on from.
    pub authorship: Authorship,
    /// The label the node was last opened with.
    pub node_id: String,
    /// What the lease file beside the log must say; another or none means that the folder is a copy.
    pub lease: [u8; 16],
    /// The stretches of the feed, oldest first.
    pub epochs: Vec<Epoch>,
    /// The last operation sequence that was given.
    pub last_sequence: u64,
    /// No operation sequence up to this one may be given again after an unclean stop.
    pub reserved_sequence: u64,
    /// The last local sequence that was given.
    pub last_lseq: u64,
    /// The clock of this node's own writes.
    pub clock: HybridClock,
    /// How far this node holds each peer's feed: the truth, written with the entries themselves.
    pub cursors: BTreeMap<Origin, FeedPosition>,
    /// What they are about, where that is not all keys.
    pub scopes: BTreeMap<Origin, Scope>,
    /// What is known of each peer.
    pub peers: BTreeMap<Origin, PeerRecord>,
    /// Acknowledged rows up to this local sequence were pruned from the outbox.
    pub pruned: u64,
    /// Own writes up to this local sequence were released by a tick.
    pub released: u64,
    /// The node has reason to doubt its identity, and has taken no other one since.
    pub identity_conflict: Option<KnownIdentityConflict>,
    /// The greatest operation sequence received from a peer.
    pub last_applied_remote: u64,
    /// The store was saved from a damaged one, of which that many parts could not be read.
    pub salvaged: Option<u64>,
}

impl Ledger {
    /// Whether a peer's cursor on this node's feed is good.
    pub fn is_reached(&self, cursor: &FeedPosition) -> bool {
        is_reached(&self.epochs, self.last_lseq, cursor)
    }

    /// A peer's feed is held up to there, as far as it is about `scope`.
    pub fn hold(&mut self, peer: Origin, position: FeedPosition, scope: Scope) {
        self.cursors.insert(peer, position);
        if scope.is_all() {
            self.scopes.remove(&peer);
        } else {
            self.scopes.insert(peer, scope);
        }
    }

    /// Not all keys are exchanged with a peer, and of those it has acknowledged so much.
    pub fn exchange(&mut self, peer: Origin, about: (FeedPosition, Scope)) {
        let record = self.peers.entry(peer).or_default();
        (record.acknowledged, record.scope) = about;
    }

    /// Nothing is remembered of a peer any more.
    pub fn forget_peer(&mut self, peer: Origin) {
        self.peers.remove(&peer);
        self.cursors.remove(&peer);
        self.scopes.remove(&peer);
    }

    /// What the cursor of a peer is about.
    pub fn scope_of(&self, peer: Origin) -> Scope {
        self.scopes.get(&peer).cloned().unwrap_or_default()
    }

    /// Takes another identity, with a feed that nobody knows yet, and writes as its author from now on.
    ///
    /// Rows keep their local sequences, so peers that had acknowledged some still hold them: that is carried over to the
    /// stretch `incarnation`, which begins now. What was passed on from others is no work of this node, and not counted. What nobody has acknowledged stays work of this node.
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

    /// Writes as another author from now on, which goes on from the one before.
    pub fn write_as(&mut self, author: Origin) {
        self.authorship.go_on_as(author, self.last_sequence);
    }

    /// The name of the next write.
    pub fn next_dot(&mut self) -> Dot {
        self.last_sequence += 1;
        self.authorship.has_written = true;
        Dot {
            origin: self.authorship.current,
            sequence: self.last_sequence,
        }
    }

    /// Forgets which feed was told of, and how far those of peers are held. Their cursors passed what was refused in the
    /// former name. Peers list that under it, so that in a new name they would take such entries for acknowledged.
    pub fn begin_anew(&mut self) {
        self.identity_conflict = None;
        self.epochs.clear();
        self.cursors.clear();
        self.scopes.clear();
    }

    /// Begins an epoch of the feed.
    pub fn begin_epoch(&mut self, incarnation: Incarnation) {
        self.epochs.push(Epoch {
            incarnation,
            began_after: self.last_lseq,
        });
        let surplus = self.epochs.len().saturating_sub(EPOCHS_MAX);
        self.epochs.drain(..surplus);
    }

    /// The current stretch; all zeros before the first.
    pub fn incarnation(&self) -> Incarnation {
        self.epochs
            .last()
            .map(|link| link.incarnation)
            .unwrap_or_default()
    }

    /// The clock may have given stamps up to this one.
    pub fn raise_clock(&mut self, high_water: Stamp) {
        if high_water > self.clock.high_water() {
            self.clock = HybridClock::resume(high_water);
        }
    }
}
