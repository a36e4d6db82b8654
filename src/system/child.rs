//! Waiting for a child of the command's, and leaving one of its descriptors to it. Login's process has no children.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use fidokey_core::ports::Signal;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::SigSet;
use nix::sys::time::TimeSpec;

use crate::signals::Signals;

/// Has the child hear every signal. It would not hear those that this process has blocked to wait for them in its own way:
/// Ctrl-C at a password would end nothing.
pub fn hearing(command: &mut Command) -> &mut Command {
    let hear = || SigSet::empty().thread_set_mask().map_err(io::Error::from);
    // SAFETY: between fork and exec there is one system call, which may be made there.
    unsafe { command.pre_exec(hear) }
}

/// Waits until `child` has ended. `None` where SIGTERM or SIGHUP is pending before; Ctrl-C reaches the child as well, which
/// ends in its own way.
///
/// # Errors
/// That of waitpid(2).
pub fn ended(child: &mut Child, signals: Option<&Signals>) -> io::Result<Option<ExitStatus>> {
    // A kernel before 5.3 has no such descriptors: the signal then has to wait.
    if let Ok(process) = pidfd(child) {
        wait(process.as_fd(), signals, None)?;
        if child.try_wait()?.is_none() && signals.and_then(terminated).is_some() {
            return Ok(None);
        }
    }
    child.wait().map(Some)
}

/// Waits until the other end of `pipe` is closed, or written to: `false` where that takes longer than `patience`, or SIGTERM
/// or SIGHUP is pending before.
///
/// # Errors
/// That of ppoll(2).
pub fn closed(pipe: impl AsFd, signals: Option<&Signals>, patience: Duration) -> io::Result<bool> {
    wait(pipe.as_fd(), signals, Some(patience))
}

/// The number by which every child that is started from now on has `descriptor` as well.
///
/// # Errors
/// That of fcntl(2).
pub fn left_to_children(descriptor: impl AsFd) -> io::Result<RawFd> {
    fcntl(&descriptor, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(descriptor.as_fd().as_raw_fd())
}

/// Whether `awaited` is ready before a signal is, or the time is over.
fn wait(
    awaited: BorrowedFd<'_>,
    signals: Option<&Signals>,
    patience: Option<Duration>,
) -> io::Result<bool> {
    let sources = signals.map(Signals::sources);
    let terminate = sources.iter().flatten().filter(|(signal, _)| *signal == Signal::Terminate);
    let mut polled = vec![PollFd::new(awaited, PollFlags::POLLIN)];
    polled.extend(terminate.map(|(_, fd)| PollFd::new(*fd, PollFlags::POLLIN)));
    loop {
        match ppoll(&mut polled, patience.map(TimeSpec::from_duration), None) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(_) => break,
        }
    }
    Ok(polled.first().and_then(PollFd::any).unwrap_or_default())
}

fn terminated(signals: &Signals) -> Option<Signal> {
    signals.pending().filter(|signal| *signal == Signal::Terminate)
}

/// A descriptor that can be read from when `child` has ended (pidfd_open(2)).
fn pidfd(child: &Child) -> Result<OwnedFd, Errno> {
    // SAFETY: the call takes numbers only. The process was not waited for, so the number is still its own.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) };
    let fd = Errno::result(fd)?;
    let fd = RawFd::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test is not login's process")]
mod tests {
    use super::*;
    use nix::sys::signal::{self, raise};
    use std::io::pipe;
    use std::process::{Command, Stdio};

    #[test]
    fn a_child_that_ends_is_waited_for_and_its_status_known() {
        let signals = Signals::begin();
        let mut child = Command::new("/bin/sh").args(["-c", "exit 7"]).spawn().unwrap();
        let status = ended(&mut child, signals.as_ref()).unwrap().unwrap();
        assert_eq!(status.code(), Some(7));
    }

    #[test]
    fn given_signals_that_are_waited_for_then_a_child_hears_them_all_the_same() {
        let signals = Signals::begin();
        assert!(signals.is_some());
        let blocked = |command: &mut Command| {
            let output = command.output().unwrap();
            let mask = String::from_utf8(output.stdout).unwrap();
            u64::from_str_radix(mask.trim().rsplit('\t').next().unwrap(), 16).unwrap()
        };
        let look = || {
            let mut command = Command::new("/bin/grep");
            command.args(["SigBlk", "/proc/self/status"]);
            command
        };
        // What it would be without: SIGINT is the second bit.
        assert_ne!(blocked(&mut look()) & 0b10, 0);
        assert_eq!(blocked(hearing(&mut look())), 0);
    }

    #[test]
    fn given_a_signal_then_the_child_is_not_waited_for_any_longer() {
        crate::signals::tests::handle_all();
        let signals = Signals::begin();
        let mut child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
        raise(signal::Signal::SIGINT).unwrap();
        raise(signal::Signal::SIGTERM).unwrap();
        assert_eq!(ended(&mut child, signals.as_ref()).unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn given_a_pipe_that_a_child_closes_then_it_is_known_when() {
        let (reader, writer) = pipe().unwrap();
        let number = left_to_children(&writer).unwrap();
        let line = format!("read line; exec {number}>&-; read line");
        let mut child =
            Command::new("/bin/sh").args(["-c", &line]).stdin(Stdio::piped()).spawn().unwrap();
        drop(writer);
        assert!(!closed(&reader, None, Duration::from_millis(50)).unwrap(), "it has it still");
        io::Write::write_all(child.stdin.as_mut().unwrap(), b"\n").unwrap();
        assert!(closed(&reader, None, Duration::from_secs(20)).unwrap());
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
