//! The signals by which somebody ends a wait: seen while a key is waited for, and left to the program.
//!
//! No handler is touched. The signals are blocked in this thread, which makes them pending, and a signalfd tells that
//! they are. Only reading takes one away; the others have their effect when the program has its mask back.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use fidokey_core::ports::{Moment, Signal};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{self, SigSet, SigmaskHow};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::sys::time::TimeSpec;
use nix::unistd::read;

use crate::descriptors::above_stdio;

/// How long a signal that was told is not told again.
const TOLD_EVERY: Duration = Duration::from_millis(10);
/// The most signals that are taken in one go: of each kind one may be this thread's, and one the process's.
const TAKEN_MAX: usize = 4;

/// What is blocked, and what it means.
const INTERRUPT: [signal::Signal; 2] = [signal::Signal::SIGINT, signal::Signal::SIGQUIT];
const TERMINATE: [signal::Signal; 2] = [signal::Signal::SIGTERM, signal::Signal::SIGHUP];

/// This thread with those signals blocked. Dropping it gives the mask back as it was, and with it what is still
/// pending: the program may end in that moment.
#[derive(Debug)]
pub struct Signals {
    /// The mask as the program had it.
    mask: SigSet,
    interrupt: OwnedFd,
    terminate: OwnedFd,
    /// Not told before this moment.
    told_until: Option<Moment>,
}

impl Signals {
    /// Blocks the signals. `None` where that is not possible; a wait then works without it.
    #[must_use]
    pub fn begin() -> Option<Self> {
        // The descriptors first: what fails later than the mask would have to give it back.
        let (interrupt, terminate) = (descriptor(INTERRUPT)?, descriptor(TERMINATE)?);
        let blocked: SigSet = INTERRUPT.into_iter().chain(TERMINATE).collect();
        let mask = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok()?;
        Some(Self { mask, interrupt, terminate, told_until: None })
    }

    /// Which of them is pending now. Nothing is taken.
    #[must_use]
    pub fn pending(&self) -> Option<Signal> {
        let sources = self.sources();
        let mut polled = sources.map(|(_, fd)| PollFd::new(fd, PollFlags::POLLIN));
        // Without a wait there is nothing to interrupt.
        ppoll(&mut polled, Some(TimeSpec::from_duration(Duration::ZERO)), None).ok()?;
        let ready = |fd: &PollFd<'_>| fd.revents().is_some_and(|flags| !flags.is_empty());
        sources.iter().zip(&polled).find(|(_, fd)| ready(fd)).map(|((signal, _), _)| *signal)
    }

    /// Takes away a pending [`Signal::Interrupt`].
    pub fn take_interrupt(&self) {
        // Not `SignalFd::read_signal`: it panics at what the kernel never does.
        let mut taken = [0; size_of::<siginfo>()];
        for _ in 0..TAKEN_MAX {
            match read(&self.interrupt, &mut taken) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => break,
            }
        }
    }

    /// What to poll for input, and what it means; the weightier one first.
    #[must_use]
    pub fn sources(&self) -> [(Signal, BorrowedFd<'_>); 2] {
        [(Signal::Terminate, self.terminate.as_fd()), (Signal::Interrupt, self.interrupt.as_fd())]
    }

    /// Notes that a signal is told at `now`.
    pub(crate) fn told(&mut self, now: Moment) {
        self.told_until = Some(now.after(TOLD_EVERY));
    }

    /// Until when nothing is told again, where that is later than `now`.
    pub(crate) fn quiet_until(&self, now: Moment) -> Option<Moment> {
        self.told_until.filter(|until| now < *until)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // It cannot fail for a mask that the kernel itself has given.
        let _ = self.mask.thread_set_mask();
    }
}

/// This thread with every signal blocked, so that nothing but SIGKILL comes between a change and what is told of it. Dropping
/// it gives the mask back, and what is pending then has its effect. For the command.
#[derive(Debug)]
#[must_use]
pub struct Undisturbed(Option<SigSet>);

impl Undisturbed {
    /// Blocks them, where that is possible.
    pub fn begin() -> Self {
        Self(SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK).ok())
    }
}

impl Drop for Undisturbed {
    fn drop(&mut self) {
        // It cannot fail for a mask that the kernel itself has given.
        let _ = self.0.map(|mask| mask.thread_set_mask());
    }
}

