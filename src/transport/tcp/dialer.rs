//! Outgoing connections: calling a peer.

#![allow(clippy::disallowed_methods, reason = "this is where sockets are")]

use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Shared;
use super::connection::{Connection, start};
use super::resolve::resolve;
use crate::transport::error::TransportError;
use crate::transport::session::Role;
use crate::transport::session::address::HostPort;

/// Calls the addresses of a host one after another until one answers.
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
    let mut first = None;
    for remote in resolve(address).await? {
        let error = match TcpStream::connect(remote).await {
            // On a port that the system also gives to callers a caller may connect to itself if nothing listens there,
            // and would keep the port from a later listener.
            Ok(stream) if met_itself(&stream) => io::ErrorKind::ConnectionRefused.into(),
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        first.get_or_insert(error);
    }
    let error = first.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
    Err(TransportError::of_connect(address.to_string(), error))
}

fn met_itself(stream: &TcpStream) -> bool {
    let ends: io::Result<_> = stream
        .local_addr()
        .and_then(|local| stream.peer_addr().map(|remote| (local, remote)));
    ends.is_ok_and(|(local, remote)| local == remote)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};
    use std::net::SocketAddr;

    #[tokio::test]
    async fn a_caller_that_met_itself_is_noticed() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&any.into()).unwrap();
        socket.connect(&socket.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let stream = TcpStream::from_std(socket.into()).unwrap();
        assert!(met_itself(&stream));
    }
}
