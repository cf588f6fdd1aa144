//! Options from JavaScript, field by field. `node::options` checks their values.

use napi_derive::napi;

use crate::node::memory::budget::MEMORY_BYTES_MAX;
use crate::node::{AckPolicy, ConflictPolicy, Failure, Options};
use crate::store::scope::Scope;

/// Options in the form of plain values.
#[napi(object)]
#[derive(Debug, Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they mirror the contract's switches"
)]
pub(super) struct NativeOptions {
    pub node_id: String,
    pub display_name: Option<String>,
    pub version: String,
    pub enable_wal: bool,
    pub wal_path: String,
    pub auto_flush: bool,
    pub create_dirs: bool,
    pub enable_transport: bool,
    pub transport_host: String,
    pub transport_port: u32,
    pub enable_discovery: bool,
    pub discovery_host: String,
    pub discovery_port: u32,
    pub allow_insecure: bool,
    pub batch_size: f64,
    pub max_retries: f64,
    pub retry_interval_ms: f64,
    pub ack_timeout_ms: f64,
    /// Acknowledgement policy: `any`, `all`, or a number as text.
    pub ack_policy: String,
    /// Conflict policy: `lastWriteWins`, `keepLocal`, `keepRemote` or `manual`.
    pub conflict_policy: String,
    pub memory_will_do: bool,
    pub sync_interval_ms: f64,
    pub max_value_bytes: Option<f64>,
    pub memory_bytes: f64,
    pub cache_bytes: f64,
    pub checkpoint_log_bytes: f64,
    /// Prefixes of the exchanged keys; `None`: all keys.
    pub prefixes: Option<Vec<String>>,
}

/// Scope of these prefixes; of all keys without any.
pub(super) fn scope_of(prefixes: Option<Vec<String>>) -> Scope {
    prefixes.map_or(Scope::ALL, |prefixes| {
        Scope::of(prefixes.into_iter().map(String::into_bytes))
    })
}

fn port(name: &str, value: u32) -> Result<u16, Failure> {
    u16::try_from(value)
        .map_err(|_| Failure::configuration(format_args!("{name} must be between 0 and 65535")))
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be a whole number in range the line before"
)]
fn whole(name: &str, value: f64) -> Result<u64, Failure> {
    if value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value) {
        Ok(value as u64)
    } else {
        Err(Failure::configuration(format_args!(
            "{name} must be a whole number from 0 to {}",
            u32::MAX
        )))
    }
}

/// Converts a number as [`whole`] does, for options that may exceed 4 GiB.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "checked to be a whole number in range the line before; the limit is a power of two"
)]
fn memory(value: f64) -> Result<u64, Failure> {
    if value.fract() == 0.0 && (0.0..=MEMORY_BYTES_MAX as f64).contains(&value) {
        Ok(value as u64)
    } else {
        Err(Failure::configuration(format_args!(
            "memory bytes must be a whole number from 0 to {MEMORY_BYTES_MAX}"
        )))
    }
}

impl NativeOptions {
    /// Converts to the node's options.
    pub(super) fn into_options(self) -> Result<Options, Failure> {
        let ack_policy = match self.ack_policy.as_str() {
            "any" => AckPolicy::Any,
            "all" => AckPolicy::All,
            count => count
                .parse()
                .ok()
                .filter(|count| *count > 0)
                .map(AckPolicy::Count)
                .ok_or_else(|| {
                    Failure::configuration("ack policy must be \"any\", \"all\" or a number from 1")
                })?,
        };
        let size = |name, value| {
            whole(name, value).map(|value| usize::try_from(value).unwrap_or(usize::MAX))
        };
        let defaults = Options::local(self.node_id);
        Ok(Options {
            display_name: self.display_name.unwrap_or_default(),
            version: self.version,
            enable_wal: self.enable_wal,
            wal_path: self.wal_path,
            auto_flush: self.auto_flush,
            create_dirs: self.create_dirs,
            enable_transport: self.enable_transport,
            transport_host: self.transport_host,
            transport_port: port("transport port", self.transport_port)?,
            enable_discovery: self.enable_discovery,
            discovery_host: self.discovery_host,
            discovery_port: port("discovery port", self.discovery_port)?,
            allow_insecure: self.allow_insecure,
            batch_size: size("batch size", self.batch_size)?,
            max_retries: u32::try_from(whole("max retries", self.max_retries)?).unwrap_or(u32::MAX),
            retry_interval_ms: whole("retry interval", self.retry_interval_ms)?,
            ack_timeout_ms: whole("ack timeout", self.ack_timeout_ms)?,
            ack_policy,
            conflict_policy: policy_of(&self.conflict_policy)?,
            memory_will_do: self.memory_will_do,
            sync_interval_ms: whole("sync interval", self.sync_interval_ms)?,
            max_value_bytes: match self.max_value_bytes {
                Some(bytes) => size("max value bytes", bytes)?,
                None => defaults.max_value_bytes,
            },
            memory_bytes: memory(self.memory_bytes)?,
            cache_bytes: size("cache bytes", self.cache_bytes)?,
            checkpoint_log_bytes: whole("checkpoint log bytes", self.checkpoint_log_bytes)?,
            scope: scope_of(self.prefixes),
            ..defaults
        })
    }
}

/// Parses the name of a conflict policy.
fn policy_of(name: &str) -> std::result::Result<ConflictPolicy, Failure> {
    Ok(match name {
        "lastWriteWins" => ConflictPolicy::LastWriteWins,
        "keepLocal" => ConflictPolicy::KeepLocal,
        "keepRemote" => ConflictPolicy::KeepRemote,
        "manual" => ConflictPolicy::Manual,
        _ => {
            return Err(Failure::configuration(
                "conflict policy must be lastWriteWins, keepLocal, keepRemote or manual",
            ));
        }
    })
}
