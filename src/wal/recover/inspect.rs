//! Inspects all files of a log, changes none, and reports every fault instead of ending at the first.

use super::chain::{self, Break, SealedEnd};
use super::open::{broken, older};
use super::part::{Part, open_error};
use super::recovery::{TORN_SUFFIX, Verdict};
use super::scan::{RecoveredFrame, Scan, scan};
use crate::disk::storage::Storage;
use crate::wal::error::WalError;
use crate::wal::format::FileHeader;
use crate::wal::log::segment::{SealedFiles, sealed_name, sealing_name};

/// One inspected file of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectedFile {
    /// The file, as users know it.
    pub file: String,
    /// Length of the file, in bytes.
    pub bytes: u64,
    /// Whole frames in the file, up to the first that is not whole.
    pub frames: u64,
    /// True if no durable part of the file is damaged.
    pub is_whole: bool,
}

/// The unfinished end of a log, which the next opening keeps aside and cuts off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedEnd {
    /// The file, as users know it.
    pub file: String,
    /// Byte offset where the unfinished end begins.
    pub offset: u64,
    /// Bytes of the unfinished end, up to the last that is not zero.
    pub bytes: u64,
}

/// A harmless observation beside a whole log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// A stop interrupted a seal; the next opening finishes it.
    UnfinishedSeal(String),
    /// A leftover of a stop that nothing needs; the next opening or checkpoint removes it.
    Leftover(String),
    /// The kept unfinished end that an earlier opening cut off.
    KeptAside(String),
}

/// Result of an inspection.
#[derive(Debug, Default)]
pub struct Inspection {
    /// The files that make up the log, in the order of their frames.
    pub files: Vec<InspectedFile>,
    /// Faults, in the order of the files; at most one for each file and for each pair of them.
    pub problems: Vec<WalError>,
    /// Observations that are no faults.
    pub remarks: Vec<Remark>,
    /// The unfinished end that a stop left after the last whole frame.
    pub unfinished: Option<UnfinishedEnd>,
    /// Number of whole groups.
    pub groups: u64,
    /// True if there is an active file, readable or not.
    pub has_active: bool,
    /// Id of the log, if its header could be read.
    pub file_id: Option<[u8; 16]>,
}

