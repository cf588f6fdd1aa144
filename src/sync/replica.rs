//! The replica: one node's side of replication with all its peers, as a pure machine.
//!
//! Inputs are methods, each in the file of its matter; an input takes the time if it arms or judges a timer, and the map
//! if it reads entries:
//!
//! - connections: `connected` and `disconnected` (`peer/handshake.rs`);
//! - messages: `received`, and `refuse` for an entry that is not handed over (`feed/receive.rs`); `charged` for received
//!   parts of a large value (`feed/credit.rs`);
//! - commits: `installed` for each piece of a group, and `committed` after the last (`feed/installed.rs`);
//!   `refused_by_store` (`feed/admission.rs`); then `received_durably` or `received_in_vain` for each request of a peer
//!   (`feed/receive.rs`), and `send_some` (`feed/send.rs`);
//! - time: `tick` (`report.rs`) and `on_time` (`feed/timers.rs`).
//!
//! After each, drain [`Replica::poll`] until it gives `None`, call [`Replica::send_more`] and drain again until there is
//! no more, and come back at [`Replica::deadline`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::delivery::successors::Replacements;
use super::delivery::waits::Waits;
use super::feed::ahead::{Ahead, KeptAhead};
use super::feed::looking::Looking;
use super::identity::identity_conflict::{IdentityConflict, Renewals};
use super::message::{BegunValues, Epoch, Feed};
use super::options::{AckPolicy, ReplicaOptions};
use super::outbox::class_counts::ClassCounts;
use super::outbox::held_back::HeldBack;
use super::outbox::rejected::has_taken;
use super::outbox::watermarks::{Outbox, Watermarks};
use super::peer::link::{Link, LinkId};
use super::reconcile::Outcome;
use super::reconcile::comparing::{ComparisonId, Incomparable};
use crate::core::clock::{MonotonicMs, Now};
use crate::core::identity::{Incarnation, Origin};
use crate::store::commit::ledger::{FeedPosition, Ledger, PeerRecord};
use crate::store::commit::operation::Request;
use crate::store::error::StoreError;
use crate::store::lineage::Lineage;
use crate::store::memtable::held::Installed;
use crate::store::scope::Scope;
use crate::store::state::map::EntryMap;
use crate::store::state::range_sums::RangeSums;

/// Action that a replica asks its driver for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a message to a peer.
    Send(LinkId, Feed),
    /// Make a request durable. The answer is `received_durably` or `received_in_vain`, if the request names a link, and
    /// `committed` if it was written.
    Commit(Request),
    /// End the connection.
    Close(LinkId, PartingReason),
    /// Take another identity, and answer with `renewed`.
    Renew(IdentityConflict),
}

/// Why a connection has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartingReason {
    /// The peer broke the protocol.
    Breach(&'static str),
    /// The peer acknowledges nothing.
    Unanswered,
    /// An entry for the peer cannot be read here.
    Unreadable,
}

