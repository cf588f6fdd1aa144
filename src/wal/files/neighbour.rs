//! Logs in one directory whose files would have names in common.

use super::lease::LEASE_SUFFIX;
use crate::disk::storage::Storage;
use crate::wal::error::WalError;
use crate::wal::log::Log;
use crate::wal::log::segment::belongs_to_log;

/// Refuses the name of a new log that would share a file with a log in its directory: the new log would be taken for a
/// companion of that one and be read, replaced or removed as such, or the other way round.
///
/// # Errors
/// [`WalError::Clash`] if there is such a log. The system's own error if the directory cannot be read.
pub fn check_neighbours(storage: &dyn Storage, name: &str) -> Result<(), WalError> {
    let names = storage.list().map_err(|error| WalError::Open {
        file: storage.shown(name),
        cause: error.into(),
    })?;
    let has_lease = |log: &str| names.contains(&format!("{log}{LEASE_SUFFIX}"));
    let clashes = |log: &String| {
        if log == name {
            return false;
        }
        // A damaged log has its lease still. A file that a stop left of the new log's own is a log at times, but it
        // has no lease.
        let is_companion = belongs_to_log(log, name);
        (is_companion && (has_lease(log) || Log::probe(storage, log).unwrap_or(false)))
            || (belongs_to_log(name, log) && has_lease(log))
    };
    match names.iter().find(|log| clashes(log)) {
        Some(log) => Err(WalError::Clash {
            file: storage.shown(name),
            log: storage.shown(log),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::memory::MemoryStorage;
    use crate::wal::log::segment::COMPANION_SUFFIXES;

    /// Every name of a file of a log, with a sealed log among them.
    fn files_of(log: &str) -> Vec<String> {
        let companions = COMPANION_SUFFIXES
            .iter()
            .map(|suffix| format!("{log}{suffix}"));
        let parts = ["", ".sealed.9"].map(|suffix| format!("{log}{suffix}"));
        companions.chain(parts).collect()
    }

    #[test]
    fn two_logs_share_a_file_only_if_one_has_a_name_of_the_other() {
        let names = files_of("a");
        let more = names.iter().flat_map(|name| files_of(name));
        for other in more.filter(|other| other != "a") {
            let shared = files_of(&other)
                .iter()
                .any(|file| belongs_to_log("a", file));
            let is_refused = belongs_to_log("a", &other) || belongs_to_log(&other, "a");
            assert!(!shared || is_refused, "{other}");
        }
    }

    /// A directory with an opened log of that name, and the lease that an opening leaves.
    fn directory_of(log: &str) -> MemoryStorage {
        let storage = MemoryStorage::new();
        let open = |name| {
            Log::open(
                &storage,
                name,
                1,
                [7; 16],
                0,
                &mut |_| Ok::<_, WalError>(()),
            )
        };
        drop(open(log).unwrap());
        drop(storage.create(&format!("{log}{LEASE_SUFFIX}")).unwrap());
        storage
    }

    #[test]
    fn no_new_log_takes_a_name_that_a_log_beside_it_would_take_for_its_own() {
        let storage = directory_of("a.wal");
        for name in files_of("a.wal").iter().filter(|name| *name != "a.wal") {
            let refused = check_neighbours(&storage, name).unwrap_err();
            let text = refused.to_string();
            assert!(text.ends_with(" with the log a.wal beside it"), "{text}");
        }
        for name in ["a.wal", "b.wal", "a.wal.sealed.07", "a.wal.copy", "a"] {
            assert_eq!(check_neighbours(&storage, name), Ok(()), "{name}");
        }
    }

    #[test]
    fn no_new_log_makes_a_log_beside_it_its_own() {
        for name in files_of("a").iter().filter(|name| *name != "a") {
            let refused = check_neighbours(&directory_of(name), "a").unwrap_err();
            assert!(matches!(refused, WalError::Clash { .. }), "{name}");
        }
    }

    #[test]
    fn what_a_stop_left_of_a_new_log_is_in_nobodys_way() {
        let left = directory_of("a.new");
        left.remove(&format!("a.new{LEASE_SUFFIX}")).unwrap();
        assert_eq!(check_neighbours(&left, "a"), Ok(()));
    }

    #[test]
    fn a_name_like_that_of_a_companion_is_free_where_no_log_is() {
        let storage = MemoryStorage::new();
        drop(storage.create("notes").unwrap());
        assert_eq!(check_neighbours(&storage, "notes.key"), Ok(()));
    }
}
