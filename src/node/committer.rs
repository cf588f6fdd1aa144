//! The thread that commits: takes what waits, writes and syncs it as one group, installs it, and tells
//! everybody once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use super::checkpoint_thread::Running;
use super::checkpoints::{Place, refuse_all};
use super::events::Change;
use super::failure::{ErrorCode, Failure};
use super::queue::{Crowding, Work};
use super::shared::Shared;
use crate::core::clock::MonotonicMs;
use crate::store::commit::{Committed, Committer, Refused, install_some};
use crate::store::entry::{EntryFlags, Namespace};
use crate::store::error::StoreError;
use crate::store::map::Installed;
use crate::store::operation::{NOT_A_WRITE, Request, Ticket};
use crate::wal::lock::LockGuard;

/// How long the committer stays awake after a commit, in microseconds: about how long JavaScript takes to hear
/// of it and to write again.
const LINGER_US: u64 = 120;

/// After how many commits it is tried again to stay awake where others wanted the processor.
const RESTS: u32 = 256;

/// How long the log may stand without a mark that its last group is durable.
const WATERMARK_AFTER: Duration = Duration::from_millis(50);

/// New keys that may wait to be put in order until there is a quiet moment: a scan that comes before it has to
/// do so itself, and must not take long.
const UNSETTLED_MAX: usize = 1 << 17;

/// How long an accepted write may lie unsynced with `autoFlush` off.
const BACKGROUND_SYNC_AFTER_MS: u64 = 1_000;

/// The same while a peer waits for it: nothing is shipped before it is durable.
const PEER_SYNC_AFTER_MS: u64 = 5;

/// The committing thread of one node.
pub(super) struct CommitThread {
    pub(super) shared: Arc<Shared>,
    pub(super) committer: Committer,
    /// Nobody may open the log before the thread has let go of it.
    pub(super) lock: Option<LockGuard>,
    /// Where checkpoints go; `None` without a log.
    pub(super) place: Option<Arc<Place>>,
    /// The checkpoint that is being written.
    pub(super) running: Option<Running>,
    /// No checkpoint is begun by itself before the log is that long.
    pub(super) not_before_log_bytes: u64,
    /// Since when something is accepted that is not durable.
    behind_since: Option<MonotonicMs>,
    /// Commits after which it does not stay awake.
    rests: u32,
    /// Who waits for the group that is being committed.
    under_way: Vec<Ticket>,
}

/// Starts the thread. It ends, and gives the outcome of closing the log, once the queue is closed and empty.
/// The lock is its own: nobody may open the log before it has let go of it, whoever waits for that or does not.
pub(super) fn start(
    shared: &Arc<Shared>,
    committer: Committer,
    lock: Option<LockGuard>,
    place: Option<Place>,
) -> std::io::Result<JoinHandle<Result<(), StoreError>>> {
    let thread = CommitThread {
        shared: Arc::clone(shared),
        committer,
        lock,
        place: place.map(Arc::new),
        running: None,
        not_before_log_bytes: 0,
        behind_since: None,
        rests: 0,
        under_way: Vec::new(),
    };
    std::thread::Builder::new()
        .name("softadastra-commit".into())
        .spawn(move || thread.run())
}

