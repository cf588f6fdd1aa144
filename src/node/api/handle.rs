//! The node as programs use it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use super::peers::{PeerView, list};
use super::recovery_report::RecoveryReport;
use crate::core::error_kind::ErrorKind;
use crate::metadata::{Capability, NodeInfo, hostname, os_name};
use crate::node::checkpoint::checkpoints::{LastCheckpoint, Place};
use crate::node::commit::commit_thread::CommitSlot;
use crate::node::failure::{ErrorCode, Failure};
use crate::node::net::network;
use crate::node::options::Options;
use crate::node::shared::Shared;
use crate::store::error::StoreError;
use crate::store::scope::Scope;
use crate::sync::report::{SyncReport, TickReport};
use crate::transport::tcp::Listener;

/// How long a close waits for acknowledgements that connected peers owe: all of it ends within a second.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// How often a close looks whether they came.
const DRAIN_STEP: Duration = Duration::from_millis(2);

/// An open node. Dropping it ends it without the courtesies of [`Node::close`]; what was acknowledged is safe.
pub struct Node {
    pub(in crate::node) shared: Arc<Shared>,
    pub(in crate::node) commit_slot: CommitSlot,
    pub(in crate::node) commit_thread: Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
    pub(in crate::node) listener: tokio::sync::Mutex<Option<Listener>>,
    pub(in crate::node) bound_port: Mutex<Option<u16>>,
    pub(in crate::node) info: NodeInfo,
    /// Where the log is; `None` without one.
    pub(in crate::node) place: Option<Place>,
    pub(in crate::node) recovery: RecoveryReport,
}

impl Node {
    /// The options in force.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// The failure after which no write is accepted; `None` while all is well.
    pub fn refusal(&self) -> Option<Failure> {
        if self.shared.is_refusing.load(Ordering::Acquire) {
            self.shared.refusal.lock().clone()
        } else {
            None
        }
    }

    /// What opening the node found, did and noticed.
    pub fn recovery(&self) -> RecoveryReport {
        RecoveryReport {
            renewed: self.shared.renewed.lock().clone(),
            ..self.recovery.clone()
        }
    }

    /// The largest value in bytes that this node accepts.
    pub fn value_bytes_max(&self) -> usize {
        self.shared.options.max_value_bytes
    }

    /// Whether changes are told; off at first, because telling costs a copy of each.
    pub fn tell_changes(&self, wanted: bool) {
        self.shared.wants_changes.store(wanted, Ordering::Relaxed);
    }

    /// The state of replication.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be.
    pub fn sync_report(&self) -> Result<SyncReport, Failure> {
        self.shared.count_rows()?;
        let report = self
            .shared
            .drive_with_totals(|machine, _, map| machine.replica.report(map))?;
        Ok(report?)
    }

    /// One tick: retry, prune if asked, release the next own writes, and hand them to connections.
    ///
    /// # Errors
    /// If the log fails while what is to be sent is made durable.
    pub async fn tick(&self, prune: bool) -> Result<TickReport, Failure> {
        if self.shared.options.enable_wal
            && !self.shared.options.auto_flush
            && self.refusal().is_none()
        {
            self.flush().await?;
        }
        self.shared.count_rows()?;
        let report = self
            .shared
            .drive_with_totals(|machine, now, map| machine.replica.tick(prune, now, map))?;
        Ok(report?)
    }

    /// What failed is tried again. Returns how many writes had failed.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be.
    pub fn retry_failed(&self) -> Result<u64, Failure> {
        let failed = self
            .shared
            .drive_with_totals(|machine, now, map| machine.replica.retry_failed(now, map))?;
        Ok(failed?)
    }

    /// Own writes leave as they commit (`true`), or wait for ticks.
    pub fn set_automatic_sync(&self, automatic: bool) {
        self.shared.is_automatic.store(automatic, Ordering::Relaxed);
        self.shared
            .drive(|machine, now, map| machine.replica.set_automatic(automatic, now, map));
    }

    fn check_transport(&self) -> Result<(), Failure> {
        if self.shared.options.enable_transport {
            Ok(())
        } else {
            Err(Failure::new(
                ErrorCode::Transport,
                ErrorKind::TransportDisabled,
                "transport is disabled: set enableTransport to true before the client is opened",
            ))
        }
    }

