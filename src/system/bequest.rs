//! What this process has from whoever started it and could do harm with, put back to what root would have: for the command
//! where somebody else has it run as root.

use std::ptr;

use fidokey_core::ports::Fault;
use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::{self, SigHandler, SigSet, Signal};
use nix::sys::stat::{Mode, umask};

/// What a process without limits has of descriptors, and of its stack in bytes.
const DESCRIPTORS: rlim_t = 1024;
const STACK: rlim_t = 8 * 1024 * 1024;
/// The limits that would end a change in the midst of it, and the least that each must be.
const LIMITS: [(Resource, rlim_t); 6] = [
    (Resource::RLIMIT_AS, RLIM_INFINITY),
    (Resource::RLIMIT_CPU, RLIM_INFINITY),
    (Resource::RLIMIT_DATA, RLIM_INFINITY),
    (Resource::RLIMIT_FSIZE, RLIM_INFINITY),
    (Resource::RLIMIT_NOFILE, DESCRIPTORS),
    (Resource::RLIMIT_STACK, STACK),
];
const TIMERS: [libc::c_int; 3] = [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF];
/// What is no signal's to be ignored by: the standard library has reasons of its own for these.
const NOT_OURS: [Signal; 3] = [Signal::SIGBUS, Signal::SIGPIPE, Signal::SIGSEGV];

/// What a terminal stops its processes with. Whoever has this run has that terminal: stopped, it would keep the locks that it
/// holds, those of keys among them, for as long as they please.
const STOPS: [Signal; 3] = [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];

/// Puts back the signals, their mask, the timers, the limits and the mask of new files.
///
/// # Errors
/// [`Fault`] where one of them cannot be: nothing is to be done then.
pub fn shed() -> Result<(), Fault> {
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    for timer in TIMERS {
        let none = libc::itimerval {
            it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 },
            it_value: libc::timeval { tv_sec: 0, tv_usec: 0 },
        };
        // SAFETY: the new value is read, and no old one asked for.
        let set = unsafe { libc::setitimer(timer, &raw const none, ptr::null_mut()) };
        Errno::result(set).map_err(|errno| fault("setitimer", errno))?;
    }
    // No core with what was typed in it, wherever it would go.
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(|errno| fault("setrlimit", errno))?;
    for (limit, least) in LIMITS {
        raise(limit, least).map_err(|errno| fault("setrlimit", errno))?;
    }
    let others = |signal: &Signal| {
        !NOT_OURS.contains(signal) && !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP)
    };
    for signal in Signal::iterator().filter(others) {
        // SAFETY: no handler of ours is set, and none is taken away that is not the caller's.
        let set = unsafe { signal::signal(signal, handling(signal)) };
        set.map_err(|errno| fault("signal", errno))?;
    }
    SigSet::empty().thread_set_mask().map_err(|errno| fault("pthread_sigmask", errno))
}

/// What is to become of `signal`.
fn handling(signal: Signal) -> SigHandler {
    if STOPS.contains(&signal) { SigHandler::SigIgn } else { SigHandler::SigDfl }
}

/// Raises `limit` to `least`, where it is lower.
fn raise(limit: Resource, least: rlim_t) -> Result<(), Errno> {
    let (soft, hard) = getrlimit(limit)?;
    match soft >= least {
        true => Ok(()),
        false => setrlimit(limit, least, hard.max(least)),
    }
}

const fn fault(call: &'static str, errno: Errno) -> Fault {
    Fault { call, errno: errno as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_what_a_terminal_stops_with_then_it_is_ignored_and_what_ends_a_process_still_does() {
        for signal in [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU] {
            assert!(matches!(handling(signal), SigHandler::SigIgn), "{signal}");
        }
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD] {
            assert!(matches!(handling(signal), SigHandler::SigDfl), "{signal}");
        }
    }

    // The signals of a process are all tests' of it: what is shed of them is shown in the virtual machine.
    #[test]
    fn given_a_limit_that_is_lower_then_it_is_raised_and_a_higher_one_stays() {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let lower = soft.min(64);
        raise(Resource::RLIMIT_NOFILE, lower).unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (soft, hard));
        // Not below what other tests of this process need.
        let (before, after) = (hard.saturating_sub(1), hard);
        setrlimit(Resource::RLIMIT_NOFILE, before, hard).unwrap();
        raise(Resource::RLIMIT_NOFILE, after).unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    }
}