/// Reads the whole log `name`, and hands each whole group in front of the first damage of its file to `visit`.
/// `covers_frame`: the last frame that the checkpoint covers, 0 without one.
///
/// # Errors
/// Only if the directory cannot be read; faults of files are in the inspection.
pub fn inspect(
    storage: &dyn Storage,
    name: &str,
    covers_frame: u64,
    visit: &mut dyn FnMut(RecoveredFrame<'_>),
) -> Result<Inspection, WalError> {
    let mut inspection = Inspection::default();
    let names = storage
        .list()
        .map_err(|error| open_error(&storage.shown(name), error))?;
    inspection.remark_leftovers(storage, name, &names);
    let beside = SealedFiles::among(name, &names);
    let active = match Part::active(storage, name) {
        Ok((active, _)) => active,
        Err(error) => {
            inspection.has_active = true;
            inspection.unreadable(storage, name, error);
            None
        }
    };
    inspection.has_active |= active.is_some();
    inspection.file_id = active.as_ref().map(|active| active.header.file_id);
    if beside.is_sealing {
        let file = storage.shown(&sealing_name(name));
        let is_next = active.as_ref().is_some_and(|active| active.is_sealing);
        inspection.remarks.push(if is_next {
            Remark::UnfinishedSeal(file)
        } else {
            Remark::Leftover(file)
        });
    }
    let needed = inspection.needed(storage, name, &beside, active.as_ref(), covers_frame);
    let mut parts = inspection.open_parts(storage, name, &needed);
    parts.extend(active);
    inspection.read_parts(storage, name, &parts, covers_frame, visit);
    Ok(inspection)
}

impl Inspection {
    fn remark_leftovers(&mut self, storage: &dyn Storage, name: &str, names: &[String]) {
        for suffix in [".new", ".lease.new", ".torn.new"] {
            let file = format!("{name}{suffix}");
            if names.contains(&file) {
                self.remarks.push(Remark::Leftover(storage.shown(&file)));
            }
        }
        let torn = format!("{name}{TORN_SUFFIX}");
        if names.contains(&torn) {
            self.remarks.push(Remark::KeptAside(storage.shown(&torn)));
        }
    }

    fn unreadable(&mut self, storage: &dyn Storage, name: &str, error: WalError) {
        let file = error
            .file()
            .map_or_else(|| storage.shown(name), str::to_owned);
        let length = storage.open(name).ok().flatten();
        self.files.push(InspectedFile {
            file,
            bytes: length.and_then(|file| file.len().ok()).unwrap_or(0),
            frames: 0,
            is_whole: false,
        });
        self.problems.push(error);
    }

    /// The first frames of the sealed logs that an opening would read; all of them where that cannot be told.
    fn needed(
        &mut self,
        storage: &dyn Storage,
        name: &str,
        beside: &SealedFiles,
        active: Option<&Part>,
        covers_frame: u64,
    ) -> Vec<u64> {
        let mut needed = beside.first_frames.clone();
        let Some(active) = active else { return needed };
        match chain::needed(&needed, active.header.first_frame, covers_frame) {
            Ok(covered) => {
                let later = needed.split_off(covered);
                for first_frame in needed {
                    let file = storage.shown(&sealed_name(name, first_frame));
                    self.remarks.push(Remark::Leftover(file));
                }
                later
            }
            Err(fault) => {
                self.problems.push(older(storage, name, active, fault));
                needed
            }
        }
    }

    fn open_parts(&mut self, storage: &dyn Storage, name: &str, needed: &[u64]) -> Vec<Part> {
        let mut parts = Vec::with_capacity(needed.len());
        for first_frame in needed {
            match Part::sealed(storage, name, *first_frame) {
                Ok(part) => parts.push(part),
                Err(error) => self.unreadable(storage, &sealed_name(name, *first_frame), error),
            }
        }
        parts
    }

    fn read_parts(
        &mut self,
        storage: &dyn Storage,
        name: &str,
        parts: &[Part],
        covers_frame: u64,
        visit: &mut dyn FnMut(RecoveredFrame<'_>),
    ) {
        let nexts = parts.iter().skip(1).map(Some).chain([None]);
        for (part, next) in parts.iter().zip(nexts) {
            let is_last = next.is_none() && self.has_active;
            let groups = &mut self.groups;
            let found = scan(&*part.file, &part.shown, covers_frame, &mut |frame| {
                *groups += 1;
                visit(frame);
                Ok::<_, WalError>(())
            });
            let found = match found {
                Ok(found) => found,
                Err(error) => {
                    self.unreadable(storage, &part.name, error);
                    continue;
                }
            };
            let fault = match next {
                Some(next) => link(storage, name, part, &found, next),
                None if is_last => end(part, &found),
                // The following file is gone or cannot be read, which is reported already.
                None => (found.verdict != Verdict::Clean).then(|| corrupt(part, &found)),
            };
            self.unfinished = match found.verdict {
                Verdict::Torn { bytes } if is_last => Some(UnfinishedEnd {
                    file: part.shown.clone(),
                    offset: found.end,
                    bytes,
                }),
                _ => self.unfinished.take(),
            };
            self.files.push(InspectedFile {
                file: part.shown.clone(),
                bytes: found.file_bytes,
                frames: found.frames,
                is_whole: !matches!(
                    fault,
                    Some(WalError::Corrupt { .. } | WalError::Behind { .. })
                ),
            });
            self.problems.extend(fault);
        }
    }
}

/// The fault of a file that another continues; `None` if there is none.
fn link(
    storage: &dyn Storage,
    name: &str,
    part: &Part,
    found: &Scan,
    next: &Part,
) -> Option<WalError> {
    let sealed = SealedEnd {
        header: found.header,
        last_frame: found.last_frame,
        end: found.end,
        verdict: found.verdict,
    };
    let fault = if belongs(&part.header, &next.header) {
        chain::goes_on(&sealed, &next.header).err()
    } else {
        Some(Break::Unlinked)
    };
    fault.map(|fault| broken(storage, name, fault, part, next))
}

fn belongs(one: &FileHeader, other: &FileHeader) -> bool {
    one.file_id == other.file_id
}

/// The fault of the active file; `None` if there is none.
fn end(part: &Part, found: &Scan) -> Option<WalError> {
    match found.verdict {
        Verdict::Clean | Verdict::Torn { .. } => None,
        Verdict::Corrupt => Some(corrupt(part, found)),
        Verdict::Behind => Some(WalError::Behind {
            file: part.shown.clone(),
            frame: found.last_frame + 1,
        }),
    }
}

fn corrupt(part: &Part, found: &Scan) -> WalError {
    WalError::Corrupt {
        file: part.shown.clone(),
        offset: found.end,
    }
}
