//! Saving what is readable of a damaged store into a new one, for users.

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
use crate::wal::files::held_storage::HeldStorage;
use crate::wal::files::lock::LockGuard;
use crate::wal::files::path::ResolvedPath;
use crate::wal::recover::readable::LostRange;

/// What a salvage saved and lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SalvageReport {
    /// The new log, as it was given.
    pub path: String,
    /// How many keys were saved, those that were removed included.
    pub entries: u64,
    /// How many groups of the old log could be read.
    pub groups: u64,
    /// How many entries were read whose author's name was lost; they are saved without it.
    pub nameless: u64,
    /// The parts of files that could not be read.
    pub lost: Vec<LostRange>,
}

/// Reads what can be read of the store whose log is at `from`, which is not touched, and writes it to a new log at
/// `to`, in a folder that exists. The new store has an identity of its own. Takes the memory of all that is saved.
///
/// # Errors
/// If there is nothing to be saved, a node has either open, something is at `to`, or the new log cannot be written.
pub fn salvage(from: &str, to: &str) -> Result<SalvageReport, Failure> {
    let source = ResolvedPath::resolve(from, false).map_err(failure)?;
    let target = ResolvedPath::resolve(to, false).map_err(failure)?;
    let (from_directory, to_directory) = (
        source.hold().map_err(failure)?,
        target.hold().map_err(failure)?,
    );
    // Locked first, looked at afterwards: what a node is changing looks like something that is damaged.
    let target_lock = LockGuard::acquire(&to_directory, &target.name).map_err(failure)?;
    let target_storage = HeldStorage::new(target.storage_in(&to_directory), &target.name);
    let salvaged = salvage_under(&source, &from_directory, &target_storage, &target.name, to);
    if salvaged.is_err() {
        target_lock.unmake();
    }
    salvaged
}

/// The same with the lock of the new log held.
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
