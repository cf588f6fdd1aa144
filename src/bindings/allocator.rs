//! The allocator, as far as it has to be told something.

#[cfg(not(target_env = "musl"))]
unsafe extern "C" {
    /// Part of mimalloc, which is linked in. May be called by any thread, at any time.
    fn mi_collect(force: bool);
}

/// Has memory that was freed go back to the system: see [`crate::core::give_back`]. Called once, when the addon is loaded,
/// and harmless when it is called again.
pub(super) fn set_give_back() {
    #[cfg(not(target_env = "musl"))]
    crate::core::give_back::set_give_back(|| {
        // SAFETY: it takes no pointers, and looks after the calling thread's own heap and what nobody owns.
        unsafe { mi_collect(true) }
    });
}
