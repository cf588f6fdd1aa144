//! Advice by kind of failure: the data that is still valid after a failure of the disk or of a file, and the remedy.
//! The only place for both, used by messages and reports.

use crate::core::error_kind::ErrorKind;

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
pub(super) fn advice(kind: ErrorKind) -> Option<Advice> {
    let (still_valid, what_to_do) = on_content(kind)
        .or_else(|| on_place(kind))
        .or_else(|| on_system(kind))?;
    Some(Advice {
        still_valid,
        what_to_do,
    })
}

/// Still valid, and to do, after a failure of one kind.
type Parts = (&'static str, &'static str);

/// Advice on a file that is there and does not hold what it should: damage, another program's file, a newer format.
fn on_content(kind: ErrorKind) -> Option<Parts> {
    Some(match kind {
        ErrorKind::WalCorrupt => (IN_FRONT, RESTORE_OR_SALVAGE),
        ErrorKind::CheckpointDamaged => (
            "the log beside it is whole as far as it was not removed, and no file was changed",
            RESTORE_OR_SALVAGE,
        ),
        ErrorKind::RecordMalformed => (
            "the file is whole, and was not changed",
            "open it with the version that wrote it, or a newer one",
        ),
        ErrorKind::WalForeign | ErrorKind::CheckpointForeign => (
            "the file was left as it is",
            "choose another path, or move the file away",
        ),
        ErrorKind::WalNewerVersion | ErrorKind::CheckpointNewerVersion => (
            "the file was left as it is",
            "open it with a newer version of this package",
        ),
        _ => return None,
    })
}

/// Advice on files that are not where they belong: missing, mixed from several stores, moved, or in use elsewhere.
fn on_place(kind: ErrorKind) -> Option<Parts> {
    Some(match kind {
        ErrorKind::WalMissing => (
            "the files that are there were not changed",
            "restore the log from a backup, salvage() what is readable into a new log, or move the companions to \
             another folder to begin anew",
        ),
        ErrorKind::WalPartMissing | ErrorKind::CheckpointMissing => (
            "the files that are there were not changed",
            "restore the missing file from a backup, or salvage() what is readable into a new log",
        ),
        ErrorKind::CheckpointMismatch => (
            "both files were left as they are",
            "put the checkpoint back that belongs to the log, or salvage() what is readable into a new log",
        ),
        ErrorKind::WalBehind => (
            "the files that are there were not changed",
            "restore the log and its companions together, from one backup",
        ),
        ErrorKind::WalInUse => (
            UNTOUCHED,
            "close it there first, or give each node a path of its own",
        ),
        ErrorKind::WalRemoved => (
            "this client still reads everything that was acknowledged",
            "put the files back where they were, or backup() to another path before it is closed",
        ),
        ErrorKind::WalReplaced => (
            "this client still reads everything that was acknowledged, and touches nothing at the path",
            "put its own files back, or backup() to another path before it is closed",
        ),
        _ => return None,
    })
}

/// Advice on what the system refuses: rights, room, reads and writes.
fn on_system(kind: ErrorKind) -> Option<Parts> {
    Some(match kind {
        ErrorKind::PermissionDenied => (
            UNTOUCHED,
            "give this process the right to read and write the folder and the files",
        ),
        ErrorKind::ReadOnly => (
            UNTOUCHED,
            "make the file system writable, or use a path on another one; verify() needs no writing",
        ),
        ErrorKind::DiskFull => (
            WRITES_STOPPED,
            "make room, and write again; if writes are still refused, close and open again",
        ),
        ErrorKind::WalAppend | ErrorKind::WalFlush | ErrorKind::WalSeal | ErrorKind::Poisoned => (
            WRITES_STOPPED,
            "look after the disk, then close and open again: that finds out what is on it",
        ),
        ErrorKind::WalRead | ErrorKind::WalRecover | ErrorKind::CheckpointRead => (
            UNTOUCHED,
            "look after the disk, and try again; if it stays so, salvage() what is readable into a new log",
        ),
        ErrorKind::CheckpointWrite
        | ErrorKind::CheckpointRefused
        | ErrorKind::CheckpointTooLarge => (
            "the log holds everything, and goes on",
            "make room or look after the disk; the next checkpoint tries again",
        ),
        _ => return None,
    })
}
