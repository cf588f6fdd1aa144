//! Salvage: finds every whole frame of a file, whatever is damaged around it.

use std::io;

use parking_lot::Mutex;

use super::lost_header::recover_salt;
use super::part::open_error;
use super::reader::{FrameReader, READ_BYTES};
use super::scan::{RecoveredFrame, read_error, read_header};
use crate::disk::storage::{Storage, StorageFile, read_full};
use crate::wal::error::WalError;
use crate::wal::format::{
    FILE_HEADER_BYTES, FLAG_MAY_BE_IGNORED, FRAME_ALIGNMENT, FRAME_HEADER_BYTES, FRAME_MAGIC,
    FrameHeader, FrameKind,
};

/// Bytes read at once where a larger piece could not be read: the sector of a usual disk.
const SECTOR_BYTES: usize = 4 << 10;

/// A part of a file that cannot be read any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRange {
    /// The file, as users know it.
    pub file: String,
    /// Offset where the range begins.
    pub from_offset: u64,
    /// Offset where readable data goes on, or the file ends.
    pub to_offset: u64,
    /// Why it is lost.
    pub reason: &'static str,
}

/// Hands each whole group of the file `name` to `visit`, with a flag that is true if anything before it in the file is
/// lost. Returns the lost ranges. A damaged header is no hindrance as long as one frame is whole.
///
/// # Errors
/// If the file is missing, is not a log and holds no frame of one, or needs a newer version.
pub fn read_readable(
    storage: &dyn Storage,
    name: &str,
    visit: &mut dyn FnMut(RecoveredFrame<'_>, bool),
) -> Result<Vec<LostRange>, WalError> {
    let shown = storage.shown(name);
    let opened = storage.open(name);
    let opened = opened.map_err(|error| open_error(&shown, error))?;
    let Some(file) = opened else {
        return Err(WalError::MissingPart { file: shown });
    };
    let file = Tolerant::new(&*file);
    let end = file.len().map_err(|error| read_error(&shown, 0, error))?;
    let mut walk = Walk {
        file: &file,
        shown: &shown,
        end,
        salt: 0,
        first_in_file: None,
        lost: Vec::new(),
    };
    match read_header(&file, &shown) {
        Ok(header) => {
            walk.salt = header.salt;
            walk.first_in_file = Some(header.first_frame);
        }
        Err(error @ WalError::NewerVersion { .. }) => return Err(error),
        Err(error) => {
            let salt = recover_salt(&file, end).map_err(|error| read_error(&shown, 0, error))?;
            match salt {
                Some(salt) => walk.salt = salt,
                None if matches!(error, WalError::Foreign { .. }) => return Err(error),
                None => {}
            }
            walk.lose(
                0,
                end.min(FILE_HEADER_BYTES as u64),
                "the header is damaged",
            );
        }
    }
    walk.run(visit)
        .map_err(|error| read_error(&shown, 0, error))?;
    let mut lost = walk.lost;
    lost.extend(file.unreadable.into_inner().into_iter().map(|from| {
        let to_offset = end.min(from + SECTOR_BYTES as u64);
        LostRange {
            file: shown.clone(),
            from_offset: from,
            to_offset,
            reason: "the disk does not give it",
        }
    }));
    Ok(lost)
}

struct Walk<'a> {
    file: &'a Tolerant<'a>,
    shown: &'a str,
    end: u64,
    salt: u64,
    first_in_file: Option<u64>,
    lost: Vec<LostRange>,
}

