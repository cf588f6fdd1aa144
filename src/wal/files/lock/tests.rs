//! Holders of a log, and the errors of those that are kept out.

use crate::core::error_kind::ErrorKind;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use super::*;

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn acquire(path: &Path) -> Result<LockGuard, WalError> {
    LockGuard::acquire(&folder_of(path), &name_of(path))
}

fn observe(path: &Path) -> Result<LockGuard, WalError> {
    LockGuard::observe(&folder_of(path), &name_of(path))
}

fn folder_of(path: &Path) -> Directory {
    Directory::hold(path.parent().unwrap()).unwrap()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn refused(path: &Path) -> Option<u32> {
    match acquire(path) {
        Err(WalError::InUse { pid, .. }) => pid,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_log_is_held_once_and_again_after_it_was_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wal");
    let guard = acquire(&path).unwrap();
    assert_eq!(refused(&path), Some(std::process::id()));
    drop(guard);
    assert!(folder.path().join("a.wal.lock").exists());
    acquire(&path).unwrap();
}

#[test]
fn who_only_reads_holds_nodes_off_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wal");
    std::fs::write(&path, "log").unwrap();
    let reader = observe(&path).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(refused(&path), Some(std::process::id()));
    drop(reader);
    let node = acquire(&path).unwrap();
    let before = std::fs::read(folder.path().join("a.wal.lock")).unwrap();
    assert!(observe(&path).is_err());
    drop(node);
    let reader = observe(&path).unwrap();
    assert_eq!(refused(&path), Some(std::process::id()));
    let after = std::fs::read(folder.path().join("a.wal.lock")).unwrap();
    assert_eq!(before, after);
    drop(reader);
    acquire(&path).unwrap();
}

#[test]
fn another_name_of_the_same_log_is_held_too() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("a.wal"), folder.path().join("b.wal"));
    let guard = acquire(&path).unwrap();
    std::fs::write(&path, "log").unwrap();
    guard.claim_log().unwrap();
    guard.claim_log().unwrap();
    std::fs::hard_link(&path, &link).unwrap();
    assert_eq!(refused(&link), Some(std::process::id()));
    assert!(!folder.path().join("b.wal.lock").exists());
    drop(guard);
    let other = acquire(&link).unwrap();
    assert_eq!(refused(&path), Some(std::process::id()));
    drop(other);
    acquire(&path).unwrap();
}

#[test]
fn a_sealed_log_is_held_until_it_is_let_go_and_the_new_one_is_held_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let guard = acquire(&at("a.wal")).unwrap();
    std::fs::write(at("a.wal"), "log").unwrap();
    guard.claim_log().unwrap();
    std::fs::hard_link(at("a.wal"), at("old.wal")).unwrap();
    std::fs::rename(at("a.wal"), at("a.wal.sealed.1")).unwrap();
    std::fs::write(at("a.wal"), "next").unwrap();
    guard.claim_log().unwrap();
    std::fs::hard_link(at("a.wal"), at("new.wal")).unwrap();
    assert_eq!(refused(&at("old.wal")), Some(std::process::id()));
    std::fs::remove_file(at("a.wal.sealed.1")).unwrap();
    let released = guard.release_sealed().unwrap();
    #[cfg(unix)]
    assert_eq!(refused(&at("old.wal")), None);
    drop(released);
    drop(acquire(&at("old.wal")).unwrap());
    assert_eq!(refused(&at("new.wal")), Some(std::process::id()));
    assert_eq!(refused(&at("a.wal")), Some(std::process::id()));
}

#[test]
fn another_spelling_of_the_same_lock_file_is_held_too() {
    let folder = tempfile::tempdir().unwrap();
    let _guard = acquire(&folder.path().join("a.wal")).unwrap();
    let spelled = folder.path().join(".").join("a.wal");
    assert_eq!(refused(&spelled), Some(std::process::id()));
}

#[test]
fn the_number_of_a_process_replaces_a_longer_text_wholly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wal");
    let directory = Directory::by_path(folder.path());
    let pid = pid_name("a.wal.lock");
    std::fs::write(folder.path().join(&pid), "123456789012345\n").unwrap();
    let guard = acquire(&path).unwrap();
    assert_eq!(read_pid(&directory, "a.wal.lock"), Some(std::process::id()));
    drop(guard);
}

#[cfg(unix)]
#[test]
fn a_lock_of_another_process_is_told_with_its_pid() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wal");
    // The lock of another process is one that is not in the list of this process.
    let lock = with_suffix(&path, LOCK_SUFFIX);
    std::fs::write(&lock, "4242\n").unwrap();
    let holder = OpenOptions::new().write(true).open(&lock).unwrap();
    holder.lock().unwrap();
    assert_eq!(refused(&path), Some(4242));
    drop(holder);
    acquire(&path).unwrap();
}

