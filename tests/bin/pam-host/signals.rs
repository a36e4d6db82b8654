//! The signals of this process: what a program like sudo or su has done to them before it asks for a login, and what
//! has become of them afterwards.

#![expect(unsafe_code, reason = "handlers and pending signals are C")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, kill, raise, sigaction,
};
use nix::unistd::Pid;

use crate::report::say;

/// A bit for each signal that was handled.
static HANDLED: AtomicU64 = AtomicU64::new(0);

/// Performs the word, or says that it is none of these.
pub(crate) fn perform(verb: &str, rest: &str) -> bool {
    match verb {
        "block" => set(rest).thread_block().expect("a mask"),
        "handle" => handle(rest),
        "later" => later(rest),
        "alarm" => alarm(rest.parse().expect("a number")),
        "await-pending" => {
            while pending().iter().next().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        "signals" => report(),
        "stop" => raise(Signal::SIGSTOP).expect("this thread"),
        _ => return false,
    }
    true
}

fn set(names: &str) -> SigSet {
    names.split(',').map(signal).collect()
}

fn signal(name: &str) -> Signal {
    format!("SIG{name}").parse().expect("the name of a signal")
}

extern "C" fn note(number: libc::c_int) {
    HANDLED.fetch_or(1 << number, Ordering::Relaxed);
}

fn handle(names: &str) {
    for signal in &set(names) {
        let handler: extern "C" fn(libc::c_int) = note;
        // SAFETY: the handler sets a bit and does nothing else.
        unsafe { libc::signal(signal as libc::c_int, handler as libc::sighandler_t) };
    }
}

/// `NAME=MS`: sends the signal to the process from a thread that no signal reaches.
fn later(rest: &str) {
    let (name, milliseconds) = rest.split_once('=').expect("later:NAME=MS");
    let (signal, milliseconds) = (signal(name), milliseconds.parse().expect("a number"));
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK).expect("a mask");
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(milliseconds));
        kill(Pid::this(), signal).expect("this process");
    });
    mask.thread_set_mask().expect("a mask");
}

/// A signal at every so many microseconds from now on, whose handler interrupts every call that can be.
fn alarm(microseconds: i64) {
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler sets a bit and does nothing else.
    unsafe { sigaction(Signal::SIGALRM, &action) }.expect("a handler");
    let every = libc::timeval { tv_sec: 0, tv_usec: microseconds };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: the timer is read; what it was before is not asked for.
    let set = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    assert_eq!(set, 0);
}

fn pending() -> SigSet {
    let mut pending = std::mem::MaybeUninit::uninit();
    // SAFETY: the place is written to.
    assert_eq!(unsafe { libc::sigpending(pending.as_mut_ptr()) }, 0);
    // SAFETY: it was written by the call above.
    unsafe { SigSet::from_sigset_t_unchecked(pending.assume_init()) }
}

fn report() {
    let handled = HANDLED.swap(0, Ordering::Relaxed);
    let handled = Signal::iterator().filter(|signal| handled & (1 << *signal as u32) != 0);
    let blocked = SigSet::thread_get_mask().expect("a mask");
    say(&format!(
        "signals pending={} blocked={} handled={}",
        names(pending().iter()),
        names(blocked.iter()),
        names(handled)
    ));
}

fn names(signals: impl Iterator<Item = Signal>) -> String {
    signals.map(|signal| signal.as_str().replace("SIG", "")).collect::<Vec<_>>().join(",")
}
