//! The addon's allocator: mimalloc for small blocks, the system for large ones, so that the memory of a large value goes
//! back when it is freed, whichever thread frees it.
//!
//! mimalloc keeps a block that another thread freed until the owner has asked for a hundred new pages, or for ever if it
//! asks for none: with values of 8 MB, which Node's thread allocates and the checkpoint's thread frees, that is 800 MB.

use std::alloc::{GlobalAlloc, Layout};

use mimalloc::MiMalloc;

/// Least size of a block that comes from the system, in bytes: a call of the system is small beside filling it, and a
/// hundred smaller blocks, which mimalloc may keep for each thread, are below the least memory budget.
const LARGE_BYTES_MIN: usize = 256 << 10;

/// Chooses by size, which the caller names again when it frees a block.
pub(super) struct Allocator;

const fn is_large(bytes: usize) -> bool {
    bytes >= LARGE_BYTES_MIN
}

// SAFETY: a block is freed and resized by the allocator that gave it, because both choose by its layout.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_large(layout.size()) {
            // SAFETY: the caller upholds this function's contract.
            return unsafe { large::alloc(layout) };
        }
        // SAFETY: the caller upholds this function's contract.
        unsafe { MiMalloc.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_large(layout.size()) {
            // SAFETY: the caller upholds this function's contract.
            return unsafe { large::alloc_zeroed(layout) };
        }
        // SAFETY: the caller upholds this function's contract.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_large(layout.size()) {
            // SAFETY: a block of that size came from there; the caller upholds the rest of the contract.
            return unsafe { large::dealloc(block, layout) };
        }
        // SAFETY: a block of that size came from there; the caller upholds the rest of the contract.
        unsafe { MiMalloc.dealloc(block, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        match (is_large(layout.size()), is_large(bytes)) {
            // SAFETY: the block stays with its allocator; the caller upholds the rest of the contract.
            (false, false) => unsafe { MiMalloc.realloc(block, layout, bytes) },
            // SAFETY: as above.
            (true, true) => unsafe { large::realloc(block, layout, bytes) },
            // SAFETY: the caller upholds this function's contract.
            _ => unsafe { self.change(block, layout, bytes) },
        }
    }
}

impl Allocator {
    /// Copies a block to the other allocator.
    #[cold]
    unsafe fn change(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller of `realloc` promises that the size is valid for the alignment; the blocks do not overlap.
        unsafe {
            let changed = self.alloc(Layout::from_size_align_unchecked(bytes, layout.align()));
            if !changed.is_null() {
                std::ptr::copy_nonoverlapping(block, changed, bytes.min(layout.size()));
                self.dealloc(block, layout);
            }
            changed
        }
    }
}

/// Large blocks as memory maps of their own. The C library would keep some of them for later.
#[cfg(target_os = "linux")]
mod large {
    use std::alloc::{GlobalAlloc, Layout};
    use std::ffi::c_void;
    use std::ptr;

    use mimalloc::MiMalloc;
    use rustix::mm::{MapFlags, MremapFlags, ProtFlags, mmap_anonymous, mremap, munmap};

    /// Largest alignment that every map has, in bytes: the smallest page of any processor.
    const PAGE_BYTES_MIN: usize = 4096;

    unsafe extern "C" {
        /// A function of mimalloc: true if a block is its own.
        fn mi_is_in_heap_region(block: *const c_void) -> bool;
    }

    /// True if the block came from mimalloc, because no map could be had.
    fn is_replaced(block: *mut u8) -> bool {
        // SAFETY: the function only compares the address.
        unsafe { mi_is_in_heap_region(block.cast()) }
    }

    pub(super) unsafe fn alloc(layout: Layout) -> *mut u8 {
        // A map is zeroed anyway.
        // SAFETY: the caller upholds this function's contract.
        unsafe { alloc_zeroed(layout) }
    }

    pub(super) unsafe fn alloc_zeroed(layout: Layout) -> *mut u8 {
        if layout.align() <= PAGE_BYTES_MIN {
            let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
            // SAFETY: the system chooses the place.
            let map = unsafe { mmap_anonymous(ptr::null_mut(), layout.size(), protection, flags) };
            if let Ok(map) = map {
                return map.cast();
            }
        }
        // The number of maps of a process is limited.
        // SAFETY: the caller upholds this function's contract.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    pub(super) unsafe fn dealloc(block: *mut u8, layout: Layout) {
        if is_replaced(block) {
            // SAFETY: the caller upholds this function's contract.
            return unsafe { MiMalloc.dealloc(block, layout) };
        }
        // It fails where the map would be parted beyond the limit of their number. Then only the bytes are returned.
        // SAFETY: the block is a map of that size, which nobody uses any more.
        unsafe {
            if munmap(block.cast(), layout.size()).is_err() {
                let advice = rustix::mm::Advice::LinuxDontNeed;
                let _ = rustix::mm::madvise(block.cast(), layout.size(), advice);
            }
        }
    }

    pub(super) unsafe fn realloc(block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        if !is_replaced(block) {
            // SAFETY: the block is a map of that size; a failure leaves it as it is.
            let moved = unsafe { mremap(block.cast(), layout.size(), bytes, MremapFlags::MAYMOVE) };
            if let Ok(moved) = moved {
                return moved.cast();
            }
        }
        // SAFETY: the caller upholds this function's contract.
        unsafe { super::Allocator.change(block, layout, bytes) }
    }
}

/// Large blocks from the system's allocator, which has a heap for all threads.
#[cfg(not(target_os = "linux"))]
mod large {
    use std::alloc::{GlobalAlloc, Layout, System};

    pub(super) unsafe fn alloc(layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds this function's contract.
        unsafe { System.alloc(layout) }
    }

    pub(super) unsafe fn alloc_zeroed(layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds this function's contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    pub(super) unsafe fn dealloc(block: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds this function's contract.
        unsafe { System.dealloc(block, layout) }
    }

    pub(super) unsafe fn realloc(block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller upholds this function's contract.
        unsafe { System.realloc(block, layout, bytes) }
    }
}
