//! A program that is run from system call to system call: each of those between the marks of the bare application can
//! be refused, or be the last. Much faster than strace, which would have to be started anew for each of them.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::registers;

/// What becomes of a system call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// The kernel makes it.
    Make,
    /// The kernel does not make it, and the program is told that. From there on it runs at full speed.
    Refuse(Errno),
    /// The program is killed before it.
    Kill,
}

/// A system call that is about to be made.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) pid: Pid,
    pub(crate) number: u64,
    pub(crate) arguments: [u64; 6],
}

/// Runs `command` to its end and asks `next` about every system call between the marks until one is refused; `done` has
/// the result of that, as the program finds it. The program stops itself, by the word `stop`, before the first mark;
/// until then it runs at full speed and may become another one, by exec. Its children are not followed.
pub(crate) fn step(
    mut command: Command,
    mut next: impl FnMut(&Entry) -> Next,
    mut done: impl FnMut(i64),
) -> ExitStatus {
    #[expect(unsafe_code, reason = "between fork and exec")]
    // SAFETY: one system call and nothing else.
    unsafe {
        command.pre_exec(|| Ok(ptrace::traceme()?));
    }
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    // The stop of exec.
    assert!(matches!(waitpid(pid, None), Ok(WaitStatus::Stopped(_, Signal::SIGTRAP))));
    let options =
        Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL | Options::PTRACE_O_TRACEEXEC;
    ptrace::setoptions(pid, options).unwrap();
    let (mut stepping, mut inside, mut signal) = (false, false, None);
    // With what the call that is under way is refused.
    let mut refused = None;
    let status = loop {
        let go = if stepping { ptrace::syscall } else { ptrace::cont };
        go(pid, signal.take()).unwrap();
        match waitpid(pid, None).unwrap() {
            WaitStatus::PtraceSyscall(_) => {}
            WaitStatus::PtraceEvent(..) => continue,
            WaitStatus::Stopped(_, Signal::SIGSTOP) => {
                stepping = true;
                continue;
            }
            WaitStatus::Stopped(_, other) => {
                signal = Some(other);
                continue;
            }
            WaitStatus::Exited(_, code) => break ExitStatus::from_raw(code << 8),
            WaitStatus::Signaled(_, signal, _) => break ExitStatus::from_raw(signal as i32),
            other => panic!("{other:?}"),
        }
        let info = ptrace::syscall_info(pid).unwrap();
        if info.op == libc::PTRACE_SYSCALL_INFO_EXIT {
            if let Some(errno) = refused.take() {
                registers::answer(pid, errno);
                done(registers::result(pid));
                stepping = false;
            }
            continue;
        }
        #[expect(unsafe_code, reason = "a union of C")]
        // SAFETY: this member is the one of an entry.
        let entry = unsafe { info.u.entry };
        let entry = Entry { pid, number: entry.nr, arguments: entry.args };
        match mark(&entry) {
            Some(b'b') => inside = true,
            Some(_) => (stepping, inside) = (false, false),
            None if inside => match next(&entry) {
                Next::Make => {}
                Next::Refuse(errno) => {
                    registers::refuse(pid);
                    refused = Some(errno);
                }
                Next::Kill => {
                    child.kill().unwrap();
                    return child.wait().unwrap();
                }
            },
            None => {}
        }
    };
    // Reaped already.
    let _ = child.wait();
    status
}

/// Runs `command`, which has the word `stop`, and kills it before the system call `at` of those between the marks, from
/// 1. How many of them it has come to: less than `at` when it has ended before.
pub(crate) fn run_until(mut command: Command, at: usize) -> usize {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut count = 0;
    let next = |_: &Entry| {
        count += 1;
        if count == at { Next::Kill } else { Next::Make }
    };
    step(command, next, |_| {});
    count
}

/// The letter after `/fidokey-` where the call is a mark: its second argument points to that.
fn mark(entry: &Entry) -> Option<u8> {
    if entry.number != u64::try_from(libc::SYS_faccessat).ok()? {
        return None;
    }
    let word = |at: u64| {
        let word = ptrace::read(entry.pid, at as ptrace::AddressType).ok()?;
        Some(word.to_ne_bytes())
    };
    let path = [word(entry.arguments[1])?, word(entry.arguments[1] + 8)?].concat();
    path.strip_prefix(b"/fidokey-").map(|rest| rest[0])
}