impl CommitThread {
    fn run(mut self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let outcome =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.run_until_closed()));
        let Err(panic) = outcome else {
            shared.checkpoints.end();
            let Self {
                committer, lock, ..
            } = self;
            let closed = committer.close();
            drop(lock);
            return closed;
        };
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "unknown".to_owned());
        let failure = Failure::new(
            ErrorCode::Internal,
            "panicked",
            format!(
                "the committer failed and no more writes are accepted until the client is opened again: {text}"
            ),
        );
        // Nobody can tell any more whether the group that was under way is on disk.
        let unknown = outcome_unknown(failure.clone());
        let under_way = self
            .under_way
            .drain(..)
            .map(|ticket| (ticket, unknown.clone()));
        tell_failures(&shared, under_way.collect());
        refuse_the_rest(&shared, &failure);
        shared
            .checkpoints
            .is_abandoned
            .store(true, Ordering::Release);
        if let Some(running) = self.running.take() {
            // It still writes beside the log: the lock is let go behind it.
            running.has_news(&shared, true);
            running.tell(&Err(failure));
        }
        shared.checkpoints.end();
        Err(StoreError::Panicked(text))
    }

    fn run_until_closed(&mut self) {
        let mut marked = true;
        loop {
            let work = self.shared.queue.next(self.patience(marked));
            match work {
                Work::Group(requests) => {
                    marked = false;
                    self.group(requests);
                    self.shared.settle_order(UNSETTLED_MAX);
                    self.linger();
                }
                Work::Woken => {}
                Work::Idle if self.committer.is_behind() => {}
                Work::Idle => {
                    self.shared.settle_order_while_idle();
                    marked = true;
                    if let Err(error) = self.committer.watermark() {
                        self.broken(error.into());
                    }
                }
                Work::Closed => return self.close_checkpoints(),
            }
            self.sync_if_due();
            self.renew_if_in_doubt();
            self.look_after_checkpoints();
        }
    }

    /// Stays awake for a moment. Where others want the processor it would only use up what the system is ready to
    /// give this thread, and the next commit would wait for its turn: there it sleeps.
    fn linger(&mut self) {
        if self.rests > 0 {
            self.rests -= 1;
        } else if self.shared.queue.linger(&self.shared.clock, LINGER_US) == Crowding::Crowded {
            self.rests = RESTS;
        }
    }

    fn patience(&self, marked: bool) -> Option<Duration> {
        if self.committer.poisoned().is_some() {
            None
        } else if let Some(since) = self.behind_since {
            let waited_ms = self.shared.clock.monotonic().since(since);
            Some(Duration::from_millis(
                self.sync_delay_ms().saturating_sub(waited_ms),
            ))
        } else {
            (!marked).then_some(WATERMARK_AFTER)
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

    /// Commits a group, and what had no place in it as the next one.
    fn group(&mut self, mut requests: Vec<Request>) {
        while !requests.is_empty() {
            let wall = self.shared.clock.wall();
            self.under_way
                .extend(requests.iter().filter_map(Request::ticket));
            let plan = self.committer.plan(requests, &self.shared.map.read(), wall);
            let began_us = self.shared.clock.elapsed_us();
            requests = match self.committer.write(plan) {
                Ok(mut committed) => {
                    let rest = std::mem::take(&mut committed.rest);
                    self.count(&committed, began_us);
                    self.install(committed);
                    rest
                }
                Err(refused) => {
                    self.refused(*refused);
                    Vec::new()
                }
            };
            self.under_way.clear();
        }
    }

    fn count(&self, committed: &Committed, began_us: u64) {
        let is_durable =
            self.shared.options.enable_wal && committed.durable_lseq == committed.last_lseq;
        let took_us = self.shared.clock.elapsed_us().saturating_sub(began_us);
        let entries = committed.entries().count() as u64;
        self.shared
            .figures
            .committed(entries, is_durable.then_some(took_us));
    }

    fn install(&mut self, mut committed: Committed) {
        let shared = &self.shared;
        let now = shared.clock.now();
        let changes = if shared.wants_changes.load(Ordering::Relaxed) {
            self.changes(&committed)
        } else {
            Vec::new()
        };
        let mut machine = shared.machine.lock();
        let mut installed: Vec<Installed> = Vec::new();
        loop {
            let some = install_some(&mut committed, &mut shared.map.write());
            if some.is_empty() {
                break;
            }
            installed.extend(some);
        }
        machine.committed(&installed, committed.last_lseq, committed.durable_lseq, now);
        shared.waiters.settle(&committed.receipts, &[]);
        committed
            .receipts
            .retain(|receipt| receipt.ticket < NOT_A_WRITE);
        if let Some(last) = committed.receipts.last() {
            shared
                .events
                .committed(last.ticket, &committed.receipts, &[]);
        }
        if !changes.is_empty() {
            shared.events.changed(changes);
        }
        shared.tell_conflicts(&committed.losers, &machine);
        let map = shared.map.read();
        for (token, peer, position) in &committed.acknowledge {
            machine
                .replica
                .received_durably(*token, *peer, *position, now);
        }
        for token in &committed.refused {
            machine.replica.received_in_vain(*token);
        }
        machine.replica.send_all(now, &map);
        shared.carry_out(&mut machine, now, &map);
    }

    /// What watchers are told: for each key the last entry of the group.
    fn changes(&self, committed: &Committed) -> Vec<Change> {
        let machine = self.shared.machine.lock();
        committed
            .entries()
            .filter(|(entry, _)| entry.key().first() == Some(&(Namespace::User as u8)))
            .map(|(entry, from)| Change {
                key: entry.key().get(1..).unwrap_or_default().to_vec(),
                value: entry.value().map(<[u8]>::to_vec),
                ascii: entry.flags.contains(EntryFlags::ASCII),
                version: entry.version,
                node_id: from.map(|origin| machine.replica.label_of(origin)),
            })
            .collect()
    }

    fn refused(&mut self, refused: Refused) {
        let Refused {
            error,
            tickets,
            tokens,
        } = refused;
        let writes = tickets.iter().filter(|ticket| **ticket < NOT_A_WRITE);
        self.shared.figures.refused(writes.count() as u64);
        let failure = Failure::from(error);
        if self.committer.poisoned().is_some() {
            self.shared.refuse_writes(&failure);
        }
        let failure = if self.committer.poisoned().is_some() {
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
    pub(super) fn sync(&mut self) {
        let began_us = self.shared.clock.elapsed_us();
        let outcome = self.committer.sync();
        let took_us = self.shared.clock.elapsed_us().saturating_sub(began_us);
        match outcome {
            Ok(durable_lseq) => {
                self.shared.figures.synced(took_us);
                self.shared.drive(|machine, now, map| {
                    machine.committed(&[], durable_lseq, durable_lseq, now);
                    machine.replica.send_all(now, map);
                });
            }
            Err(error) => self.broken(error.into()),
        }
    }

    pub(super) fn broken(&self, failure: Failure) {
        self.shared.refuse_writes(&failure);
        self.shared.events.failed(failure);
    }
}

/// Tells everybody who waits that it came to nothing.
fn tell_failures(shared: &Shared, mut failures: Vec<(Ticket, Failure)>) {
    shared.waiters.settle(&[], &failures);
    failures.retain(|(ticket, _)| *ticket < NOT_A_WRITE);
    if let Some((highest, _)) = failures.last() {
        shared.events.committed(*highest, &[], &failures);
    }
}

/// What was under way when the log failed may be on disk or not: only the next open can tell.
fn outcome_unknown(failure: Failure) -> Failure {
    let message = format!(
        "{}; whether this write is on disk is unknown until the log is opened again, earlier writes are safe",
        failure.message
    );
    Failure { message, ..failure }
}

/// The committer is gone: everything that waits or comes fails with the same cause, reads go on.
fn refuse_the_rest(shared: &Arc<Shared>, failure: &Failure) {
    shared.refuse_writes(failure);
    shared.events.failed(failure.clone());
    loop {
        match shared.queue.next(None) {
            Work::Group(requests) => {
                let failures: Vec<(Ticket, Failure)> = requests
                    .iter()
                    .filter_map(Request::ticket)
                    .map(|ticket| (ticket, failure.clone()))
                    .collect();
                tell_failures(shared, failures);
            }
            Work::Idle | Work::Woken => refuse_all(shared, failure),
            Work::Closed => return,
        }
    }
}
