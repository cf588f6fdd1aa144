//! Deferred closing of files that are no longer held. The system keeps a removed file on disk as long as it is open,
//! and giving back the room of a large one takes a while.

#![allow(
    clippy::disallowed_methods,
    reason = "a driver: it gives back files piece by piece"
)]

use std::fs::File;
use std::time::Duration;

use same_file::Handle;

/// Bytes of a removed file that are given back to the system in one go: some milliseconds.
const GIVEN_BACK_AT_ONCE: u64 = 8 << 20;

/// Pause between two pieces, in which others can use the file system.
const BETWEEN_BITES: Duration = Duration::from_millis(1);

/// Files that are no longer held, open until this is dropped.
#[derive(Debug)]
pub struct Released {
    files: Vec<Handle>,
}

impl Released {
    pub(crate) fn new(files: Vec<Handle>) -> Self {
        Self { files }
    }

    /// Closes the files. A file without a name is truncated piece by piece before: the system would give back all of
    /// its room in one go, and the syncs of the log would wait for it. Once `has_time` is false, closing gives back
    /// the rest at once.
    pub fn give_back(self, has_time: &dyn Fn() -> bool) {
        for file in &self.files {
            let file = file.as_file();
            let length = file.metadata().map_or(0, |found| found.len());
            let bites = if is_nameless(file) {
                length / GIVEN_BACK_AT_ONCE
            } else {
                0
            };
            for left in (0..bites).rev() {
                if !has_time() || file.set_len(left * GIVEN_BACK_AT_ONCE).is_err() {
                    // Closing the file gives back the rest.
                    break;
                }
                std::thread::sleep(BETWEEN_BITES);
            }
        }
    }
}

/// True if closing the file removes it. A file with another name keeps its content.
#[cfg(unix)]
fn is_nameless(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|found| found.nlink() == 0)
}

/// On other systems the number of names is not known.
#[cfg(not(unix))]
fn is_nameless(_file: &File) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_removed_file_is_cut_off_and_one_that_has_a_name_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        for has_other_name in [false, true] {
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(true);
            let file = options.open(&path).unwrap();
            let bytes = 3 * GIVEN_BACK_AT_ONCE + 1;
            file.set_len(bytes).unwrap();
            if has_other_name {
                std::fs::hard_link(&path, &other).unwrap();
            }
            std::fs::remove_file(&path).unwrap();
            let handle = Handle::from_file(file.try_clone().unwrap()).unwrap();
            Released::new(vec![handle]).give_back(&|| true);
            let left = file.metadata().unwrap().len();
            assert_eq!(left, if has_other_name { bytes } else { 0 });
        }
    }
}
