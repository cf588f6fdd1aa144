//! Settings of a TCP transport.

use std::path::PathBuf;

use super::descriptors::connections_max;
use crate::core::limits::VALUE_BYTES_MAX;
use crate::transport::session::HELLO_TIMEOUT_MS;
use crate::transport::session::address::Protection;
use crate::transport::session::half_open::HALF_OPEN_MAX;
use crate::transport::session::pace::Pace;

/// Most bytes that may wait to be sent on one connection: several frames, so that a sender is never starved, and
/// little enough that a peer that never reads costs little.
pub const OUTGOING_BYTES_MAX: usize = 8 << 20;

/// Longest time that a peer may take nothing of the queue, in milliseconds.
pub const STALL_TIMEOUT_MS: u64 = 30_000;

/// Longest time that a close waits for the last bytes to be taken and for the peer to close too, in milliseconds.
pub const LINGER_MS: u64 = 1_000;

/// Time to connect, in milliseconds.
pub const CONNECT_TIMEOUT_MS: u64 = 5_000;

/// Connections that the system keeps until they are accepted.
pub const LISTEN_BACKLOG: i32 = 16;

/// Times and limits of a TCP transport.
#[derive(Debug, Clone)]
pub struct TcpSettings {
    /// Longest time until a peer greets, in milliseconds.
    pub hello_timeout_ms: u64,
    /// Most accepted connections that have not greeted.
    pub half_open_max: usize,
    /// Most connections at which a further one is accepted; its caller is told that the node is busy otherwise.
    pub connections_max: usize,
    /// Slowest pace at which a frame may come.
    pub pace: Pace,
    /// Longest time without progress, see [`STALL_TIMEOUT_MS`].
    pub stall_timeout_ms: u64,
    /// Limit of the outgoing queue, see [`OUTGOING_BYTES_MAX`].
    pub outgoing_bytes_max: usize,
    /// Longest time of a close, see [`LINGER_MS`].
    pub linger_ms: u64,
    /// Largest value that is assembled from chunks, in bytes; a larger one is refused.
    pub value_bytes_max: u64,
    /// Folder where large values wait until they are complete; `None`: the system's temporary folder.
    pub spool_folder: Option<PathBuf>,
    /// Protection that allows hosts beyond this machine.
    pub protection: Protection,
}

impl Default for TcpSettings {
    fn default() -> Self {
        Self {
            hello_timeout_ms: HELLO_TIMEOUT_MS,
            half_open_max: HALF_OPEN_MAX,
            connections_max: connections_max(),
            pace: Pace::default(),
            stall_timeout_ms: STALL_TIMEOUT_MS,
            outgoing_bytes_max: OUTGOING_BYTES_MAX,
            linger_ms: LINGER_MS,
            value_bytes_max: VALUE_BYTES_MAX as u64,
            spool_folder: None,
            protection: Protection::default(),
        }
    }
}
