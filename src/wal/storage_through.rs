//! Writing to the disk past the page cache, each write durable when it returns, where the system and the file system can
//! do that. Linux calls it direct and synchronous; elsewhere files are written and synced in two steps.

use std::fs::File;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::storage::THROUGH_BYTES;

/// The way past the page cache to one file; found out when it is first asked for.
#[derive(Debug, Default)]
pub(super) struct Through {
    way: OnceLock<Option<Way>>,
}

#[derive(Debug)]
struct Way {
    /// The same file, opened so.
    file: File,
    /// The disk takes bytes only from where its blocks could begin in memory.
    aligned: Mutex<Vec<u8>>,
    /// It does not take them at all.
    is_refused: AtomicBool,
}

impl Through {
    fn way(&self, file: &File) -> Option<&Way> {
        let way = self.way.get_or_init(|| open(file)).as_ref();
        way.filter(|way| !way.is_refused.load(Ordering::Relaxed))
    }

    pub(super) fn is_possible(&self, file: &File) -> bool {
        self.way(file).is_some()
    }

    /// As [`super::storage::StorageFile::write_through`].
    pub(super) fn write(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<bool> {
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
        match super::storage_file::write_all_at(&way.file, offset, aligned) {
            // A disk with larger sectors says so before it writes anything.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                way.is_refused.store(true, Ordering::Relaxed);
                Ok(false)
            }
            outcome => outcome.map(|()| true),
        }
    }
}

/// Opens a file once more, by its descriptor: its name may have changed.
#[cfg(target_os = "linux")]
fn open(file: &File) -> Option<Way> {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::OpenOptionsExt;
    let same = format!("/proc/self/fd/{}", file.as_raw_fd());
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    options.custom_flags(libc::O_DIRECT | libc::O_DSYNC);
    // A file system in memory refuses.
    let file = options.open(same).ok()?;
    Some(Way {
        file,
        aligned: Mutex::default(),
        is_refused: AtomicBool::new(false),
    })
}

/// Windows and macOS have calls of their own for it, which bring less there: not through the page cache they are
/// durable only with a second call.
#[cfg(not(target_os = "linux"))]
fn open(_file: &File) -> Option<Way> {
    None
}