/// One node's side of replication.
#[derive(Debug)]
pub struct Replica {
    pub(super) options: ReplicaOptions,
    pub(super) node_id: String,
    pub(super) origin: Origin,
    /// The author of the writes of this opening.
    pub(super) author: Origin,
    pub(super) epochs: Vec<Epoch>,
    pub(super) links: BTreeMap<LinkId, Link>,
    /// The cursor up to which each peer's feed is held, and the scope that it is valid for.
    pub(super) cursors: BTreeMap<Origin, (FeedPosition, Scope)>,
    pub(super) peers: BTreeMap<Origin, PeerRecord>,
    /// Time of the last greeting of each known peer since the open.
    pub(super) met_at: BTreeMap<Origin, MonotonicMs>,
    /// Peers with refused entries on record.
    pub(super) refusing: BTreeSet<Origin>,
    /// Peers whose record is newer than the one on disk, and since when.
    pub(super) unremembered: BTreeMap<Origin, MonotonicMs>,
    pub(super) outbox: Outbox,
    pub(super) last_lseq: u64,
    pub(super) durable_lseq: u64,
    /// The lowest local sequence number of an entry that was replaced by one that is not durable yet: no peer's cursor
    /// may pass over it.
    pub(super) shadowed_from: u64,
    /// Own writes up to here were released by a tick.
    pub(super) released: u64,
    pub(super) held_back: HeldBack,
    /// When received entries may be relayed: those after a local sequence from a time on, oldest pair first.
    pub(super) relay_marks: VecDeque<(u64, MonotonicMs)>,
    /// Entries that are relayed earlier than the relay marks say.
    pub(super) ahead: Ahead,
    /// Entries sent ahead that disconnected peers hold.
    pub(super) kept_ahead: KeptAhead,
    /// Kept parts of large values, for links that are about to be connected.
    pub(super) parts: BTreeMap<LinkId, BegunValues>,
    pub(super) have_due: Option<MonotonicMs>,
    pub(super) retried: u64,
    pub(super) total_retries: u64,
    /// Entries of peers that broke a rule and were not taken in, since the open.
    pub(super) refused_entries: u64,
    /// Refusals of entries that were not sent, since the open.
    pub(super) unfounded_refusals: u64,
    pub(super) sent_entries: u64,
    pub(super) last_sequence: u64,
    pub(super) last_applied_remote: u64,
    pub(super) renewals: Renewals,
    /// Sums of ranges of keys.
    pub(super) sums: RangeSums,
    /// When reconciliations go on.
    pub(super) reconcile_due: Option<MonotonicMs>,
    pub(super) outputs: VecDeque<Output>,
    /// The first failure to read an entry for a peer, until the driver takes it.
    pub(super) unreadable: Option<StoreError>,
    /// True if that failure was recorded.
    pub(super) is_unreadable_reported: bool,
    /// The last own sequence number that was given before this opening.
    pub(super) opened_sequence: u64,
    /// The local sequence number of the last own write since the opening.
    pub(super) last_own_lseq: u64,
    pub(super) replacements: Replacements,
    pub(super) waits: Waits,
    /// Peers whose acknowledgements have moved since waits were last examined.
    pub(super) moved: BTreeSet<Origin>,
    /// Id of the last requested comparison.
    pub(super) last_comparison: ComparisonId,
    /// Comparisons that have ended and are not reported yet.
    pub(super) compared: Vec<(ComparisonId, Result<Outcome, Incomparable>)>,
    /// Peers that were given up, and the range of the own stream that each of them owed.
    pub(super) given_up: BTreeMap<Origin, (u64, u64)>,
    /// Budget of feed rows that may be passed over.
    pub(super) looking: Looking,
    /// Counted rows of the outbox, where some peers take only a part of the keys.
    pub(super) class_counts: Option<ClassCounts>,
    /// Installed changes that are not looked at by key yet, where some peers take only a part of the keys.
    pub(super) unsorted: Vec<Installed>,
}

impl Replica {
    /// The replica of a node, as its ledger and map show its state.
    pub fn new(options: ReplicaOptions, ledger: &Ledger, map: &EntryMap) -> Self {
        let peers = known_peers(ledger, map);
        let rejected = rejected_own_rows(&peers, map);
        let mut replica = Self::with_peers(options, ledger, peers);
        replica.forget_surplus();
        replica.part_rows();
        let acknowledged = replica.acknowledged_mark();
        // An own write that any peer has was released once, as in `record_acknowledged`; so was one that a peer
        // refused.
        let anywhere = replica.peers.values().map(|peer| peer.acknowledged.own);
        let anywhere = anywhere.chain(rejected.iter().copied());
        replica.released = anywhere.max().unwrap_or(0).max(ledger.released);
        replica.recall_identity_conflict(ledger);
        let watermarks = Watermarks {
            pruned: ledger.pruned,
            acknowledged,
            sent: acknowledged,
            failed: 0,
        };
        replica.outbox = Outbox::new(watermarks, rejected);
        replica
    }

