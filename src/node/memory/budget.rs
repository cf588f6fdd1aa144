//! The memory budget of one node: how `memory_bytes` is shared out among caches, queues, events and what changed since
//! the last checkpoint. Pure.

use crate::core::limits::PENDING_BYTES_MAX;
use crate::node::api::mailbox;
use crate::node::commit::backlog::RECEIVED_WAITING_BYTES_MAX;
use crate::store::maintain::recovery::OpeningMemory;
use crate::table::WORK_BYTES_MAX;

/// The least budget, in bytes: below it a checkpoint would be made every few megabytes, whatever the data.
pub const MEMORY_BYTES_MIN: u64 = 32 << 20;

/// The most that a program may ask for, in bytes: what no machine of today has, so that a number with a digit too many is
/// an error.
pub const MEMORY_BYTES_MAX: u64 = 1 << 40;

/// The largest budget that is chosen without being asked for, in bytes: what a database may take on a large machine that
/// it shares with others.
pub const MEMORY_BYTES_CHOSEN_MAX: u64 = 2 << 30;

/// The budget where nothing tells how much memory there is, in bytes.
const MEMORY_BYTES_UNKNOWN: u64 = 512 << 20;

/// The part of a container's limit that is chosen: the program, Node.js and the system's buffers need the rest.
const CONTAINER_PART: u64 = 2;

/// The part of a machine's memory that is chosen, where no container limits it: other programs run there too.
const MACHINE_PART: u64 = 4;

/// Factor of its cache that a chosen budget is at most: who asks for a small cache means a small node.
const CACHES: u64 = 8;

/// The shares of one node's memory, in bytes. The parts together are `memory_bytes`. Besides it come one value of the
/// largest size where one is larger than its part, and what does not grow with data or time: the code, the threads, and the
/// buffers of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Blocks of the checkpoint: a quarter, or what `cache_bytes` says if that is less.
    pub cache_bytes: usize,
    /// Writes of the program that wait for the committer: an eighth.
    pub local_queue_bytes: usize,
    /// Received entries that nobody has committed yet: a sixteenth.
    pub received_queue_bytes: usize,
    /// Events that the program has not taken yet, and as much again for merged ones: a sixteenth together.
    pub events_bytes: usize,
    /// The order of the feeds of a checkpoint or a backup that is written: a sixteenth.
    pub work_bytes: usize,
    /// Changes since the last checkpoint, with what a checkpoint under way keeps and copies of it: seven sixteenths.
    pub changes_bytes: u64,
}

fn part(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl Budget {
    /// Shares out `memory_bytes`.
    pub fn of(memory_bytes: u64, cache_bytes: usize) -> Self {
        let memory = memory_bytes.max(MEMORY_BYTES_MIN);
        Self {
            cache_bytes: cache_bytes.min(part(memory / 4)),
            local_queue_bytes: PENDING_BYTES_MAX.min(part(memory / 8)),
            received_queue_bytes: RECEIVED_WAITING_BYTES_MAX.min(part(memory / 16)),
            events_bytes: mailbox::WAITING_BYTES_MAX.min(part(memory / 32)),
            work_bytes: WORK_BYTES_MAX.min(part(memory / 16)),
            changes_bytes: memory / 16 * 7,
        }
    }

    /// Changes in memory, in bytes, before a checkpoint is due: a half of what there is for changes. The
    /// other half is for what comes while it is written, which is in memory twice for a moment.
    pub fn due_bytes(&self) -> u64 {
        self.changes_bytes / 2
    }

    /// Memory for an opening, which nothing else takes yet.
    pub fn opening(&self) -> OpeningMemory {
        OpeningMemory {
            cache_bytes: self.cache_bytes,
            changes_bytes: self.due_bytes(),
            work_bytes: self.work_bytes,
        }
    }
}

/// The budget of a node that was not told one: a half of what its container may take, a quarter of the machine's memory
/// where there is no container; 2 GiB at the most, and eight times the cache.
pub fn chosen(container_bytes: Option<u64>, machine_bytes: Option<u64>, cache_bytes: usize) -> u64 {
    let of_container = container_bytes.map(|bytes| bytes / CONTAINER_PART);
    let of_machine = machine_bytes.map(|bytes| bytes / MACHINE_PART);
    let is_limit = container_bytes < machine_bytes || machine_bytes.is_none();
    let chosen = of_container.filter(|_| is_limit).or(of_machine);
    chosen
        .unwrap_or(MEMORY_BYTES_UNKNOWN)
        .min((cache_bytes as u64).saturating_mul(CACHES))
        .clamp(MEMORY_BYTES_MIN, MEMORY_BYTES_CHOSEN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_no_more_than_the_whole() {
        for memory in [1, MEMORY_BYTES_MIN, 100 << 20, 1 << 30, 4 << 30, 1 << 40] {
            for cache in [0, 8 << 20, 256 << 20, usize::MAX] {
                let budget = Budget::of(memory, cache);
                let small = budget.cache_bytes
                    + budget.local_queue_bytes
                    + budget.received_queue_bytes
                    + 2 * budget.events_bytes
                    + budget.work_bytes;
                let all = small as u64 + budget.changes_bytes;
                assert!(all <= memory.max(MEMORY_BYTES_MIN), "{memory} {cache}");
                assert!(budget.cache_bytes <= cache);
                assert!(budget.due_bytes() > 0);
            }
        }
    }

    #[test]
    fn a_node_takes_half_of_its_container_or_a_quarter_of_its_machine() {
        let mib = 1 << 20;
        let chosen = |container, machine| chosen(container, machine, 256 << 20);
        assert_eq!(chosen(Some(256 * mib), Some(24 << 30)), 128 * mib);
        assert_eq!(chosen(Some(256 * mib), None), 128 * mib);
        assert_eq!(chosen(None, Some(1 << 30)), 256 * mib);
        assert_eq!(chosen(None, Some(64 << 30)), MEMORY_BYTES_CHOSEN_MAX);
        assert_eq!(
            chosen(Some(64 << 30), Some(1 << 30)),
            256 * mib,
            "a limit above all that there is"
        );
        assert_eq!(chosen(Some(1), Some(1 << 30)), MEMORY_BYTES_MIN);
        assert_eq!(chosen(None, None), MEMORY_BYTES_UNKNOWN);
    }

    #[test]
    fn a_small_cache_makes_a_small_node() {
        assert_eq!(chosen(None, Some(64 << 30), 8 << 20), 64 << 20);
        assert_eq!(chosen(None, Some(64 << 30), 0), MEMORY_BYTES_MIN);
        assert_eq!(chosen(None, None, usize::MAX), MEMORY_BYTES_UNKNOWN);
    }
}
