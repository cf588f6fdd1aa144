//! Intake: the room for writers and peers while a checkpoint is written (back-pressure). Requests without room wait,
//! and the progress of the checkpoint lets more in, so that none waits for all of it. Pure.

/// Progress of a finished checkpoint.
pub(in crate::node) const WHOLE: u32 = 1000;

/// Least room for the log while a checkpoint is written, in bytes: some groups of the largest size.
const LOG_ROOM_BYTES_MIN: u64 = 4 << 20;

/// Factor of `checkpoint_log_bytes` by which the log may grow while a checkpoint is written.
const LOG_ROOM_PART: u64 = 2;

/// Divisor of the memory for changes that gives the least free part beside a checkpoint: without it a node with large
/// values would stand still.
const MEMORY_ROOM_PART: u64 = 16;

/// Least room for dead bytes while a checkpoint is written, in bytes: where there are too many dead bytes already, as
/// after the removal of most of the data, writers proceed at its pace. It adds to the length of the files while the log
/// that a new checkpoint covers is removed, so it is small.
const DEAD_ROOM_BYTES_MIN: u64 = 256 << 10;

/// Divisor of the data that gives the room for dead bytes, if that is more than [`DEAD_ROOM_BYTES_MIN`].
const DEAD_ROOM_PART: u64 = 64;

/// Most bytes of all files in halves of the keys and values: two and a half times. The old checkpoint and the new one
/// stand beside each other for a moment, and dead bytes have the rest.
const FILES_HALVES_MAX: u64 = 5;

/// Part of the files that is not planned with, in bytes: a group under way, zeros written ahead of the log, and the log
/// behind a new checkpoint until it is removed.
const FILES_SLACK_BYTES: u64 = 3 << 20;

/// Divisor of the data that gives a further part that is not planned with: rows above the estimate, and zeros ahead of
/// a long log.
const FILES_SLACK_PART: u64 = 32;

/// Divisor of the data that gives the least room for dead bytes. Values of less than some 200 bytes leave none within
/// two and a half times: a row costs 32 bytes in either checkpoint. With less room than this, each overwritten byte
/// would have more than a dozen bytes of checkpoints written for it.
const DEAD_PART_LEAST: u64 = 6;

/// Length that all files may have together however little data there is, in bytes: some hundred thousand writes between
/// two checkpoints of a small store.
pub(in crate::node) const FILES_BYTES_SMALL: u64 = 32 << 20;

/// Divisor of the log's intended length that replaces [`FILES_BYTES_SMALL`], if that is more: a long log that was asked
/// for is allowed.
pub(in crate::node) const FILES_LOG_PART: u64 = 4;

/// Sizes of a store at one moment, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_field_names, reason = "the unit is part of each name")]
pub(in crate::node) struct Sizes {
    /// Length of all parts of the log.
    pub(in crate::node) log_bytes: u64,
    /// Live data, in the form of a checkpoint.
    pub(in crate::node) data_bytes: u64,
    /// Keys and values of the live data.
    pub(in crate::node) live_bytes: u64,
    /// Data in the checkpoint at its making.
    pub(in crate::node) checkpoint_bytes: u64,
    /// Memory of the changes since the checkpoint.
    pub(in crate::node) changed_bytes: u64,
}

impl Sizes {
    /// Dead bytes on disk: those beside the live data, because the log repeats or replaces data of the checkpoint.
    pub(in crate::node) fn dead_bytes(&self) -> u64 {
        let stands = self.log_bytes.saturating_add(self.checkpoint_bytes);
        stands.saturating_sub(self.data_bytes)
    }

    /// Most dead bytes beside the data and a new checkpoint of it, with a log of the intended length `log_limit`.
    pub(in crate::node) fn dead_bytes_max(&self, log_limit: u64) -> u64 {
        let slack = FILES_SLACK_BYTES + self.data_bytes / FILES_SLACK_PART;
        let files_max = (self.live_bytes / 2)
            .saturating_mul(FILES_HALVES_MAX)
            .saturating_sub(slack)
            .max(FILES_BYTES_SMALL)
            .max(log_limit / FILES_LOG_PART);
        files_max
            .saturating_sub(self.data_bytes.saturating_mul(2))
            .max(self.data_bytes / DEAD_PART_LEAST)
    }
}

