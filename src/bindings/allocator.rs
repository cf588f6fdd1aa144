//! Setup of the addon's allocator.

#[cfg(not(target_env = "musl"))]
unsafe extern "C" {
    /// A function of mimalloc, which is linked in. Any thread may call it, at any time.
    fn mi_collect(force: bool);
}

/// Makes freed memory go back to the system, see [`crate::core::give_back`]. Called when the addon is loaded; a second
/// call does no harm.
pub(super) fn set_give_back() {
    #[cfg(not(target_env = "musl"))]
    crate::core::give_back::set_give_back(|| {
        // SAFETY: the call takes no pointers, and touches only the calling thread's heap and heaps without an owner.
        unsafe { mi_collect(true) }
    });
}
