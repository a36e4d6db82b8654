//! Functions of libc that this program has instead: a library that is loaded later finds ours first (ld.so(8)),
//! as long as the executable exports them, which `build.rs` sees to. The log goes into the report, and so does
//! every look at the environment while a call of libpam is under way.

#![expect(unsafe_code, reason = "the functions of libc are C")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc;

use crate::allocation::{unwatched, watch};
use crate::report::say;

static CALLED: AtomicBool = AtomicBool::new(false);

/// Runs a call of libpam. The kernel sees where it begins and ends, for who traces this process.
pub(crate) fn watched<T>(call: impl FnOnce() -> T) -> T {
    // The system call itself: its arguments are looked at.
    let mark = |path: &CStr| {
        // SAFETY: the path ends in NUL.
        unsafe { libc::syscall(libc::SYS_faccessat, libc::AT_FDCWD, path.as_ptr(), libc::F_OK) }
    };
    // The first time, this opens libgcc.
    let _ = callers();
    mark(c"/fidokey-begin");
    CALLED.store(true, Ordering::Relaxed);
    watch(true);
    let result = call();
    watch(false);
    CALLED.store(false, Ordering::Relaxed);
    mark(c"/fidokey-end");
    result
}

/// What `pam_syslog` of a libpam without `_FORTIFY_SOURCE` calls, with these two strings unless it has no memory for
/// them. On the machines that we run on, a variadic function gets its first arguments where any other does.
#[unsafe(no_mangle)]
extern "C" fn syslog(
    priority: c_int,
    format: *const c_char,
    prefix: *const c_char,
    text: *const c_char,
) {
    let string = |text: *const c_char| {
        // What libpam hands over where it had no memory, and printf takes.
        if text.is_null() {
            return "(null)".to_owned();
        }
        // SAFETY: libpam hands over two C strings.
        let text = unsafe { CStr::from_ptr(text) };
        text.to_str().map_or_else(|_| format!("not UTF-8: {text:?}"), str::to_owned)
    };
    unwatched(|| {
        let format = string(format);
        if format.matches("%s").count() == 2 {
            say(&format!("log {priority} {} {}", string(prefix), string(text)));
        } else {
            say(&format!("log {priority} {format}"));
        }
    });
}

/// The same with `_FORTIFY_SOURCE`.
#[unsafe(no_mangle)]
extern "C" fn __syslog_chk(
    priority: c_int,
    _flag: c_int,
    format: *const c_char,
    prefix: *const c_char,
    text: *const c_char,
) {
    syslog(priority, format, prefix, text);
}

type Get = unsafe extern "C" fn(*const c_char) -> *mut c_char;

#[unsafe(no_mangle)]
extern "C" fn getenv(name: *const c_char) -> *mut c_char {
    note(name);
    // SAFETY: the caller's name, handed on.
    unsafe { real(c"getenv")(name) }
}

#[unsafe(no_mangle)]
extern "C" fn secure_getenv(name: *const c_char) -> *mut c_char {
    note(name);
    // SAFETY: the caller's name, handed on.
    unsafe { real(c"secure_getenv")(name) }
}

fn real(name: &CStr) -> Get {
    // SAFETY: the name ends in NUL.
    let function = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    assert!(!function.is_null());
    // SAFETY: both functions have this type.
    unsafe { std::mem::transmute(function) }
}

fn note(name: *const c_char) {
    if CALLED.load(Ordering::Relaxed) {
        unwatched(|| tell(name));
    }
}

fn tell(name: *const c_char) {
    // SAFETY: the name that getenv was called with.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    let caller = callers().into_iter().find(|file| !file.ends_with("/pam-host"));
    say(&format!("getenv {name} {}", caller.as_deref().unwrap_or("pam-host")));
}

unsafe extern "C" {
    fn backtrace(buffer: *mut *mut c_void, size: c_int) -> c_int;
}

/// The files that the functions now under way are in, innermost first.
pub(crate) fn callers() -> Vec<String> {
    let mut frames = [std::ptr::null_mut(); 32];
    // SAFETY: there is room for as many frames.
    let count = unsafe { backtrace(frames.as_mut_ptr(), 32) };
    let file = |frame: &*mut c_void| {
        let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
        // SAFETY: the place is written to, or left as it is.
        let found = unsafe { libc::dladdr(*frame, info.as_mut_ptr()) };
        // SAFETY: zeros are valid for it, too.
        let info = unsafe { info.assume_init() };
        if found == 0 || info.dli_fname.is_null() {
            return "?".to_owned();
        }
        // SAFETY: the loader's own string.
        unsafe { CStr::from_ptr(info.dli_fname) }.to_string_lossy().into_owned()
    };
    let count = usize::try_from(count).unwrap_or_default();
    frames.iter().take(count).map(file).collect()
}
