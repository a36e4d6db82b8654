//! The two functions that libpam calls, and what stands between them and the login: no panic leaves here, and
//! no number but the known ones.

use std::any::Any;
use std::ffi::{CStr, c_char, c_int};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Once;

use ::pam::macros::invoke_hook;
use fidokey_core::verdict::Answer;

use crate::pam::PamHost;

pub use ::pam::constants::{PamFlag, PamResultCode};
pub use ::pam::module::PamHandle;

/// The most arguments of a PAM line that are looked at. No line needs a quarter of them.
const ARGUMENTS_MAX: c_int = 64;
/// `PAM_SERVICE_ERR`: the answer to more arguments than that.
const TOO_MANY_ARGUMENTS: PamResultCode = PamResultCode::PAM_SERVICE_ERR;
/// What `pam_sm_setcred` answers. We have set no credentials, and there is nothing about them that failed; to ask
/// to be ignored instead would fail the whole call in a stack where nobody else answers (`PAM_PERM_DENIED`).
const CREDENTIALS_UNCHANGED: c_int = 0;

/// What a module does in `pam_sm_authenticate`: the arguments are those of the PAM line.
pub type Authenticate = fn(&mut PamHandle, &[&CStr]) -> Answer;

/// What a module does when its [`Authenticate`] has panicked, before `PAM_ABORT` is returned.
pub type Aborted = fn(&mut PamHandle);

/// Says in the log that a login ended by a bug.
pub fn log_abort(handle: &mut PamHandle) {
    PamHost::new(handle).log_abort();
}

/// Defines the two symbols of a PAM module for authentication, `pam_sm_authenticate` and `pam_sm_setcred`, and no
/// other: libpam refuses the other uses of the module by itself. Takes the paths of an [`Authenticate`] and of an
/// [`Aborted`].
#[macro_export]
macro_rules! export {
    ($authenticate:path, $aborted:path) => {
        /// Entry point of libpam: pam_sm_authenticate(3).
        ///
        /// # Safety
        /// `handle` is null or libpam's, `arguments` null or an array of `count` C strings or nulls.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn pam_sm_authenticate(
            handle: *mut $crate::entry::PamHandle,
            _flags: $crate::entry::PamFlag,
            count: ::core::ffi::c_int,
            arguments: *const *const ::core::ffi::c_char,
        ) -> $crate::entry::PamResultCode {
            // SAFETY: the promises to this function are those that the other one asks for.
            unsafe {
                $crate::entry::authenticate(handle, count, arguments, $authenticate, $aborted)
            }
        }

        /// Entry point of libpam: pam_sm_setcred(3).
        ///
        /// # Safety
        /// `handle` is null or libpam's, `arguments` null or an array of `count` C strings or nulls.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn pam_sm_setcred(
            handle: *mut $crate::entry::PamHandle,
            _flags: $crate::entry::PamFlag,
            count: ::core::ffi::c_int,
            arguments: *const *const ::core::ffi::c_char,
        ) -> $crate::entry::PamResultCode {
            // SAFETY: the promises to this function are those that the other one asks for.
            unsafe { $crate::entry::set_credentials(handle, count, arguments) }
        }
    };
}

/// Runs `hook` as libpam's call of `pam_sm_authenticate`. For [`export!`](crate::export).
///
/// # Safety
/// `handle` is null or libpam's, `arguments` null or an array of `count` C strings or nulls; all of them stay
/// valid during the call.
pub unsafe fn authenticate(
    handle: *mut PamHandle,
    count: c_int,
    arguments: *const *const c_char,
    hook: Authenticate,
    aborted: Aborted,
) -> PamResultCode {
    silence_panics();
    if count > ARGUMENTS_MAX {
        return TOO_MANY_ARGUMENTS;
    }
    // SAFETY: the caller promises what is asked for here.
    unsafe {
        invoke_hook(handle, count, arguments, |handle, arguments| {
            match contained(|| code(hook(handle, &arguments).number())) {
                Some(code) => code,
                None => {
                    // A bug in this as well is one too many to be told of.
                    let _ = contained(|| aborted(handle));
                    PamResultCode::PAM_ABORT
                }
            }
        })
    }
}

/// Answers libpam's call of `pam_sm_setcred`. For [`export!`](crate::export).
///
/// # Safety
/// As for [`authenticate`].
pub unsafe fn set_credentials(
    handle: *mut PamHandle,
    count: c_int,
    arguments: *const *const c_char,
) -> PamResultCode {
    silence_panics();
    if count > ARGUMENTS_MAX {
        return TOO_MANY_ARGUMENTS;
    }
    // SAFETY: the caller promises what is asked for here.
    unsafe { invoke_hook(handle, count, arguments, |_, _| code(CREDENTIALS_UNCHANGED)) }
}

/// The code of that number, where it is one that a login may end with: a number beyond libpam's would end even a
/// stack in which the password comes next, and `PAM_INCOMPLETE` would freeze it.
fn code(number: c_int) -> PamResultCode {
    match number {
        0 | 3 | 4 | 5 | 6 | 7 | 9 | 10 | 19 | 25 | 26 => {
            PamResultCode::try_from(number).unwrap_or(PamResultCode::PAM_ABORT)
        }
        _ => PamResultCode::PAM_ABORT,
    }
}

/// Makes panics of this library say nothing. The hook that would print them writes to the program's standard
/// error, and reads `RUST_BACKTRACE` of whoever called sudo. It is that of our own copy of the standard library,
/// so nobody else's panics are silenced.
fn silence_panics() {
    static ONCE: Once = Once::new();
    // Forced, as a plain `call_once` panics when an earlier one has.
    ONCE.call_once_force(|_| set_hook(Box::new(|_| {})));
}

/// What `work` answers, or nothing when it panics, whatever it panics with.
fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(answer) => Some(answer),
        Err(payload) => {
            discard(payload);
            None
        }
    }
}

/// Drops what was panicked with. That can panic again, with something that panics again when it is dropped: the
/// second one is left undropped.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        let _undropped = ManuallyDrop::new(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // INV-3.
    #[test]
    fn no_other_number_than_the_known_ones_leaves_the_module() {
        let allowed = [0, 3, 4, 5, 6, 7, 9, 10, 19, 25, 26];
        for number in (-2..300).chain([c_int::MIN, c_int::MAX]) {
            let expected = if allowed.contains(&number) { number } else { 26 };
            assert_eq!(code(number) as c_int, expected, "{number}");
        }
    }
}
