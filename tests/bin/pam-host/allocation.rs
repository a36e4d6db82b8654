//! The allocator of libc, which fails once when it is told to, and counts what is not freed.

#![expect(unsafe_code, reason = "the functions of libc are C")]

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::libc;

use crate::interpose::callers;
use crate::report::say;

/// How many allocations are left, the one that fails included; 0 when none is to fail.
static LEFT: AtomicUsize = AtomicUsize::new(0);
/// How many there were.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// How many blocks are not freed, and how many bytes these have, from when this program has them counted.
static BLOCKS: AtomicIsize = AtomicIsize::new(0);
static BYTES: AtomicIsize = AtomicIsize::new(0);
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

/// The blocks that are not freed, and their bytes: each since some moment or other.
pub(crate) fn in_use() -> (isize, isize) {
    (BLOCKS.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed))
}

fn fails(size: usize) -> bool {
    if !WATCHED.load(Ordering::Relaxed) {
        return false;
    }
    COUNT.fetch_add(1, Ordering::Relaxed);
    let left = LEFT.load(Ordering::Relaxed);
    LEFT.store(left.saturating_sub(1), Ordering::Relaxed);
    if left == 1 {
        unwatched(|| tell(size));
        // As malloc(3) says; glibc itself relies on it.
        Errno::ENOMEM.set();
    }
    left == 1
}

/// `refused SIZE FILE …`: who asked for what fails now, the innermost first, each once.
fn tell(size: usize) {
    let mut files = callers();
    files.retain(|file| !file.ends_with("/pam-host"));
    files.dedup();
    say(&format!("refused {size} {}", files.join(" ")));
}

/// Counts a block that was made, or that is about to be freed.
fn counted(block: *mut c_void, by: isize) -> *mut c_void {
    if !block.is_null() {
        // SAFETY: a block of this allocator.
        let size = unsafe { libc::malloc_usable_size(block) };
        BLOCKS.fetch_add(by, Ordering::Relaxed);
        BYTES.fetch_add(by * size.cast_signed(), Ordering::Relaxed);
    }
    block
}

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(old: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
    fn __libc_free(block: *mut c_void);
}

#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut c_void {
    // SAFETY: handed on.
    if fails(size) { null_mut() } else { counted(unsafe { __libc_malloc(size) }, 1) }
}

#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    if fails(count.saturating_mul(size)) {
        return null_mut();
    }
    // SAFETY: handed on.
    counted(unsafe { __libc_calloc(count, size) }, 1)
}

#[unsafe(no_mangle)]
extern "C" fn realloc(old: *mut c_void, size: usize) -> *mut c_void {
    if fails(size) {
        return null_mut();
    }
    counted(old, -1);
    // SAFETY: handed on.
    let new = unsafe { __libc_realloc(old, size) };
    // What could not be made larger is there as it was.
    counted(if new.is_null() && size > 0 { old } else { new }, 1);
    new
}

#[unsafe(no_mangle)]
extern "C" fn memalign(alignment: usize, size: usize) -> *mut c_void {
    if fails(size) {
        return null_mut();
    }
    // SAFETY: handed on.
    counted(unsafe { __libc_memalign(alignment, size) }, 1)
}

#[unsafe(no_mangle)]
extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
    memalign(alignment, size)
}

#[unsafe(no_mangle)]
extern "C" fn posix_memalign(place: *mut *mut c_void, alignment: usize, size: usize) -> c_int {
    let block = memalign(alignment, size);
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller's place.
    unsafe { place.write(block) };
    0
}

#[unsafe(no_mangle)]
extern "C" fn free(block: *mut c_void) {
    // SAFETY: handed on.
    unsafe { __libc_free(counted(block, -1)) };
}
