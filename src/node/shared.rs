//! State shared by the threads of a node: the machine behind one lock, the map behind another, and the code that
//! carries out the machine's outputs.
//!
//! Locks are taken in this order: the listener (by start and stop of the transport), the commit slot, the machine, the
//! map, then any of the small ones: queue, waiters, connections, settling, calls, transport, pending waits and
//! comparisons, alarm, refusal, identity conflict, renewed, requests of checkpoints. Two small ones are held at once only
//! so: waiters under queue, the dialler's queue under transport, a connection's own under connections, copies under asked
//! checkpoints. Installing entries takes the machine's lock too, so a holder of the machine sees map and counters agree.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard, RwLock};

use super::checkpoint::checkpoints::Checkpoints;
use super::commit::inline_commit::QuickSyncs;
use super::commit::queue::Queue;
use super::commit::waiters::Waiters;
use super::counters::Counters;
use super::events::NodeEvents;
use super::failure::Failure;
use super::machine::conversation::ConversationId;
use super::machine::{Machine, Output};
use super::memory::budget::Budget;
use super::net::calls::{Calls, Settling};
use super::net::timer::Alarm;
use super::options::Options;
use super::pending_calls::{Compared, PendingCalls};
use crate::core::clock::{Now, SystemClock};
use crate::store::error::StoreError;
use crate::store::state::map::EntryMap;
use crate::store::state::snapshot::SnapshotId;
use crate::sync::delivery::waits::Held;
use crate::sync::identity::identity_conflict::IdentityConflict;
use crate::transport::tcp::{Connection, TcpTransport};
use crate::transport::wire::codec;

/// State shared by the threads of a node.
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) budget: Budget,
    pub(super) clock: SystemClock,
    pub(super) machine: Mutex<Machine>,
    pub(super) map: RwLock<EntryMap>,
    pub(super) queue: Queue,
    pub(super) inline_commit: QuickSyncs,
    pub(super) counters: Counters,
    pub(super) checkpoints: Checkpoints,
    pub(super) events: Arc<dyn NodeEvents>,
    pub(super) connections: Mutex<HashMap<ConversationId, Arc<Connection>>>,
    /// Callers that wait for a conversation to be ready, or for a sign of life on it.
    pub(super) settling: Mutex<HashMap<ConversationId, Vec<Settling>>>,
    pub(super) calls: Calls,
    /// True once the node ends: no connection is accepted any more. Set before the last conversations are left, and
    /// read under the machine's lock.
    pub(super) is_ending: AtomicBool,
    pub(super) transport: Mutex<Option<TcpTransport>>,
    pub(super) waiters: Waiters,
    pub(super) pending_waits: PendingCalls<Held>,
    pub(super) pending_comparisons: PendingCalls<Compared>,
    pub(super) alarm: Arc<Alarm>,
    /// The first failure because of which writes are refused.
    pub(super) refusal: Mutex<Option<Failure>>,
    pub(super) is_refusing: AtomicBool,
    /// The identity conflict because of which the node is to take another identity, until the committer has done so.
    pub(super) identity_conflict: Mutex<Option<IdentityConflict>>,
    /// The identity conflict because of which it last took another identity since it was opened.
    pub(super) renewed: Mutex<Option<IdentityConflict>>,
    pub(super) wants_changes: AtomicBool,
    pub(super) wants_conflicts: AtomicBool,
    /// True if own writes leave as they commit.
    pub(super) is_automatic: AtomicBool,
}

/// Short locks that ending a snapshot takes to free entries that only it needed: below a millisecond together.
const MERGES_BY_CLOSE: usize = 8;

impl Shared {
    /// The shared state of a node that has just been recovered: `machine` and `map`, and nothing under way.
    pub(super) fn new(
        options: Options,
        budget: Budget,
        clock: SystemClock,
        (machine, map): (Machine, EntryMap),
        events: Arc<dyn NodeEvents>,
    ) -> Self {
        let is_automatic = options.sync_interval_ms > 0;
        Self {
            options,
            budget,
            clock,
            machine: Mutex::new(machine),
            map: RwLock::new(map),
            queue: Queue::new(budget.local_queue_bytes, budget.received_queue_bytes),
            inline_commit: QuickSyncs::new(),
            counters: Counters::default(),
            checkpoints: Checkpoints::default(),
            events,
            connections: Mutex::default(),
            settling: Mutex::default(),
            calls: Calls::default(),
            is_ending: AtomicBool::new(false),
            transport: Mutex::new(None),
            waiters: Waiters::default(),
            pending_waits: PendingCalls::default(),
            pending_comparisons: PendingCalls::default(),
            alarm: Arc::new(Alarm::default()),
            refusal: Mutex::new(None),
            is_refusing: AtomicBool::new(false),
            identity_conflict: Mutex::default(),
            renewed: Mutex::default(),
            wants_changes: AtomicBool::new(false),
            wants_conflicts: AtomicBool::new(false),
            is_automatic: AtomicBool::new(is_automatic),
        }
    }

