//! Opening of a log: creates a new one, or reads an old one with the sealed logs before it, carries out the verdict on
//! its end, and makes sure that everything it serves survives a power cut.

use std::io;

use super::chain::{self, Break, SealedEnd};
use super::part::{Part, open_error, unrelated};
use super::recovery::{Recovery, TORN_SUFFIX, TornTail, Verdict};
use super::repair::{keep_aside, recover_error, settle};
use super::scan::{RecoveredFrame, Scan, scan};
use crate::disk::storage::{Storage, replace_file};
use crate::wal::error::WalError;
use crate::wal::files::leftovers::{remove_covered, remove_sealing};
use crate::wal::format::FileHeader;
use crate::wal::log::Log;
use crate::wal::log::segment::{
    SealedFiles, SealedLog, checkpoint_name, sealed_name, sealing_name,
};

/// The number of the first frame of a new log.
const FIRST_FRAME: u64 = 1;

/// Receives every group that is read.
type Visit<'v, E> = dyn FnMut(RecoveredFrame<'_>) -> Result<(), E> + 'v;

impl Log {
    /// Checks for a log before its lock is taken: `false` if there is no file of that name, and no interrupted seal
    /// left one to take the name; an error if there is a file that is not a log. Changes nothing.
    pub fn probe(storage: &dyn Storage, name: &str) -> Result<bool, WalError> {
        Ok(Part::found(storage, name)?.is_some())
    }

    /// Id of the log that is there; `None` if there is none. Changes nothing.
    ///
    /// # Errors
    /// The errors of [`probe`](Self::probe).
    pub fn file_id(storage: &dyn Storage, name: &str) -> Result<Option<[u8; 16]>, WalError> {
        let active = Part::found(storage, name)?;
        Ok(active.map(|active| active.header.file_id))
    }

    /// Opens the log `name`, and creates it if there is no file of it. `salt` and `file_id` are random and used only
    /// for a new one. `covers_frame`: the last frame that a durable checkpoint covers, 0 without one. `visit` receives
    /// every group in order, from the sealed logs and from the log itself, before anything is changed; its first error
    /// ends the opening and is returned. Groups that the checkpoint covers are visited only where they lie in one file
    /// with later ones, and are marked as covered.
    ///
    /// When it returns, every visited group survives a power cut, an unfinished end is kept aside, cut off and
    /// reported, and sealed logs that the checkpoint covers are gone.
    ///
    /// # Errors
    /// A file that is not a log, that needs a newer version, or whose acknowledged part is damaged, is refused and
    /// left as it is. So is one that cannot be read, or whose unfinished end cannot be kept aside. So are files that
    /// are not one log together: one is missing, belongs to another log, or is older than the rest.
    pub fn open<E: From<WalError>>(
        storage: &dyn Storage,
        name: &str,
        salt: u64,
        file_id: [u8; 16],
        covers_frame: u64,
        visit: &mut Visit<'_, E>,
    ) -> Result<(Self, Recovery), E> {
        let shown = storage.shown(name);
        let failed = |error| open_error(&shown, error);
        let (active, beside) = Part::active(storage, name)?;
        if let Some(active) = active {
            return reopen(storage, name, active, beside, covers_frame, visit);
        }
        if covers_frame > 0 || beside.any(name).is_some() {
            return Err(WalError::MissingPart { file: shown }.into());
        }
        let header = FileHeader::new(salt, file_id, FIRST_FRAME);
        create(storage, name, &header).map_err(failed)?;
        let (Some(active), beside) = Part::active(storage, name)? else {
            return Err(failed(io::ErrorKind::NotFound.into()).into());
        };
        // The new log is read like any other: a write made a moment ago is checked the same way.
        let (log, mut recovery) = reopen(storage, name, active, beside, covers_frame, visit)?;
        recovery.created = true;
        recovery.clean_close = true;
        Ok((log, recovery))
    }
}

/// Creates the file in one step that a crash cannot halve, so that a log always has a whole header.
fn create(storage: &dyn Storage, name: &str, header: &FileHeader) -> io::Result<()> {
    let bytes = header.encode();
    replace_file(storage, name, &mut |file| file.write_at(0, &bytes))
}

