//! The allocator of libc, which fails once when it is told to.

#![expect(unsafe_code, reason = "the functions of libc are C")]

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How many allocations are left, the one that fails included; 0 when none is to fail.
static LEFT: AtomicUsize = AtomicUsize::new(0);
/// How many there were.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Whether they are somebody else's than this program's.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// Lets the allocation of that number fail, from 1, of those that are watched.
pub(crate) fn fail(number: usize) {
    LEFT.store(number, Ordering::Relaxed);
}

/// How many allocations were watched.
pub(crate) fn count() -> usize {
    COUNT.load(Ordering::Relaxed)
}

/// Counts from now on, or not; what it was before.
pub(crate) fn watch(on: bool) -> bool {
    WATCHED.swap(on, Ordering::Relaxed)
}

/// Does something of this program's own in the middle of a call of libpam.
pub(crate) fn unwatched<T>(work: impl FnOnce() -> T) -> T {
    let before = watch(false);
    let result = work();
    watch(before);
    result
}

fn fails() -> bool {
    if !WATCHED.load(Ordering::Relaxed) {
        return false;
    }
    COUNT.fetch_add(1, Ordering::Relaxed);
    let left = LEFT.load(Ordering::Relaxed);
    LEFT.store(left.saturating_sub(1), Ordering::Relaxed);
    left == 1
}

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(old: *mut c_void, size: usize) -> *mut c_void;
}

#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut c_void {
    // SAFETY: handed on.
    if fails() { null_mut() } else { unsafe { __libc_malloc(size) } }
}

#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    // SAFETY: handed on.
    if fails() { null_mut() } else { unsafe { __libc_calloc(count, size) } }
}

#[unsafe(no_mangle)]
extern "C" fn realloc(old: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: handed on.
    if fails() { null_mut() } else { unsafe { __libc_realloc(old, size) } }
}
