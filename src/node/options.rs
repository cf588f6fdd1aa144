//! Options of a node. Read once, at the opening; only `validate` checks them.

use super::failure::Failure;
use super::memory::budget::{Budget, MEMORY_BYTES_MAX, MEMORY_BYTES_MIN, chosen};
use super::memory::limit;
use crate::core::limits::{KEY_BYTES_MAX, LABEL_BYTES_MAX, VALUE_BYTES_MAX};
use crate::store::conflict::policy::ConflictPolicy;
use crate::store::scope::{PREFIXES_BYTES_MAX, PREFIXES_MAX, Scope};
use crate::sync::options::{AckPolicy, ReplicaOptions};

/// Options of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are the contract's switches, each named where it is set"
)]
pub struct Options {
    /// Label of the node; stable across restarts, at most 255 bytes.
    pub node_id: String,
    /// Name of the node for people; the node id if empty.
    pub display_name: String,
    /// Version of the application.
    pub version: String,
    /// True if writes go to a log.
    pub enable_wal: bool,
    /// Path of the log. Its directory must exist unless `create_dirs` is set.
    pub wal_path: String,
    /// True if a write counts as accepted only once it survives a power cut.
    pub auto_flush: bool,
    /// True if a missing directory of the log is made.
    pub create_dirs: bool,
    /// True if this node may listen and call peers.
    pub enable_transport: bool,
    /// Host to listen on.
    pub transport_host: String,
    /// Port to listen on; 0 picks a free port.
    pub transport_port: u16,
    /// True if discovery may be started.
    pub enable_discovery: bool,
    /// Host on which discovery listens.
    pub discovery_host: String,
    /// Port on which discovery listens.
    pub discovery_port: u16,
    /// True if listening on and calling other hosts than this machine is allowed without a key.
    pub allow_insecure: bool,
    /// Most own writes that one tick releases.
    pub batch_size: usize,
    /// Number of retries before a write counts as failed.
    pub max_retries: u32,
    /// Delay before the first retry, in milliseconds.
    pub retry_interval_ms: u64,
    /// Longest time that a peer may owe progress, in milliseconds.
    pub ack_timeout_ms: u64,
    /// Number of peers that must acknowledge a write.
    pub ack_policy: AckPolicy,
    /// Policy for concurrent writes of one key.
    pub conflict_policy: ConflictPolicy,
    /// True if the acknowledgement of a peer without a log counts for a node that has one.
    pub memory_will_do: bool,
    /// Any value above 0 turns automatic sync on: own writes leave as they commit; 0: they wait for ticks. The number
    /// itself has no effect yet.
    pub sync_interval_ms: u64,
    /// Largest value, in bytes, written here or accepted from peers.
    pub max_value_bytes: usize,
    /// Keys that are exchanged with peers.
    pub scope: Scope,
    /// Memory that the node may take, in bytes: caches, queues, events, changes since the last checkpoint, and an
    /// opening together. 0: half of the container's limit, or a quarter of the machine's memory without one, at most 2
    /// GiB and eight times `cache_bytes`. Without a log, all data is in memory besides, whatever this says.
    pub memory_bytes: u64,
    /// Most bytes of the checkpoint that are kept in memory once they were read. At most a quarter of `memory_bytes`.
    pub cache_bytes: usize,
    /// Length of the log, in bytes, at which a checkpoint is made of it. With much data, half the length of the data
    /// counts instead, up to four times this option.
    pub checkpoint_log_bytes: u64,
}

/// Default of `cache_bytes`: enough for a million small entries, little on a machine of today. The cache is filled only
/// by reads.
pub const CACHE_BYTES: usize = 256 << 20;

/// Default of `checkpoint_log_bytes`: some hundred milliseconds of reading after a crash, and a checkpoint at most
/// every few hundred thousand writes.
pub const CHECKPOINT_LOG_BYTES: u64 = 64 << 20;

