//! Modules without libpam: calls of their entry points as libpam would never make them, and loading them for ever.

#![expect(unsafe_code, reason = "dlopen and the entry points are C")]

use std::collections::BTreeMap;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// How many threads load and unload.
const THREADS: usize = 8;

/// `TIMES=PATH`: loads and unloads a module that often, from eight threads that end afterwards; every tenth time it is
/// called, every hundredth it is libpam that loads it, for a login of its own. Says how many logins got which code,
/// whether the module was ever elsewhere than before, and whether it is there when nobody has it loaded:
/// `reload=TIMES codes=CODExCOUNT moved=0 loaded=true`.
pub(crate) fn reload(login: &(dyn Fn() -> c_int + Sync), rest: &str) {
    let (times, path) = rest.split_once('=').expect("reload:TIMES=PATH");
    let times: usize = times.parse().expect("a number");
    let path = c_string(path.to_owned());
    let (next, moved) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let place = AtomicUsize::new(0);
    let codes = Mutex::new(BTreeMap::new());
    let once = |number: usize| {
        if number % 100 == 50 {
            *codes.lock().expect("no panic").entry(login()).or_insert(0) += 1;
            return;
        }
        // SAFETY: a module's path.
        let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        assert!(!library.is_null());
        // SAFETY: the library is open.
        let symbol = unsafe { libc::dlsym(library, c"pam_sm_authenticate".as_ptr()) };
        let before = place.swap(symbol as usize, Ordering::Relaxed);
        if before != 0 && before != symbol as usize {
            moved.fetch_add(1, Ordering::Relaxed);
        }
        if number % 10 == 5 {
            // SAFETY: the type of every entry point of a PAM module.
            let entry: Entry = unsafe { std::mem::transmute(symbol) };
            // SAFETY: what is wrong here is what the module promises to notice.
            assert_eq!(unsafe { entry(null_mut(), 0, 0, null()) }, 26);
        }
        // SAFETY: opened above, once.
        assert_eq!(unsafe { libc::dlclose(library) }, 0);
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= times {
                        break;
                    }
                    once(number);
                }
            });
        }
    });
    // SAFETY: a path; this loads nothing.
    let loaded = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD) };
    let codes: Vec<_> = codes.into_inner().expect("no panic").into_iter().collect();
    let codes: Vec<_> = codes.iter().map(|(code, count)| format!("{code}x{count}")).collect();
    say(&format!(
        "reload={times} codes={} moved={} loaded={}",
        codes.join(","),
        moved.into_inner(),
        !loaded.is_null()
    ));
}
