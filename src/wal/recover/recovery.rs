//! The verdict on the end of a log: decided here from what was read, and carried out elsewhere. Pure.

use std::collections::VecDeque;

use crate::wal::format::{FRAME_ALIGNMENT, FRAME_MAGIC, FrameHeader};

/// Suffix of the file that keeps a cut-off unfinished end, after the name of the log.
pub const TORN_SUFFIX: &str = ".torn";

/// Report of an opening: what it found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovery {
    /// True if there was no log and a new one was created.
    pub created: bool,
    /// True if the log ends with a clean close, or is new.
    pub clean_close: bool,
    /// Whole frames that were read, of all kinds, from sealed logs and the log itself.
    pub frames: u64,
    /// Bytes of those frames and of the headers of files.
    pub bytes: u64,
    /// Frames that were checked and passed over, because the checkpoint covers them.
    pub covered_frames: u64,
    /// Number of sealed logs that were read.
    pub sealed_logs: usize,
    /// True if an interrupted seal was finished.
    pub seal_finished: bool,
    /// Files left by an earlier stop that are not needed and were removed.
    pub leftovers: Vec<String>,
    /// The unfinished end that was cut off after the frames.
    pub torn: Option<TornTail>,
    /// Frames that were rewritten, because nothing told that they had been synced.
    pub rewritten_frames: u64,
    /// The number of the last frame; one below the first if there is none.
    pub last_frame: u64,
    /// The highest frame that the log itself reported as synced, before any frame was rewritten.
    pub known_synced: u64,
}

/// The unfinished end of a log, which was never known to be synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// Byte offset where it began.
    pub offset: u64,
    /// Bytes of the unfinished end, up to the last that was not zero.
    pub bytes: u64,
    /// The file beside the log that now holds these bytes. Only the newest is kept.
    pub kept_as: String,
}

/// Verdict on the bytes after the last whole frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There is nothing, or only zeros that were written ahead.
    Clean,
    /// There is a group that was being written when the machine stopped.
    Torn {
        /// Bytes of the group, up to the last that is not zero.
        bytes: u64,
    },
    /// Frames are damaged that were known to survive a power cut.
    Corrupt,
    /// There is nothing, or only zeros, in place of frames that the checkpoint covers.
    Behind,
}

/// Summary of the bytes from the first bad frame to the end of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rest {
    /// The highest frame that any header in the rest tells to be synced; 0 if there is no header.
    pub known_synced: u64,
    /// Offset after the last byte that is not zero; 0 if all are.
    pub nonzero_end: u64,
}

impl Rest {
    /// Takes in `chunk`, which is at `offset` of the file, a multiple of the alignment of frames. Chunks may overlap.
    /// Only headers are looked for: a valid one was written by this log, so its statement about syncs is true, even if
    /// its body is damaged.
    pub fn absorb(&mut self, chunk: &[u8], salt: u64, offset: u64) {
        let mut words = chunk.chunks_exact(FRAME_ALIGNMENT);
        for (index, word) in words.by_ref().enumerate() {
            if word.iter().all(|byte| *byte == 0) {
                continue;
            }
            let at = index * FRAME_ALIGNMENT;
            self.note_nonzero(word, offset + at as u64);
            if word.starts_with(&FRAME_MAGIC)
                && let Some(rest) = chunk.get(at..)
                && let Some(header) = FrameHeader::decode(rest, salt, offset + at as u64)
            {
                self.known_synced = self.known_synced.max(header.known_synced);
            }
        }
        let remainder = words.remainder();
        self.note_nonzero(remainder, offset + (chunk.len() - remainder.len()) as u64);
    }

    fn note_nonzero(&mut self, bytes: &[u8], offset: u64) {
        if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
            self.nonzero_end = self.nonzero_end.max(offset + last as u64 + 1);
        }
    }
}

/// Judges the bytes after the last whole frame. `expected`: the number that the next frame would have had; `offset`:
/// where it would have begun; `known_synced`: the highest frame reported as synced before it; `covers_frame`: the last
/// frame that the checkpoint covers, which was synced before there was a checkpoint.
pub fn verdict(
    expected: u64,
    offset: u64,
    known_synced: u64,
    covers_frame: u64,
    rest: &Rest,
) -> Verdict {
    let has_bytes = rest.nonzero_end > offset;
    if expected <= known_synced.max(rest.known_synced) || (has_bytes && expected <= covers_frame) {
        Verdict::Corrupt
    } else if expected <= covers_frame {
        Verdict::Behind
    } else if has_bytes {
        Verdict::Torn {
            bytes: rest.nonzero_end - offset,
        }
    } else {
        Verdict::Clean
    }
}

