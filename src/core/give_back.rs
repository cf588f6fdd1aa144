//! Memory that was freed and that the allocator keeps for later: it is given back to the system where much was freed at once.

use std::sync::OnceLock;

static GIVE_BACK: OnceLock<fn()> = OnceLock::new();

/// Says how the calling thread gives back what it does not use. Only the first call counts; whoever chooses the allocator
/// makes it.
#[cfg(all(feature = "node-api", not(test)))]
pub fn set_give_back(give_back: fn()) {
    let _ = GIVE_BACK.set(give_back);
}

/// Gives back what the calling thread does not use, and what threads that have ended left; does nothing where the allocator
/// cannot be told. Takes milliseconds.
pub fn give_back() {
    if let Some(give_back) = GIVE_BACK.get() {
        give_back();
    }
}
