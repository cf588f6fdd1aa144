//! The node as programs use it.

#![allow(
    clippy::disallowed_methods,
    reason = "a driver: a closing node waits for its peers"
)]

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

/// Longest wait of a close for acknowledgements that connected peers owe, so that all of it ends within a second.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// Interval at which a close checks for these acknowledgements.
const DRAIN_STEP: Duration = Duration::from_millis(2);

/// An open node. Acknowledged writes are safe however it ends.
///
/// # Dropping
/// Dropping a node ends it as [`Node::abandon`] does: without the drain and the goodbyes of [`Node::close`]. It blocks
/// the thread until the queued writes are committed and the log is released, so in an async task call [`Node::close`]
/// before.
pub struct Node {
    pub(in crate::node) shared: Arc<Shared>,
    pub(in crate::node) commit_slot: CommitSlot,
    pub(in crate::node) commit_thread: Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
    pub(in crate::node) listener: tokio::sync::Mutex<Option<Listener>>,
    pub(in crate::node) bound_port: Mutex<Option<u16>>,
    pub(in crate::node) info: NodeInfo,
    /// Directory and name of the log; `None` without one.
    pub(in crate::node) place: Option<Place>,
    pub(in crate::node) recovery: RecoveryReport,
}

impl Node {
    /// The options in force.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// The failure after which every write is refused; `None` while there is none.
    pub fn refusal(&self) -> Option<Failure> {
        if self.shared.is_refusing.load(Ordering::Acquire) {
            self.shared.refusal.lock().clone()
        } else {
            None
        }
    }

    /// Report of the node's opening: its findings and repairs.
    pub fn recovery(&self) -> RecoveryReport {
        RecoveryReport {
            renewed: self.shared.renewed.lock().clone(),
            ..self.recovery.clone()
        }
    }

    /// Largest value that this node accepts, in bytes.
    pub fn value_bytes_max(&self) -> usize {
        self.shared.options.max_value_bytes
    }

    /// Turns `changed` events on or off. Off at first, because each event copies the change.
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

    /// Runs one tick: retries overdue rows, prunes if asked, releases the next own writes, and sends them.
    ///
    /// # Errors
    /// If the log fails while the rows to be sent are made durable, or the checkpoint cannot be read where it has to be.
    ///
    /// # Cancel safety
    /// Either the whole tick runs, or none of it: dropped while the rows are made durable, it releases nothing.
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

    /// Retries all failed rows. Returns their number.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be.
    pub fn retry_failed(&self) -> Result<u64, Failure> {
        let failed = self
            .shared
            .drive_with_totals(|machine, now, map| machine.replica.retry_failed(now, map))?;
        Ok(failed?)
    }

    /// Sets when own writes are sent: as they commit (`true`), or by ticks.
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

    /// Makes a checkpoint of everything accepted so far, and waits for it. Without a log it does nothing.
    ///
    /// # Errors
    /// If the checkpoint could not be written; the log keeps everything, as before.
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait; the checkpoint is made all the same.
    pub async fn compact(&self) -> Result<(), Failure> {
        if self.shared.is_ending.load(Ordering::Acquire) {
            // The node was open when this was called.
            return Err(StoreError::Stopped.into());
        }
        let answer = self.shared.checkpoints.ask();
        self.shared.queue.wake();
        // The commit thread has ended since: the node was open when this was called.
        answer
            .await
            .map_err(|_| Failure::from(StoreError::Stopped))?
    }

    /// The last checkpoint since the opening; `None` if none was made.
    pub fn last_checkpoint(&self) -> Option<LastCheckpoint> {
        self.shared.checkpoints.last()
    }

    /// Prepares for peers: totals are sent to them, so they must be known, and the epoch that this opening began must
    /// be durable.
    async fn be_ready_for_peers(&self) -> Result<(), Failure> {
        self.shared.look_up_totals()?;
        if self.refusal().is_some() {
            // The log takes no more writes; peers can still read everything.
            return Ok(());
        }
        self.flush().await
    }

    /// Starts listening for peers. Does nothing if the node listens already.
    ///
    /// # Errors
    /// If the transport is disabled, the host needs a key, or the port is in use.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the node not listening, unless it listened before.
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

    /// Disconnects from all peers and stops listening. May be called at any time.
    ///
    /// # Cancel safety
    /// Dropped before its end, it may have stopped listening while peers are still connected: call it again.
    pub async fn stop_transport(&self) {
        let mut listener = self.listener.lock().await;
        *self.bound_port.lock() = None;
        // The listener stops first, so that no new peer connects after those that are disconnected.
        if let Some(listener) = listener.take() {
            listener.stop().await;
        }
        self.shared.drive(|machine, now, map| {
            self.shared.calls.end(None, "the node stops its transport");
            machine.leave_all(now, map);
        });
    }

