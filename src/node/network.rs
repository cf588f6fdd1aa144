//! Listening, calling, and what arrives: the thin driver between connections and the machine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::directory::TargetId;
use super::failure::{ErrorCode, Failure};
use super::machine::{Opening, Refusal};
use super::runtime;
use super::shared::{Settling, Shared};
use crate::core::entropy::random_bytes;
use crate::sync::message::{Lane, RefusalCode};
use crate::transport::address::{Protection, check_host};
use crate::transport::error::TransportError;
use crate::transport::message::Message;
use crate::transport::session::Role;
use crate::transport::tcp::{CloseReason, Connection, ConnectionEvents, ConnectionId, Listener, dial, listen};

/// How long calling a peer may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a peer may take, once called, to say who it is and how far it is.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Numbers attempts if the system has no randomness to give; only there to recognise one's own call.
static ATTEMPTS: AtomicU64 = AtomicU64::new(1);

/// Hands what connections do to the machine of one node.
struct Arrivals {
    shared: Weak<Shared>,
    target: Option<TargetId>,
    settling: Mutex<Option<Settling>>,
}

impl ConnectionEvents for Arrivals {
    fn opened(&self, connection: &Arc<Connection>, role: Role) {
        let Some(shared) = self.shared.upgrade() else { return connection.close(false) };
        let id = connection.id().0;
        let remote = connection.remote();
        let instance = random_bytes::<8>().map_or_else(|_| ATTEMPTS.fetch_add(1, Ordering::Relaxed), u64::from_le_bytes);
        let opening = Opening {
            id,
            role,
            target: self.target,
            remote: (remote.ip().to_string(), remote.port()),
            instance,
        };
        if let Some(settling) = self.settling.lock().take() {
            shared.settling.lock().insert(id, settling);
        }
        shared.connections.lock().insert(id, Arc::clone(connection));
        shared.drive(|machine, now, map| machine.opened(opening, now, map));
    }

    fn received(&self, id: ConnectionId, message: Message, charged: bool) -> bool {
        let Some(shared) = self.shared.upgrade() else { return false };
        shared.drive(|machine, now, map| machine.received(id.0, message, charged, now, map));
        true
    }

    fn charged(&self, id: ConnectionId, cost: u64) {
        if let Some(shared) = self.shared.upgrade() {
            shared.drive(|machine, now, _| {
                machine.heard(id.0, now);
                machine.charged(id.0, cost);
            });
        }
    }

    fn refused(&self, id: ConnectionId, lane: Lane, lseq: u64, code: RefusalCode) {
        if let Some(shared) = self.shared.upgrade() {
            shared.drive(|machine, _, _| machine.refused(id.0, lane, lseq, code));
        }
    }

    fn heard(&self, id: ConnectionId) {
        if let Some(shared) = self.shared.upgrade() {
            shared.drive(|machine, now, _| machine.heard(id.0, now));
        }
    }

    fn closed(&self, id: ConnectionId, reason: CloseReason) {
        if let Some(shared) = self.shared.upgrade() {
            shared.connections.lock().remove(&id.0);
            let reason = reason.to_string();
            shared.drive(|machine, now, map| machine.closed(id.0, &reason, now, map));
            // Whoever still waits for it waits in vain.
            shared.settling.lock().remove(&id.0);
        }
    }
}

fn arrivals(shared: &Arc<Shared>, target: Option<TargetId>, settling: Option<Settling>) -> Arc<Arrivals> {
    Arc::new(Arrivals { shared: Arc::downgrade(shared), target, settling: Mutex::new(settling) })
}

fn protection(shared: &Shared) -> Protection {
    Protection { network_key: false, allow_insecure: shared.options.allow_insecure }
}

