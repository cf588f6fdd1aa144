//! Salvage of a damaged store into a new one, for users.

use super::verify::{failure, observed};
use crate::core::entropy::random_bytes;
use crate::core::error_kind::ErrorKind;
use crate::core::identity::Origin;
use crate::disk::directory::Directory;
use crate::disk::storage::Storage;
use crate::node::failure::{ErrorCode, Failure};
use crate::node::seeds::seeds;
use crate::store::error::StoreError;
use crate::store::maintain::salvage;
use crate::wal::error::WalError;
use crate::wal::files::held_storage::HeldStorage;
use crate::wal::files::lock::LockGuard;
use crate::wal::files::neighbour::check_neighbours;
use crate::wal::files::path::ResolvedPath;
use crate::wal::log::segment::belongs_to_log;
use crate::wal::recover::readable::LostRange;

/// Result of a salvage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SalvageReport {
    /// Path of the new log, as given.
    pub path: String,
    /// Number of saved keys, removed ones included.
    pub entries: u64,
    /// Number of readable groups of the old log.
    pub groups: u64,
    /// Number of entries whose author's id was lost; they are saved without it.
    pub nameless: u64,
    /// Parts of files that could not be read.
    pub lost: Vec<LostRange>,
}

/// Reads every readable part of the store whose log is at `from`, which is not touched, and writes it to a new log at
/// `to`, in a folder that exists. The new store has an identity of its own. Takes the memory of everything that is
/// saved.
///
/// # Errors
/// If there is nothing to save, a node has either store open, something is at `to`, or the new log cannot be written.
pub fn salvage(from: &str, to: &str) -> Result<SalvageReport, Failure> {
    let source = ResolvedPath::resolve(from, false).map_err(failure)?;
    let target = ResolvedPath::resolve(to, false).map_err(failure)?;
    let (from_directory, to_directory) = (
        source.hold().map_err(failure)?,
        target.hold().map_err(failure)?,
    );
    let target_files = target.storage_in(&to_directory);
    check_neighbours(&target_files, &target.name).map_err(failure)?;
    let source_files = source.storage_in(&from_directory);
    check_apart(&source, &source_files, &target, &target_files)?;
    // Locked before anything is read: changes of a running node would look like damage.
    let target_lock = LockGuard::acquire(&to_directory, &target.name).map_err(failure)?;
    let target_storage = HeldStorage::new(target.storage_in(&to_directory), &target.name);
    let salvaged = salvage_under(&source, &from_directory, &target_storage, &target.name, to);
    if salvaged.is_err() {
        target_lock.unmake();
    }
    salvaged
}

/// Checks that the new log would not have the damaged one among its files. That one may have no lease any more.
fn check_apart(
    source: &ResolvedPath,
    source_files: &dyn Storage,
    target: &ResolvedPath,
    target_files: &dyn Storage,
) -> Result<(), Failure> {
    let is_there = |storage: &dyn Storage| {
        storage.identity(&source.name).map_err(|error| {
            failure(WalError::Open {
                file: storage.shown(&source.name),
                cause: error.into(),
            })
        })
    };
    if source.name == target.name || !belongs_to_log(&target.name, &source.name) {
        return Ok(());
    }
    let found = is_there(target_files)?;
    if found.is_none() || found != is_there(source_files)? {
        return Ok(());
    }
    Err(failure(WalError::Clash {
        file: target_files.shown(&target.name),
        log: source_files.shown(&source.name),
    }))
}

/// Runs a salvage with the lock of the new log held.
fn salvage_under(
    source: &ResolvedPath,
    from_directory: &Directory,
    target_storage: &dyn Storage,
    target_name: &str,
    to: &str,
) -> Result<SalvageReport, Failure> {
    if let Some(file) = salvage::in_the_way(target_storage, target_name)? {
        let message = format!(
            "failed to salvage to {to}: {file} is there already, and nothing is overwritten"
        );
        return Err(
            Failure::new(ErrorCode::AlreadyExists, ErrorKind::WalExists, message).about(file),
        );
    }
    let source_storage = source.storage_in(from_directory).reading_only();
    let entropy = |error: std::io::Error| StoreError::Entropy(error.to_string());
    let stand_in = Origin(random_bytes().map_err(entropy)?);
    let saved = observed(from_directory, &source.name, || {
        Ok(salvage::read(&source_storage, &source.name, stand_in)?)
    })?;
    let report = SalvageReport {
        path: to.to_owned(),
        entries: saved.entries() as u64,
        groups: saved.groups,
        nameless: saved.nameless,
        lost: saved.lost.clone(),
    };
    salvage::write(target_storage, target_name, saved, &seeds()?)?;
    Ok(report)
}