    /// Makes a checkpoint of all that is accepted, now, and waits for it. Without a log there is nothing to do.
    ///
    /// # Errors
    /// If it could not be written; the log keeps everything, as before.
    pub async fn compact(&self) -> Result<(), Failure> {
        if self.shared.is_ending.load(Ordering::Acquire) {
            // It was open when this was called.
            return Err(StoreError::Stopped.into());
        }
        let answer = self.shared.checkpoints.ask();
        self.shared.queue.wake();
        answer.await.map_err(|_| Failure::not_open())?
    }

    /// The last checkpoint that was made since the open.
    pub fn last_checkpoint(&self) -> Option<LastCheckpoint> {
        self.shared.checkpoints.last()
    }

    /// Peers are told counts, and the epoch of the feed that this open began: the former have to be known, the
    /// latter has to be durable.
    async fn be_ready_for_peers(&self) -> Result<(), Failure> {
        self.shared.look_up_totals()?;
        if self.refusal().is_some() {
            // What cannot be written any more can still be read by others.
            return Ok(());
        }
        self.flush().await
    }

    /// Listens for peers. Twice is as good as once.
    ///
    /// # Errors
    /// If the transport is disabled, the host needs a key, or the port is in use.
    pub async fn start_transport(&self) -> Result<(), Failure> {
        self.check_transport()?;
        self.be_ready_for_peers().await?;
        let mut listener = self.listener.lock().await;
        if self.shared.is_ending.load(Ordering::Acquire) {
            return Err(Failure::not_open());
        }
        if listener.is_none() {
            let started = network::start_listening(&self.shared).await?;
            *self.bound_port.lock() = Some(started.local_addr().port());
            *listener = Some(started);
        }
        Ok(())
    }

    /// Leaves all peers and stops listening. Safe at any time.
    pub async fn stop_transport(&self) {
        let mut listener = self.listener.lock().await;
        *self.bound_port.lock() = None;
        // First, so that nobody comes in behind those who are left.
        if let Some(listener) = listener.take() {
            listener.stop().await;
        }
        self.shared.drive(|machine, now, map| {
            self.shared.calls.end(None, "the node stops its transport");
            machine.leave_all(now, map);
        });
    }

    /// Whether the node listens.
    pub fn transport_running(&self) -> bool {
        self.bound_port.lock().is_some()
    }

    /// The port on which the node listens.
    pub fn transport_port(&self) -> Option<u16> {
        *self.bound_port.lock()
    }

    /// Connects to the peer `node_id` at `host` and `port`, to exchange all that both nodes exchange at all, and keeps
    /// calling it from then on when the connection is lost. Ok at once when it is connected already.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use softadastra::node::{Failure, Holders, Node, Operation, Options, Silent, Subject};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Failure> {
    /// let replicating = |node_id: &str| Options {
    ///     enable_transport: true,
    ///     sync_interval_ms: 1,
    ///     ..Options::local(node_id)
    /// };
    /// let laptop = Node::open(replicating("laptop"), Arc::new(Silent))?;
    /// let phone = Node::open(replicating("phone"), Arc::new(Silent))?;
    /// phone.start_transport().await?;
    /// laptop.connect("phone", "127.0.0.1", phone.transport_port().unwrap_or_default()).await?;
    ///
    /// laptop.write(Operation::put(b"note/1", b"buy milk", true)?).await?;
    /// laptop.wait(Subject::All, Holders::All).delivered().await?;
    /// assert_eq!(phone.get(b"note/1")?.as_deref(), Some(&b"buy milk"[..]));
    /// # laptop.close().await?;
    /// # phone.close().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// If nobody answers, or another node than was meant. Local data is untouched.
    pub async fn connect(&self, node_id: &str, host: &str, port: u16) -> Result<(), Failure> {
        self.connect_within(node_id, host, port, Scope::ALL).await
    }

    /// Connects to a peer, to exchange what is in `scope` with it, and keeps calling it from then on when the connection
    /// is lost. Ok at once when it is connected already; a connection that carries something else is made anew.
    ///
    /// # Errors
    /// If nobody answers, or another node than was meant. Local data is untouched.
    pub async fn connect_within(
        &self,
        node_id: &str,
        host: &str,
        port: u16,
        scope: Scope,
    ) -> Result<(), Failure> {
        self.check_transport()?;
        self.be_ready_for_peers().await?;
        network::connect(&self.shared, node_id, host, port, scope).await
    }

    /// Leaves a peer, and does not call it again by itself. Ok when it is not known.
    pub fn disconnect(&self, node_id: &str, host: &str, port: u16) {
        self.shared.drive(|machine, now, map| {
            if let Some(target) = machine.directory.find(node_id, host, port) {
                let text = "the node's user asked to disconnect";
                self.shared.calls.end(Some(target), text);
                machine.disconnect(target, now, map);
            }
        });
    }

