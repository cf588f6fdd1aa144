//! Checks of the file that has the name of a lock file, before it is opened or written to.

use std::io::{self, Read};

use super::{Access, LockGuard, PID_TEXT_BYTES_MAX, WalError};

impl LockGuard {
    /// Checks that the file with the name of the lock file can be one, before it is opened (opening a pipe would wait
    /// for ever) and before it is written to: it is a regular file of its own, not a link to another, and its content
    /// was written by a lock.
    pub(super) fn check_lock_file(&self) -> Result<(), WalError> {
        let lock_name = self.lock_name();
        let file = || self.shown(&lock_name);
        match self.directory.look(&lock_name) {
            Err(error) => return Err(self.lock_failed(error)),
            Ok(None) => return Ok(()),
            Ok(Some(found)) if !found.is_file => {
                return Err(WalError::NotRegularFile { file: file() });
            }
            Ok(Some(found)) if found.bytes == 0 => return Ok(()),
            Ok(Some(_)) => {}
        }
        if cfg!(windows) {
            // On Windows nothing is ever written to it, and a locked file cannot be read.
            return Ok(());
        }
        let mut content = Vec::new();
        let opened = self.directory.open(&lock_name, Access::Read);
        let read = opened.and_then(|lock_file| {
            let mut lock_file = lock_file.take(PID_TEXT_BYTES_MAX + 1);
            lock_file.read_to_end(&mut content)
        });
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.lock_failed(error)),
            Ok(_) if is_pid_text(&content) => Ok(()),
            Ok(_) => Err(WalError::Foreign {
                file: file(),
                reason: "it is not the lock of a log, or a link to another file",
            }),
        }
    }
}

/// True if this is the text that a lock writes, or a mixture of two such texts that a stop left.
fn is_pid_text(content: &[u8]) -> bool {
    content.len() as u64 <= PID_TEXT_BYTES_MAX
        && content
            .iter()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_whitespace() || *byte == 0)
}
