//! Opens a log: makes a new one, or reads an old one, carries out the verdict on its end, and makes sure that
//! all that it serves survives a power cut.

use std::io;

use super::error::WalError;
use super::format::{FILE_HEADER_BYTES, FileHeader};
use super::log::Log;
use super::reader::{FrameReader, READ_BYTES};
use super::recovery::{Mark, Recovery, TORN_SUFFIX, TornTail, Verdict};
use super::scan::{RecoveredFrame, Scan, read_error, read_header, scan};
use super::storage::{Storage, StorageFile, read_full, replace_file};

/// The number of the first frame of a new log.
const FIRST_FRAME: u64 = 1;

impl Log {
    /// Whether a log is there, for callers that must know before they take its lock: `false` if there is no
    /// file of that name, an error if there is one that is not a log of ours. Changes nothing.
    pub fn probe(storage: &dyn Storage, name: &str) -> Result<bool, WalError> {
        let shown = storage.shown(name);
        let file = storage
            .open(name)
            .map_err(|error| open_error(&shown, error))?;
        file.map_or(Ok(false), |file| read_header(&*file, &shown).map(|_| true))
    }

    /// Opens the log of that name, and makes it if there is no such file. `salt` and `file_id` are random and
    /// used only for a new one. `visit` is given every group in order, before anything is changed; its first
    /// error ends the opening and is handed on.
    ///
    /// When it returns, every group that was visited survives a power cut, and whatever was unfinished behind
    /// them is kept aside, cut off and reported.
    ///
    /// # Errors
    /// A file that is not a log, that needs a newer version, or whose acknowledged part is damaged, is refused
    /// and left as it is. So is one that cannot be read, or whose unfinished end cannot be kept aside.
    pub fn open<E: From<WalError>>(
        storage: &dyn Storage,
        name: &str,
        salt: u64,
        file_id: [u8; 16],
        visit: &mut dyn FnMut(RecoveredFrame<'_>) -> Result<(), E>,
    ) -> Result<(Self, Recovery), E> {
        let shown = storage.shown(name);
        let failed = |error| open_error(&shown, error);
        if let Some(file) = storage.open(name).map_err(failed)? {
            return reopen(storage, name, &shown, file, visit);
        }
        let header = FileHeader::new(salt, file_id, FIRST_FRAME);
        create(storage, name, &header).map_err(failed)?;
        let Some(file) = storage.open(name).map_err(failed)? else {
            return Err(failed(io::ErrorKind::NotFound.into()).into());
        };
        // Read like any other: what was written a moment ago is checked the same way.
        let (log, mut recovery) = reopen(storage, name, &shown, file, visit)?;
        recovery.created = true;
        recovery.clean_close = true;
        Ok((log, recovery))
    }
}

/// Makes the file in one step that a crash cannot halve, so that a log always has a whole header.
fn create(storage: &dyn Storage, name: &str, header: &FileHeader) -> io::Result<()> {
    let bytes = header.encode();
    replace_file(storage, name, &mut |file| file.write_at(0, &bytes))
}

fn reopen<E: From<WalError>>(
    storage: &dyn Storage,
    name: &str,
    shown: &str,
    file: Box<dyn StorageFile>,
    visit: &mut dyn FnMut(RecoveredFrame<'_>) -> Result<(), E>,
) -> Result<(Log, Recovery), E> {
    let found = scan(&*file, shown, visit)?;
    if found.frames == 0 {
        // Whoever made it may have stopped before its name was durable. Once it holds frames, it was opened.
        storage
            .sync_directory()
            .map_err(|error| recover_error(shown, error))?;
    }
    let torn = match found.verdict {
        Verdict::Clean => None,
        Verdict::Torn { bytes } => Some(TornTail {
            offset: found.end,
            bytes,
            kept_as: format!("{name}{TORN_SUFFIX}"),
        }),
        Verdict::Corrupt => {
            let file = shown.to_owned();
            let offset = found.end;
            return Err(WalError::Corrupt { file, offset }.into());
        }
    };
    let mut file_bytes = found.file_bytes;
    if let Some(torn) = &torn {
        keep_aside(storage, &*file, torn)
            .and_then(|()| file.set_len(torn.offset))
            .map_err(|error| recover_error(shown, error))?;
        file_bytes = torn.offset;
    }
    let rewritten_frames = settle(&*file, &found, shown)?;
    let recovery = Recovery {
        created: false,
        clean_close: found.closed && torn.is_none(),
        frames: found.frames,
        bytes: found.end,
        torn,
        rewritten_frames,
        last_frame: found.last_frame,
        known_synced: found.known_synced,
    };
    Ok((Log::resume(file, &found, file_bytes), recovery))
}

/// Copies the unfinished end of the log to its own file, durably, before it is cut off.
fn keep_aside(storage: &dyn Storage, file: &dyn StorageFile, torn: &TornTail) -> io::Result<()> {
    replace_file(storage, &torn.kept_as, &mut |kept| {
        copy(file, torn.offset, torn.bytes, &mut |done, chunk| {
            kept.write_at(done, chunk)
        })
    })
}

/// After an unclean stop, writes all frames that nothing tells to be synced anew, and syncs: after a failed
/// sync the system may call pages clean that never reached the disk, and syncing those again proves nothing.
/// Says how many frames that were.
fn settle(file: &dyn StorageFile, found: &Scan, shown: &str) -> Result<u64, WalError> {
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
    // The length too: it may have been cut just now, or grown by the run that stopped.
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
            // It was whole a moment ago.
            let error = io::Error::other("the file changed while it was read");
            return Err(read_error(shown, at, error));
        }
    }
    Ok(reader.offset())
}

/// Hands `bytes` bytes from `offset` to `write` in chunks, each with how many were handed over before.
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

fn open_error(shown: &str, error: io::Error) -> WalError {
    WalError::Open {
        file: shown.to_owned(),
        cause: error.into(),
    }
}

fn recover_error(shown: &str, error: io::Error) -> WalError {
    WalError::Recover {
        file: shown.to_owned(),
        cause: error.into(),
    }
}
