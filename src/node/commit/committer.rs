//! Commits: takes what waits, writes and syncs it as one group, installs it, and tells everybody once. Whoever holds
//! it commits: the thread that is there for it, or who writes, for himself.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::outcomes::{outcome_unknown, panic_text, tell_failures};
use super::sync_thread::SyncThread;
use crate::core::clock::MonotonicMs;
use crate::core::error_kind::ErrorKind;
use crate::node::checkpoint::checkpoints::Place;
use crate::node::checkpoint::thread::Running;
use crate::node::events::Change;
use crate::node::failure::Failure;
use crate::node::shared::Shared;
use crate::store::commit::appended::Appended;
use crate::store::commit::committer::{Committed, Committer, Refused};
use crate::store::commit::install::install_some;
use crate::store::commit::operation::{NOT_A_WRITE, Receipt, Request, Ticket};
use crate::store::entry::{EntryFlags, Namespace};
use crate::store::error::StoreError;
use crate::wal::files::lock::LockGuard;

/// How long the log may stand without a mark that its last group is durable.
const WATERMARK_AFTER: Duration = Duration::from_millis(50);

/// New keys that may wait to be put in order until there is a quiet moment: a scan that comes before it has to
/// do so itself, in short turns, which takes some tenths of a second for that many.
const UNSORTED_MAX: usize = 1 << 19;

/// How long an accepted write may lie unsynced with `autoFlush` off.
const BACKGROUND_SYNC_AFTER_MS: u64 = 1_000;

/// The same while a peer waits for it: nothing is shipped before it is durable.
const PEER_SYNC_AFTER_MS: u64 = 5;

/// The largest write, in bytes, for which its writer may wait.
const LONE_BYTES_MAX: usize = 16 << 10;

/// A group that was appended and is being made durable.
pub(in crate::node) struct InFlight {
    pub(in crate::node) appended: Appended,
    pub(in crate::node) began_us: u64,
}

/// What commits for one node.
pub(in crate::node) struct CommitDriver {
    pub(in crate::node) shared: Arc<Shared>,
    pub(in crate::node) committer: Committer,
    /// Nobody may open the log before the node has let go of it.
    pub(in crate::node) lock: Option<LockGuard>,
    /// Where checkpoints go; `None` without a log.
    pub(in crate::node) place: Option<Arc<Place>>,
    /// The checkpoint that is being written.
    pub(in crate::node) running: Option<Running>,
    /// No checkpoint is begun by itself before the log is that long.
    pub(in crate::node) not_before_log_bytes: u64,
    /// New keys that were left out of order while a checkpoint is due.
    pub(in crate::node) unsorted_left: Option<usize>,
    /// Since when something is accepted that is not durable.
    behind_since: Option<MonotonicMs>,
    /// The log tells that all of it is durable.
    is_marked: bool,
    /// A group was committed since the thread began to wait.
    has_committed: bool,
    /// Who waits for the groups that are being committed.
    pub(in crate::node) under_way: Vec<Ticket>,
    /// The group that the disk is being waited for.
    pub(in crate::node) in_flight: Option<InFlight>,
    /// How many there were without a moment in which none was.
    pub(in crate::node) overlapped: u32,
    pub(in crate::node) sync_thread: SyncThread,
    /// How somebody who committed for himself panicked: nothing may be committed any more.
    pub(in crate::node) panicked: Option<String>,
}

