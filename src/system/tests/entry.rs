//! The two entry points, called as libpam would and as it never would.
//!
//! In a program of its own: the entry points silence every panic of the process, failing tests included.

#![expect(clippy::panic, reason = "a module that panics is what is tested")]

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};
use std::ptr;

use fidokey_core::verdict::Answer;
use fidokey_system::entry::{PamHandle, PamResultCode};

fidokey_system::export!(module, aborted);

thread_local! {
    /// The module's deed: what to do, and how many arguments it was given.
    static DEED: Cell<Deed> = const { Cell::new(Deed::Answer) };
    static ARGUMENTS: Cell<Option<usize>> = const { Cell::new(None) };
    /// How often it was told that the module had panicked.
    static ABORTS: Cell<u32> = const { Cell::new(0) };
}

#[derive(Clone, Copy)]
enum Deed {
    Answer,
    Panic,
    PanicTwice,
}

/// Panics when it is dropped, with another of itself.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        std::panic::panic_any(Self);
    }
}

fn module(_: &mut PamHandle, arguments: &[&CStr]) -> Answer {
    ARGUMENTS.set(Some(arguments.len()));
    match DEED.get() {
        Deed::Answer => Answer::ABORT,
        Deed::Panic => panic!("a bug"),
        Deed::PanicTwice => std::panic::panic_any(Bomb),
    }
}

/// Counts, and panics itself where the module has panicked twice.
fn aborted(_: &mut PamHandle) {
    ABORTS.set(ABORTS.get().saturating_add(1));
    if matches!(DEED.get(), Deed::PanicTwice) {
        std::panic::panic_any(Bomb);
    }
}

/// A handle that nothing looks into.
fn handle() -> *mut PamHandle {
    ptr::dangling_mut()
}

fn authenticate(handle: *mut PamHandle, count: c_int, arguments: *const *const c_char) -> i32 {
    ARGUMENTS.set(None);
    // SAFETY: the handle is not looked into; each test passes arguments that are there, or a wrong count that is
    // refused before they are looked at.
    unsafe { pam_sm_authenticate(handle, 0, count, arguments) as i32 }
}

fn set_credentials(handle: *mut PamHandle, count: c_int, arguments: *const *const c_char) -> i32 {
    // SAFETY: as above.
    unsafe { pam_sm_setcred(handle, 0, count, arguments) as i32 }
}

// X11.
#[test]
fn a_call_that_libpam_never_makes_is_refused() {
    let one = [c"mode=alternative".as_ptr()];
    let null = [c"a".as_ptr(), ptr::null()];
    for call in [authenticate, set_credentials] {
        assert_eq!(call(ptr::null_mut(), 0, ptr::null()), 26);
        assert_eq!(call(handle(), -1, one.as_ptr()), 26);
        assert_eq!(call(handle(), c_int::MIN, ptr::null()), 26);
        assert_eq!(call(handle(), 1, ptr::null()), 26);
        assert_eq!(call(handle(), 2, null.as_ptr()), 26);
        for count in [65, 1_000_000, c_int::MAX] {
            assert_eq!(call(handle(), count, one.as_ptr()), 3);
        }
        assert_eq!(ARGUMENTS.get(), None);
    }
}

// X16 for the code itself: the stacks around it are the module's tests.
#[test]
fn credentials_are_always_in_order() {
    let one = [c"mode=alternative".as_ptr()];
    assert_eq!(set_credentials(handle(), 0, ptr::null()), 0);
    assert_eq!(set_credentials(handle(), 1, one.as_ptr()), 0);
}

#[test]
fn the_arguments_of_the_line_reach_the_module() {
    let many = [c"pin_guard=3".as_ptr(); 64];
    for count in [0, 1, 64] {
        assert_eq!(authenticate(handle(), count, many.as_ptr()), 26);
        assert_eq!(ARGUMENTS.get(), usize::try_from(count).ok());
    }
}

// X4, and the panic of what was panicked with.
#[test]
fn a_panic_is_an_abort_whatever_it_is_made_of() {
    for deed in [Deed::Panic, Deed::PanicTwice] {
        DEED.set(deed);
        ABORTS.set(0);
        assert_eq!(authenticate(handle(), 0, ptr::null()), 26);
        assert_eq!(ABORTS.get(), 1);
    }
    DEED.set(Deed::Answer);
    assert_eq!(authenticate(handle(), 0, ptr::null()), PamResultCode::PAM_ABORT as i32);
    assert_eq!(ABORTS.get(), 1);
}