    /// A replica without links whose outbox is not counted yet.
    fn with_peers(
        options: ReplicaOptions,
        ledger: &Ledger,
        peers: BTreeMap<Origin, PeerRecord>,
    ) -> Self {
        Self {
            options,
            node_id: ledger.node_id.clone(),
            origin: ledger.origin,
            author: ledger.authorship.current,
            epochs: ledger.epochs.clone(),
            links: BTreeMap::new(),
            cursors: ledger
                .cursors
                .iter()
                .map(|(peer, position)| (*peer, (*position, ledger.scope_of(*peer))))
                .collect(),
            refusing: peers
                .iter()
                .filter(|(_, record)| !record.rejected.is_empty())
                .map(|(origin, _)| *origin)
                .collect(),
            peers,
            met_at: BTreeMap::new(),
            unremembered: BTreeMap::new(),
            outbox: Outbox::default(),
            last_lseq: ledger.last_lseq,
            durable_lseq: ledger.last_lseq,
            shadowed_from: u64::MAX,
            released: 0,
            held_back: HeldBack::default(),
            relay_marks: VecDeque::new(),
            ahead: Ahead::default(),
            kept_ahead: KeptAhead::default(),
            parts: BTreeMap::new(),
            have_due: None,
            retried: 0,
            total_retries: 0,
            refused_entries: 0,
            unfounded_refusals: 0,
            sent_entries: 0,
            last_sequence: ledger.last_sequence,
            last_applied_remote: ledger.last_applied_remote,
            renewals: Renewals::default(),
            sums: RangeSums::default(),
            reconcile_due: None,
            outputs: VecDeque::new(),
            unreadable: None,
            is_unreadable_reported: false,
            opened_sequence: ledger.last_sequence,
            last_own_lseq: 0,
            replacements: Replacements::default(),
            waits: Waits::default(),
            moved: BTreeSet::new(),
            last_comparison: 0,
            compared: Vec::new(),
            given_up: BTreeMap::new(),
            looking: Looking::default(),
            class_counts: None,
            unsorted: Vec::new(),
        }
    }

    /// Starts anew under another identity, as ledger and map show it. All links must be removed before.
    pub fn renewed(&mut self, ledger: &Ledger, map: &EntryMap) {
        let before = std::mem::take(&mut self.outputs);
        let mut next = Self::new(self.options, ledger, map);
        let outputs = before.into_iter().chain(next.outputs.drain(..)).collect();
        *self = Self {
            renewals: self.renewals.mended(),
            total_retries: self.total_retries,
            refused_entries: self.refused_entries,
            unfounded_refusals: self.unfounded_refusals,
            outputs,
            waits: self.waits.emptied(),
            last_comparison: self.last_comparison,
            compared: std::mem::take(&mut self.compared),
            ..next
        };
    }

    /// Removes and returns the next action.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// This node's identity.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The author of this node's writes.
    pub fn author(&self) -> Origin {
        self.author
    }

    /// The current epoch of this node's feed.
    pub fn incarnation(&self) -> Incarnation {
        self.epochs
            .last()
            .map(|epoch| epoch.incarnation)
            .unwrap_or_default()
    }

    /// The label of this node or of a known peer, or else the id.
    pub fn label_of(&self, origin: Origin) -> String {
        if origin == self.origin {
            return self.node_id.clone();
        }
        self.peers
            .get(&origin)
            .map_or_else(|| origin.to_string(), |peer| peer.node_id.clone())
    }

    /// The label of the node that wrote under an author: this node, a node that a lineage record names, or a known
    /// peer; or else the author's id.
    pub fn author_label(&self, author: Origin, lineage: &Lineage) -> String {
        if lineage.seen_up_to(self.author, author).is_some() {
            return self.node_id.clone();
        }
        let reported = lineage.label_of(author).map(str::to_owned);
        reported.unwrap_or_else(|| self.label_of(author))
    }

