//! Repair of a log after an unclean stop: its unfinished end is kept aside, and frames that nothing tells to be synced
//! are rewritten.

use std::io;

use super::reader::{FrameReader, READ_BYTES};
use super::recovery::{Mark, TornTail};
use super::scan::{Scan, read_error};
use crate::disk::storage::{Storage, StorageFile, read_full, replace_file};
use crate::wal::error::WalError;
use crate::wal::format::FILE_HEADER_BYTES;

/// Copies the unfinished end of the log to its own file, durably, before it is cut off.
pub(crate) fn keep_aside(
    storage: &dyn Storage,
    file: &dyn StorageFile,
    torn: &TornTail,
) -> io::Result<()> {
    replace_file(storage, &torn.kept_as, &mut |kept| {
        copy(file, torn.offset, torn.bytes, &mut |done, chunk| {
            kept.write_at(done, chunk)
        })
    })
}

/// After an unclean stop, rewrites all frames that nothing tells to be synced, and syncs: after a failed sync the
/// system may call pages clean that never reached the disk, and syncing those again proves nothing. Returns the number
/// of those frames.
pub(crate) fn settle(file: &dyn StorageFile, found: &Scan, shown: &str) -> Result<u64, WalError> {
    if found.is_settled() || found.file_bytes == FILE_HEADER_BYTES as u64 {
        return Ok(0);
    }
    if let Some(mark) = found.first_unsynced {
        let from = first_unsynced_offset(file, found, mark, shown)?;
        copy(file, from, found.end - from, &mut |done, chunk| {
            file.write_at(from + done, chunk)
        })
        .map_err(|error| recover_error(shown, error))?;
    }
    // The length is synced too: it may have been cut just now, or grown by the run that stopped.
    file.sync_all()
        .map_err(|error| recover_error(shown, error))?;
    Ok(found.last_frame.saturating_sub(found.known_synced))
}

fn first_unsynced_offset(
    file: &dyn StorageFile,
    found: &Scan,
    mark: Mark,
    shown: &str,
) -> Result<u64, WalError> {
    let mut reader = FrameReader::new(file, found.header.salt, mark.offset, found.end);
    for number in mark.number..=found.known_synced {
        let at = reader.offset();
        let whole = reader.next(number);
        if whole
            .map_err(|error| read_error(shown, at, error))?
            .is_none()
        {
            // The frame was whole a moment ago.
            let error = io::Error::other("the file changed while it was read");
            return Err(read_error(shown, at, error));
        }
    }
    Ok(reader.offset())
}

/// Hands `bytes` bytes from `offset` to `write` in chunks, each with the number of bytes handed over before it.
fn copy(
    file: &dyn StorageFile,
    offset: u64,
    bytes: u64,
    write: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let mut done = 0;
    while done < bytes {
        let left = bytes - done;
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let room = buffer.get_mut(..wanted).unwrap_or_default();
        if read_full(file, offset + done, room)? < wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        write(done, room)?;
        done += wanted as u64;
    }
    Ok(())
}

pub(crate) fn recover_error(shown: &str, error: io::Error) -> WalError {
    WalError::Recover {
        file: shown.to_owned(),
        cause: error.into(),
    }
}