impl Walk<'_> {
    fn lose(&mut self, from_offset: u64, to_offset: u64, reason: &'static str) {
        self.lost.push(LostRange {
            file: self.shown.to_owned(),
            from_offset,
            to_offset,
            reason,
        });
    }

    fn run(&mut self, visit: &mut dyn FnMut(RecoveredFrame<'_>, bool)) -> io::Result<()> {
        let mut at = FILE_HEADER_BYTES as u64;
        while at < self.end {
            at = self.run_of_frames(at, visit)?;
            let (next, nonzero_end) = self.next_frame(at)?;
            if nonzero_end > at {
                self.lose(at, next.unwrap_or(nonzero_end), "no whole frame is there");
            }
            let Some(next) = next else { break };
            at = next;
        }
        Ok(())
    }

    /// Hands on the whole frames from `at` on. Returns the offset of their end.
    fn run_of_frames(
        &mut self,
        at: u64,
        visit: &mut dyn FnMut(RecoveredFrame<'_>, bool),
    ) -> io::Result<u64> {
        let mut reader = FrameReader::new(self.file, self.salt, at, self.end);
        let mut unknown = Vec::new();
        loop {
            let offset = reader.offset();
            let Some(frame) = reader.next_of_any_number()? else {
                break;
            };
            let first_in_file = *self.first_in_file.get_or_insert(frame.header.number);
            match FrameKind::of(frame.header.kind) {
                Some(FrameKind::Group) => visit(
                    RecoveredFrame {
                        file: self.shown,
                        first_in_file,
                        is_covered: false,
                        number: frame.header.number,
                        offset,
                        body: frame.body,
                    },
                    !self.lost.is_empty(),
                ),
                None if frame.header.flags & FLAG_MAY_BE_IGNORED == 0 => {
                    unknown.push((offset, offset + frame.header.frame_bytes() as u64));
                }
                _ => {}
            }
        }
        let end = reader.offset();
        for (from, to) in unknown {
            self.lose(from, to, "it needs a newer version");
        }
        Ok(end)
    }

    /// Offset of the next whole frame after `at`, if any, and the end of the non-zero bytes before it.
    fn next_frame(&self, at: u64) -> io::Result<(Option<u64>, u64)> {
        let mut buffer = vec![0; READ_BYTES];
        let mut nonzero_end = 0;
        let mut from = at;
        while from < self.end {
            let left = usize::try_from(self.end - from).unwrap_or(READ_BYTES);
            let room = buffer.get_mut(..left.min(READ_BYTES)).unwrap_or_default();
            let count = read_full(self.file, from, room)?;
            let chunk = room.get(..count).unwrap_or_default();
            for (index, word) in chunk.chunks(FRAME_ALIGNMENT).enumerate() {
                let place = index * FRAME_ALIGNMENT;
                let offset = from + place as u64;
                if word.starts_with(&FRAME_MAGIC)
                    && offset > at
                    && self.is_frame(chunk.get(place..).unwrap_or_default(), offset)?
                {
                    return Ok((Some(offset), nonzero_end));
                }
                if let Some(last) = word.iter().rposition(|byte| *byte != 0) {
                    nonzero_end = nonzero_end.max(offset + last as u64 + 1);
                }
            }
            if count < READ_BYTES {
                break;
            }
            // A header may lie across the end of a chunk, so the next one begins a header earlier.
            from += (count - FRAME_HEADER_BYTES) as u64;
        }
        Ok((None, nonzero_end))
    }

    fn is_frame(&self, bytes: &[u8], offset: u64) -> io::Result<bool> {
        if FrameHeader::decode(bytes, self.salt, offset).is_none() {
            return Ok(false);
        }
        let mut reader = FrameReader::new(self.file, self.salt, offset, self.end);
        Ok(reader.next_of_any_number()?.is_some())
    }
}

/// A file that reads as zeros where the disk fails, and remembers those places.
struct Tolerant<'a> {
    file: &'a dyn StorageFile,
    /// Offsets of the sectors that could not be read, ascending, each once.
    unreadable: Mutex<Vec<u64>>,
}

impl<'a> Tolerant<'a> {
    fn new(file: &'a dyn StorageFile) -> Self {
        Self {
            file,
            unreadable: Mutex::default(),
        }
    }

    /// Reads up to the end of the sector at most; zeros if that fails too.
    fn read_sector(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let begin = offset - offset % SECTOR_BYTES as u64;
        let end = self.file.len().unwrap_or(offset);
        let left = (begin + SECTOR_BYTES as u64).min(end) - offset.min(end);
        let count = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let room = buffer.get_mut(..count).unwrap_or_default();
        self.file.read_at(offset, room).unwrap_or_else(|_| {
            room.fill(0);
            let mut unreadable = self.unreadable.lock();
            if let Err(place) = unreadable.binary_search(&begin) {
                unreadable.insert(place, begin);
            }
            count
        })
    }
}

impl StorageFile for Tolerant<'_> {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let whole = self.file.read_at(offset, buffer);
        Ok(whole.unwrap_or_else(|_| self.read_sector(offset, buffer)))
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, _bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}
