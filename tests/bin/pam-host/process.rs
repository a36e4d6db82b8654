//! What the program does to itself before it asks for a login, and what it tells about itself.

#![expect(unsafe_code, reason = "limits and descriptors of this process")]

use std::ffi::{CString, c_char};
use std::fs;

use nix::libc;

use crate::allocation;
use crate::interpose::watched;
use crate::report::{hold, release, say};

/// Soft limits that were changed, and what they were.
static LIMITS: std::sync::Mutex<Vec<(libc::__rlimit_resource_t, libc::rlimit)>> =
    std::sync::Mutex::new(Vec::new());

/// Performs the word, or says that it is none of these.
pub(crate) fn perform(verb: &str, rest: &str) -> bool {
    match verb {
        "cwd-gone" => cwd_gone(),
        // SAFETY: any mask will do.
        "umask" => drop(unsafe { libc::umask(u32::from_str_radix(rest, 8).expect("octal")) }),
        "nice" => {
            let value = rest.parse().expect("a number");
            // SAFETY: any number will do.
            assert_eq!(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value) }, 0);
        }
        "limit" => limit(rest),
        "unlimit" => unlimit(),
        "close" => {
            for digit in rest.bytes() {
                // SAFETY: this program uses none of its standard streams.
                unsafe { libc::close(i32::from(digit - b'0')) };
            }
        }
        "descriptors" => descriptors(),
        "memory" => memory("memory", "VmHWM:"),
        "resident" => memory("resident", "RssAnon:"),
        "getenv" => look(rest),
        "allocation" => allocation::fail(rest.parse().expect("a number")),
        "allocations" => say(&format!("allocations={}", allocation::count())),
        "tidy" => say(&format!("tidy={}", tidy())),
        _ => return false,
    }
    true
}

fn cwd_gone() {
    let directory = format!("/tmp/fidokey-gone-{}", std::process::id());
    fs::create_dir(&directory).expect("a directory in /tmp");
    std::env::set_current_dir(&directory).expect("it is there");
    fs::remove_dir(&directory).expect("it is empty");
}

/// `NAME=NUMBER`: the soft limit, so that it can be raised again.
fn limit(text: &str) {
    let (name, number) = text.split_once('=').expect("limit:NAME=NUMBER");
    let resource = match name {
        "AS" => libc::RLIMIT_AS,
        "CPU" => libc::RLIMIT_CPU,
        "FSIZE" => libc::RLIMIT_FSIZE,
        "NOFILE" => libc::RLIMIT_NOFILE,
        "NPROC" => libc::RLIMIT_NPROC,
        "STACK" => libc::RLIMIT_STACK,
        _ => panic!("limit:{text}?"),
    };
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the place is written to.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut old) }, 0);
    let new = libc::rlimit { rlim_cur: number.parse().expect("a number"), ..old };
    hold();
    LIMITS.lock().expect("no panic").push((resource, old));
    // SAFETY: the place is read.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const new) }, 0);
}

fn unlimit() {
    for (resource, old) in LIMITS.lock().expect("no panic").drain(..) {
        // SAFETY: the place is read.
        assert_eq!(unsafe { libc::setrlimit(resource, &raw const old) }, 0);
    }
    release();
}

/// Looks at the environment as a module could: by both functions of libc, during a call.
fn look(name: &str) {
    unsafe extern "C" {
        fn secure_getenv(name: *const c_char) -> *mut c_char;
    }
    let name = CString::new(name).expect("no NUL");
    watched(|| {
        // SAFETY: the name ends in NUL.
        unsafe { libc::getenv(name.as_ptr()) };
        // SAFETY: the name ends in NUL.
        unsafe { secure_getenv(name.as_ptr()) }
    });
}

/// `descriptors NUMBER=FILE …`, without that of the listing itself.
fn descriptors() {
    let mut open: Vec<(u32, String)> = fs::read_dir("/proc/self/fd")
        .expect("/proc")
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            let file = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
            (!file.ends_with("/fd")).then_some((number, file))
        })
        .collect();
    open.sort();
    let words: Vec<String> = open.iter().map(|(number, file)| format!("{number}={file}")).collect();
    say(&format!("descriptors {}", words.join(" ")));
}

/// `memory=KIB`: the most that was ever resident; `resident=KIB`: what is now, but for files.
fn memory(word: &str, key: &str) {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let value = status.lines().find_map(|line| line.strip_prefix(key)).expect("proc(5)");
    let kib = value.trim().trim_end_matches(" kB");
    say(&format!("{word}={kib}"));
}

/// What of this process a module could leave changed, in a line.
fn tidy() -> String {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let kept = [
        "Umask",
        "Uid",
        "Gid",
        "Groups",
        "Threads",
        "SigBlk",
        "SigIgn",
        "SigCgt",
        "NoNewPrivs",
        "Seccomp",
        "CapEff",
    ];
    let kept = status.lines().filter(|line| kept.iter().any(|key| line.starts_with(key)));
    let limits = fs::read_to_string("/proc/self/limits").expect("/proc");
    let directory = std::env::current_dir();
    let environment: Vec<_> = std::env::vars_os().collect();
    // SAFETY: with a null pointer it only tells.
    let locale = unsafe { libc::setlocale(libc::LC_ALL, std::ptr::null()) };
    // SAFETY: it is a C string of libc's.
    let locale = CString::from(unsafe { std::ffi::CStr::from_ptr(locale) });
    let kept: Vec<_> = kept.collect();
    format!("{kept:?} {limits:?} {directory:?} {environment:?} {locale:?}")
}