impl CommitDriver {
    pub(in crate::node) fn new(
        shared: &Arc<Shared>,
        committer: Committer,
        lock: Option<LockGuard>,
        place: Option<Place>,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            committer,
            lock,
            place: place.map(Arc::new),
            running: None,
            not_before_log_bytes: 0,
            unsorted_left: None,
            behind_since: None,
            is_marked: true,
            has_committed: false,
            under_way: Vec::new(),
            in_flight: None,
            overlapped: 0,
            sync_thread: SyncThread::default(),
            panicked: None,
        }
    }

    /// Ends the log cleanly, and lets go of it.
    pub(in crate::node) fn close(self) -> Result<(), StoreError> {
        let Self {
            committer, lock, ..
        } = self;
        let closed = committer.close();
        drop(lock);
        closed
    }

    /// Commits the only thing that waits, a small write, if that is quick and nothing else is to be done; gives its
    /// receipt, of which nobody else is told. Never called by the thread: it looks after the log.
    pub(in crate::node) fn commit_inline(&mut self) -> Option<Receipt> {
        let options = &self.shared.options;
        let is_welcome = self.panicked.is_none()
            && self.in_flight.is_none()
            // Otherwise the thread syncs after a while.
            && (options.auto_flush || !options.enable_wal)
            && self.running.is_none()
            && self.committer.poisoned().is_none()
            // Somebody drives the machine: who writes must not wait for him too.
            && self.shared.machine.try_lock().is_some();
        if !is_welcome {
            return None;
        }
        let bytes = LONE_BYTES_MAX.min(self.committer.room_bytes());
        let request = self.shared.queue.take_lone(bytes)?;
        let was_marked = self.is_marked;
        let mut receipt = None;
        let commit = AssertUnwindSafe(|| {
            self.group(vec![request], |receipts| receipt = receipts.last().copied());
        });
        if let Err(panic) = std::panic::catch_unwind(commit) {
            self.panicked = Some(panic_text(&*panic));
        }
        // The thread looks after the log from time to time, once it knows that something is there.
        if was_marked || self.panicked.is_some() || self.wants_care() {
            self.shared.queue.wake();
        }
        receipt
    }

    /// Whether there is something to do that should not be left for a quiet moment.
    fn wants_care(&self) -> bool {
        self.is_checkpoint_due() || self.shared.map.read().unsorted() > UNSORTED_MAX
    }

    /// Looks after what grows with every group.
    pub(in crate::node) fn look_after(&mut self) {
        self.shared.sort_keys(UNSORTED_MAX);
        self.sync_if_due();
        self.renew_on_identity_conflict();
        self.look_after_checkpoints();
    }

    /// Nothing came for a while.
    pub(in crate::node) fn idle(&mut self) {
        if self.has_committed || self.committer.is_behind() {
            return;
        }
        self.shared.sort_keys_while_idle();
        self.is_marked = true;
        if let Err(error) = self.committer.watermark() {
            self.broken(error.into());
        }
    }

    /// How long the thread may wait now.
    pub(in crate::node) fn patience(&mut self) -> Option<Duration> {
        self.has_committed = false;
        if self.committer.poisoned().is_some() {
            None
        } else if let Some(since) = self.behind_since {
            let waited_ms = self.shared.clock.monotonic().since(since);
            Some(Duration::from_millis(
                self.sync_delay_ms().saturating_sub(waited_ms),
            ))
        } else {
            (!self.is_marked).then_some(WATERMARK_AFTER)
        }
    }

    fn sync_delay_ms(&self) -> u64 {
        let is_automatic = self.shared.is_automatic.load(Ordering::Relaxed);
        if is_automatic && !self.shared.connections.lock().is_empty() {
            PEER_SYNC_AFTER_MS
        } else {
            BACKGROUND_SYNC_AFTER_MS
        }
    }

    /// With `autoFlush` off: makes durable what was accepted some time ago, whether more keeps coming or not.
    fn sync_if_due(&mut self) {
        if !self.committer.is_behind() || self.committer.poisoned().is_some() {
            self.behind_since = None;
            return;
        }
        let now = self.shared.clock.monotonic();
        let since = *self.behind_since.get_or_insert(now);
        if now.since(since) >= self.sync_delay_ms() {
            self.behind_since = None;
            self.sync();
        }
    }

    /// Commits some requests, and what had no place in the group as the next one. Those who wait through a channel are
    /// told with `tell`.
    pub(in crate::node) fn group(
        &mut self,
        mut requests: Vec<Request>,
        mut tell: impl FnMut(&[Receipt]),
    ) {
        while !requests.is_empty() {
            requests = self.one_group(requests, &mut tell);
        }
        self.shared
            .inline_commit
            .ended(self.shared.clock.elapsed_us());
    }

    fn one_group(
        &mut self,
        requests: Vec<Request>,
        tell: &mut impl FnMut(&[Receipt]),
    ) -> Vec<Request> {
        let wall = self.shared.clock.wall();
        self.is_marked = false;
        self.has_committed = true;
        self.under_way
            .extend(requests.iter().filter_map(Request::ticket));
        let is_small_write = requests.len() == 1 && requests.iter().all(is_small_write);
        let before = self.in_flight.as_ref().map(|flight| &flight.appended);
        let plan = self
            .committer
            .plan_after(before, requests, &self.shared.map.read(), wall);
        let Some((plan, landed)) = self.land_before(plan) else {
            return Vec::new();
        };
        if self.may_overlap(&plan) {
            return self.overlap(plan, landed, tell);
        }
        self.overlapped = 0;
        if let Some(landed) = landed {
            self.install(landed, tell);
        }
        let began_us = self.shared.clock.elapsed_us();
        let room_bytes = self.committer.room_bytes();
        let outcome = self.committer.write(plan);
        let mut rest = Vec::new();
        match outcome {
            Ok(mut committed) => {
                rest = std::mem::take(&mut committed.rest);
                let took_us = self.shared.clock.elapsed_us().saturating_sub(began_us);
                self.count(&committed, took_us);
                if is_small_write && self.committer.room_bytes() <= room_bytes {
                    self.shared.inline_commit.took(took_us);
                }
                self.install(committed, tell);
            }
            Err(refused) => self.refused(*refused),
        }
        self.under_way.clear();
        rest
    }

    pub(in crate::node) fn count(&self, committed: &Committed, took_us: u64) {
        let is_durable =
            self.shared.options.enable_wal && committed.durable_lseq == committed.last_lseq;
        let entries = committed.entries().count() as u64;
        self.shared
            .counters
            .committed(entries, is_durable.then_some(took_us));
    }

    pub(in crate::node) fn install(
        &mut self,
        mut committed: Committed,
        tell: &mut impl FnMut(&[Receipt]),
    ) {
        let shared = &self.shared;
        let now = shared.clock.now();
        let changes = if shared.wants_changes.load(Ordering::Relaxed) {
            self.changes(&committed)
        } else {
            Vec::new()
        };
        let mut machine = shared.machine.lock();
        let replica = &mut machine.replica;
        loop {
            let some = install_some(&mut committed, &mut shared.map.write());
            if some.is_empty() {
                break;
            }
            replica.installed(&some, now);
        }
        replica.committed(committed.last_lseq, committed.durable_lseq);
        shared.waiters.settle(&committed.receipts, &[]);
        committed
            .receipts
            .retain(|receipt| receipt.ticket < NOT_A_WRITE);
        tell(&committed.receipts);
        if !changes.is_empty() {
            shared.events.changed(changes);
        }
        shared.tell_conflicts(&committed.losers, &machine);
        shared.tell_dropped(&committed.dropped);
        let map = shared.map.read();
        // Before what covers them is acknowledged: none of them counts as held for a moment.
        machine.replica.refused_by_store(&committed.refused_entries);
        for (token, peer, position, scope) in &committed.acknowledge {
            machine
                .replica
                .received_durably(*token, *peer, *position, scope, now);
        }
        for token in &committed.refused {
            machine.replica.received_in_vain(*token);
        }
        machine.replica.send_some(now, &map);
        shared.carry_out(&mut machine, now, &map);
        drop(map);
        shared.send_rest_behind_group(machine);
    }

    /// What watchers are told: for each key the last entry of the group.
    fn changes(&self, committed: &Committed) -> Vec<Change> {
        let machine = self.shared.machine.lock();
        let map = self.shared.map.read();
        let label_of = |author| machine.replica.author_label(author, &map);
        committed
            .entries()
            .filter(|(entry, _)| entry.key().first() == Some(&(Namespace::User as u8)))
            .map(|(entry, from)| Change {
                key: entry.key().get(1..).unwrap_or_default().to_vec(),
                value: entry.value().map(<[u8]>::to_vec),
                ascii: entry.flags.contains(EntryFlags::ASCII),
                version: entry.version,
                node_id: from.map(|_| label_of(entry.dot.origin)),
            })
            .collect()
    }

    pub(in crate::node) fn refused(&mut self, refused: Refused) {
        let is_unknown = self.committer.poisoned().is_some();
        self.tell_refused(refused, is_unknown);
    }

    /// Tells of a group that was not written, or of which that `is_unknown`.
    pub(in crate::node) fn tell_refused(&mut self, refused: Refused, is_unknown: bool) {
        let Refused {
            error,
            tickets,
            tokens,
        } = refused;
        let writes = tickets.iter().filter(|ticket| **ticket < NOT_A_WRITE);
        self.shared.counters.refused(writes.count() as u64);
        let failure = Failure::from(error);
        if self.committer.poisoned().is_some() {
            self.shared.refuse_writes(&failure);
        }
        let failure = if is_unknown {
            outcome_unknown(failure)
        } else {
            failure
        };
        let failures: Vec<(Ticket, Failure)> = tickets
            .into_iter()
            .map(|ticket| (ticket, failure.clone()))
            .collect();
        tell_failures(&self.shared, failures);
        self.shared.events.failed(failure);
        self.shared.drive(|machine, _, _| {
            for token in tokens {
                machine.replica.received_in_vain(token);
            }
        });
    }

    /// Makes durable what was accepted without it.
    pub(in crate::node) fn sync(&mut self) {
        let began_us = self.shared.clock.elapsed_us();
        let outcome = self.committer.sync();
        let took_us = self.shared.clock.elapsed_us().saturating_sub(began_us);
        match outcome {
            Ok(durable_lseq) => {
                self.shared.counters.synced(took_us);
                self.shared.drive(|machine, now, map| {
                    machine.replica.committed(durable_lseq, durable_lseq);
                    machine.replica.send_some(now, map);
                });
            }
            Err(error) => self.broken(error.into()),
        }
    }

    /// The log failed between groups. One that only lies elsewhere than its path leads goes on once it is back.
    pub(in crate::node) fn broken(&self, failure: Failure) {
        if self.committer.poisoned().is_some() || !is_displaced(&failure) {
            self.shared.refuse_writes(&failure);
        }
        self.shared.events.failed(failure);
    }
}

fn is_displaced(failure: &Failure) -> bool {
    matches!(failure.kind, ErrorKind::WalRemoved | ErrorKind::WalReplaced)
}

fn is_small_write(request: &Request) -> bool {
    matches!(request, Request::Write { .. }) && request.bytes() <= LONE_BYTES_MAX
}