    /// True while the node listens.
    pub fn transport_running(&self) -> bool {
        self.bound_port.lock().is_some()
    }

    /// The port on which the node listens; `None` while it does not.
    pub fn transport_port(&self) -> Option<u16> {
        *self.bound_port.lock()
    }

    /// Connects to the peer `node_id` at `host` and `port`, to exchange all keys in the scopes of both nodes, and
    /// reconnects from then on when the connection is lost. An existing connection is tried first, see
    /// [`Node::connect_within`].
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
    /// If no node answers, or another node than the named one. Local data is untouched.
    ///
    /// # Cancel safety
    /// As of [`Node::connect_within`].
    pub async fn connect(&self, node_id: &str, host: &str, port: u16) -> Result<(), Failure> {
        self.connect_within(node_id, host, port, Scope::ALL).await
    }

    /// Connects to a peer to exchange the keys in `scope`, and reconnects from then on when the connection is lost.
    /// If it is connected already, the peer is asked for a sign of life: with an answer within five seconds the call
    /// succeeds, without one the connection is ended and the peer is called anew. A connection with another scope is
    /// replaced.
    ///
    /// # Errors
    /// If no node answers, or another node than the named one. Local data is untouched.
    ///
    /// # Cancel safety
    /// Dropping the future ends a call under way. A connection that was made by then stays, and is made again when it is
    /// lost; [`Node::disconnect`] ends it.
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

    /// Disconnects from a peer, and does not call it again. Does nothing for an unknown peer.
    pub fn disconnect(&self, node_id: &str, host: &str, port: u16) {
        self.shared.drive(|machine, now, map| {
            if let Some(target) = machine.directory.find(node_id, host, port) {
                let text = "the node's user asked to disconnect";
                self.shared.calls.end(Some(target), text);
                machine.disconnect(target, now, map);
            }
        });
    }

    /// All peers that are known by address or connected.
    pub fn peers(&self) -> Vec<PeerView> {
        list(&self.shared.machine.lock(), self.shared.clock.wall())
    }

    /// The description of this node, with its present uptime.
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

    /// Closes the node: commits everything accepted, waits at most half a second for acknowledgements that connected
    /// peers owe, says goodbye to peers, and ends the log cleanly. No large checkpoint is made, because the log keeps
    /// everything; one that is under way and not soon done is given up, as is a backup. For a checkpoint call
    /// [`Node::compact`] before, or [`Node::close_compacted`].
    ///
    /// # Errors
    /// If the path of the log no longer leads to the acknowledged writes, or the log cannot be ended cleanly; the node
    /// is closed all the same, and the next opening recovers.
    ///
    /// # Cancel safety
    /// Dropped before its end, the node may still be open; call it again, or drop the node. Once the committer is told to
    /// end, it does so whether or not anybody awaits it; then only its failure is lost.
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

    /// Makes a checkpoint of everything, however long it takes, and closes.
    ///
    /// # Errors
    /// If [`Node::close`] or [`Node::compact`] fails; the node is closed in any case.
    ///
    /// # Cancel safety
    /// Dropped while the checkpoint is made, the node stays open and the checkpoint goes on; dropped later, as
    /// [`Node::close`].
    pub async fn close_compacted(&self) -> Result<(), Failure> {
        let compacted = self.compact().await;
        self.close().await?;
        compacted
    }

    /// Ends all waits and comparisons with a failure, under the machine's lock, so that none can begin afterwards.
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
            // Everything accepted must be sent before the acknowledgements that are owed can be known.
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
    /// Ends the node without drain and goodbyes, as dropping it does. Blocks until the queued writes are committed, a
    /// checkpoint or a backup under way is given up, and the log is released: joins the commit thread. Does nothing
    /// more after [`Node::close`].
    pub fn abandon(&self) {
        self.shared
            .checkpoints
            .is_abandoned
            .store(true, Ordering::Release);
        self.shared.is_ending.store(true, Ordering::Release);
        self.shared.queue.close();
        self.shared.alarm.ring();
        // Connections that are being opened are registered by now, or will see that the node ends.
        self.end_waits();
        for (_, connection) in self.shared.connections.lock().drain() {
            connection.close(false);
        }
        if let Some(thread) = self.commit_thread.lock().take() {
            // The next opening of the log should find it free.
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

/// The description of a node, made from its options and this machine.
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
