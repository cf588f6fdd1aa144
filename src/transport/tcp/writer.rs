//! The task that sends queued bytes, which could not be sent at once.

use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connection::Connection;
use super::outgoing::{Phase, Written};
use crate::transport::session::close::CloseReason;

/// Sends the queue, as the peer takes it, until the connection ends (when flushing: until the queue is empty). A peer
/// that takes nothing for `stall_timeout` ends the connection.
pub(super) async fn write_queued(
    connection: Arc<Connection>,
    stream: Arc<TcpStream>,
    stall_timeout: Duration,
) {
    loop {
        match connection.write_some() {
            (_, Phase::Closed(_)) | (Written::All, Phase::Flushing(_)) => return,
            (Written::All, Phase::Open) => connection.queued.notified().await,
            (Written::Some, _) => tokio::task::coop::consume_budget().await,
            (Written::Failed(kind), _) => return connection.end_now(CloseReason::Lost(kind)),
            (Written::Blocked, _) => {
                let progress = make_progress(&connection, &stream);
                if timeout(stall_timeout, progress).await.is_err() {
                    return connection.end_now(CloseReason::Stalled);
                }
            }
        }
    }
}

/// Waits until some of the queue was sent, or until there is nothing to wait for.
async fn make_progress(connection: &Connection, stream: &TcpStream) {
    loop {
        if stream.writable().await.is_err() {
            return;
        }
        if !matches!(
            connection.write_some(),
            (Written::Blocked, Phase::Open | Phase::Flushing(_))
        ) {
            return;
        }
    }
}
