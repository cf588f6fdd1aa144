//! Memory budget of one node: the shares of `memory_bytes` for caches, queues, events and changes since the last
//! checkpoint. Pure.

use crate::core::limits::PENDING_BYTES_MAX;
use crate::node::api::mailbox;
use crate::node::commit::backlog::RECEIVED_WAITING_BYTES_MAX;
use crate::store::maintain::recovery::OpeningMemory;
use crate::table::WORK_BYTES_MAX;

/// Least budget, in bytes: below it a checkpoint would be made every few megabytes, whatever the data.
pub const MEMORY_BYTES_MIN: u64 = 32 << 20;

/// Largest budget that an option may name, in bytes: more than any machine of today has, so that a number with a digit
/// too many is an error.
pub const MEMORY_BYTES_MAX: u64 = 1 << 40;

/// Largest budget that is chosen by default, in bytes: an acceptable size for a database on a large machine with other
/// programs.
pub const MEMORY_BYTES_CHOSEN_MAX: u64 = 2 << 30;

/// Default budget if the amount of memory is unknown, in bytes.
const MEMORY_BYTES_UNKNOWN: u64 = 512 << 20;

/// Divisor of a container's limit that gives the default: the program, Node.js and the system's buffers need the rest.
const CONTAINER_PART: u64 = 2;

/// Divisor of a machine's memory that gives the default, where no container limits it: other programs run there too.
const MACHINE_PART: u64 = 4;

/// Largest default budget, in multiples of the cache: a small cache asks for a small node.
const CACHES: u64 = 8;

/// Shares of one node's memory, in bytes. Their sum, with the events twice, is at most `memory_bytes`: caches, queues and
/// events have limits of their own, and what these leave stays unused. In addition there may be one value of the largest
/// size, if one is larger than its share, and memory that does not grow with data or time: code, threads, and the
/// buffers of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Cached blocks of the checkpoint: a quarter, or the option `cache_bytes` if that is less.
    pub cache_bytes: usize,
    /// Writes of the program that wait for the committer: an eighth, at most `PENDING_BYTES_MAX`.
    pub local_queue_bytes: usize,
    /// Received entries that are not committed yet: a sixteenth, at most `RECEIVED_WAITING_BYTES_MAX`.
    pub received_queue_bytes: usize,
    /// Events that the program has not taken yet: a thirty-second, at most `WAITING_BYTES_MAX` of the mailbox. Merged ones
    /// may take as much again.
    pub events_bytes: usize,
    /// Sorting of the feeds of a checkpoint or a backup that is written: a sixteenth, at most `WORK_BYTES_MAX`.
    pub work_bytes: usize,
    /// Changes since the last checkpoint, with entries that a checkpoint under way keeps and copies: seven sixteenths.
    pub changes_bytes: u64,
}

fn part(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl Budget {
    /// Splits `memory_bytes` into shares.
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

    /// Memory of changes at which a checkpoint is due, in bytes: half of the share for changes. The other half is for
    /// changes during the checkpoint, which are in memory twice for a moment.
    pub fn due_bytes(&self) -> u64 {
        self.changes_bytes / 2
    }

    /// Memory of an opening, which may use shares that nothing else uses yet.
    pub fn opening(&self) -> OpeningMemory {
        OpeningMemory {
            cache_bytes: self.cache_bytes,
            changes_bytes: self.due_bytes(),
            work_bytes: self.work_bytes,
        }
    }
}

/// The default budget: half of the container's limit, or a quarter of the machine's memory without a container; at most
/// 2 GiB, and at most eight times the cache.
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