fn reopen<E: From<WalError>>(
    storage: &dyn Storage,
    name: &str,
    active: Part,
    beside: SealedFiles,
    covers_frame: u64,
    visit: &mut Visit<'_, E>,
) -> Result<(Log, Recovery), E> {
    let mut covered = beside.first_frames;
    let needed = chain::needed(&covered, active.header.first_frame, covers_frame)
        .map_err(|fault| older(storage, name, &active, fault))?;
    let needed = covered.split_off(needed);
    let mut recovery = Recovery::default();
    let mut sealed = Vec::new();
    let parts = open_needed(storage, name, &needed, &active)?;
    let nexts = parts.iter().skip(1).chain([&active]);
    for (part, next) in parts.iter().zip(nexts) {
        let found = scan(&*part.file, &part.shown, covers_frame, visit)?;
        let end = SealedEnd {
            header: found.header,
            last_frame: found.last_frame,
            end: found.end,
            verdict: found.verdict,
        };
        chain::goes_on(&end, &next.header)
            .map_err(|fault| broken(storage, name, fault, part, next))?;
        recovery.sealed_logs += 1;
        count(&mut recovery, &found);
        sealed.push(SealedLog {
            first_frame: found.header.first_frame,
            last_frame: found.last_frame,
            bytes: found.file_bytes,
        });
    }
    drop(parts);
    let found = scan(&*active.file, &active.shown, covers_frame, visit)?;
    count(&mut recovery, &found);
    recovery.torn = torn_tail(&found, name, &active.shown)?;
    recovery.last_frame = found.last_frame;
    recovery.known_synced = found.known_synced;
    recovery.clean_close = found.closed && recovery.torn.is_none();

    // Everything is read and valid; from here on files are changed.
    let shown = storage.shown(name);
    repair(storage, name, &active, &found, &covered, &mut recovery)
        .map_err(|error| recover_error(&shown, error))?;
    recovery.rewritten_frames = settle(&*active.file, &found, &shown)?;
    let file_bytes = recovery
        .torn
        .as_ref()
        .map_or(found.file_bytes, |torn| torn.offset);

    let next = needed.first().copied();
    let next = next.unwrap_or(active.header.first_frame);
    let (removed, kept) = remove_covered(storage, name, &covered, next, &active.header);
    recovery.leftovers = removed;
    sealed.splice(0..0, kept);
    let is_stale = beside.is_sealing && !active.is_sealing;
    if is_stale && remove_sealing(storage, name, &active.header).unwrap_or(false) {
        recovery.leftovers.push(sealing_name(name));
    }
    if !recovery.leftovers.is_empty() {
        // Best effort, like the removals: the next opening meets files that come back.
        let _ = storage.sync_directory();
    }
    let names = (name.to_owned(), shown);
    let log = Log::resume(
        names,
        active.file,
        &found,
        file_bytes,
        sealed,
        storage.anchor(),
    );
    Ok((log, recovery))
}

/// Finishes an interrupted seal, and cuts off an unfinished end.
fn repair(
    storage: &dyn Storage,
    name: &str,
    active: &Part,
    found: &Scan,
    covered: &[u64],
    recovery: &mut Recovery,
) -> io::Result<()> {
    if active.is_sealing {
        storage.rename(&sealing_name(name), name)?;
        recovery.seal_finished = true;
    }
    if active.is_sealing || found.frames == 0 || !covered.is_empty() {
        // The process that created the file may have stopped before its name was durable; a file with frames was
        // opened before. The same goes for the checkpoint: its own name has to survive a power cut before covered
        // files are removed.
        storage.sync_directory()?;
    }
    if let Some(torn) = &recovery.torn {
        keep_aside(storage, &*active.file, torn)?;
        active.file.set_len(torn.offset)?;
    }
    Ok(())
}

fn open_needed(
    storage: &dyn Storage,
    name: &str,
    needed: &[u64],
    active: &Part,
) -> Result<Vec<Part>, WalError> {
    let mut parts = Vec::with_capacity(needed.len());
    for first_frame in needed {
        let part = Part::sealed(storage, name, *first_frame)?;
        if !part.is_of(&active.header) {
            return Err(unrelated(part.shown));
        }
        parts.push(part);
    }
    Ok(parts)
}

/// The error for names and headers that do not make one log.
pub(crate) fn older(storage: &dyn Storage, name: &str, active: &Part, fault: Break) -> WalError {
    if fault == Break::Missing(FIRST_FRAME) {
        // It is unknown whether the frame was in a checkpoint or in a file of the log: both are gone.
        return WalError::MissingCheckpoint {
            file: storage.shown(&checkpoint_name(name)),
            sealed: storage.shown(&sealed_name(name, FIRST_FRAME)),
        };
    }
    if let Break::Behind(frame) = fault {
        match Part::sealed(storage, name, frame) {
            Ok(part) if !part.is_of(&active.header) => return unrelated(part.shown),
            Ok(_) => {}
            Err(error) => return error,
        }
    }
    broken(storage, name, fault, active, active)
}

/// The error for a file `next` that does not continue `part`.
pub(crate) fn broken(
    storage: &dyn Storage,
    name: &str,
    fault: Break,
    part: &Part,
    next: &Part,
) -> WalError {
    match fault {
        Break::Missing(frame) => WalError::MissingPart {
            file: storage.shown(&sealed_name(name, frame)),
        },
        Break::Behind(frame) => WalError::Behind {
            file: part.shown.clone(),
            frame,
        },
        Break::Corrupt(offset) => WalError::Corrupt {
            file: part.shown.clone(),
            offset,
        },
        Break::Unlinked => unrelated(next.shown.clone()),
    }
}

fn count(recovery: &mut Recovery, found: &Scan) {
    recovery.frames += found.frames;
    recovery.bytes += found.end;
    recovery.covered_frames += found.covered_frames;
}

fn torn_tail(found: &Scan, name: &str, shown: &str) -> Result<Option<TornTail>, WalError> {
    let file = shown.to_owned();
    match found.verdict {
        Verdict::Clean => Ok(None),
        Verdict::Torn { bytes } => Ok(Some(TornTail {
            offset: found.end,
            bytes,
            kept_as: format!("{name}{TORN_SUFFIX}"),
        })),
        Verdict::Corrupt => {
            let offset = found.end;
            Err(WalError::Corrupt { file, offset })
        }
        Verdict::Behind => {
            let frame = found.last_frame + 1;
            Err(WalError::Behind { file, frame })
        }
    }
}
