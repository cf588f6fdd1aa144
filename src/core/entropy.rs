//! The only place that asks the operating system for randomness.

use std::io;

/// `N` random bytes from the operating system.
///
/// # Errors
/// If the system has no source of randomness.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the one place that asks for randomness"
)]
pub fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}