/// Room for writers until a checkpoint has ended, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_field_names, reason = "the unit is part of each name")]
pub(in crate::node) struct Room {
    memory_bytes: u64,
    log_bytes: u64,
    /// Bytes that may be added on disk without adding to the data.
    dead_bytes: u64,
}

/// Treatment of writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::node) enum Intake {
    /// There is plenty of room.
    Free,
    /// The checkpoint must be written without pauses, because the room may end before it does.
    Hurried,
    /// No request is taken before the checkpoint has progressed.
    Held,
}

impl Room {
    /// The room beside a checkpoint that begins at `begun`, with `changes_bytes` of memory for changes and a log of the
    /// intended length `log_limit`.
    pub(in crate::node) fn beside(begun: Sizes, changes_bytes: u64, log_limit: u64) -> Self {
        // Changes during the checkpoint are in the old map and in the new one for a moment.
        let free = changes_bytes.saturating_sub(begun.changed_bytes) / 2;
        let dead_max = begun.dead_bytes_max(log_limit);
        let least = DEAD_ROOM_BYTES_MIN.max(begun.data_bytes / DEAD_ROOM_PART);
        Self {
            memory_bytes: free.max(changes_bytes / MEMORY_ROOM_PART),
            log_bytes: log_limit
                .saturating_mul(LOG_ROOM_PART)
                .max(LOG_ROOM_BYTES_MIN),
            dead_bytes: dead_max.saturating_sub(begun.dead_bytes()).max(least),
        }
    }

    /// The room beside a copy: it does not replace the log, which may grow meanwhile as far as there is memory.
    pub(in crate::node) fn beside_copy(begun: Sizes, changes_bytes: u64) -> Self {
        Self {
            log_bytes: u64::MAX,
            dead_bytes: u64::MAX,
            ..Self::beside(begun, changes_bytes, 0)
        }
    }

    /// Treatment of writers beside a checkpoint that began at `begun` and has that progress. Half of each room is open
    /// from the start; the other half opens with the progress.
    pub(in crate::node) fn intake(&self, begun: Sizes, now: Sizes, progress: u32) -> Intake {
        let log_bytes = now.log_bytes.saturating_sub(begun.log_bytes);
        let grown = now.data_bytes.saturating_sub(begun.data_bytes);
        let taken = [
            (
                now.changed_bytes.saturating_sub(begun.changed_bytes),
                self.memory_bytes,
            ),
            (log_bytes, self.log_bytes),
            (
                // New data may be in the log, and raises the limit of dead bytes.
                log_bytes.saturating_sub(grown.saturating_add(grown / DEAD_PART_LEAST)),
                self.dead_bytes,
            ),
        ];
        let of_each = taken.map(|(taken, room)| {
            if taken > open(room, progress) {
                Intake::Held
            } else if taken > room / 4 {
                Intake::Hurried
            } else {
                Intake::Free
            }
        });
        of_each.into_iter().max().unwrap_or(Intake::Free)
    }
}

