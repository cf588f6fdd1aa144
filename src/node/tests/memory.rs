//! A node stays within its memory and its disk, during any writes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::node::memory::budget::{MEMORY_BYTES_MAX, MEMORY_BYTES_MIN};
use crate::node::{Node, Operation, Options, Silent};

const MIB: u64 = 1 << 20;

fn options(folder: &Path) -> Options {
    Options {
        auto_flush: false,
        ..Options::persistent("a", folder.join("a.wal").display().to_string())
    }
}

/// Writes from several threads, as fast as they are accepted. Returns the greatest value that `look` returned
/// meanwhile.
fn most_while_writing(
    node: &Node,
    keys: u64,
    rounds: u64,
    value_bytes: usize,
    look: &(dyn Fn() -> u64 + Sync),
) -> u64 {
    let (most, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                most.fetch_max(look(), Ordering::AcqRel);
                std::thread::yield_now();
            }
        });
        let writers = 16;
        let writers: Vec<_> = (0..writers)
            .map(|writer| {
                scope.spawn(move || {
                    let value = vec![b'v'; value_bytes];
                    for _ in 0..rounds {
                        for key in (writer..keys).step_by(16) {
                            let key = format!("key/{key:08}");
                            let operation = Operation::put(key.as_bytes(), &value, false).unwrap();
                            node.write_blocking(operation).unwrap();
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        is_over.store(true, Ordering::Release);
    });
    most.into_inner()
}

#[test]
fn what_changed_stays_within_its_part_of_the_memory_however_long_the_log_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        memory_bytes: MEMORY_BYTES_MIN,
        checkpoint_log_bytes: 1 << 30,
        ..options(folder.path())
    };
    let budget = options.budget();
    let node = Node::open(options, Arc::new(Silent)).unwrap();
    let look = || node.shared.map.read().memory_bytes();
    let most = most_while_writing(&node, 4_000, 1, 16 << 10, &look);
    assert_eq!(node.size().unwrap(), 4_000);
    assert!(node.last_checkpoint().is_some());
    // A group that was taken when there was room is taken whole.
    assert!(most <= budget.changes_bytes + MIB, "{} MiB", most / MIB);
    assert!(most >= budget.due_bytes());
}

/// Greatest length of all files while 23 MB of data are overwritten five times, in multiples of the data's own bytes.
fn most_on_disk(value_bytes: usize) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::open(options(folder.path()), Arc::new(Silent)).unwrap();
    let look = || {
        let files = std::fs::read_dir(folder.path()).unwrap();
        let lengths = files.filter_map(|file| file.ok()?.metadata().ok());
        lengths.map(|file| file.len()).sum()
    };
    let keys = 23_000_000 / value_bytes as u64;
    most_while_writing(&node, keys, 1, value_bytes, &|| 0);
    let most = most_while_writing(&node, keys, 5, value_bytes, &look);
    let data = node.stats().unwrap().live_bytes;
    assert!(data >= 22_900_000);
    #[allow(clippy::cast_precision_loss, reason = "some megabytes")]
    return most as f64 / data as f64;
}

#[test]
fn files_stand_at_two_and_a_half_times_the_data_at_most_while_it_is_overwritten() {
    for value_bytes in [1_000, 60_000] {
        let most = most_on_disk(value_bytes);
        assert!(
            most <= 2.5,
            "{most} times the data in values of {value_bytes} bytes"
        );
    }
}

#[test]
fn a_budget_that_no_node_can_keep_is_refused_by_name() {
    for memory_bytes in [1, MEMORY_BYTES_MIN - 1, MEMORY_BYTES_MAX + 1, u64::MAX] {
        let options = Options {
            memory_bytes,
            ..Options::local("a")
        };
        let failure = options.validate().unwrap_err();
        assert!(
            failure.message.contains("memory bytes must be 0"),
            "{failure}"
        );
    }
    for memory_bytes in [0, MEMORY_BYTES_MIN, MEMORY_BYTES_MAX] {
        let options = Options {
            memory_bytes,
            ..Options::local("a")
        };
        assert!(options.validate().is_ok());
        assert!(options.budget().changes_bytes >= MEMORY_BYTES_MIN / 16 * 7);
    }
}
