//! Incoming connections: listening.

#![allow(clippy::disallowed_methods, reason = "this is where sockets are")]

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Shared;
use super::connection::start;
use super::resolve::resolve;
use super::settings::LISTEN_BACKLOG;
use crate::transport::error::TransportError;
use crate::transport::session::Role;
use crate::transport::session::address::HostPort;
use crate::transport::wire::codec::encode;
use crate::transport::wire::message::{Goodbye, GoodbyeReason, Message};

/// Pause after the system refused to accept, usually for lack of descriptors, in milliseconds.
const ACCEPT_PAUSE_MS: u64 = 100;

/// A port that is listened on, until [`Self::stop`]. Dropping it stops too, without waiting.
#[derive(Debug)]
pub struct Listener {
    local: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Listener {
    /// The address that it listens at, with the port that was picked.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Stops accepting and returns when the port is free. Accepted connections live on.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(task) = self.task.take() {
            // The join fails only if the runtime is gone, and the socket with it.
            let _ = task.await;
        }
    }
}

/// Binds the first address of a host that can be bound, and spawns the task that accepts.
pub(super) async fn listen(
    shared: Arc<Shared>,
    address: HostPort,
) -> Result<Listener, TransportError> {
    let mut outcome = Err(io::Error::from(io::ErrorKind::AddrNotAvailable));
    for local in resolve(&address).await? {
        outcome = bind(local);
        // Only an address that this machine does not have gives way to the next; a busy port ends the search.
        if !matches!(&outcome, Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable) {
            break;
        }
    }
    let (socket, local) =
        outcome.map_err(|error| TransportError::of_listen(address.to_string(), error))?;
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(accept_until(shared, socket, stopped));
    Ok(Listener {
        local,
        stop: Some(stop),
        task: Some(task),
    })
}

fn bind(local: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(
        Domain::for_address(local),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // On Unix this allows a port whose old connections are still closing; on Windows it would let two listen.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    let local = listener.local_addr()?;
    Ok((listener, local))
}

async fn accept_until(
    shared: Arc<Shared>,
    socket: TcpListener,
    mut stopped: oneshot::Receiver<()>,
) {
    loop {
        let accepted = tokio::select! {
            _ = &mut stopped => return,
            accepted = accept(&shared, &socket) => accepted,
        };
        if let Err(error) = accepted {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::select! {
                _ = &mut stopped => return,
                () = tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)) => {}
            }
        }
    }
}

/// Tells a caller that this node has no room for it, and waits until it has left: a socket that is closed with unread
/// bytes resets the connection, and the caller may not hear why.
async fn turn_away(mut stream: TcpStream) -> io::Result<()> {
    let text = "the node has as many connections as it can serve";
    let goodbye = Goodbye::new(GoodbyeReason::Busy, text, None);
    let mut frame = Vec::new();
    encode(&Message::Goodbye(goodbye), &mut frame).map_err(io::Error::other)?;
    stream.write_all(&frame).await?;
    stream.shutdown().await?;
    let mut unread = [0; 512];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

/// Takes a half-open place, then accepts a connection.
async fn accept(shared: &Arc<Shared>, socket: &TcpListener) -> io::Result<()> {
    let places = Arc::clone(&shared.half_open_places);
    let permit = places.acquire_owned().await.map_err(io::Error::other)?;
    let (stream, remote) = match socket.accept().await {
        Ok(accepted) => accepted,
        // The caller gave up while it waited.
        Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => return Ok(()),
        Err(error) => return Err(error),
    };
    if let Some(slot) = shared.half_open.enter(remote.ip(), permit) {
        if *shared.live.borrow() >= shared.settings.connections_max {
            let linger = Duration::from_millis(shared.settings.linger_ms);
            tokio::spawn(async move {
                // The result does not matter: the caller has heard it, or is not worth more time.
                let _ = tokio::time::timeout(linger, turn_away(stream)).await;
                drop(slot);
            });
            return Ok(());
        }
        start(shared, stream, Role::Accepted, remote, Some(slot), 0);
    } else {
        tracing::debug!(%remote, "too many connections of one address have not greeted");
    }
    Ok(())
}