/// Approximate places of the frames that are not yet reported as synced, in memory that does not grow with the number
/// of frames: one mark for each stretch of the file.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    marks: VecDeque<Mark>,
}

/// A frame's number and the offset where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) number: u64,
    pub(crate) offset: u64,
}

impl Marks {
    /// Least distance of two marks, in bytes: 16 bytes of memory for each, and no more than this is read again to find
    /// the frame itself.
    const SPACING_BYTES: u64 = 64 << 10;

    /// Takes in a frame whose header tells that all frames up to `known_synced` survive.
    pub(crate) fn note(&mut self, frame: Mark, known_synced: u64) {
        if self
            .marks
            .back()
            .is_none_or(|last| frame.offset >= last.offset + Self::SPACING_BYTES)
        {
            self.marks.push_back(frame);
        }
        while self
            .marks
            .get(1)
            .is_some_and(|second| second.number <= known_synced + 1)
        {
            self.marks.pop_front();
        }
    }

    /// A frame at or before the first that is not reported as synced.
    pub(crate) fn first(&self) -> Option<Mark> {
        self.marks.front().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(known_synced: u64, nonzero_end: u64) -> Rest {
        Rest {
            known_synced,
            nonzero_end,
        }
    }

    #[test]
    fn zeros_are_the_clean_end() {
        assert_eq!(verdict(5, 100, 4, 4, &rest(0, 0)), Verdict::Clean);
    }

    #[test]
    fn what_a_checkpoint_covers_was_synced() {
        assert_eq!(verdict(5, 100, 4, 5, &rest(0, 0)), Verdict::Behind);
        assert_eq!(verdict(5, 100, 4, 5, &rest(0, 101)), Verdict::Corrupt);
        assert_eq!(verdict(5, 100, 5, 9, &rest(0, 0)), Verdict::Corrupt);
    }

    #[test]
    fn bytes_that_nobody_knew_to_be_synced_are_torn() {
        assert_eq!(
            verdict(5, 100, 4, 0, &rest(4, 140)),
            Verdict::Torn { bytes: 40 }
        );
    }

    #[test]
    fn a_frame_that_was_known_synced_is_damaged_whoever_tells() {
        assert_eq!(verdict(5, 100, 4, 0, &rest(5, 140)), Verdict::Corrupt);
        assert_eq!(verdict(5, 100, 5, 0, &rest(0, 0)), Verdict::Corrupt);
    }

    #[test]
    fn headers_are_found_at_any_aligned_place_and_nonzero_bytes_anywhere() {
        let header = FrameHeader {
            body_bytes: 9,
            number: 12,
            known_synced: 11,
            kind: 1,
            flags: 0,
        };
        let mut chunk = vec![0; 99];
        chunk[24..56].copy_from_slice(&header.encode(3, 1024 + 24));
        let mut found = Rest::default();
        found.absorb(&chunk, 3, 1024);
        assert_eq!(found, rest(11, 1024 + 56));
        chunk[98] = 1;
        found.absorb(&chunk, 3, 1024);
        assert_eq!(found.nonzero_end, 1024 + 99);
        let mut elsewhere = Rest::default();
        elsewhere.absorb(&chunk, 3, 2048);
        assert_eq!(elsewhere.known_synced, 0);
    }

    #[test]
    fn marks_stay_few_and_never_pass_the_first_unsynced_frame() {
        let mut marks = Marks::default();
        for number in 1..=10_000 {
            let offset = number * 100;
            marks.note(Mark { number, offset }, 0);
        }
        assert!(marks.marks.len() < 20);
        assert_eq!(marks.first().unwrap().number, 1);
        let last = Mark {
            number: 10_001,
            offset: 1_000_100,
        };
        marks.note(last, 5_000);
        let first = marks.first().unwrap();
        assert!(first.number <= 5_001 && first.offset + Marks::SPACING_BYTES + 100 > 500_100);
    }
}
