//! Listening, calling, and receiving: the thin driver between connections and the machine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::oneshot;

use super::calls::{DueCall, target_of};
use super::runtime;
use crate::core::entropy::random_bytes;
use crate::core::error_kind::ErrorKind;
use crate::node::failure::{ErrorCode, Failure};
use crate::node::machine::conversation::{ConversationId, Opening, Refusal};
use crate::node::shared::Shared;
use crate::store::scope::Scope;
use crate::sync::message::{BegunValues, RefusalCode, Stream};
use crate::transport::session::Role;
use crate::transport::session::address::{HostPort, Protection};
use crate::transport::session::close::CloseReason;
use crate::transport::tcp::{
    CONNECT_TIMEOUT_MS, Connection, ConnectionEvents, ConnectionId, Listener, Reception,
    TcpSettings, TcpTransport,
};
use crate::transport::wire::message::Message;

/// Longest time for which a called peer may take to greet and to report its cursor.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time for which a connected peer may take to answer when it is called again: a slow line's round trip behind
/// the data on its way, and a fraction of the silence after which a connection is given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause in reading a socket while too many requests of its peer wait for the committer, in milliseconds: about the
/// time of one group.
const CROWDED_PAUSE_MS: u64 = 3;

/// Number of connection attempts, used if the system has no randomness: only to recognise a connection to oneself.
static ATTEMPTS: AtomicU64 = AtomicU64::new(1);

/// Passes the events of connections to the machine of one node.
struct Arrivals(Weak<Shared>);

impl ConnectionEvents for Arrivals {
    fn opened(&self, connection: &Arc<Connection>, role: Role, purpose: u64) {
        let Some(shared) = self.0.upgrade() else {
            return connection.close(false);
        };
        let id = connection.id().0;
        let remote = connection.remote();
        let instance = random_bytes::<8>().map_or_else(
            |_| ATTEMPTS.fetch_add(1, Ordering::Relaxed),
            u64::from_le_bytes,
        );
        let opening = Opening {
            id,
            role,
            target: target_of(purpose),
            remote: (remote.ip().to_string(), remote.port()),
            instance,
        };
        // Under the machine's lock, so that a call that leaves all peers either finds this conversation, or has ended
        // its call.
        let is_taken = shared.drive(|machine, now, map| {
            let call = shared.calls.take(purpose);
            // The address may have been forgotten during the call, because the node was reached at a newer one.
            let is_known = opening
                .target
                .is_none_or(|target| machine.directory.get(target).is_some());
            let is_given_up = role == Role::Dialled && call.is_none();
            if shared.is_ending.load(Ordering::Acquire) || is_given_up || !is_known {
                return false;
            }
            if let Some(settling) = call.and_then(|call| call.settling) {
                shared.settling.lock().entry(id).or_default().push(settling);
            }
            shared.connections.lock().insert(id, Arc::clone(connection));
            machine.opened(opening, now, map);
            true
        });
        if !is_taken {
            connection.close(false);
        }
    }

    fn received(&self, id: ConnectionId, message: Message, is_charged: bool) -> Reception {
        let Some(shared) = self.0.upgrade() else {
            return Reception::Refused;
        };
        let (pause_ms, peer) = shared.drive(|machine, now, map| {
            machine.received(id.0, message, is_charged, now, map);
            (machine.pause_ms(id.0, now), machine.peer_of(id.0))
        });
        if pause_ms > 0 || peer.is_some_and(|peer| shared.queue.is_crowded_by(peer)) {
            Reception::Paused
        } else {
            Reception::Taken
        }
    }

    fn keeps(&self, id: ConnectionId, parts: BegunValues) {
        if let Some(shared) = self.0.upgrade() {
            shared.machine.lock().keeps(id.0, parts);
        }
    }

    fn pause_ms(&self, id: ConnectionId) -> u64 {
        let Some(shared) = self.0.upgrade() else {
            return 0;
        };
        let now = shared.clock.now();
        let mut machine = shared.machine.lock();
        let pause_ms = machine.pause_ms(id.0, now);
        let crowds = machine.peer_of(id.0);
        drop(machine);
        let is_crowded = crowds.is_some_and(|peer| shared.queue.is_crowded_by(peer));
        pause_ms.max(if is_crowded { CROWDED_PAUSE_MS } else { 0 })
    }

    fn charged(&self, id: ConnectionId, cost: u64) {
        if let Some(shared) = self.0.upgrade() {
            shared.drive(|machine, now, _| {
                machine.heard(id.0, now);
                machine.charged(id.0, cost, now);
            });
        }
    }

