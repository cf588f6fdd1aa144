//! Checks that several files are one log: which of them are needed, and that each continues the one before. Pure.

use super::recovery::Verdict;
use crate::wal::format::FileHeader;

/// Reason why files are not one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// No file holds this frame, which is needed.
    Missing(u64),
    /// The active log is older than the files beside it; it lacks this frame.
    Behind(u64),
    /// This sealed log is damaged at this offset.
    Corrupt(u64),
    /// The next file does not continue this one.
    Unlinked,
}

/// Index of the first needed sealed log, or their number if none is needed; the checkpoint wholly covers those before
/// it. Decided by the first frames alone, so that files that are not needed need not be read. `sealed`: first frames
/// of the sealed logs, ascending; `active`: that of the active log.
pub(crate) fn needed(sealed: &[u64], active: u64, covers_frame: u64) -> Result<usize, Break> {
    if let Some(last) = sealed.last().filter(|last| **last >= active) {
        return Err(Break::Behind(*last));
    }
    let ends = sealed.iter().skip(1).chain([&active]).map(|next| next - 1);
    let ends = ends.take(sealed.len());
    let covered = ends.take_while(|last| *last <= covers_frame).count();
    let first = sealed.get(covered).unwrap_or(&active);
    if *first > covers_frame.saturating_add(1) {
        return Err(Break::Missing(covers_frame + 1));
    }
    Ok(covered)
}

/// Header and end of a sealed log, as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SealedEnd {
    pub(crate) header: FileHeader,
    pub(crate) last_frame: u64,
    pub(crate) end: u64,
    pub(crate) verdict: Verdict,
}

/// Checks that the file with the header `next` continues a sealed log. All of that log was synced before `next` was
/// created, so any fault in it is damage and never an interrupted write.
pub(crate) fn goes_on(sealed: &SealedEnd, next: &FileHeader) -> Result<(), Break> {
    let expected = sealed.last_frame + 1;
    let is_whole = sealed.verdict == Verdict::Clean;
    let is_linked = next.previous_salt == sealed.header.salt;
    if is_linked && expected <= next.first_frame {
        let is_complete = is_whole && expected == next.first_frame;
        return if is_complete {
            Ok(())
        } else {
            Err(Break::Corrupt(sealed.end))
        };
    }
    if expected >= next.first_frame {
        return Err(Break::Unlinked);
    }
    match sealed.verdict {
        Verdict::Torn { .. } | Verdict::Corrupt => Err(Break::Corrupt(sealed.end)),
        Verdict::Clean | Verdict::Behind => Err(Break::Missing(expected)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ends_before_the_checkpoint_does_is_not_needed() {
        for (covers, expected) in [(0, 0), (8, 0), (9, 1), (19, 2), (28, 2), (29, 3), (99, 3)] {
            assert_eq!(needed(&[1, 10, 20], 30, covers), Ok(expected), "{covers}");
        }
        assert_eq!(needed(&[], 1, 50), Ok(0));
    }

    #[test]
    fn the_first_needed_frame_must_be_in_the_first_file() {
        assert_eq!(needed(&[], 1, 0), Ok(0));
        assert_eq!(needed(&[], 10, 9), Ok(0));
        assert_eq!(needed(&[], 10, 8), Err(Break::Missing(9)));
        assert_eq!(needed(&[2], 10, 0), Err(Break::Missing(1)));
        assert_eq!(needed(&[1, 20], 30, 25), Ok(1));
        assert_eq!(needed(&[20], 30, 15), Err(Break::Missing(16)));
        assert_eq!(needed(&[1, 10], 10, 99), Err(Break::Behind(10)));
    }

    #[test]
    fn a_file_goes_on_where_and_behind_what_its_header_says() {
        let header = FileHeader::new(5, [1; 16], 1);
        let sealed = |last_frame, verdict| SealedEnd {
            header,
            last_frame,
            end: 800,
            verdict,
        };
        let next = header.following(6, 10);
        let clean = Verdict::Clean;
        let torn = Verdict::Torn { bytes: 3 };
        assert_eq!(goes_on(&sealed(9, clean), &next), Ok(()));
        for damaged in [sealed(8, clean), sealed(9, torn), sealed(8, torn)] {
            assert_eq!(goes_on(&damaged, &next), Err(Break::Corrupt(800)));
        }
        assert_eq!(goes_on(&sealed(10, clean), &next), Err(Break::Unlinked));
        let later = next.following(7, 20);
        assert_eq!(goes_on(&sealed(9, clean), &later), Err(Break::Missing(10)));
        assert_eq!(goes_on(&sealed(8, torn), &later), Err(Break::Corrupt(800)));
        let other = FileHeader::new(8, [1; 16], 1).following(9, 10);
        assert_eq!(goes_on(&sealed(9, clean), &other), Err(Break::Unlinked));
    }
}
