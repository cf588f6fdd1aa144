//! Statistics of a node: its present content, and its work since it was opened.

use super::handle::Node;
use crate::core::error_kind::ErrorKind;
use crate::node::checkpoint::checkpoints::LastCheckpoint;
use crate::node::failure::{ErrorCode, Failure};
use crate::node::histogram::Percentiles;
use crate::wal::log::segment::{belongs_to_log, is_part_of_log};

/// Statistics of a node: its present content, and its work since it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Number of keys with a value.
    pub keys: u64,
    /// Bytes of keys and values.
    pub live_bytes: u64,
    /// Number of removed keys that are remembered as such.
    pub tombstones: u64,
    /// Length of the log in bytes: sealed logs, and the log itself with the space written ahead. 0 without one.
    pub log_bytes: u64,
    /// Length of all files of the store in bytes: the log, sealed ones, the checkpoint, and companions.
    pub disk_bytes: u64,
    /// Number of committed writes, own ones and those of peers.
    pub commits: u64,
    /// Number of writes in each committed group.
    pub groups: Percentiles,
    /// Time to make a group durable, from its first byte on, in microseconds.
    pub sync_us: Percentiles,
    /// Number of writes that the log refused.
    pub refusals: u64,
    /// The last checkpoint since the node was opened; `None` if there was none.
    pub last_checkpoint: Option<LastCheckpoint>,
}

impl Node {
    /// Statistics of the node. Reads the lengths of its files.
    ///
    /// # Errors
    /// If the folder of the log cannot be read.
    pub fn stats(&self) -> Result<Stats, Failure> {
        let (log_bytes, disk_bytes) = self.file_bytes()?;
        self.shared.look_up_totals()?;
        let totals = self.shared.map.read().totals();
        let counters = &self.shared.counters;
        Ok(Stats {
            keys: totals.live,
            live_bytes: totals.live_bytes,
            tombstones: totals.tombstones,
            log_bytes,
            disk_bytes,
            commits: counters.commits(),
            groups: counters.writes_per_group(),
            sync_us: counters.sync_us(),
            refusals: counters.refusals(),
            last_checkpoint: self.last_checkpoint(),
        })
    }

    /// Length of the files of the log, and of all files of the store, in bytes.
    fn file_bytes(&self) -> Result<(u64, u64), Failure> {
        let Some(place) = &self.place else {
            return Ok((0, 0));
        };
        let failed = |error: std::io::Error| {
            let message = format!("failed to read the folder of the log: {error}");
            Failure::new(ErrorCode::Io, ErrorKind::WalRead, message)
                .about(self.options().wal_path.clone())
        };
        let storage = &*place.storage;
        let (mut log_bytes, mut disk_bytes) = (0, 0);
        for file in storage.list().map_err(failed)? {
            if !belongs_to_log(&place.name, &file) {
                continue;
            }
            // A file that was removed meanwhile takes no room.
            let opened = storage.open(&file).ok().flatten();
            let bytes = opened.and_then(|file| file.len().ok()).unwrap_or(0);
            disk_bytes += bytes;
            if is_part_of_log(&place.name, &file) {
                log_bytes += bytes;
            }
        }
        Ok((log_bytes, disk_bytes))
    }
}