    fn refused(&self, id: ConnectionId, stream: Stream, lseq: u64, code: RefusalCode) {
        if let Some(shared) = self.0.upgrade() {
            shared.drive(|machine, _, _| machine.refused(id.0, stream, lseq, code));
        }
    }

    fn heard(&self, id: ConnectionId) {
        if let Some(shared) = self.0.upgrade() {
            shared.drive(|machine, now, _| machine.heard(id.0, now));
        }
    }

    fn closed(&self, id: ConnectionId, reason: CloseReason) {
        if let Some(shared) = self.0.upgrade() {
            shared.connections.lock().remove(&id.0);
            shared.drive(|machine, now, map| machine.closed(id.0, reason, now, map));
            // Callers that still wait for the conversation get no answer.
            shared.settling.lock().remove(&id.0);
        }
    }
}

/// The transport of a node.
pub(in crate::node) fn transport(shared: &Arc<Shared>) -> Result<TcpTransport, Failure> {
    let mut transport = shared.transport.lock();
    if let Some(transport) = &*transport {
        return Ok(transport.clone());
    }
    let settings = TcpSettings {
        value_bytes_max: shared.options.max_value_bytes as u64,
        protection: Protection {
            has_network_key: false,
            allow_insecure: shared.options.allow_insecure,
        },
        ..TcpSettings::default()
    };
    let made = TcpTransport::new(
        runtime::handle()?,
        settings,
        Arc::new(Arrivals(Arc::downgrade(shared))),
    );
    start_alarm(shared)?;
    start_dialler(shared)?;
    Ok(transport.insert(made).clone())
}

/// Listens on the host and port in the options.
pub(in crate::node) async fn start_listening(shared: &Arc<Shared>) -> Result<Listener, Failure> {
    let address = HostPort::new(
        &shared.options.transport_host,
        shared.options.transport_port,
    )?;
    Ok(transport(shared)?.listen(&address).await?)
}

/// Scope of connections to a peer; a failure if it cannot be called.
fn check_peer(
    shared: &Shared,
    (node_id, host, port): (&str, &str, u16),
    scope: &Scope,
) -> Result<Scope, Failure> {
    let invalid = |why: &str| {
        let message = format!("invalid peer: {why}");
        Failure::new(ErrorCode::InvalidArgument, ErrorKind::InvalidPeer, message)
    };
    if node_id.is_empty() || host.is_empty() || port == 0 {
        return Err(invalid("node id, host and port must not be empty or 0"));
    }
    HostPort::new(host, port)?.check(protection(shared))?;
    let wanted = shared.options.scope.intersection(scope);
    if !wanted.can_be_told() {
        return Err(invalid(
            "prefixes of the peer and of this client are too many together",
        ));
    }
    if wanted.is_nothing() {
        return Err(invalid(
            "no prefix of the peer has to do with those of this client",
        ));
    }
    Ok(wanted)
}

/// Calls a peer and waits until both sides are ready.
pub(in crate::node) async fn connect(
    shared: &Arc<Shared>,
    node_id: &str,
    host: &str,
    port: u16,
    scope: Scope,
) -> Result<(), Failure> {
    let wanted = check_peer(shared, (node_id, host, port), &scope)?;
    let (call, mut receiver) = loop {
        let (sender, receiver) = oneshot::channel();
        let next = shared.drive(|machine, now, map| {
            if shared.is_ending.load(Ordering::Acquire) {
                return Err(Failure::not_open());
            }
            let target = machine.directory.target(node_id, host, port);
            machine.directory.exchange(target, scope.clone());
            let is_met = machine.is_met(node_id, &wanted, now, map);
            let met = is_met.then(|| machine.ask_for_life(node_id, now)).flatten();
            if let Some(id) = met {
                shared.settling.lock().entry(id).or_default().push(sender);
                return Ok(Next::Asked(id));
            }
            Ok(Next::Call(shared.calls.register(target, Some(sender))))
        })?;
        match next {
            Next::Call(call) => break (call, receiver),
            Next::Asked(id) if is_alive(shared, id, receiver).await => return Ok(()),
            Next::Asked(_) => {}
        }
    };
    let settled = async {
        tokio::select! {
            biased;
            // The call was given up, or the conversation was ready before the call returned.
            settled = &mut receiver => return Ok(Ok(settled)),
            called = make_call(shared, call) => called?,
        }
        Ok(tokio::time::timeout(SETTLE_TIMEOUT, receiver).await)
    };
    let settled: Result<_, Failure> = settled.await;
    match settled.map_err(|failure| failure.about(format!("{host}:{port}")))? {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(refusal))) => Err(refused(&refusal, host, port)),
        Ok(Err(_)) | Err(_) => {
            // A caller that was told of a timeout must not find the peer connected later.
            shared.drive(|machine, now, map| machine.disconnect(call.target, now, map));
            let address = format!("{host}:{port}");
            let message = format!("connection timed out ({address}): {node_id} did not greet");
            Err(
                Failure::new(ErrorCode::Transport, ErrorKind::TimedOut, message)
                    .about(address)
                    .retryable(),
            )
        }
    }
}

