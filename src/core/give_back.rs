//! Returns freed memory that the allocator keeps for later to the system, after much was freed at once.

use std::sync::OnceLock;

static GIVE_BACK: OnceLock<fn()> = OnceLock::new();

/// Sets the function with which the calling thread returns its unused memory. Only the first call counts; the program
/// that chooses the allocator makes it.
#[cfg(all(feature = "node-api", not(test)))]
pub fn set_give_back(give_back: fn()) {
    let _ = GIVE_BACK.set(give_back);
}

/// Returns the unused memory of the calling thread, and of threads that have ended; does nothing if no function was
/// set. Takes milliseconds.
pub fn give_back() {
    if let Some(give_back) = GIVE_BACK.get() {
        give_back();
    }
}
