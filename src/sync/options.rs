//! Options of a replica, and its times. The defaults are the contract's.

use crate::core::rules::{Rule, unless};

/// Peers that must have acknowledged a write before it counts as acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckPolicy {
    /// One peer.
    Any,
    /// Every registered peer that keeps a log; with none, nothing is acknowledged.
    All,
    /// This many, at least one.
    Count(usize),
}

impl AckPolicy {
    /// Peers that have to acknowledge, where `registered` peers count.
    pub(super) fn needed(self, registered: usize) -> usize {
        match self {
            Self::Any => 1,
            Self::All => registered.max(1),
            Self::Count(count) => unless(Rule::PolicyIgnored, count.max(1), 1),
        }
    }
}

/// Options of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaOptions {
    /// Own writes that one tick releases.
    pub batch_size: usize,
    /// Retries before a write counts as failed.
    pub max_retries: u32,
    /// The delay before the first retry; doubles up to [`RETRY_DELAY_MS_MAX`].
    pub retry_interval_ms: u64,
    /// Time that a peer may owe progress before everything it has not acknowledged is sent again, in milliseconds.
    pub ack_timeout_ms: u64,
    /// Peers that have to acknowledge a write.
    pub ack_policy: AckPolicy,
    /// True if acknowledgements of peers count that keep their data in memory only. For a node that does so itself
    /// they always count.
    pub memory_will_do: bool,
    /// True if own writes are sent as they commit, without ticks.
    pub automatic: bool,
    /// Largest value accepted from a peer, in bytes.
    pub value_bytes_max: u64,
    /// True if this node keeps a log.
    pub durable: bool,
}

/// The longest delay between retries, in milliseconds.
pub const RETRY_DELAY_MS_MAX: u64 = 30_000;

/// Time for which hints about received entries are gathered before peers are told, in milliseconds.
pub const HAVE_INTERVAL_MS: u64 = 30;

/// Delay before a received entry is relayed, in milliseconds, so that the hint of a peer that has it already can come
/// first. At least twice [`HAVE_INTERVAL_MS`].
pub const RELAY_DELAY_MS: u64 = 150;

/// Time for which a connection must be quiet before its ends are compared, in milliseconds.
pub const PROVE_DELAY_MS: u64 = 100;

/// Time after which a peer is told of the end although entries that are not for it are still being passed over, in
/// milliseconds: with a steady trickle of such writes it would wait for ever, and an END for each of them would cost
/// too much.
pub const PASSED_OVER_MS: u64 = 1_000;

/// Delay between two repairs of one connection, in milliseconds, so that an entry that a peer keeps refusing cannot
/// make two nodes loop; doubles up to [`REPAIR_DELAY_MS_MAX`].
pub const REPAIR_DELAY_MS: u64 = 60_000;

/// The longest such delay, in milliseconds.
pub const REPAIR_DELAY_MS_MAX: u64 = 3_600_000;

/// Window of flow control: the feed that a peer may send beyond what was taken in, as a cost (see
/// [`super::message::Feed::cost`]). Enough to keep a fast link busy over a sync or two, little enough to hold for many
/// peers.
pub const WINDOW_COST: u64 = 4 << 20;

/// Interval at which a sender is told how much of a large value has come, in milliseconds, besides whenever a part of
/// the window is used up: several times within the shortest acknowledgement timeout.
pub const GRANT_INTERVAL_MS: u64 = 1_000;

/// Approximate cost of one batch: small enough that other connections get their turn, large enough that a frame's
/// overhead does not show.
pub const BATCH_COST: u64 = 128 << 10;

/// Time by which the record of acknowledged positions may lag behind on disk, in milliseconds. The peers know better.
pub const REMEMBER_DELAY_MS: u64 = 1_000;

/// Acknowledged rows that the outbox keeps when nobody prunes it.
pub const ACKNOWLEDGED_ROWS_MAX: u64 = 1_000_000;