/// A signalfd for `signals`: not blocking, close-on-exec, no standard stream.
fn descriptor(signals: [signal::Signal; 2]) -> Option<OwnedFd> {
    let signals: SigSet = signals.into_iter().collect();
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    above_stdio(OwnedFd::from(SignalFd::with_flags(&signals, flags).ok()?)).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
    use nix::libc;
    use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR2};
    use nix::sys::signal::raise;
    use std::cell::RefCell;
    use std::os::fd::AsRawFd;

    thread_local! {
        static HANDLED: RefCell<Vec<signal::Signal>> = const { RefCell::new(Vec::new()) };
    }

    extern "C" fn note(number: libc::c_int) {
        // In a test it only ever runs between two statements of the thread that it belongs to.
        HANDLED.with_borrow_mut(|handled| handled.push(signal::Signal::try_from(number).unwrap()));
    }

    /// Has a handler of this program's note what reaches it, each thread for itself.
    pub(crate) fn handle_all() {
        for signal in INTERRUPT.into_iter().chain(TERMINATE).chain([signal::Signal::SIGWINCH]) {
            let handler: extern "C" fn(libc::c_int) = note;
            // SAFETY: the handler writes to its thread's own list, which nobody is at in a test that raises a signal.
            unsafe { libc::signal(signal as libc::c_int, handler as libc::sighandler_t) };
        }
    }

    /// What the handler has noted in this thread, sorted.
    pub(crate) fn handled() -> Vec<signal::Signal> {
        let mut handled = HANDLED.take();
        handled.sort_unstable();
        handled
    }

    /// What is pending for this thread and its process.
    fn pending() -> SigSet {
        let mut pending = std::mem::MaybeUninit::uninit();
        // SAFETY: the place is written to.
        assert_eq!(unsafe { libc::sigpending(pending.as_mut_ptr()) }, 0);
        // SAFETY: it was written by the call above, which has succeeded.
        let pending = unsafe { pending.assume_init() };
        // SAFETY: the kernel has written a set of signals.
        unsafe { SigSet::from_sigset_t_unchecked(pending) }
    }

    fn block(signals: &[signal::Signal]) {
        signals.iter().copied().collect::<SigSet>().thread_set_mask().unwrap();
    }

    // INV-5, Q2, X7.
    #[test]
    fn the_mask_is_given_back_as_it_was() {
        for before in [vec![], vec![SIGINT, SIGQUIT], vec![SIGTERM, SIGUSR2], vec![SIGUSR2]] {
            block(&before);
            let mask = SigSet::thread_get_mask().unwrap();
            let signals = Signals::begin().unwrap();
            let during = SigSet::thread_get_mask().unwrap();
            assert!([SIGINT, SIGQUIT, SIGTERM, SIGHUP].iter().all(|one| during.contains(*one)));
            assert_eq!(during.contains(SIGUSR2), before.contains(&SIGUSR2));
            drop(signals);
            assert_eq!(SigSet::thread_get_mask().unwrap(), mask);
        }
    }

    // Q2, Q3: a program that blocks nothing, as su. Its handlers run once the mask is its own again.
    #[test]
    fn a_signal_is_seen_and_reaches_the_programs_handler_afterwards() {
        handle_all();
        for (signal, meaning) in [
            (SIGINT, Signal::Interrupt),
            (SIGQUIT, Signal::Interrupt),
            (SIGTERM, Signal::Terminate),
            (SIGHUP, Signal::Terminate),
        ] {
            let signals = Signals::begin().unwrap();
            assert_eq!(signals.pending(), None);
            raise(signal).unwrap();
            for _ in 0..3 {
                assert_eq!(signals.pending(), Some(meaning), "looking takes nothing");
            }
            assert_eq!(handled(), []);
            drop(signals);
            assert_eq!(handled(), [signal]);
            assert!(!pending().contains(signal));
        }
    }

    // Q2, Q3: a program that blocks INT and QUIT itself, as sudo; the signal came before the wait.
    #[test]
    fn what_was_blocked_and_pending_before_stays_so() {
        handle_all();
        block(&[SIGINT, SIGQUIT]);
        raise(SIGINT).unwrap();
        let signals = Signals::begin().unwrap();
        assert_eq!(signals.pending(), Some(Signal::Interrupt));
        drop(signals);
        assert!(pending().contains(SIGINT));
        assert_eq!(handled(), []);
        block(&[]);
        assert_eq!(handled(), [SIGINT]);
    }

    // Q2.
    #[test]
    fn an_interrupt_that_is_taken_is_gone_and_the_others_are_not() {
        handle_all();
        let signals = Signals::begin().unwrap();
        for signal in [SIGHUP, SIGINT, SIGINT, SIGQUIT, SIGTERM] {
            raise(signal).unwrap();
        }
        assert_eq!(signals.pending(), Some(Signal::Terminate), "the weightier one");
        signals.take_interrupt();
        let left = pending();
        assert!(!left.contains(SIGINT) && !left.contains(SIGQUIT));
        assert_eq!(signals.pending(), Some(Signal::Terminate));
        drop(signals);
        assert_eq!(handled(), [SIGHUP, SIGTERM]);
        // Nothing to take is no failure.
        let signals = Signals::begin().unwrap();
        signals.take_interrupt();
        assert_eq!(signals.pending(), None);
    }

    #[test]
    fn given_a_signal_while_undisturbed_then_it_has_its_effect_afterwards() {
        handle_all();
        let undisturbed = Undisturbed::begin();
        for signal in [SIGHUP, SIGINT, signal::Signal::SIGWINCH] {
            raise(signal).unwrap();
        }
        assert_eq!(handled(), []);
        drop(undisturbed);
        assert_eq!(handled(), [SIGHUP, SIGINT, signal::Signal::SIGWINCH]);
    }

    // INV-5, X6.
    #[test]
    fn the_descriptors_do_not_block_are_not_inherited_and_no_standard_streams() {
        let signals = Signals::begin().unwrap();
        for (_, fd) in signals.sources() {
            assert!(fd.as_raw_fd() > 2);
            let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL).unwrap());
            assert!(flags.contains(OFlag::O_NONBLOCK));
            let flags = FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD).unwrap());
            assert!(flags.contains(FdFlag::FD_CLOEXEC));
        }
    }
}
