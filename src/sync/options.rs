//! How a replica behaves. The defaults are the contract's.

use crate::core::rules::{Rule, unless};

/// How many peers must have acknowledged a write before it counts as acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckPolicy {
    /// One.
    Any,
    /// Every registered peer that keeps a log; with none, nothing is acknowledged.
    All,
    /// This many, at least one.
    Count(usize),
}

impl AckPolicy {
    /// How many have to acknowledge where `registered` peers count.
    pub(super) fn needed(self, registered: usize) -> usize {
        match self {
            Self::Any => 1,
            Self::All => registered.max(1),
            Self::Count(count) => unless(Rule::PolicyIgnored, count.max(1), 1),
        }
    }
}

/// How a replica behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaOptions {
    /// Own writes that one tick releases.
    pub batch_size: usize,
    /// Retries before a write counts as failed.
    pub max_retries: u32,
    /// The delay before the first retry; doubles up to [`RETRY_DELAY_MS_MAX`].
    pub retry_interval_ms: u64,
    /// How long a peer may owe progress before what it was sent is sent again.
    pub ack_timeout_ms: u64,
    /// Who has to acknowledge.
    pub ack_policy: AckPolicy,
    /// Whether the acknowledgement of a peer counts that keeps things in its memory only. It always does for a node
    /// that does so itself.
    pub memory_will_do: bool,
    /// Whether own writes leave as they commit, without ticks.
    pub automatic: bool,
    /// Largest value accepted from a peer, in bytes.
    pub value_bytes_max: u64,
    /// Whether this node keeps a log.
    pub durable: bool,
}

/// The longest delay between retries.
pub const RETRY_DELAY_MS_MAX: u64 = 30_000;

/// How long hints about received entries are gathered before peers are told.
pub const HAVE_INTERVAL_MS: u64 = 30;

/// How long a received entry waits before it is relayed, so that the hint of a peer that has it already can
/// come first. At least twice [`HAVE_INTERVAL_MS`].
pub const RELAY_DELAY_MS: u64 = 150;

/// How long a connection must be quiet before its ends are compared.
pub const PROVE_DELAY_MS: u64 = 100;

/// How long entries may be passed over that are not for a peer before it is told of the end all the same: it would wait for
/// ever where there is such a write every now and then, and an END for each of them would cost more than they are worth.
pub const PASSED_OVER_MS: u64 = 1_000;

/// How long to wait before a feed is asked for anew after a repair, so that an entry that a peer keeps
/// refusing cannot make two nodes loop; doubles up to [`REPAIR_DELAY_MS_MAX`].
pub const REPAIR_DELAY_MS: u64 = 60_000;

/// The longest such wait.
pub const REPAIR_DELAY_MS_MAX: u64 = 3_600_000;

/// How much feed a peer may send beyond what was taken in, as a cost (see [`super::message::Feed::cost`]):
/// enough to keep a fast link busy over a sync or two, little enough to hold for many peers.
pub const WINDOW_COST: u64 = 4 << 20;

/// How often a sender is told how much of a large value has come, in milliseconds, besides whenever a part of the window is
/// used up: several times within the shortest time after which a sender would take silence for loss.
pub const GRANT_INTERVAL_MS: u64 = 1_000;

/// About how much one batch costs: small enough that others get their turn, large enough that a frame's
/// overhead does not show.
pub const BATCH_COST: u64 = 128 << 10;

/// How long the view of who acknowledged what may lag behind on disk. Only a view: the peers know better.
pub const REMEMBER_DELAY_MS: u64 = 1_000;

/// Acknowledged rows that are kept in the outbox when nobody prunes it.
pub const ACKNOWLEDGED_ROWS_MAX: u64 = 1_000_000;
