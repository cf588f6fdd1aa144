//! Creates an empty log that continues after a checkpoint: the beginning of a copy of a store.

use crate::disk::storage::{Storage, replace_file};
use crate::wal::error::WalError;
use crate::wal::format::FileHeader;

/// Creates an empty log `name` whose first frame follows `covers_frame`, as if it continued the file with that header.
/// Durable once it returns.
///
/// # Errors
/// If the system refuses; no file of that name is left then.
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
