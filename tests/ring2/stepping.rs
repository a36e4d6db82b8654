//! A program that is run from system call to system call, and killed before one of them.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

/// Runs `command` and kills it before the system call `at` of those between the marks of the bare application,
/// from 1. How many of them it has come to: less than `at` when it has ended before.
pub(crate) fn run_until(mut command: Command, at: usize) -> usize {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    #[expect(unsafe_code, reason = "between fork and exec")]
    // SAFETY: one system call and nothing else.
    unsafe {
        command.pre_exec(|| Ok(ptrace::traceme()?));
    }
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    // The stop of exec.
    assert!(matches!(waitpid(pid, None), Ok(WaitStatus::Stopped(_, Signal::SIGTRAP))));
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL;
    ptrace::setoptions(pid, options).unwrap();
    let (mut inside, mut count) = (false, 0);
    let mut signal = None;
    loop {
        ptrace::syscall(pid, signal.take()).unwrap();
        match waitpid(pid, None).unwrap() {
            WaitStatus::PtraceSyscall(_) => {}
            WaitStatus::Stopped(_, other) => {
                signal = Some(other);
                continue;
            }
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => break,
            other => panic!("{other:?}"),
        }
        let info = ptrace::syscall_info(pid).unwrap();
        if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
            continue;
        }
        #[expect(unsafe_code, reason = "a union of C")]
        // SAFETY: this member is the one of an entry.
        let entry = unsafe { info.u.entry };
        match mark(pid, &entry) {
            Some(b'b') => inside = true,
            Some(_) => inside = false,
            None if inside => {
                count += 1;
                if count == at {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    return count;
                }
            }
            None => {}
        }
    }
    // Reaped already.
    let _ = child.wait();
    count
}

/// The letter after `/fidokey-` where the call is a mark: its second argument points to that.
fn mark(pid: Pid, entry: &libc::__c_anonymous_ptrace_syscall_info_entry) -> Option<u8> {
    if entry.nr != u64::try_from(libc::SYS_faccessat).ok()? {
        return None;
    }
    let word = |at: u64| {
        let word = ptrace::read(pid, at as ptrace::AddressType).ok()?;
        Some(word.to_ne_bytes())
    };
    let path = [word(entry.args[1])?, word(entry.args[1] + 8)?].concat();
    path.strip_prefix(b"/fidokey-").map(|rest| rest[0])
}
