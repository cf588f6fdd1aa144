//! Names of a log's files besides the active one, and descriptions of sealed logs.

use std::io;

use crate::disk::storage::Storage;

/// Suffix of a sealed log, after the name of the log; the number of its first frame follows.
pub const SEALED_SUFFIX: &str = ".sealed.";

/// Suffix of the temporary name of the new file during a seal, after the name of the log.
pub const SEALING_SUFFIX: &str = ".sealing";

/// Suffix of the checkpoint, after the name of the log.
pub const CHECKPOINT_SUFFIX: &str = ".checkpoint";

/// A finished file of a log: nothing is appended any more, and all of it survives a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedLog {
    /// The number of its first frame, which is in the name of the file.
    pub first_frame: u64,
    /// The number of its last frame.
    pub last_frame: u64,
    /// Length of the file, in bytes.
    pub bytes: u64,
}

/// The name of the sealed log of `log` that begins with frame `first_frame`.
pub fn sealed_name(log: &str, first_frame: u64) -> String {
    format!("{log}{SEALED_SUFFIX}{first_frame}")
}

/// The temporary name of the file that takes the place of `log` when it is sealed.
pub fn sealing_name(log: &str) -> String {
    format!("{log}{SEALING_SUFFIX}")
}

/// The name of the checkpoint of `log`.
pub fn checkpoint_name(log: &str) -> String {
    format!("{log}{CHECKPOINT_SUFFIX}")
}

/// The number of the first frame of a sealed log of `log`, by its name; `None` for any other file.
fn first_frame_of(log: &str, file: &str) -> Option<u64> {
    let digits = file.strip_prefix(log)?.strip_prefix(SEALED_SUFFIX)?;
    // Each number has one name: a padded or signed number was written by somebody else.
    let first_frame = digits.parse().ok().filter(|number| *number > 0)?;
    (sealed_name(log, first_frame) == file).then_some(first_frame)
}

/// Suffixes of a log's own files, besides sealed logs.
pub(in crate::wal) const COMPANION_SUFFIXES: [&str; 13] = [
    ".lock",
    ".lock.pid",
    ".lease",
    ".lease.new",
    ".torn",
    ".torn.new",
    ".new",
    ".key",
    ".key.new",
    CHECKPOINT_SUFFIX,
    ".checkpoint.new",
    ".checkpoint.new.feed",
    SEALING_SUFFIX,
];

/// True if a file is the log `log` or a sealed part of it.
pub fn is_part_of_log(log: &str, file: &str) -> bool {
    file == log || first_frame_of(log, file).is_some()
}

/// True if a file is the log `log`, or a part or a companion of it.
pub fn belongs_to_log(log: &str, file: &str) -> bool {
    let suffix = file.strip_prefix(log);
    is_part_of_log(log, file) || suffix.is_some_and(|suffix| COMPANION_SUFFIXES.contains(&suffix))
}

/// The files of a log besides the active one, by their names alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SealedFiles {
    /// The first frames of sealed logs, in ascending order.
    pub first_frames: Vec<u64>,
    /// True if there is a file under the temporary name of a seal.
    pub is_sealing: bool,
}

impl SealedFiles {
    /// Finds the sealed files of `log` in its directory.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn find(storage: &dyn Storage, log: &str) -> io::Result<Self> {
        Ok(Self::among(log, &storage.list()?))
    }

    /// Finds the sealed files of `log` among the names of a directory.
    pub fn among(log: &str, names: &[String]) -> Self {
        let mut first_frames: Vec<u64> = names
            .iter()
            .filter_map(|file| first_frame_of(log, file))
            .collect();
        first_frames.sort_unstable();
        Self {
            first_frames,
            is_sealing: names.contains(&sealing_name(log)),
        }
    }

    /// The name of one of these files, if there is any.
    pub fn any(&self, log: &str) -> Option<String> {
        let sealed = self.first_frames.first();
        sealed
            .map(|first_frame| sealed_name(log, *first_frame))
            .or_else(|| self.is_sealing.then(|| sealing_name(log)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_logs_are_known_by_their_names_and_nothing_else_is() {
        let names = [
            "a.wal",
            "a.wal.sealed.10",
            "a.wal.sealed.9",
            "a.wal.sealed.0",
            "a.wal.sealed.07",
            "a.wal.sealed.+7",
            "a.wal.sealed.",
            "a.wal.sealed.7.torn",
            "b.wal.sealed.3",
            "a.wal.sealed.99999999999999999999",
        ];
        let names = names.map(str::to_owned);
        let found = SealedFiles::among("a.wal", &names);
        assert_eq!(found.first_frames, [9, 10]);
        assert!(is_part_of_log("a.wal", "a.wal.sealed.9"));
        assert!(!belongs_to_log("a.wal", "a.wal.sealed.07"));
        assert!(belongs_to_log("a.wal", "a.wal.lease"));
        assert!(!belongs_to_log("a.wal", "a.walnut"));
        assert!(!found.is_sealing);
        assert_eq!(found.any("a.wal").unwrap(), "a.wal.sealed.9");
        let found = SealedFiles::among("a.wal", &[sealing_name("a.wal")]);
        assert_eq!(found.any("a.wal").unwrap(), "a.wal.sealing");
        assert_eq!(SealedFiles::among("c.wal", &names).any("c.wal"), None);
    }
}
