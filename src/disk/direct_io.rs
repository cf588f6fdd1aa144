//! Direct writes past the page cache, each durable when it returns, where the system and the file system support it
//! (on Linux `O_DIRECT` with `O_DSYNC`). Elsewhere files are written and synced in two steps.

#![allow(clippy::disallowed_methods, reason = "this is where files are opened")]

use std::fs::File;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::file::{positioned_write, write_all_at};
use super::storage::THROUGH_BYTES;

/// The direct way to one file; set up when it is first asked for.
#[derive(Debug, Default)]
pub(crate) struct Through {
    way: OnceLock<Option<Way>>,
}

#[derive(Debug)]
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "there is no such way elsewhere")
)]
struct Way {
    /// A second handle of the file, opened for direct writes.
    file: File,
    /// Buffer with the alignment in memory that the disk demands.
    aligned: Mutex<Vec<u8>>,
    /// True once the disk has refused direct writes.
    is_refused: AtomicBool,
}

impl Through {
    fn way(&self, file: &File) -> Option<&Way> {
        let way = self.way.get_or_init(|| open(file)).as_ref();
        way.filter(|way| !way.is_refused.load(Ordering::Relaxed))
    }

    pub(crate) fn is_possible(&self, file: &File) -> bool {
        self.way(file).is_some()
    }

    /// Writes directly, see [`super::storage::StorageFile::write_through`].
    pub(crate) fn write(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<bool> {
        let Some(way) = self.way(file) else {
            return Ok(false);
        };
        let mut room = way.aligned.lock();
        room.resize(bytes.len() + THROUGH_BYTES, 0);
        let from = room.as_ptr().align_offset(THROUGH_BYTES);
        let Some(aligned) = room.get_mut(from..from + bytes.len()) else {
            return Ok(false);
        };
        aligned.copy_from_slice(bytes);
        match positioned_write(&way.file, offset, aligned) {
            // A disk with larger sectors, or a driver without support, refuses before it writes anything.
            Err(error) if is_refusal(error.kind()) => {
                way.is_refused.store(true, Ordering::Relaxed);
                Ok(false)
            }
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            begun => {
                let count = begun.unwrap_or(0);
                let rest = aligned.get(count..).unwrap_or_default();
                write_all_at(&way.file, offset + count as u64, rest)?;
                Ok(true)
            }
        }
    }
}

fn is_refusal(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

/// Magic numbers of file systems that honour the flags: ext2 to ext4, XFS, Btrfs and F2FS. Others, above all those
/// that a program or another machine serves, may accept the flags and never pass a sync on.
#[cfg(target_os = "linux")]
const KEEPING_THEIR_WORD: [i64; 4] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010];

/// Opens a file a second time, by its descriptor: its name may have changed.
#[cfg(target_os = "linux")]
fn open(file: &File) -> Option<Way> {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    let system = rustix::fs::fstatfs(file).ok()?;
    let is_known = |known: &i64| u64::try_from(*known).ok() == u64::try_from(system.f_type).ok();
    if !KEEPING_THEIR_WORD.iter().any(is_known) {
        return None;
    }
    let same = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = rustix::fs::OFlags::DIRECT | rustix::fs::OFlags::DSYNC;
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    options.custom_flags(i32::try_from(flags.bits()).ok()?);
    let again = options.open(same).ok()?;
    let place = |file: &File| {
        let found = file.metadata().ok()?;
        Some((found.dev(), found.ino()))
    };
    // Whole blocks are written through this handle, so it must never lead to another file.
    if place(file).is_none() || place(file) != place(&again) {
        return None;
    }
    Some(Way {
        file: again,
        aligned: Mutex::default(),
        is_refused: AtomicBool::new(false),
    })
}

/// Windows and macOS have calls of their own for this, which gain less: on these systems a direct write is durable
/// only with a second call.
#[cfg(not(target_os = "linux"))]
fn open(_file: &File) -> Option<Way> {
    None
}
