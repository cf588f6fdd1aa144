//! Removal of files that a stop left beside a log and that are no longer needed.

use std::io;

use crate::disk::storage::Storage;
use crate::wal::format::FileHeader;
use crate::wal::log::segment::{SealedLog, sealed_name, sealing_name};
use crate::wal::recover::part::Part;
use crate::wal::recover::scan::read_header;

/// Removes the sealed logs with these first frames, all of which the checkpoint covers. `next`: first frame of the
/// first file that is needed. Returns the names of the removed files, and the sealed logs that could not be removed;
/// files that belong to another log or cannot be opened are left alone and are in neither.
pub(crate) fn remove_covered(
    storage: &dyn Storage,
    name: &str,
    first_frames: &[u64],
    next: u64,
    log: &FileHeader,
) -> (Vec<String>, Vec<SealedLog>) {
    let (mut removed, mut kept) = (Vec::new(), Vec::new());
    let nexts = first_frames.iter().skip(1).copied().chain([next]);
    for (first_frame, next) in first_frames.iter().copied().zip(nexts) {
        let Ok(part) = Part::sealed(storage, name, first_frame) else {
            continue;
        };
        if !part.is_of(log) {
            continue;
        }
        let bytes = part.file.len().unwrap_or_default();
        drop(part);
        let file = sealed_name(name, first_frame);
        if storage.remove(&file).is_ok() {
            removed.push(file);
        } else {
            kept.push(SealedLog {
                first_frame,
                last_frame: next - 1,
                bytes,
            });
        }
    }
    (removed, kept)
}

/// Removes the temporary file of an unfinished seal, which never holds a frame. Returns true if there was one.
///
/// # Errors
/// If the file belongs to another log, or cannot be removed.
pub(crate) fn remove_sealing(
    storage: &dyn Storage,
    name: &str,
    log: &FileHeader,
) -> io::Result<bool> {
    let temp = sealing_name(name);
    let Some(file) = storage.open(&temp)? else {
        return Ok(false);
    };
    if read_header(&*file, &temp).is_ok_and(|header| header.file_id != log.file_id) {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    drop(file);
    storage.remove(&temp)?;
    Ok(true)
}
