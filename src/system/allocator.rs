//! The allocator of the module: the C library's, which ends the process without a word when there is no memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::NonNull;

use nix::libc;

/// The C library's allocator. Rust's own answer to an allocation that fails is a line on the standard error, with a
/// backtrace where the environment asks for one: both are the caller's of sudo to choose, and neither is ours to write
/// or to read. There is nothing to be done without memory but to end, which lets nobody in.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

// SAFETY: everything is `System`'s, which keeps what `GlobalAlloc` asks for; only null is never returned.
unsafe impl GlobalAlloc for Silent {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises what is asked for here.
        or_abort(unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above; `place` was made by `System`.
        unsafe { System.dealloc(place, layout) };
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        or_abort(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above; `place` was made by `System`.
        or_abort(unsafe { System.realloc(place, layout, size) })
    }
}

fn or_abort(place: *mut u8) -> *mut u8 {
    match NonNull::new(place) {
        Some(place) => place.as_ptr(),
        // SAFETY: it has no preconditions, allocates nothing and does not return.
        None => unsafe { libc::abort() },
    }
}
