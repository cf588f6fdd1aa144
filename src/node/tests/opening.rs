//! Opening a store that another node is using, and one that was moved away.

use std::path::Path;
use std::sync::Arc;

use crate::core::error_kind::ErrorKind;
use crate::disk::directory::Directory;
use crate::node::{Failure, Node, Operation, Options, RecoveryOutcome, Silent, salvage, verify};
use crate::wal::files::lock::LockGuard;

fn open(path: &Path) -> Result<Node, Failure> {
    let options = Options::persistent("node", path.to_str().unwrap());
    Node::open(options, Arc::new(Silent))
}

fn put(node: &Node, key: &str) {
    let operation = Operation::put(key.as_bytes(), b"value", true).unwrap();
    node.submit(operation).unwrap();
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

/// Files beside the lock in the folder of a busy node at some moments: no log, half of a seal, a checkpoint without its
/// final name, and nothing at all.
const HALFWAY: [&[&str]; 5] = [
    &["a.wal.lease", "a.wal.checkpoint"],
    &["a.wal.sealed.1", "a.wal.sealing"],
    &["a.wal.sealed.1", "a.wal.checkpoint.new"],
    &["a.wal.new"],
    &[],
];

#[test]
fn a_store_that_somebody_is_busy_with_is_told_as_in_use_whatever_it_looks_like() {
    for files in HALFWAY {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wal");
        let held = Directory::hold(folder.path()).unwrap();
        let guard = LockGuard::acquire(&held, "a.wal").unwrap();
        for file in files {
            std::fs::write(folder.path().join(file), "halfway").unwrap();
        }
        let path = path.to_str().unwrap();
        let elsewhere = folder.path().join("b.wal");
        let elsewhere = elsewhere.to_str().unwrap();
        let reported = [
            open(Path::new(path)).unwrap_err(),
            verify(path).unwrap_err(),
            salvage(path, elsewhere).unwrap_err(),
            salvage(elsewhere, path).unwrap_err(),
        ];
        for reported in reported {
            assert_eq!(reported.kind, ErrorKind::WalInUse, "{files:?}: {reported}");
            assert!(reported.retryable);
        }
        drop(guard);
        assert!(!folder.path().join("b.wal.lock").exists());
    }
}

#[test]
fn what_is_no_log_of_ours_gets_no_lock_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wal");
    std::fs::write(&path, "somebody's diary, and no log").unwrap();
    assert_eq!(open(&path).unwrap_err().kind, ErrorKind::WalForeign);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(folder.path().join("a.wal.checkpoint"), "rows").unwrap();
    assert_eq!(open(&path).unwrap_err().kind, ErrorKind::WalMissing);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Windows moves no folder with open files.
#[cfg(unix)]
#[test]
fn a_store_at_the_path_of_one_that_was_moved_away_is_left_to_whoever_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let (data, old) = (folder.path().join("data"), folder.path().join("old"));
    let path = data.join("a.wal");
    std::fs::create_dir(&data).unwrap();
    let first = open(&path).unwrap();
    put(&first, "first");
    wait(first.flush()).unwrap();
    std::fs::rename(&data, &old).unwrap();
    std::fs::create_dir(&data).unwrap();
    let second = open(&path).unwrap();
    put(&second, "second");
    wait(second.close()).unwrap();
    let kind = |outcome: Result<(), Failure>| outcome.unwrap_err().kind;
    assert_eq!(kind(wait(first.compact())), ErrorKind::WalReplaced);
    assert_eq!(kind(wait(first.flush())), ErrorKind::WalReplaced);
    assert_eq!(kind(wait(first.close())), ErrorKind::WalReplaced);
    for (place, key) in [(path, "second"), (old.join("a.wal"), "first")] {
        let node = open(&place).unwrap();
        assert_eq!(node.recovery().outcome, RecoveryOutcome::Clean, "{key}");
        let stored = [&[0], key.as_bytes()].concat();
        let found = node.read(&stored, |held, _| held == b"value").unwrap();
        assert_eq!(found, Some(true), "{key}");
        assert_eq!(node.size().unwrap(), 1, "{key}");
        wait(node.close()).unwrap();
    }
}
