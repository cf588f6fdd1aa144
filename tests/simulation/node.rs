//! A node without its threads: a disk, an open store, a machine, and what of its work must not be lost.

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

/// What the log is called.
pub(super) const LOG: &str = "a.wal";

pub(super) struct Node<'d> {
    pub(super) name: String,
    pub(super) plan: NodePlan,
    pub(super) disk: &'d MemoryStorage,
    pub(super) running: Option<Running<'d>>,
    /// The greatest entry of each key that was durable here: no fault may take it back.
    pub(super) witness: BTreeMap<Vec<u8>, Entry>,
    /// Users' writes that were durable here, and that no fault has taken. A write that failed may have the name of one.
    pub(super) vouched: BTreeMap<Name, Entry>,
    /// The identity that it opened with last.
    pub(super) identity: Origin,
    /// It does not come back.
    pub(super) is_lost: bool,
    /// Its disk as it was once, and the epoch that its feed was in.
    pub(super) kept: Option<(DiskImage, Incarnation)>,
    /// What it keeps of large values, since it was opened.
    pub(super) unfinished: Arc<Unfinished>,
    pub(super) skew_ms: i64,
    /// What that was before, and until when.
    pub(super) skews: Vec<(u64, i64)>,
    /// The latest that its clock said in a commit.
    pub(super) latest_wall: WallMs,
    pub(super) stalled_until: u64,
    /// The power is cut at some call of the next commit.
    pub(super) crash: Option<u64>,
    /// Whoever gets a copy of the disk between two calls of the next commit, with what decides which.
    pub(super) copied: Option<(usize, u64)>,
    /// Its disk fails or is full, or may have while it was up.
    pub(super) is_hurt: bool,
}

/// What a node has while it runs.
pub(super) struct Running<'d> {
    pub(super) store: Store<'d>,
    pub(super) machine: Machine,
    pub(super) queue: Backlog,
    /// What the last group had no place for: it goes into the next one, ahead of everything.
    pub(super) rest: Vec<Request>,
    pub(super) commit_at: Option<u64>,
    pub(super) sync_at: Option<u64>,
    pub(super) idle_at: Option<u64>,
    pub(super) checkpoint_at: Option<u64>,
    /// When the machine wants to be asked.
    pub(super) timer_at: Option<u64>,
    /// Calls that somebody waits for, and until when.
    pub(super) calls: BTreeMap<ConversationId, (u64, TargetId)>,
    /// Why it is to take another identity.
    pub(super) identity_conflict: Option<IdentityConflict>,
    /// When it last was to take another identity.
    pub(super) doubted_at: Option<u64>,
    /// The identity under which it was brought a write that it has not made, or not any more.
    pub(super) disowned: Option<Origin>,
    /// Accepted, and not durable yet.
    pub(super) volatile: Vec<(u64, Entry)>,
    /// Recorded, and not durable yet.
    pub(super) volatile_cursors: Vec<(Origin, FeedPosition)>,
    /// When each entry came from a peer, and on which connections others were connected then.
    pub(super) came: BTreeMap<Name, (u64, Vec<ConversationId>)>,
    /// Up to where it had sent to a peer that it has just given up.
    pub(super) given_up: Option<u64>,
    /// Peers whose clocks it has told to be far off.
    pub(super) skews_told: BTreeSet<String>,
    /// Losers of conflicts that were told of, and how often any was.
    pub(super) losers: BTreeSet<Dot>,
    pub(super) losers_told: u64,
    /// Up to where its writes may be sent: the last local sequence when it was last ticked, or what any peer has said to
    /// hold since, whatever became of that peer; all of them where it sends by itself.
    pub(super) ticked: u64,
    /// What its program has said since the opening that it wants of single peers.
    pub(super) named: BTreeMap<usize, Scope>,
}

impl Running<'_> {
    /// What a peer has said to hold is released for good, also if another connection of that peer knows nothing of it.
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

    /// An entry is durable: it joins what must not be lost.
    pub(super) fn remember(&mut self, entry: Entry) {
        if is_user(&entry) {
            self.vouched.insert(name_of(&entry), entry.clone());
        }
        let known = self.witness.get(entry.key());
        if known.is_none_or(|known| entry.order(known).is_gt()) {
            self.witness.insert(entry.key().to_vec(), entry);
        }
    }

    /// Nothing that was durable here has to be any more.
    pub(super) fn forget(&mut self) {
        self.witness.clear();
        self.vouched.clear();
    }

    /// Everything up to there is durable.
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
