//! Advice by kind of failure: the data that is still valid after a failure of the disk or of a file, and the remedy.
//! The only place for both, used by messages and reports.

/// Advice for a failure, beside its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// The data that can still be relied on.
    pub still_valid: &'static str,
    /// The remedy.
    pub what_to_do: &'static str,
}

const UNTOUCHED: &str = "no file was changed";
const IN_FRONT: &str = "what lies before the damage is whole, and no file was changed";
const WRITES_STOPPED: &str = "everything that was acknowledged before is valid and can be read";
const RESTORE_OR_SALVAGE: &str = "restore a backup, or salvage() what is readable into a new log";

/// The advice for a kind of failure; `None` if the message needs none.
pub(super) fn advice(kind: &str) -> Option<Advice> {
    let (still_valid, what_to_do) = match kind {
        "wal_corrupt" => (IN_FRONT, RESTORE_OR_SALVAGE),
        "checkpoint_damaged" => (
            "the log beside it is whole as far as it was not removed, and no file was changed",
            RESTORE_OR_SALVAGE,
        ),
        "record_malformed" => (
            "the file is whole, and was not changed",
            "open it with the version that wrote it, or a newer one",
        ),
        "wal_foreign" | "checkpoint_foreign" => (
            "the file was left as it is",
            "choose another path, or move the file away",
        ),
        "wal_newer_version" | "checkpoint_newer_version" => (
            "the file was left as it is",
            "open it with a newer version of this package",
        ),
        "wal_missing" => (
            "the files that are there were not changed",
            "restore the log from a backup, salvage() what is readable into a new log, or move the companions to \
             another folder to begin anew",
        ),
        "wal_part_missing" | "checkpoint_missing" => (
            "the files that are there were not changed",
            "restore the missing file from a backup, or salvage() what is readable into a new log",
        ),
        "checkpoint_mismatch" => (
            "both files were left as they are",
            "put the checkpoint back that belongs to the log, or salvage() what is readable into a new log",
        ),
        "wal_behind" => (
            "the files that are there were not changed",
            "restore the log and its companions together, from one backup",
        ),
        "wal_in_use" => (
            UNTOUCHED,
            "close it there first, or give each node a path of its own",
        ),
        "wal_removed" => (
            "this client still reads everything that was acknowledged",
            "put the files back where they were, or backup() to another path before it is closed",
        ),
        "wal_replaced" => (
            "this client still reads everything that was acknowledged, and touches nothing at the path",
            "put its own files back, or backup() to another path before it is closed",
        ),
        "permission_denied" => (
            UNTOUCHED,
            "give this process the right to read and write the folder and the files",
        ),
        "read_only" => (
            UNTOUCHED,
            "make the file system writable, or use a path on another one; verify() needs no writing",
        ),
        "disk_full" => (
            WRITES_STOPPED,
            "make room, and write again; if writes are still refused, close and open again",
        ),
        "wal_append" | "wal_flush" | "wal_seal" | "poisoned" => (
            WRITES_STOPPED,
            "look after the disk, then close and open again: that finds out what is on it",
        ),
        "wal_read" | "wal_recover" | "checkpoint_read" => (
            UNTOUCHED,
            "look after the disk, and try again; if it stays so, salvage() what is readable into a new log",
        ),
        "checkpoint_write" | "checkpoint_refused" | "checkpoint_too_large" => (
            "the log holds everything, and goes on",
            "make room or look after the disk; the next checkpoint tries again",
        ),
        _ => return None,
    };
    Some(Advice {
        still_valid,
        what_to_do,
    })
}
