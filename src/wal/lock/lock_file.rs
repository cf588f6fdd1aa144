//! What may have the name of a lock file: nothing else is opened, and nothing else is written to.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::path::Path;

use super::{PID_TEXT_BYTES_MAX, WalError};

/// Whether what has the name of a lock file can be one, before it is opened, which a pipe would never let end, and before
/// anything is written to it: it is a file of its own, no link to another, and what is in it was written by a lock.
pub(super) fn check_lock_file(lock_path: &Path) -> Result<(), WalError> {
    let file = lock_path.display().to_string();
    match std::fs::symlink_metadata(lock_path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let cause = error.into();
            return Err(WalError::Open { file, cause });
        }
        Ok(found) if !found.is_file() => return Err(WalError::NotRegularFile { file }),
        Ok(found) if found.len() == 0 => return Ok(()),
        Ok(_) => {}
    }
    if cfg!(windows) {
        // Nothing is ever written to it there, and what is locked cannot be read.
        return Ok(());
    }
    let mut content = Vec::new();
    let opened = OpenOptions::new().read(true).open(lock_path);
    let read = opened.and_then(|lock_file| {
        let mut lock_file = lock_file.take(PID_TEXT_BYTES_MAX + 1);
        lock_file.read_to_end(&mut content)
    });
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => {
            let cause = error.into();
            Err(WalError::Open { file, cause })
        }
        Ok(_) if is_pid_text(&content) => Ok(()),
        Ok(_) => Err(WalError::Foreign {
            file,
            reason: "it is not the lock of a log, or a link to another file",
        }),
    }
}

/// Whether this is what a lock writes, or what a stop has left of two such texts.
fn is_pid_text(content: &[u8]) -> bool {
    content.len() as u64 <= PID_TEXT_BYTES_MAX
        && content
            .iter()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_whitespace() || *byte == 0)
}
