//! The commit driver: takes queued requests, commits them as one group (group commit), installs it, and answers every
//! caller once. Driven by the commit thread, or by a writer for its own write (inline commit).

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

/// Time after which an idle log gets a watermark: its last group is durable.
const WATERMARK_AFTER: Duration = Duration::from_millis(50);

/// Most unsorted new keys that are left for a quiet moment: a scan that comes earlier has to sort them itself, in short
/// turns, which takes some tenths of a second for that many.
const UNSORTED_MAX: usize = 1 << 19;

/// Longest time that an accepted write stays unsynced with `autoFlush` off, in milliseconds.
const BACKGROUND_SYNC_AFTER_MS: u64 = 1_000;

/// Longest time that an accepted write stays unsynced while a peer waits for it, in milliseconds: nothing is sent
/// before it is durable.
const PEER_SYNC_AFTER_MS: u64 = 5;

/// Largest write that is committed inline, in bytes.
const LONE_BYTES_MAX: usize = 16 << 10;

/// A group that was appended and is being made durable.
pub(in crate::node) struct InFlight {
    pub(in crate::node) appended: Appended,
    pub(in crate::node) began_us: u64,
}

/// State of the committer of one node.
pub(in crate::node) struct CommitDriver {
    pub(in crate::node) shared: Arc<Shared>,
    pub(in crate::node) committer: Committer,
    /// Lock of the log: no other node may open it before this one has released it.
    pub(in crate::node) lock: Option<LockGuard>,
    /// Directory and name of checkpoints; `None` without a log.
    pub(in crate::node) place: Option<Arc<Place>>,
    /// The checkpoint that is being written.
    pub(in crate::node) running: Option<Running>,
    /// Log length below which no checkpoint is begun without a request.
    pub(in crate::node) not_before_log_bytes: u64,
    /// Number of new keys that were left unsorted while a checkpoint is due.
    pub(in crate::node) unsorted_left: Option<usize>,
    /// Time since when an accepted write is not durable.
    behind_since: Option<MonotonicMs>,
    /// True if the log ends with a watermark: all of it is durable.
    is_marked: bool,
    /// True if a group was committed since the thread began to wait.
    has_committed: bool,
    /// Tickets of the groups that are being committed.
    pub(in crate::node) under_way: Vec<Ticket>,
    /// The group whose sync is under way.
    pub(in crate::node) in_flight: Option<InFlight>,
    /// Number of overlapping groups in a row.
    pub(in crate::node) overlapped: u32,
    pub(in crate::node) sync_thread: SyncThread,
    /// Message of a panic in an inline commit: nothing may be committed any more.
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

    /// Ends the log cleanly, and releases it.
    pub(in crate::node) fn close(self) -> Result<(), StoreError> {
        let Self {
            committer, lock, ..
        } = self;
        let closed = committer.close();
        drop(lock);
        closed
    }

    /// Inline commit of the only queued request, a small write, if the disk is quick and nothing else is due. Returns
    /// its receipt, which only this caller gets. The commit thread never calls this: it has upkeep to do.
    pub(in crate::node) fn commit_inline(&mut self) -> Option<Receipt> {
        let options = &self.shared.options;
        let is_welcome = self.panicked.is_none()
            && self.in_flight.is_none()
            // With `autoFlush` off the commit thread syncs after a while.
            && (options.auto_flush || !options.enable_wal)
            && self.running.is_none()
            && self.committer.poisoned().is_none()
            // Another thread holds the machine's lock: the writer must not wait for it too.
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
        // The commit thread does the log's upkeep, and must know that there is something to do.
        if was_marked || self.panicked.is_some() || self.wants_care() {
            self.shared.queue.wake();
        }
        receipt
    }

    /// True if some upkeep should not be left for a quiet moment.
    fn wants_care(&self) -> bool {
        self.is_checkpoint_due() || self.shared.map.read().unsorted() > UNSORTED_MAX
    }

    /// Upkeep after each group: sorts keys, syncs if due, renews the identity, drives checkpoints.
    pub(in crate::node) fn look_after(&mut self) {
        self.shared.sort_keys(UNSORTED_MAX);
        self.sync_if_due();
        self.renew_on_identity_conflict();
        self.look_after_checkpoints();
    }

    /// Upkeep of a quiet moment: sorts keys, and appends a watermark.
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

    /// Longest time that the thread may wait for requests now; `None`: until it is woken.
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

    /// Syncs with `autoFlush` off: makes accepted writes durable after a while, even if more keep coming.
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

    /// Commits some requests, and those without room in the group as the next ones. Receipts of writes go to `tell`.
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
        // Told before the frames that cover them are acknowledged, so that none counts as held for a moment.
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

    /// Changes for watchers: for each key the last entry of the group.
    fn changes(&self, committed: &Committed) -> Vec<Change> {
        let machine = self.shared.machine.lock();
        let map = self.shared.map.read();
        // A node that has been opened again is known by the record that comes with its first write.
        let lineage = committed.lineage.as_ref().unwrap_or_else(|| map.lineage());
        let label_of = |author| machine.replica.author_label(author, lineage);
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

    /// Reports a group that was not written, or whose outcome `is_unknown`, to its callers.
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

    /// Makes everything durable that was accepted without a sync.
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

    /// Handles a failure of the log between groups. A log that only lies elsewhere than its path leads continues once
    /// it is back.
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
