//! Reading of a log from its first byte to its last; changes nothing.

use super::reader::{FrameReader, look_ahead};
use super::recovery::{Mark, Marks, Verdict, verdict};
use crate::disk::storage::{StorageFile, read_full};
use crate::wal::error::WalError;
use crate::wal::format::{
    FILE_HEADER_BYTES, FLAG_MAY_BE_IGNORED, FileHeader, FileHeaderError, FrameKind,
};

/// A group as read back from the log.
#[derive(Debug, Clone, Copy)]
pub struct RecoveredFrame<'a> {
    /// The file of the group, as users know it.
    pub file: &'a str,
    /// The number of the first frame of that file: counters within one file begin anew when it changes.
    pub first_in_file: u64,
    /// True if the checkpoint covers the group: it tells nothing new, except to counters within its file.
    pub is_covered: bool,
    /// The number of the frame.
    pub number: u64,
    /// Byte offset of the frame in the file.
    pub offset: u64,
    /// The appended body.
    pub body: &'a [u8],
}

/// Content of one file of a log.
#[derive(Debug)]
pub struct Scan {
    /// The header of the file.
    pub header: FileHeader,
    /// Number of whole frames, of all kinds.
    pub frames: u64,
    /// Number of those that the checkpoint covers.
    pub covered_frames: u64,
    /// The number of the last whole frame; one below the first if there is none.
    pub last_frame: u64,
    /// The number of the last group; 0 if there is none.
    pub last_group: u64,
    /// Byte offset where the last whole frame ends.
    pub end: u64,
    /// Length of the file, in bytes.
    pub file_bytes: u64,
    /// The highest frame that whole frames tell to be synced.
    pub known_synced: u64,
    /// True if the last whole frame marks a clean close.
    pub closed: bool,
    /// Verdict on the bytes after the last whole frame.
    pub verdict: Verdict,
    pub(crate) first_unsynced: Option<Mark>,
}

impl Scan {
    /// The state of a scan that has read the header of a file and no frame yet.
    #[inline]
    fn behind_header(header: FileHeader, file_bytes: u64) -> Self {
        let before_first = header.first_frame - 1;
        Self {
            header,
            frames: 0,
            covered_frames: 0,
            last_frame: before_first,
            last_group: 0,
            end: FILE_HEADER_BYTES as u64,
            file_bytes,
            known_synced: before_first,
            closed: false,
            verdict: Verdict::Clean,
            first_unsynced: None,
        }
    }

    /// True if every frame is known to be synced, the last one too: a file is truncated to its mark of a clean close
    /// only after that mark was synced, and never ends there by chance.
    pub fn is_settled(&self) -> bool {
        self.closed && self.end == self.file_bytes
    }
}

/// Reads and checks the header of a file that users know as `shown`.
pub fn read_header(file: &dyn StorageFile, shown: &str) -> Result<FileHeader, WalError> {
    let foreign = |reason| WalError::Foreign {
        file: shown.to_owned(),
        reason,
    };
    let mut bytes = [0; FILE_HEADER_BYTES];
    let count = read_full(file, 0, &mut bytes).map_err(|error| read_error(shown, 0, error))?;
    if count == 0 {
        return Err(foreign("it is an empty file that is not a Softadastra log"));
    }
    FileHeader::decode(bytes.get(..count).unwrap_or_default()).map_err(|error| match error {
        FileHeaderError::Foreign => foreign("it is not a Softadastra log"),
        FileHeaderError::Damaged => WalError::Corrupt {
            file: shown.to_owned(),
            offset: 0,
        },
        FileHeaderError::Newer(version) => WalError::NewerVersion {
            file: shown.to_owned(),
            needs: format!("format version {version}"),
        },
    })
}

/// Reads the whole log and hands each group to `visit` in order; its first error ends the reading. Damage is no error
/// here but a [`Verdict`], which is known only at the end: the groups visited before are whole, but may not be all
/// there were. `covers_frame`: the last frame that a checkpoint covers, 0 without one.
pub fn scan<E: From<WalError>>(
    file: &dyn StorageFile,
    shown: &str,
    covers_frame: u64,
    visit: &mut dyn FnMut(RecoveredFrame<'_>) -> Result<(), E>,
) -> Result<Scan, E> {
    let header = read_header(file, shown)?;
    let file_bytes = file.len().map_err(|error| read_error(shown, 0, error))?;
    let mut scan = Scan::behind_header(header, file_bytes);
    let mut marks = Marks::default();
    let mut reader = FrameReader::new(file, header.salt, scan.end, file_bytes);
    loop {
        let at = reader.offset();
        let Some(frame) = reader
            .next(scan.last_frame + 1)
            .map_err(|error| read_error(shown, at, error))?
        else {
            break;
        };
        let number = frame.header.number;
        let kind = FrameKind::of(frame.header.kind);
        match kind {
            Some(FrameKind::Group) => {
                visit(RecoveredFrame {
                    file: shown,
                    first_in_file: header.first_frame,
                    is_covered: number <= covers_frame,
                    number,
                    offset: at,
                    body: frame.body,
                })?;
                scan.last_group = number;
            }
            Some(FrameKind::Watermark | FrameKind::Close) => {}
            None if frame.header.flags & FLAG_MAY_BE_IGNORED != 0 => {}
            None => {
                let needs = format!("frames of kind {} at byte offset {at}", frame.header.kind);
                let file = shown.to_owned();
                return Err(WalError::NewerVersion { file, needs }.into());
            }
        }
        scan.closed = kind == Some(FrameKind::Close);
        scan.known_synced = scan.known_synced.max(frame.header.known_synced);
        scan.end = frame.offset + frame.header.frame_bytes() as u64;
        scan.frames += 1;
        scan.covered_frames += u64::from(number <= covers_frame);
        scan.last_frame = number;
        marks.note(Mark { number, offset: at }, scan.known_synced);
    }
    let rest = look_ahead(file, header.salt, scan.end, file_bytes)
        .map_err(|error| read_error(shown, scan.end, error))?;
    scan.verdict = verdict(
        scan.last_frame + 1,
        scan.end,
        scan.known_synced,
        covers_frame,
        &rest,
    );
    if scan.is_settled() {
        scan.known_synced = scan.last_frame;
    } else {
        scan.first_unsynced = marks.first();
    }
    Ok(scan)
}

pub(crate) fn read_error(shown: &str, offset: u64, error: std::io::Error) -> WalError {
    WalError::Read {
        file: shown.to_owned(),
        offset,
        cause: error.into(),
    }
}
