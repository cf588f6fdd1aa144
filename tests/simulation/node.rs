//! A node without its threads: a disk, an open store, a machine, and a record of its work that must not be lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::conflicts::{Name, name_of};
use super::schedule::NodePlan;
use crate::core::clock::WallMs;
use crate::core::identity::{Dot, Incarnation, Origin};
use crate::disk::memory::{DiskImage, MemoryStorage};
use crate::node::commit::backlog::Backlog;
use crate::node::machine::Machine;
use crate::node::machine::address_book::TargetId;
use crate::node::machine::conversation::ConversationId;
use crate::store::commit::ledger::FeedPosition;
use crate::store::commit::operation::Request;
use crate::store::entry::Entry;
use crate::store::scope::Scope;
use crate::store::state::totals::is_user;
use crate::store::tests::torture::making::Node as Store;
use crate::sync::identity::identity_conflict::IdentityConflict;
use crate::transport::session::unfinished::Unfinished;

/// Name of the log.
pub(super) const LOG: &str = "a.wal";

pub(super) struct Node<'d> {
    pub(super) name: String,
    pub(super) plan: NodePlan,
    pub(super) disk: &'d MemoryStorage,
    pub(super) running: Option<Running<'d>>,
    /// The greatest entry of each key that was durable here: no fault may take it back.
    pub(super) witness: BTreeMap<Vec<u8>, Entry>,
    /// Users' writes that were durable here, and that no fault has taken. A write that failed may have the name of
    /// one.
    pub(super) vouched: BTreeMap<Name, Entry>,
    /// The identity of the last opening.
    pub(super) identity: Origin,
    /// True if the node does not come back.
    pub(super) is_lost: bool,
    /// The disk as it once was, and the epoch of the feed at that time.
    pub(super) kept: Option<(DiskImage, Incarnation)>,
    /// Received parts of large values, since the opening.
    pub(super) unfinished: Arc<Unfinished>,
    pub(super) skew_ms: i64,
    /// Earlier skews, each with the time when it ended.
    pub(super) skews: Vec<(u64, i64)>,
    /// The latest time of the node's clock in a commit.
    pub(super) latest_wall: WallMs,
    pub(super) stalled_until: u64,
    /// Seed of a power cut at some call of the next commit.
    pub(super) crash: Option<u64>,
    /// The node that gets a copy of the disk between two calls of the next commit, and the seed that picks the moment.
    pub(super) copied: Option<(usize, u64)>,
    /// True if the disk fails or is full, or may have done so while the node was up.
    pub(super) is_hurt: bool,
}

/// Parts of a node while it runs.
pub(super) struct Running<'d> {
    pub(super) store: Store<'d>,
    pub(super) machine: Machine,
    pub(super) queue: Backlog,
    /// Requests that the last group had no room for: they go into the next one, ahead of everything.
    pub(super) rest: Vec<Request>,
    pub(super) commit_at: Option<u64>,
    pub(super) sync_at: Option<u64>,
    pub(super) idle_at: Option<u64>,
    pub(super) checkpoint_at: Option<u64>,
    /// When the machine's next deadline is.
    pub(super) timer_at: Option<u64>,
    /// Calls that a program waits for, and until when.
    pub(super) calls: BTreeMap<ConversationId, (u64, TargetId)>,
    /// The reason to take another identity.
    pub(super) identity_conflict: Option<IdentityConflict>,
    /// When the node last had to take another identity.
    pub(super) doubted_at: Option<u64>,
    /// The identity under which it received a write that it has not made, or has lost.
    pub(super) disowned: Option<Origin>,
    /// Entries that are accepted and not durable yet.
    pub(super) volatile: Vec<(u64, Entry)>,
    /// Cursors that are recorded and not durable yet.
    pub(super) volatile_cursors: Vec<(Origin, FeedPosition)>,
    /// When each entry came from a peer, and the connections with other peers at that time.
    pub(super) came: BTreeMap<Name, (u64, Vec<ConversationId>)>,
    /// Position up to which rows were sent to a peer that was just given up.
    pub(super) given_up: Option<u64>,
    /// Peers whose clock skew was reported as large.
    pub(super) skews_told: BTreeSet<String>,
    /// Losers of conflicts that were reported, and the number of reports.
    pub(super) losers: BTreeSet<Dot>,
    pub(super) losers_told: u64,
    /// Position up to which own writes may be sent: the last local sequence number at the last tick, or the furthest
    /// that any peer has acknowledged since, whatever became of that peer; all of them where the node sends by itself.
    pub(super) ticked: u64,
    /// Scopes of single peers that the program has set since the opening.
    pub(super) named: BTreeMap<usize, Scope>,
}

impl Running<'_> {
    /// Takes in that rows which a peer has acknowledged are released for good, even for another connection that does
    /// not know it.
    pub(super) fn see_released(&mut self) {
        let recorded = self.machine.replica.recorded_anywhere();
        self.ticked = self.ticked.max(recorded);
    }
}

impl<'d> Node<'d> {
    pub(super) fn up(&self) -> &Running<'d> {
        self.running.as_ref().expect("the node runs")
    }

    pub(super) fn up_mut(&mut self) -> &mut Running<'d> {
        self.running.as_mut().expect("the node runs")
    }

    /// Adds a durable entry to those that must not be lost.
    pub(super) fn remember(&mut self, entry: Entry) {
        if is_user(&entry) {
            self.vouched.insert(name_of(&entry), entry.clone());
        }
        let known = self.witness.get(entry.key());
        if known.is_none_or(|known| entry.order(known).is_gt()) {
            self.witness.insert(entry.key().to_vec(), entry);
        }
    }

    /// Forgets all durable entries: none of them has to be there any more.
    pub(super) fn forget(&mut self) {
        self.witness.clear();
        self.vouched.clear();
    }

    /// Moves the entries up to `durable_lseq` to the durable ones.
    pub(super) fn settle(&mut self, durable_lseq: u64) {
        let Some(running) = &mut self.running else {
            return;
        };
        let (durable, volatile): (Vec<_>, Vec<_>) = std::mem::take(&mut running.volatile)
            .into_iter()
            .partition(|(lseq, _)| *lseq <= durable_lseq);
        running.volatile = volatile;
        if running.store.is_synced_or_none() {
            running.volatile_cursors.clear();
        }
        for (_, entry) in durable {
            self.remember(entry);
        }
    }
}