/// The part of a room that is open at a progress.
fn open(room: u64, progress: u32) -> u64 {
    let later = room - room / 2;
    let progress = u64::from(progress.min(WHOLE));
    let whole = u64::from(WHOLE);
    room / 2 + later / whole * progress + later % whole * progress / whole
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn begun() -> Sizes {
        Sizes {
            log_bytes: 30 * MIB,
            data_bytes: 100 * MIB,
            live_bytes: 98 * MIB,
            checkpoint_bytes: 100 * MIB,
            changed_bytes: 40 * MIB,
        }
    }

    fn with(log: u64, data: u64, changed: u64) -> Sizes {
        Sizes {
            log_bytes: begun().log_bytes + log * MIB,
            data_bytes: begun().data_bytes + data * MIB,
            changed_bytes: begun().changed_bytes + changed * MIB,
            ..begun()
        }
    }

    #[test]
    fn memory_is_never_taken_beyond_the_budget() {
        let room = Room::beside(begun(), 80 * MIB, 64 * MIB);
        assert_eq!(
            room.memory_bytes,
            20 * MIB,
            "twice that and what there was are the budget"
        );
        let intake = |changed, progress| room.intake(begun(), with(0, 0, changed), progress);
        assert_eq!(intake(5, 0), Intake::Free);
        assert_eq!(intake(10, 0), Intake::Hurried);
        assert_eq!(intake(11, 0), Intake::Held);
        assert_eq!(intake(19, WHOLE), Intake::Hurried);
        assert_eq!(intake(21, WHOLE), Intake::Held);
    }

    #[test]
    fn a_checkpoint_that_goes_on_lets_more_in() {
        let room = Room::beside(begun(), 80 * MIB, 64 * MIB);
        let mut most = 0;
        for progress in (0..=WHOLE).step_by(50) {
            let taken = (0..100)
                .take_while(|mib| room.intake(begun(), with(0, 0, *mib), progress) != Intake::Held);
            let taken = taken.count();
            assert!(taken >= most);
            most = taken;
        }
        assert_eq!(most, 21, "up to the room, and nothing counts as one");
    }

    #[test]
    fn files_stand_at_two_and_a_half_of_keys_and_values_at_most() {
        let due = Sizes {
            log_bytes: 17 * MIB,
            ..begun()
        };
        let room = Room::beside(due, 1000 * MIB, 64 * MIB);
        let with = |log: u64, data: u64| Sizes {
            log_bytes: due.log_bytes + log * MIB,
            data_bytes: due.data_bytes + data * MIB,
            ..due
        };
        let (mut log, mut held) = (0, false);
        while !held {
            log += 1;
            held = room.intake(due, with(log, 0), WHOLE) == Intake::Held;
        }
        let stand = due.checkpoint_bytes + due.data_bytes + due.log_bytes;
        let stand = stand + (log - 1) * MIB;
        // Two and a half times 98 MiB, less 6 MiB that are not planned with.
        assert!((237 * MIB..=239 * MIB).contains(&stand), "{}", stand / MIB);
        // Small values leave a sixth of the data for dead bytes: two checkpoints take all the rest.
        let small_values = Sizes {
            live_bytes: 76 * MIB,
            ..due
        };
        assert_eq!(small_values.dead_bytes_max(64 * MIB), 100 * MIB / 6);
        // New data may be added besides.
        assert_ne!(room.intake(due, with(60, 60), 0), Intake::Held);
        // With little data, writers are held only by their own room, not by a small constant.
        let none = Sizes::default();
        let small = Room::beside(none, 1000 * MIB, 64 * MIB);
        let some = |log_bytes| Sizes { log_bytes, ..none };
        assert_eq!(small.intake(none, some(8 * MIB), 0), Intake::Free);
        assert_ne!(small.intake(none, some(32 * MIB), WHOLE), Intake::Held);
        assert_eq!(small.intake(none, some(33 * MIB), WHOLE), Intake::Held);
    }

    #[test]
    fn a_copy_says_nothing_of_the_disk() {
        let copy = Room::beside_copy(begun(), 1000 * MIB);
        assert_eq!(copy.intake(begun(), with(450, 0, 0), 0), Intake::Free);
        assert_eq!(copy.intake(begun(), with(0, 0, 450), 0), Intake::Held);
    }

    #[test]
    fn who_removed_most_of_the_data_still_goes_on() {
        let removed = Sizes {
            data_bytes: MIB,
            live_bytes: MIB,
            ..begun()
        };
        let room = Room::beside(removed, 1000 * MIB, 64 * MIB);
        assert_eq!(room.dead_bytes, DEAD_ROOM_BYTES_MIN);
        assert_ne!(room.intake(removed, removed, 0), Intake::Held);
    }

    #[test]
    fn there_is_always_some_room_and_it_does_not_open_beyond_itself() {
        let full = Sizes {
            changed_bytes: 500 * MIB,
            log_bytes: 900 * MIB,
            ..begun()
        };
        let room = Room::beside(full, 80 * MIB, 4096);
        assert_eq!(room.memory_bytes, 5 * MIB);
        assert_eq!(room.log_bytes, LOG_ROOM_BYTES_MIN);
        assert_ne!(room.intake(full, full, 0), Intake::Held);
        for room in [0, 1, 999, 1000, 1001, 5 * MIB + 7] {
            assert!(open(room, WHOLE) <= room && open(room, u32::MAX) <= room);
            assert!(open(room, 0) >= room / 2);
        }
    }
}
