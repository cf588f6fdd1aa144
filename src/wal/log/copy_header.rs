//! An empty log that goes on behind a checkpoint: what a copy of a store begins with.

use crate::disk::storage::{Storage, replace_file};
use crate::wal::error::WalError;
use crate::wal::format::FileHeader;

/// Creates an empty log of that name whose first frame comes behind `covers_frame`, as if it followed the file with
/// that header. Durable once it returns.
///
/// # Errors
/// If the system refuses; nothing of that name is left then.
pub fn create_following(
    storage: &dyn Storage,
    name: &str,
    header: &FileHeader,
    salt: u64,
    covers_frame: u64,
) -> Result<(), WalError> {
    let bytes = header.following(salt, covers_frame + 1).encode();
    replace_file(storage, name, &mut |file| file.write_at(0, &bytes)).map_err(|error| {
        WalError::Open {
            file: storage.shown(name),
            cause: error.into(),
        }
    })
}