    /// Gives the machine an input, and carries out all its outputs.
    pub(super) fn drive<R>(
        self: &Arc<Self>,
        input: impl FnOnce(&mut Machine, Now, &EntryMap) -> R,
    ) -> R {
        let now = self.clock.now();
        let mut machine = self.machine.lock();
        let map = self.map.read();
        let result = input(&mut machine, now, &map);
        self.carry_out(&mut machine, now, &map);
        drop(map);
        self.send_rest(machine);
        result
    }

    /// Sends the rest of prepared messages. The machine lock is released between messages so that a long catch-up never
    /// delays a commit.
    pub(super) fn send_rest(self: &Arc<Self>, mut machine: MutexGuard<'_, Machine>) {
        while machine.replica.has_more() {
            MutexGuard::bump(&mut machine);
            let (now, map) = (self.clock.now(), self.map.read());
            machine.replica.send_more(now, &map);
            self.carry_out(&mut machine, now, &map);
        }
    }

    /// Sends the rest of prepared messages while no other group waits to be committed. Otherwise the timer's task
    /// continues, so that a peer with a long catch-up does not hold up the next group.
    pub(super) fn send_rest_behind_group(self: &Arc<Self>, mut machine: MutexGuard<'_, Machine>) {
        while machine.replica.has_more() {
            if self.queue.is_awake() {
                self.alarm.set(Some(self.clock.monotonic()));
                return;
            }
            MutexGuard::bump(&mut machine);
            let (now, map) = (self.clock.now(), self.map.read());
            machine.replica.send_more(now, &map);
            self.carry_out(&mut machine, now, &map);
        }
    }

    /// Gives the machine an input once all base rows are known, so that rows of the outbox are counted exactly. If a
    /// new checkpoint comes under the map before both locks are held, the lookups begin again.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be.
    pub(super) fn drive_with_totals<R>(
        self: &Arc<Self>,
        mut input: impl FnMut(&mut Machine, Now, &EntryMap) -> R,
    ) -> Result<R, StoreError> {
        loop {
            self.resolve()?;
            let result = self.drive(|machine, now, map| {
                (map.base_unknown() == 0).then(|| input(machine, now, map))
            });
            if let Some(result) = result {
                return Ok(result);
            }
        }
    }

