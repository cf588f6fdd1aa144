//! Reports of a node, as plain data.

use napi_derive::napi;

use crate::node::{PeerRow, PeerView};
use crate::store::scope::Scope;

/// The state of replication.
#[napi(object)]
pub struct NativeSyncState {
    pub outbox_size: f64,
    pub queued_count: f64,
    pub in_flight_count: f64,
    pub acknowledged_count: f64,
    pub failed_count: f64,
    pub total_retries: f64,
    pub total_refused: f64,
    pub last_submitted_version: f64,
    pub last_applied_remote_version: f64,
    pub conflict_count: f64,
    pub conflicts_seen: f64,
    pub versions_dropped: f64,
    pub peers: Vec<NativePeerProgress>,
}

/// Progress of one peer.
#[napi(object)]
pub struct NativePeerProgress {
    pub node_id: String,
    pub state: String,
    pub connected: bool,
    pub durable: bool,
    pub in_sync: bool,
    pub sent: f64,
    pub acknowledged: f64,
    pub lag_entries: f64,
    pub lag_bytes_estimate: f64,
    pub last_seen_ms: Option<f64>,
    pub skew_ms: Option<f64>,
    pub parked: f64,
    pub attempts: u32,
    pub last_error: Option<String>,
    pub prefixes: Option<Vec<String>>,
}

/// Result of a tick.
#[napi(object)]
pub struct NativeTick {
    pub retried_count: f64,
    pub pruned_count: f64,
    pub batch_size: f64,
    pub sent_count: f64,
    pub connected_peers: f64,
}

/// A peer, connected or known.
#[napi(object)]
pub struct NativePeer {
    pub node_id: String,
    pub host: String,
    pub port: u32,
    pub state: String,
    pub last_seen_ms: Option<f64>,
    pub in_sync: bool,
    pub capabilities: Vec<String>,
    pub prefixes: Option<Vec<String>>,
}

/// The description of a node.
#[napi(object)]
pub struct NativeNodeInfo {
    pub node_id: String,
    pub display_name: String,
    pub hostname: String,
    pub os_name: String,
    pub version: String,
    pub capabilities: Vec<String>,
    pub started_at_ms: f64,
    pub uptime_ms: f64,
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts and milliseconds stay far below 2^53"
)]
pub(super) fn number(value: u64) -> f64 {
    value as f64
}

#[allow(
    clippy::cast_precision_loss,
    reason = "milliseconds between two clocks stay far below 2^53"
)]
pub(super) fn signed_number(value: i64) -> f64 {
    value as f64
}

/// Prefixes of a scope; `None`: all keys. A prefix of a peer that is not text is shown with replacement characters.
fn prefixes_of(scope: &Scope) -> Option<Vec<String>> {
    let text = |prefix: &[u8]| String::from_utf8_lossy(prefix).into_owned();
    let prefixes = scope.prefixes()?.iter();
    Some(prefixes.map(|prefix| text(prefix)).collect())
}

impl From<PeerRow> for NativePeerProgress {
    fn from(row: PeerRow) -> Self {
        let status = row.status.as_ref();
        Self {
            node_id: row.node_id,
            state: row.state.as_str().to_owned(),
            connected: status.is_some_and(|status| status.connected),
            durable: status.is_some_and(|status| status.durable),
            in_sync: status.is_some_and(|status| status.in_sync),
            sent: status.map_or(0.0, |status| number(status.sent.own)),
            acknowledged: status.map_or(0.0, |status| number(status.acknowledged.own)),
            lag_entries: number(row.lag.entries),
            lag_bytes_estimate: number(row.lag.bytes_estimate),
            last_seen_ms: row.last_seen.map(|seen| number(seen.0)),
            skew_ms: row.skew_ms.map(signed_number),
            parked: status.map_or(0.0, |status| number(status.refused)),
            attempts: status.map_or(0, |status| status.attempts),
            last_error: status.and_then(|status| status.last_error.map(str::to_owned)),
            prefixes: status.and_then(|status| prefixes_of(&status.scope)),
        }
    }
}

impl From<PeerView> for NativePeer {
    fn from(peer: PeerView) -> Self {
        Self {
            node_id: peer.node_id,
            host: peer.host,
            port: u32::from(peer.port),
            state: peer.state.as_str().to_owned(),
            last_seen_ms: peer.last_seen.map(|seen| number(seen.0)),
            in_sync: peer.in_sync,
            prefixes: prefixes_of(&peer.scope),
            capabilities: peer
                .capabilities
                .into_iter()
                .map(|one| one.as_str().to_owned())
                .collect(),
        }
    }
}
