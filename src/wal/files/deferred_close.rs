//! Files that were held and are let go of. The system keeps them on the disk as long as they are open, and giving
//! back the room of a large one takes it a while.

use std::fs::File;
use std::time::Duration;

use same_file::Handle;

/// How much of a removed file is given back to the system in one go, in bytes: some milliseconds.
const GIVEN_BACK_AT_ONCE: u64 = 8 << 20;

/// How long others may have the file system in between.
const BETWEEN_BITES: Duration = Duration::from_millis(1);

/// Files that were let go of, open until this is dropped.
#[derive(Debug)]
pub struct Released {
    files: Vec<Handle>,
}

impl Released {
    pub(crate) fn new(files: Vec<Handle>) -> Self {
        Self { files }
    }

    /// Closes them. Those that have no name any more are cut off bite by bite before: the system would give back
    /// all of their room in one go, and the syncs of the log would wait for it. Once nobody `has_time` for that, it may.
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
                    // Closing gives it back all the same.
                    break;
                }
                std::thread::sleep(BETWEEN_BITES);
            }
        }
    }
}

/// Whether a file is gone as soon as it is closed: it may have another name, which keeps what is in it.
#[cfg(unix)]
fn is_nameless(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|found| found.nlink() == 0)
}

/// Elsewhere it is not known.
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