    /// Counts the rows of the outbox as far as they have to be visited, in many short locks.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub(super) fn count_rows(self: &Arc<Self>) -> Result<(), StoreError> {
        while !self.drive_with_totals(|machine, _, map| machine.replica.count_some(map))?? {}
        Ok(())
    }

    /// Carries out the machine's outputs and arms the alarm.
    pub(super) fn carry_out(self: &Arc<Self>, machine: &mut Machine, now: Now, map: &EntryMap) {
        // One buffer for all messages: growing another for each costs as much as filling it.
        let mut frame = Vec::new();
        loop {
            let mut some = false;
            while let Some(output) = machine.poll() {
                some = true;
                self.execute(output, &mut frame);
            }
            machine.end_broken(now, map);
            if !some {
                break;
            }
        }
        if let Some(error) = machine.replica.take_unreadable() {
            self.events.failed(error.into());
        }
        self.alarm.set(machine.deadline(map));
        self.pending_waits
            .answer(machine.replica.take_ended_waits());
        self.pending_comparisons
            .answer(machine.replica.take_compared());
    }

    fn execute(self: &Arc<Self>, output: Output, frame: &mut Vec<u8>) {
        match output {
            Output::Send(id, message) => {
                let connection = self.connections.lock().get(&id).cloned();
                frame.clear();
                match codec::encode(&message, frame) {
                    Ok(_) => {
                        if let Some(connection) = connection {
                            // A full or closed connection ends by itself, and is reported as closed.
                            let _ = connection.send(frame);
                        }
                    }
                    Err(error) => {
                        tracing::error!(%error, "a message of this node cannot be sent");
                        if let Some(connection) = connection {
                            connection.close(true);
                        }
                    }
                }
            }
            Output::Greeted(id) => {
                if let Some(connection) = self.connections.lock().get(&id) {
                    connection.greeted();
                }
            }
            Output::Close(id) => {
                if let Some(connection) = self.connections.lock().remove(&id) {
                    connection.close(true);
                }
            }
            Output::Commit(request) => self.queue.push(request),
            Output::Dial(target) => self.calls.call_again(target),
            Output::Settled(id, outcome) => {
                let settling = self.settling.lock().remove(&id);
                for settling in settling.into_iter().flatten() {
                    // The receiver is gone if the call was given up.
                    let _ = settling.send(outcome.clone());
                }
            }
            Output::Peer(event) => self.events.peer(event),
            Output::Renew(identity_conflict) => {
                *self.identity_conflict.lock() = Some(identity_conflict);
                self.queue.wake();
            }
        }
    }

    /// Looks up all unknown base rows, which a crash left, in many short locks.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub(super) fn resolve(&self) -> Result<(), StoreError> {
        self.look_up_while(EntryMap::base_unknown)
    }

    /// Looks up unknown base rows as far as counts of all entries need them: after a crash, not after a checkpoint.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub(super) fn look_up_totals(&self) -> Result<(), StoreError> {
        self.look_up_while(EntryMap::untotalled)
    }

    fn look_up_while(&self, left: impl Fn(&EntryMap) -> usize) -> Result<(), StoreError> {
        if left(&self.map.read()) == 0 {
            return Ok(());
        }
        self.map.write().sort_base_unknown();
        loop {
            let mut map = self.map.write();
            if left(&map) == 0 {
                return Ok(());
            }
            map.look_up_base()?;
        }
    }

    /// Ends a snapshot. Its memory is freed without a lock, because that takes long.
    pub(super) fn close_snapshot(&self, snapshot: SnapshotId) {
        let closed = self.map.write().close_snapshot(snapshot);
        drop(closed);
        // Writers hand on the entries that it shared with open snapshots; this much is done here, so that it does not
        // depend on any.
        for _ in 0..MERGES_BY_CLOSE {
            if !self.map.write().merge_undo() {
                break;
            }
        }
    }

    /// Sorts in new keys until at most `left` are unsorted, in many short locks, so that no other thread waits for
    /// long.
    pub(super) fn sort_keys(&self, left: usize) {
        let mut unsorted = self.map.read().unsorted();
        while unsorted > left {
            let mut map = self.map.write();
            map.sort_some();
            unsorted = map.unsorted();
        }
    }

    /// Sorts in new keys until at most `left` are unsorted, in at most `locks` short locks. Returns true if it got that
    /// far.
    pub(super) fn sort_keys_for(&self, left: usize, locks: usize) -> bool {
        let mut unsorted = self.map.read().unsorted();
        for _ in 0..locks {
            if unsorted <= left {
                break;
            }
            let mut map = self.map.write();
            map.sort_some();
            unsorted = map.unsorted();
        }
        unsorted <= left
    }

    /// Sorts in new keys, and looks up unknown base rows, until there is other work.
    pub(super) fn sort_keys_while_idle(&self) {
        while self.map.read().unsorted() > 0 && !self.queue.is_awake() {
            self.map.write().sort_some();
        }
        while self.map.read().snapshots().has_ended() && !self.queue.is_awake() {
            self.map.write().merge_undo();
        }
        while self.map.read().base_unknown() > 0 && !self.queue.is_awake() {
            if let Err(error) = self.map.write().look_up_base() {
                // A caller that needs it gets the failure.
                tracing::error!(%error, "the checkpoint cannot be read");
                return;
            }
        }
    }

    /// Refuses every write from now on, because of `failure`.
    pub(super) fn refuse_writes(&self, failure: &Failure) {
        // A retry cannot help any more; only another opening does.
        self.refusal.lock().get_or_insert_with(|| Failure {
            retryable: false,
            ..failure.clone()
        });
        self.is_refusing.store(true, Ordering::Release);
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