    /// All peers that are configured or connected.
    pub fn peers(&self) -> Vec<PeerView> {
        list(&self.shared.machine.lock(), self.shared.clock.wall())
    }

    /// The description of this node, with its uptime now.
    pub fn info(&self) -> NodeInfo {
        let uptime_ms = self
            .shared
            .clock
            .wall()
            .0
            .saturating_sub(self.info.started_at.0);
        NodeInfo {
            uptime_ms,
            ..self.info.clone()
        }
    }

    /// Ends the node: what was accepted is committed, acknowledgements that connected peers owe are waited for
    /// half a second at most, connections are left in words, and the log is closed cleanly. No large checkpoint is made: the
    /// log keeps everything, and one that is under way and not soon done is given up, as is a backup. Who wants one asks
    /// for it before, with [`Node::compact`], or in one with [`Node::close_compacted`].
    ///
    /// # Errors
    /// If the path of the log does not lead to what was acknowledged, or the log cannot be closed cleanly; the node is closed all the same, and the next open recovers.
    pub async fn close(&self) -> Result<(), Failure> {
        self.drain().await;
        self.shared.is_ending.store(true, Ordering::Release);
        self.end_waits();
        self.stop_transport().await;
        self.shared
            .drive(|machine, _, _| machine.replica.remember_all());
        self.shared.queue.close();
        self.shared.alarm.ring();
        let thread = self.commit_thread.lock().take();
        let Some(thread) = thread else { return Ok(()) };
        let outcome = tokio::task::spawn_blocking(move || thread.join()).await;
        match outcome {
            Ok(Ok(closed)) => closed.map_err(Failure::from),
            Ok(Err(_)) | Err(_) => Err(Failure::internal("the committer ended abnormally")),
        }
    }

    /// Makes a checkpoint of everything, however long that takes, and closes.
    ///
    /// # Errors
    /// As [`Node::close`]; then as [`Node::compact`], behind which the node is closed all the same.
    pub async fn close_compacted(&self) -> Result<(), Failure> {
        let compacted = self.compact().await;
        self.close().await?;
        compacted
    }

    /// Whoever waits for something waits in vain: under the machine's lock, so that nobody begins to behind this.
    fn end_waits(&self) {
        let _machine = self.shared.machine.lock();
        self.shared.pending_waits.end();
        self.shared.pending_comparisons.end();
    }

    async fn drain(&self) {
        if self.shared.connections.lock().is_empty() {
            return;
        }
        if self.refusal().is_none() {
            // Whatever was accepted reaches the connections before they are asked what they owe.
            let _ = self.flush().await;
        }
        let owed = async {
            while self.shared.machine.lock().replica.is_owed() {
                tokio::time::sleep(DRAIN_STEP).await;
            }
        };
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, owed).await;
    }
}

impl Node {
    /// Ends the node at once, without drains and farewells: what waits is committed, the log is let go.
    pub fn abandon(&self) {
        self.shared
            .checkpoints
            .is_abandoned
            .store(true, Ordering::Release);
        self.shared.is_ending.store(true, Ordering::Release);
        self.shared.queue.close();
        self.shared.alarm.ring();
        // Whoever opens a connection now has done so, or sees that the node ends.
        self.end_waits();
        for (_, connection) in self.shared.connections.lock().drain() {
            connection.close(false);
        }
        if let Some(thread) = self.commit_thread.lock().take() {
            // Whoever opens the log next should find it free.
            let _ = thread.join();
        }
        if let Ok(mut listener) = self.listener.try_lock() {
            *listener = None;
        }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// The description of a node as its options and this machine give it.
pub(in crate::node) fn describe(
    options: &Options,
    started_at: crate::core::clock::WallMs,
) -> NodeInfo {
    let enabled = [
        (Capability::Core, true),
        (Capability::Wal, options.enable_wal),
        (Capability::Store, true),
        (Capability::Sync, true),
        (Capability::Transport, options.enable_transport),
        (Capability::Discovery, options.enable_discovery),
        (Capability::Metadata, true),
    ];
    NodeInfo {
        node_id: options.node_id.clone(),
        display_name: options.display_name().to_owned(),
        hostname: hostname(),
        os_name: os_name(),
        version: options.version.clone(),
        started_at,
        uptime_ms: 0,
        capabilities: enabled
            .into_iter()
            .filter(|(_, on)| *on)
            .map(|(capability, _)| capability)
            .collect(),
    }
}
