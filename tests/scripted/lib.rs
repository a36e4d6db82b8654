//! `libfidokey_scripted.so`: a PAM module that decides nothing. Copies of it stand for all the modules that a stack
//! names; each asks the program that has loaded it, `pam-judge`, what to answer.

#![expect(unsafe_code, reason = "the entry points of a PAM module are C")]

use std::ffi::{c_char, c_int, c_void};

unsafe extern "C" {
    /// What `pam-judge` exports. The address is one within the copy that asks, by which it is told from the others.
    fn fidokey_scripted_answer(
        address: *const c_void,
        count: c_int,
        arguments: *const *const c_char,
    ) -> c_int;
}

/// Asks what to answer.
#[unsafe(no_mangle)]
extern "C" fn pam_sm_authenticate(
    _handle: *mut c_void,
    _flags: c_int,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    let address = pam_sm_authenticate as *const c_void;
    // SAFETY: libpam's arguments, handed on.
    unsafe { fidokey_scripted_answer(address, count, arguments) }
}

/// The entry points that nobody calls: libpam looks for them and would complain.
macro_rules! succeed {
    ($($name:ident)*) => {$(
        /// Succeeds.
        #[unsafe(no_mangle)]
        extern "C" fn $name(
            _handle: *mut c_void,
            _flags: c_int,
            _count: c_int,
            _arguments: *const *const c_char,
        ) -> c_int {
            0
        }
    )*};
}

succeed!(pam_sm_setcred pam_sm_acct_mgmt pam_sm_open_session pam_sm_close_session pam_sm_chauthtok);