/// Listens where the options say.
pub(super) async fn start_listening(shared: &Arc<Shared>) -> Result<Listener, Failure> {
    let options = &shared.options;
    check_host(&options.transport_host, protection(shared))?;
    let handle = runtime::handle()?;
    let value_bytes_max = options.max_value_bytes as u64;
    let events = arrivals(shared, None, None);
    let listener =
        listen(&options.transport_host, options.transport_port, value_bytes_max, &handle, events).await?;
    start_alarm(shared)?;
    Ok(listener)
}

/// Calls a peer and waits until both sides are ready.
pub(super) async fn connect(shared: &Arc<Shared>, node_id: &str, host: &str, port: u16) -> Result<(), Failure> {
    check_host(host, protection(shared))?;
    start_alarm(shared)?;
    let (target, connected) = {
        let mut machine = shared.machine.lock();
        (machine.directory.target(node_id, host, port), machine.conversation_with(node_id).is_some())
    };
    if connected {
        return Ok(());
    }
    let (sender, receiver) = oneshot::channel();
    call(shared, target, Some(sender)).await.map_err(|failure| failure.about(format!("{host}:{port}")))?;
    match tokio::time::timeout(SETTLE_TIMEOUT, receiver).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(refusal))) => Err(refused(&refusal, host, port)),
        Ok(Err(_)) | Err(_) => {
            Err(Failure::new(ErrorCode::Transport, "timed_out", "connection timed out")
                .about(format!("{host}:{port}"))
                .retryable())
        }
    }
}

fn refused(refusal: &Refusal, host: &str, port: u16) -> Failure {
    let lasting = matches!(refusal.kind, "wrong_node" | "protocol_version" | "self_connection" | "identity");
    let failure = Failure::new(ErrorCode::Transport, refusal.kind, format!("peer refused: {}", refusal.text))
        .about(format!("{host}:{port}"));
    Failure { retryable: !lasting, ..failure }
}

async fn call(shared: &Arc<Shared>, target: TargetId, settling: Option<Settling>) -> Result<(), Failure> {
    let handle = runtime::handle()?;
    let address = {
        let machine = shared.machine.lock();
        machine.directory.get(target).map(|target| (target.host.clone(), target.port))
    };
    let Some((host, port)) = address else { return Ok(()) };
    let events = arrivals(shared, Some(target), settling);
    let value_bytes_max = shared.options.max_value_bytes as u64;
    let outcome = dial(&host, port, value_bytes_max, CONNECT_TIMEOUT, &handle, events).await;
    outcome.map(drop).map_err(|error: TransportError| {
        shared.drive(|machine, now, _| machine.directory.unreachable(target, now.monotonic));
        Failure::from(error)
    })
}

/// Calls the peers that the machine wants to be called again.
pub(super) fn redial(shared: &Arc<Shared>) {
    let Ok(handle) = runtime::handle() else { return };
    for target in std::mem::take(&mut *shared.dials.lock()) {
        let shared = Arc::downgrade(shared);
        handle.spawn(async move {
            if let Some(shared) = shared.upgrade()
                && let Err(failure) = call(&shared, target, None).await
            {
                tracing::debug!(%failure, "a peer cannot be reached yet");
            }
        });
    }
}

/// Starts the task that asks the machine when its time has come; it ends with the node.
fn start_alarm(shared: &Arc<Shared>) -> Result<(), Failure> {
    if shared.alarm.is_started() {
        return Ok(());
    }
    let weak = Arc::downgrade(shared);
    runtime::handle()?.spawn(async move {
        loop {
            let Some(shared) = weak.upgrade() else { return };
            if shared.queue.is_closed() {
                return;
            }
            let due = shared.alarm.at().map(|at| shared.clock.instant_of(at));
            let alarm = Arc::clone(&shared.alarm);
            drop(shared);
            let rang = match due {
                Some(due) => tokio::time::timeout_at(due.into(), alarm.moved()).await.is_ok(),
                None => {
                    alarm.moved().await;
                    true
                }
            };
            if !rang && let Some(shared) = weak.upgrade() {
                shared.drive(super::machine::Machine::on_time);
            }
        }
    });
    Ok(())
}