/// The next step of a `connect` call.
enum Next {
    /// The peer is connected already, and was asked for a sign of life.
    Asked(ConversationId),
    /// The peer must be called.
    Call(DueCall),
}

/// True if a peer that was asked for a sign of life gives one in time. Otherwise its connection is ended: the network
/// under it may have changed, which nothing else would show for a minute.
async fn is_alive(
    shared: &Arc<Shared>,
    id: ConversationId,
    answer: oneshot::Receiver<Result<(), Refusal>>,
) -> bool {
    if let Ok(answer) = tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        return matches!(answer, Ok(Ok(())));
    }
    shared.drive(|machine, now, map| machine.leave_if_silent(id, now, map));
    false
}

/// The failure of a call whose conversation came to nothing: the peer refused it, or the connection to it ended.
fn refused(refusal: &Refusal, host: &str, port: u16) -> Failure {
    let lasting = matches!(
        refusal.kind,
        ErrorKind::WrongNode
            | ErrorKind::ProtocolVersion
            | ErrorKind::SelfConnection
            | ErrorKind::Identity
    );
    let ended = matches!(
        refusal.kind,
        ErrorKind::ConnectionLost
            | ErrorKind::TimedOut
            | ErrorKind::Protocol
            | ErrorKind::Unreadable
            | ErrorKind::Stopped
    );
    let message = if ended {
        format!("failed to connect to {host}:{port}: {}", refusal.text)
    } else {
        format!("peer refused ({host}:{port}): {}", refusal.text)
    };
    let failure =
        Failure::new(ErrorCode::Transport, refusal.kind, message).about(format!("{host}:{port}"));
    Failure {
        retryable: !lasting,
        ..failure
    }
}

fn protection(shared: &Shared) -> Protection {
    Protection {
        has_network_key: false,
        allow_insecure: shared.options.allow_insecure,
    }
}

async fn make_call(shared: &Arc<Shared>, call: DueCall) -> Result<(), Failure> {
    let outcome = dial(shared, call).await;
    shared.calls.take(call.purpose);
    outcome
}

async fn dial(shared: &Arc<Shared>, DueCall { target, purpose }: DueCall) -> Result<(), Failure> {
    let address = {
        let machine = shared.machine.lock();
        machine
            .directory
            .get(target)
            .map(|target| (target.host.clone(), target.port))
    };
    let Some((host, port)) = address else {
        return Ok(());
    };
    let transport = transport(shared)?;
    let outcome = transport
        .dial(&HostPort::new(&host, port)?, CONNECT_TIMEOUT_MS, purpose)
        .await;
    outcome.map(drop).map_err(|error| {
        shared.drive(|machine, now, _| machine.directory.unreachable(target, now.monotonic));
        Failure::from(error)
    })
}

/// Starts the task that makes the calls requested by the machine, all at the same time; it ends with the node.
fn start_dialler(shared: &Arc<Shared>) -> Result<(), Failure> {
    let handle = runtime::handle()?;
    let Some(mut queue) = shared.calls.queue() else {
        return Ok(());
    };
    let weak = Arc::downgrade(shared);
    handle.spawn(async move {
        while let Some(call) = queue.recv().await {
            let weak = Weak::clone(&weak);
            tokio::spawn(async move {
                if let Some(shared) = weak.upgrade()
                    && let Err(failure) = make_call(&shared, call).await
                {
                    tracing::debug!(%failure, "a peer cannot be reached yet");
                }
            });
        }
    });
    Ok(())
}

/// Starts the task that drives the machine at its deadlines; it ends with the node.
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
            let rang = if let Some(due) = due {
                tokio::time::timeout_at(due.into(), alarm.moved())
                    .await
                    .is_ok()
            } else {
                alarm.moved().await;
                true
            };
            if !rang && let Some(shared) = weak.upgrade() {
                shared.drive(crate::node::machine::Machine::on_time);
            }
        }
    });
    Ok(())
}
