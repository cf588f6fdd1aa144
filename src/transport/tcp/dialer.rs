//! Outgoing connections: calling a peer.

#![allow(clippy::disallowed_methods, reason = "this is where sockets are")]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Shared;
use super::connection::{Connection, start};
use super::resolve::resolve;
use crate::transport::error::TransportError;
use crate::transport::session::Role;
use crate::transport::session::address::HostPort;

/// Time after which the next address of a host is tried beside the earlier ones, in milliseconds: the connection attempt
/// delay that RFC 8305 recommends.
const NEXT_ATTEMPT_MS: u64 = 250;

/// Calls a host, and starts a connection with the first address that answers.
pub(super) async fn dial(
    shared: Arc<Shared>,
    address: HostPort,
    timeout_ms: u64,
    purpose: u64,
) -> Result<Arc<Connection>, TransportError> {
    let limit = Duration::from_millis(timeout_ms);
    let stream = timeout(limit, connect(&address))
        .await
        .unwrap_or_else(|_| {
            Err(TransportError::TimedOut {
                address: address.to_string(),
            })
        })?;
    let remote = stream
        .peer_addr()
        .map_err(|error| TransportError::of_connect(address.to_string(), error))?;
    Ok(start(&shared, stream, Role::Dialled, remote, None, purpose))
}

async fn connect(address: &HostPort) -> Result<TcpStream, TransportError> {
    let remotes = resolve(address).await?;
    first_to_succeed(remotes.into_iter().map(attempt))
        .await
        .map_err(|error| TransportError::of_connect(address.to_string(), error))
}

/// The result of the attempt that succeeds first; the others are stopped. An attempt that fails, or that has not ended
/// within [`NEXT_ATTEMPT_MS`], lets the next one begin beside it, so that a dead first address costs that and no more
/// (Happy Eyeballs, RFC 8305). If all fail: the first error.
async fn first_to_succeed<T: Send + 'static>(
    attempts: impl Iterator<Item = impl Future<Output = io::Result<T>> + Send + 'static>,
) -> io::Result<T> {
    let mut attempts = attempts.fuse();
    // Attempts that are left when this returns, or is dropped, end with the set.
    let mut begun = JoinSet::new();
    let mut first_error = None;
    loop {
        let next = attempts.next();
        let is_last = next.is_none();
        if let Some(attempt) = next {
            begun.spawn(attempt);
        }
        let ended = if is_last {
            begun.join_next().await
        } else {
            let delay = Duration::from_millis(NEXT_ATTEMPT_MS);
            timeout(delay, begun.join_next()).await.unwrap_or(None)
        };
        match ended {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err(error))) => {
                first_error.get_or_insert(error);
            }
            None if is_last => break,
            // The time of this attempt is over, or it ended without an answer, which it does only with its runtime.
            Some(Err(_)) | None => {}
        }
    }
    Err(first_error.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

async fn attempt(remote: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(remote).await?;
    // On a port that the system also gives to callers a caller may connect to itself if nothing listens there, and
    // would keep the port from a later listener.
    if met_itself(&stream) {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

fn met_itself(stream: &TcpStream) -> bool {
    let ends: io::Result<_> = stream
        .local_addr()
        .and_then(|local| stream.peer_addr().map(|remote| (local, remote)));
    ends.is_ok_and(|(local, remote)| local == remote)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    /// Result and time of attempts that end after these milliseconds: even ones with themselves, odd ones with an
    /// error.
    async fn race(ends_ms: &'static [u64]) -> (Option<u64>, u64) {
        let began = Instant::now();
        let attempts = ends_ms.iter().map(|ms| async move {
            tokio::time::sleep(Duration::from_millis(*ms)).await;
            let is_answer = ms % 2 == 0;
            is_answer
                .then_some(*ms)
                .ok_or_else(|| io::Error::other(ms.to_string()))
        });
        let first = first_to_succeed(attempts).await;
        let took = began.elapsed().as_millis();
        (first.ok(), u64::try_from(took).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_address_costs_a_quarter_of_a_second_and_a_refused_one_nothing() {
        assert_eq!(
            race(&[100, 10]).await,
            (Some(100), 100),
            "the first answers in time"
        );
        assert_eq!(race(&[100_000, 10]).await, (Some(10), 260));
        assert_eq!(race(&[1, 10]).await, (Some(10), 11));
        assert_eq!(race(&[100_000, 100_000, 10]).await, (Some(10), 510));
        // A slow address is not given up for the next one.
        assert_eq!(race(&[400, 100_000]).await, (Some(400), 400));
        assert_eq!(race(&[400, 1]).await, (Some(400), 400));
        assert_eq!(race(&[301, 1]).await, (None, 301));
        assert_eq!(race(&[]).await, (None, 0));
    }

    #[tokio::test]
    async fn the_error_is_that_of_the_first_to_fail() {
        let attempts =
            ["one", "two"].map(|text| async move { Err::<(), _>(io::Error::other(text)) });
        let error = first_to_succeed(attempts.into_iter()).await.unwrap_err();
        assert_eq!(error.to_string(), "one");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_caller_that_met_itself_is_noticed() {
        use socket2::{Domain, Socket, Type};
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&any.into()).unwrap();
        socket.connect(&socket.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let stream = TcpStream::from_std(socket.into()).unwrap();
        assert!(met_itself(&stream));
    }
}
