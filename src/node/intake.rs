//! How much writers and peers may add while a checkpoint is written: what there is no room for waits, and a checkpoint that
//! goes on lets more in, so that nobody waits for all of it. Pure.

/// Progress of a checkpoint that has ended.
pub(super) const WHOLE: u32 = 1000;

/// The least room for a log while a checkpoint is written, in bytes: some groups of the largest size.
const LOG_ROOM_BYTES_MIN: u64 = 4 << 20;

/// Factor of `checkpoint_log_bytes` that the log may grow by while a checkpoint is written.
const LOG_ROOM_PART: u64 = 2;

/// The part of its memory for changes that a checkpoint leaves free at least: without it a node whose values are large
/// would stand still.
const MEMORY_ROOM_PART: u64 = 16;

/// Length that all files may have together, in halves of the data: two and a half times as much.
const DISK_HALVES: u64 = 5;

/// The sizes of a store, as they are at one moment, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_field_names, reason = "the unit is part of each name")]
pub(super) struct Sizes {
    /// All parts of the log.
    pub(super) log_bytes: u64,
    /// The live data, as a checkpoint of it would take.
    pub(super) data_bytes: u64,
    /// The data that the checkpoint was made of.
    pub(super) checkpoint_bytes: u64,
    /// The memory of what changed since the checkpoint.
    pub(super) changed_bytes: u64,
}

/// Room for those who write until a checkpoint has ended, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_field_names, reason = "the unit is part of each name")]
pub(super) struct Room {
    memory_bytes: u64,
    log_bytes: u64,
    /// Bytes that may come on disk without adding to the data.
    dead_bytes: u64,
}

/// The treatment of those who write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Intake {
    /// There is room for long.
    Free,
    /// The checkpoint is to be written without pauses, or the room ends before it does.
    Hurried,
    /// Nothing more is taken before the checkpoint has gone on.
    Held,
}

impl Room {
    /// The room beside a checkpoint that begins at `begun`, with `changes_bytes` of memory for changes and a log that is
    /// meant to be `log_limit` long, and that has `dead_floor` bytes of dead data at least.
    pub(super) fn beside(
        begun: Sizes,
        changes_bytes: u64,
        log_limit: u64,
        dead_floor: u64,
    ) -> Self {
        // All that comes is in the old map and in the new one for a moment.
        let free = changes_bytes.saturating_sub(begun.changed_bytes) / 2;
        // The checkpoint before and the new one stand beside the log.
        let stands = begun
            .checkpoint_bytes
            .saturating_add(begun.data_bytes)
            .saturating_add(begun.log_bytes);
        let may_stand = begun.data_bytes.saturating_mul(DISK_HALVES) / 2;
        Self {
            memory_bytes: free.max(changes_bytes / MEMORY_ROOM_PART),
            log_bytes: log_limit
                .saturating_mul(LOG_ROOM_PART)
                .max(LOG_ROOM_BYTES_MIN),
            dead_bytes: may_stand.saturating_sub(stands).max(dead_floor),
        }
    }

    /// The room beside a copy: nothing of it is meant to take the place of the log, which may grow meanwhile as far as
    /// there is memory.
    pub(super) fn beside_copy(begun: Sizes, changes_bytes: u64) -> Self {
        Self {
            log_bytes: u64::MAX,
            dead_bytes: u64::MAX,
            ..Self::beside(begun, changes_bytes, 0, 0)
        }
    }

    /// The treatment of those who write now, with a checkpoint that began at `begun` and is that far. The half of each
    /// room is free; the other half opens as the checkpoint goes on.
    pub(super) fn intake(&self, begun: Sizes, now: Sizes, progress: u32) -> Intake {
        let log_bytes = now.log_bytes.saturating_sub(begun.log_bytes);
        let grown = now.data_bytes.saturating_sub(begun.data_bytes);
        let taken = [
            (
                now.changed_bytes.saturating_sub(begun.changed_bytes),
                self.memory_bytes,
            ),
            (log_bytes, self.log_bytes),
            (
                log_bytes.saturating_sub(grown.saturating_mul(DISK_HALVES) / 2),
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

/// The part of a room that is open.
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
        let room = Room::beside(begun(), 80 * MIB, 64 * MIB, 0);
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
        let room = Room::beside(begun(), 80 * MIB, 64 * MIB, 0);
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
    fn files_stand_at_two_and_a_half_times_the_data_at_most() {
        let room = Room::beside(begun(), 1000 * MIB, 640 * MIB, 0);
        let (mut log, mut held) = (0, false);
        while !held {
            log += 1;
            held = room.intake(begun(), with(log, 0, 0), WHOLE) == Intake::Held;
        }
        let stand = begun().checkpoint_bytes + begun().data_bytes + begun().log_bytes;
        assert_eq!(stand + (log - 1) * MIB, 250 * MIB);
        // New data may come beside: it counts for the bound too.
        assert_ne!(room.intake(begun(), with(60, 60, 0), 0), Intake::Held);
        // A copy says nothing of the disk.
        let copy = Room::beside_copy(begun(), 1000 * MIB);
        assert_eq!(copy.intake(begun(), with(450, 0, 0), 0), Intake::Free);
        assert_eq!(copy.intake(begun(), with(0, 0, 450), 0), Intake::Held);
        // However little there is, writers are not held by what a small constant allows.
        let small = Room::beside(Sizes::default(), 1000 * MIB, 64 * MIB, 4 * MIB);
        assert_ne!(
            small.intake(
                Sizes::default(),
                Sizes {
                    log_bytes: MIB,
                    ..Sizes::default()
                },
                0
            ),
            Intake::Held
        );
    }

    #[test]
    fn there_is_always_some_room_and_it_does_not_open_beyond_itself() {
        let full = Sizes {
            changed_bytes: 500 * MIB,
            log_bytes: 900 * MIB,
            ..begun()
        };
        let room = Room::beside(full, 80 * MIB, 4096, 1);
        assert_eq!(room.memory_bytes, 5 * MIB);
        assert_eq!(room.log_bytes, LOG_ROOM_BYTES_MIN);
        assert_ne!(room.intake(full, full, 0), Intake::Held);
        for room in [0, 1, 999, 1000, 1001, 5 * MIB + 7] {
            assert!(open(room, WHOLE) <= room && open(room, u32::MAX) <= room);
            assert!(open(room, 0) >= room / 2);
        }
    }
}
