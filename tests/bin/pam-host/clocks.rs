//! The clocks of the kernel, which jump when they are told to.

#![expect(unsafe_code, reason = "the functions of libc are C")]

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use nix::libc;

/// From which moment on, in nanoseconds of the monotonic clock; 0 where nothing jumps.
static FROM: AtomicI64 = AtomicI64::new(0);
/// How far, in seconds.
static BY: AtomicI64 = AtomicI64::new(0);
/// Whether the monotonic clock jumps too.
static ALL: AtomicBool = AtomicBool::new(false);

/// Performs the word, or says that it is none of these.
pub(crate) fn perform(verb: &str, rest: &str) -> bool {
    if !["jump", "pass"].contains(&verb) {
        return false;
    }
    let (milliseconds, seconds) = rest.split_once('=').expect("jump:MS=SECONDS");
    let milliseconds: i64 = milliseconds.parse().expect("a number");
    BY.store(seconds.parse().expect("a number"), Ordering::Relaxed);
    ALL.store(verb == "pass", Ordering::Relaxed);
    FROM.store(
        nanoseconds(&read(libc::CLOCK_MONOTONIC).1) + milliseconds * 1_000_000,
        Ordering::Release,
    );
    true
}

fn nanoseconds(time: &libc::timespec) -> i64 {
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// What the kernel says.
fn read(clock: libc::clockid_t) -> (c_int, libc::timespec) {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place is written to.
    let result = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, &raw mut time) };
    (c_int::try_from(result).unwrap_or(-1), time)
}

/// The one that every library asks, Rust's own included. Only a clock that stands still while the machine sleeps
/// stays as it is.
#[unsafe(no_mangle)]
extern "C" fn clock_gettime(clock: libc::clockid_t, place: *mut libc::timespec) -> c_int {
    let (result, mut time) = read(clock);
    if result != 0 {
        return result;
    }
    let awake = [libc::CLOCK_MONOTONIC, libc::CLOCK_MONOTONIC_RAW, libc::CLOCK_MONOTONIC_COARSE];
    let from = FROM.load(Ordering::Acquire);
    let jumps = ALL.load(Ordering::Relaxed) || !awake.contains(&clock);
    if from != 0 && jumps && nanoseconds(&read(libc::CLOCK_MONOTONIC).1) >= from {
        // No clock shows a time before its beginning.
        time.tv_sec = (time.tv_sec + BY.load(Ordering::Relaxed)).max(0);
    }
    // SAFETY: the caller's place.
    unsafe { place.write(time) };
    0
}
