//! The report of what a node holds and has done since it was opened.

use super::handle::Node;
use crate::node::checkpoint::checkpoints::LastCheckpoint;
use crate::node::failure::{ErrorCode, Failure};
use crate::node::histogram::Percentiles;
use crate::wal::log::segment::{belongs_to_log, is_part_of_log};

/// What a node holds, and what it did since it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Keys that have a value.
    pub keys: u64,
    /// Bytes of keys and values of all of them.
    pub live_bytes: u64,
    /// Keys that were removed and are remembered as that.
    pub tombstones: u64,
    /// How long the log is: sealed logs, and the log itself with what was written ahead. 0 without one.
    pub log_bytes: u64,
    /// How many bytes all files of the log have: the log, sealed ones, the checkpoint, and companions.
    pub disk_bytes: u64,
    /// How many writes were committed, own ones and those of peers.
    pub commits: u64,
    /// In how many groups they were committed, and how many writes a group had.
    pub groups: Percentiles,
    /// How long it took to make a group durable, from its first byte on, in microseconds.
    pub sync_us: Percentiles,
    /// How many writes the log refused.
    pub refusals: u64,
    /// The last checkpoint since the node was opened.
    pub last_checkpoint: Option<LastCheckpoint>,
}

impl Node {
    /// What the node holds and what it did since it was opened. Looks at the sizes of files.
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

    /// How long the files of the log are, and all that belong to it.
    fn file_bytes(&self) -> Result<(u64, u64), Failure> {
        let Some(place) = &self.place else {
            return Ok((0, 0));
        };
        let failed = |error: std::io::Error| {
            let message = format!("failed to read the folder of the log: {error}");
            Failure::new(ErrorCode::Io, "wal_read", message).about(self.options().wal_path.clone())
        };
        let storage = &*place.storage;
        let (mut log_bytes, mut disk_bytes) = (0, 0);
        for file in storage.list().map_err(failed)? {
            if !belongs_to_log(&place.name, &file) {
                continue;
            }
            // A file that is gone meanwhile takes no room.
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