#[cfg(unix)]
#[test]
fn what_is_no_lock_file_is_neither_opened_nor_written_to() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wal");
    std::fs::write(&path, "log").unwrap();
    let lock = folder.path().join("a.wal.lock");
    let precious = folder.path().join("precious");
    let kinds = || {
        let kind = |held: Result<LockGuard, WalError>| held.unwrap_err().kind();
        (kind(acquire(&path)), kind(observe(&path)))
    };
    std::fs::write(&precious, "1984, and more than a number").unwrap();
    symlink(&precious, &lock).unwrap();
    assert_eq!(
        kinds(),
        (ErrorKind::NotRegularFile, ErrorKind::NotRegularFile)
    );
    std::fs::remove_file(&lock).unwrap();
    std::fs::hard_link(&precious, &lock).unwrap();
    assert_eq!(kinds(), (ErrorKind::WalForeign, ErrorKind::WalForeign));
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    assert_eq!(
        kinds(),
        (ErrorKind::NotRegularFile, ErrorKind::NotRegularFile)
    );
    std::fs::remove_dir(&lock).unwrap();
    // Opening a pipe for reading would wait for a writer for ever.
    let made = std::process::Command::new("mkfifo").arg(&lock).status();
    assert!(made.unwrap().success());
    assert_eq!(
        kinds(),
        (ErrorKind::NotRegularFile, ErrorKind::NotRegularFile)
    );
    std::fs::remove_file(&lock).unwrap();
    assert_eq!(
        std::fs::read_to_string(&precious).unwrap(),
        "1984, and more than a number"
    );
    // A shorter or longer process id than the last one is accepted.
    std::fs::write(&lock, "4194304\n").unwrap();
    drop(acquire(&path).unwrap());
    drop(acquire(&path).unwrap());
}

#[test]
fn a_lock_that_came_to_nothing_leaves_no_file_and_one_that_was_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wal");
    acquire(&path).unwrap().unmake();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    drop(acquire(&path).unwrap());
    acquire(&path).unwrap().unmake();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_lock_file_that_was_taken_away_before_it_was_locked_holds_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wal");
    let many = std::thread::scope(|scope| {
        let takers = (0..4).map(|_| {
            scope.spawn(|| {
                let mut taken = 0;
                for _ in 0..200 {
                    // Within one process the list of held files is asked first, so holders never overlap.
                    if let Ok(guard) = acquire(&path) {
                        taken += 1;
                        assert!(folder.path().join("a.wal.lock").exists());
                        guard.unmake();
                    }
                }
                taken
            })
        });
        let takers: Vec<_> = takers.collect();
        takers
            .into_iter()
            .map(|taker| taker.join().unwrap())
            .sum::<u32>()
    });
    assert!(many > 0);
}

#[cfg(unix)]
#[test]
fn a_folder_that_was_moved_away_is_held_on_and_what_came_into_its_place_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (data, old) = (folder.path().join("data"), folder.path().join("old"));
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("a.wal"), "log").unwrap();
    let first = acquire(&data.join("a.wal")).unwrap();
    std::fs::rename(&data, &old).unwrap();
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("a.wal"), "another").unwrap();
    let second = acquire(&data.join("a.wal")).unwrap();
    // Neither guard takes or releases the other's files.
    first.claim_log().unwrap();
    drop(first.release_sealed().unwrap());
    assert_eq!(refused(&data.join("a.wal")), Some(std::process::id()));
    assert_eq!(refused(&old.join("a.wal")), Some(std::process::id()));
    drop(second);
    assert_eq!(refused(&old.join("a.wal")), Some(std::process::id()));
    drop(acquire(&data.join("a.wal")).unwrap());
    drop(first);
    drop(acquire(&old.join("a.wal")).unwrap());
}

#[cfg(unix)]
#[test]
fn a_lock_file_that_came_into_the_place_of_another_is_not_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wal");
    let first = acquire(&path).unwrap();
    std::fs::remove_file(folder.path().join("a.wal.lock")).unwrap();
    let second = acquire(&path).unwrap();
    first.unmake();
    assert!(folder.path().join("a.wal.lock").exists());
    drop(second);
}

#[test]
fn who_reads_where_no_lock_file_is_notices_that_a_node_has_begun() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wal");
    let reader = observe(&path).unwrap();
    assert!(reader.holds_others_off());
    let node = acquire(&path).unwrap();
    assert!(!reader.holds_others_off());
    drop((reader, node));
    let reader = observe(&path).unwrap();
    assert!(reader.holds_others_off());
    assert_eq!(refused(&path), Some(std::process::id()));
}
