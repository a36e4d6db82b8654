//! Calls of a module's entry points without libpam, as libpam would never make them.

#![expect(unsafe_code, reason = "dlopen and the entry points are C")]

use std::ffi::{c_char, c_int, c_void};
use std::ptr::{null, null_mut};

use nix::libc;

use crate::report::say;
use crate::{State, c_string};

type Entry = unsafe extern "C" fn(*mut c_void, c_int, c_int, *const *const c_char) -> c_int;

/// Calls both entry points with what libpam never hands over.
pub(crate) fn direct(state: &State, path: &str) {
    let path = c_string(path.to_owned());
    // SAFETY: a module's path.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!library.is_null());
    let handle = state.handle;
    let argument = c"mode=second-factor".as_ptr();
    let many = vec![argument; 1_000_000];
    let holed = [argument, null()];
    for name in [c"pam_sm_authenticate", c"pam_sm_setcred"] {
        // SAFETY: the library is open.
        let symbol = unsafe { libc::dlsym(library, name.as_ptr()) };
        assert!(!symbol.is_null());
        // SAFETY: the type of every entry point of a PAM module.
        let entry: Entry = unsafe { std::mem::transmute(symbol) };
        for (case, handle, count, arguments) in [
            ("null_handle", null_mut(), 0, null()),
            ("negative_count", handle, -1, null()),
            ("null_arguments", handle, 1, null()),
            ("null_argument", handle, 2, holed.as_ptr()),
            ("million_arguments", handle, 1_000_000, many.as_ptr()),
        ] {
            // SAFETY: what is wrong here is what the module promises to notice.
            let code = unsafe { entry(handle, 0, count, arguments) };
            say(&format!("{} {case}={code}", name.to_string_lossy()));
        }
    }
}
