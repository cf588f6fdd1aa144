//! Random numbers for an opening, from the system.

use crate::core::entropy::random_bytes;
use crate::core::identity::{Incarnation, Origin};
use crate::store::error::StoreError;
use crate::store::maintain::recovery::Seeds;

/// Draws the identities and salts of one opening.
///
/// # Errors
/// If the system gives no random bytes.
pub(super) fn seeds() -> Result<Seeds, StoreError> {
    let entropy = |error: std::io::Error| StoreError::Entropy(error.to_string());
    Ok(Seeds {
        salt: u64::from_le_bytes(random_bytes().map_err(entropy)?),
        file_id: random_bytes().map_err(entropy)?,
        origin: Origin(random_bytes().map_err(entropy)?),
        lease: random_bytes().map_err(entropy)?,
        incarnation: Incarnation(random_bytes().map_err(entropy)?),
    })
}
