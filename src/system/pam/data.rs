//! Texts that are kept in a transaction of libpam, between the calls of its program.
//!
//! Own code and not the bindings': those hand out what is there as whatever type one says. Here it is a C string that
//! was made with `malloc`, whichever build of this module made it.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use ::pam::module::PamHandle;
use nix::libc;

use super::ffi::{DONE, pam_get_data, pam_set_data};

/// Keeps `text` under `name`, in the place of what was there; does nothing where it cannot.
pub(super) fn keep(handle: &mut PamHandle, name: &str, text: &str) {
    let (Ok(name), Ok(text)) = (CString::new(name), CString::new(text)) else { return };
    // SAFETY: the text ends in NUL.
    let copy = unsafe { libc::strdup(text.as_ptr()) };
    if copy.is_null() {
        return;
    }
    // SAFETY: the handle is libpam's, which copies the name and takes over the text, with what frees it.
    let kept = unsafe { pam_set_data(handle, name.as_ptr(), copy.cast(), discard) };
    if kept != DONE {
        // SAFETY: libpam has not taken it over, so it is still ours alone.
        unsafe { libc::free(copy.cast()) };
    }
}

/// What was kept under `name`.
pub(super) fn recall(handle: &PamHandle, name: &str) -> Option<String> {
    let name = CString::new(name).ok()?;
    let mut data = ptr::null();
    // SAFETY: the handle is libpam's, the name ends in NUL, and `data` is written to.
    let got = unsafe { pam_get_data(handle, name.as_ptr(), &raw mut data) };
    if got != DONE || data.is_null() {
        return None;
    }
    // SAFETY: under names of this module there are only C strings; it stays where it is until it is replaced.
    let text = unsafe { CStr::from_ptr(data.cast::<c_char>()) };
    text.to_str().ok().map(str::to_owned)
}

/// Frees a text. A program that forks has it in both processes, and in each it is freed once.
unsafe extern "C" fn discard(_handle: *mut PamHandle, data: *mut c_void, _status: c_int) {
    // SAFETY: it was made by `keep`, and libpam has just given it up.
    unsafe { libc::free(data) };
}