impl Options {
    /// Options of a node in memory, without network.
    pub fn local(node_id: impl Into<String>) -> Self {
        Self {
            node_id: node_id.into(),
            display_name: String::new(),
            version: "0.1.0".to_owned(),
            enable_wal: false,
            wal_path: "data/sdk-store.wal".to_owned(),
            auto_flush: true,
            create_dirs: false,
            enable_transport: false,
            transport_host: "127.0.0.1".to_owned(),
            transport_port: 0,
            enable_discovery: false,
            discovery_host: "127.0.0.1".to_owned(),
            discovery_port: 9400,
            allow_insecure: false,
            batch_size: 1024,
            max_retries: 5,
            retry_interval_ms: 5_000,
            ack_timeout_ms: 10_000,
            ack_policy: AckPolicy::Any,
            conflict_policy: ConflictPolicy::LastWriteWins,
            memory_will_do: false,
            sync_interval_ms: 0,
            max_value_bytes: VALUE_BYTES_MAX,
            scope: Scope::ALL,
            memory_bytes: 0,
            cache_bytes: CACHE_BYTES,
            checkpoint_log_bytes: CHECKPOINT_LOG_BYTES,
        }
    }

    /// Options of a node with a log at `wal_path`, without network.
    pub fn persistent(node_id: impl Into<String>, wal_path: impl Into<String>) -> Self {
        Self {
            enable_wal: true,
            wal_path: wal_path.into(),
            ..Self::local(node_id)
        }
    }

    /// Name of the node for people.
    pub fn display_name(&self) -> &str {
        if self.display_name.is_empty() {
            &self.node_id
        } else {
            &self.display_name
        }
    }

    /// Checks every option.
    ///
    /// # Errors
    /// If an option is wrong: the first one, by name, with the reason.
    pub fn validate(&self) -> Result<(), Failure> {
        let labels = [
            ("node id", &self.node_id),
            ("display name", &self.display_name),
            ("version", &self.version),
        ];
        for (name, label) in labels {
            if label.trim().is_empty() && name != "display name" {
                return Err(Failure::configuration(format_args!(
                    "{name} must not be empty"
                )));
            }
            if label.len() > LABEL_BYTES_MAX {
                return Err(Failure::configuration(format_args!(
                    "{name} is longer than {LABEL_BYTES_MAX} bytes"
                )));
            }
        }
        if self.enable_transport && self.transport_host.trim().is_empty() {
            return Err(Failure::configuration("transport host must not be empty"));
        }
        if self.enable_discovery && self.discovery_host.trim().is_empty() {
            return Err(Failure::configuration("discovery host must not be empty"));
        }
        if self.batch_size == 0 {
            return Err(Failure::configuration("batch size must be at least 1"));
        }
        if self.ack_timeout_ms == 0 {
            return Err(Failure::configuration("ack timeout must be at least 1 ms"));
        }
        if self.retry_interval_ms == 0 {
            return Err(Failure::configuration(
                "retry interval must be at least 1 ms",
            ));
        }
        if self.max_value_bytes == 0 || self.max_value_bytes > VALUE_BYTES_MAX {
            return Err(Failure::configuration(format_args!(
                "max value bytes must be between 1 and {VALUE_BYTES_MAX}"
            )));
        }
        if self.memory_bytes != 0
            && !(MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX).contains(&self.memory_bytes)
        {
            return Err(Failure::configuration(format_args!(
                "memory bytes must be 0, to be chosen by what there is, or between {MEMORY_BYTES_MIN} and {MEMORY_BYTES_MAX}"
            )));
        }
        if !self.scope.can_be_told() || self.scope.is_nothing() {
            return Err(Failure::configuration(format_args!(
                "prefixes must be 1 to {PREFIXES_MAX}, each at most {KEY_BYTES_MAX} bytes long, and \
                 {PREFIXES_BYTES_MAX} bytes together"
            )));
        }
        Ok(())
    }

    /// Shares of the node's memory. Reads the amount available from the system, unless the option names one.
    pub fn budget(&self) -> Budget {
        let memory_bytes = if self.memory_bytes == 0 {
            let (container, machine) = limit::read();
            chosen(container, machine, self.cache_bytes)
        } else {
            self.memory_bytes
        };
        Budget::of(memory_bytes, self.cache_bytes)
    }

    /// The options of replication.
    pub fn replica(&self) -> ReplicaOptions {
        ReplicaOptions {
            batch_size: self.batch_size,
            max_retries: self.max_retries,
            retry_interval_ms: self.retry_interval_ms,
            ack_timeout_ms: self.ack_timeout_ms,
            ack_policy: self.ack_policy,
            memory_will_do: self.memory_will_do,
            automatic: self.sync_interval_ms > 0,
            value_bytes_max: self.max_value_bytes as u64,
            durable: self.enable_wal,
        }
    }
}