    /// True if own writes are sent as they commit.
    #[cfg(test)]
    pub fn is_automatic(&self) -> bool {
        self.options.automatic
    }

    /// Switches between sending own writes as they commit and making them wait for ticks.
    pub fn set_automatic(&mut self, automatic: bool, now: Now, map: &EntryMap) {
        self.options.automatic = automatic;
        self.send_some(now, map);
    }

    /// Upper bound of acknowledged rows.
    fn acknowledged_mark(&self) -> u64 {
        if self.class_counts.is_some() {
            self.acknowledged_anywhere()
        } else {
            self.acknowledged_by_policy()
        }
    }

    /// Position in the own stream that enough peers have acknowledged.
    pub(super) fn acknowledged_by_policy(&self) -> u64 {
        if self.options.ack_policy == AckPolicy::Any {
            return self.acknowledged_anywhere();
        }
        let mut reached: Vec<u64> = self
            .peers
            .values()
            .filter(|peer| self.counts(peer))
            .map(|peer| peer.acknowledged.own)
            .collect();
        reached.sort_unstable_by(|a, b| b.cmp(a));
        let needed = self.options.ack_policy.needed(reached.len());
        reached.get(needed - 1).copied().unwrap_or(0)
    }

    /// Moves the watermarks of the outbox to where links and records stand.
    pub(super) fn move_watermarks(&mut self) {
        let acknowledged = self.acknowledged_mark();
        let sent = self
            .links
            .values()
            .map(|link| link.sending.sent.own)
            .max()
            .unwrap_or(0)
            .max(acknowledged);
        let watermarks = self.outbox.watermarks();
        let moved = Watermarks {
            acknowledged,
            sent,
            ..watermarks
        };
        if moved != watermarks {
            self.outbox.set_watermarks(moved);
        }
    }

    /// Writes the record of a peer with the next sync, if it is worth keeping.
    pub(super) fn remember(&mut self, peer: Origin) {
        self.unremembered.remove(&peer);
        let record = self.peers.get(&peer);
        if let Some(record) = record.filter(|record| self.is_worth_keeping(peer, record)) {
            self.outputs.push_back(Output::Commit(Request::Peer {
                peer,
                record: record.clone(),
            }));
        }
    }

    /// Writes the records of all peers that are newer in memory than on disk; called at close.
    pub fn remember_all(&mut self) {
        for peer in self.unremembered.keys().copied().collect::<Vec<_>>() {
            self.remember(peer);
        }
    }
}

/// Records of peers in a ledger, without acknowledgements of an epoch that this node has not reached and without
/// rejected entries that are not rows any more.
fn known_peers(ledger: &Ledger, map: &EntryMap) -> BTreeMap<Origin, PeerRecord> {
    let mut peers = ledger.peers.clone();
    for record in peers.values_mut() {
        if !ledger.is_reached(&record.acknowledged) {
            record.acknowledged = FeedPosition::default();
        }
        // A row that cannot be looked up now is looked up when it is offered again.
        let rejected = Arc::make_mut(&mut record.rejected);
        rejected.retain(|entry| map.at(entry.lseq).map_or(true, |held| held.is_some()));
        rejected.sort_unstable_by_key(|entry| entry.lseq);
    }
    peers
}

/// Local sequence numbers of own rows that were rejected by a peer that holds a part of this node's feed.
fn rejected_own_rows(peers: &BTreeMap<Origin, PeerRecord>, map: &EntryMap) -> Vec<u64> {
    peers
        .values()
        .filter(|peer| has_taken(peer))
        .flat_map(|peer| peer.rejected.iter().map(|entry| entry.lseq))
        .filter(|lseq| map.is_own_row(*lseq).unwrap_or(false))
        .collect()
}
