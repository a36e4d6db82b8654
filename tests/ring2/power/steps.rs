//! A program that is stopped before each of the system calls that a disk remembers, and can be refused it, or killed there. It runs at full
//! speed in between: `stepping` would stop it a thousand times for sixty of them.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus};

use nix::errno::Errno;
use nix::libc::{self, c_long, sock_filter, sock_fprog};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::registers;
use crate::stepping::{Entry, Next};

/// The calls that it is stopped at; beside them an openat that may make a file, or empty one.
const CALLS: [c_long; 8] = [
    libc::SYS_fchmod,
    libc::SYS_fdatasync,
    libc::SYS_fsync,
    libc::SYS_mkdirat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_write,
];
/// Where the number of a call stands in what a filter looks at (seccomp(2)), and the low half of its third argument.
const NUMBER: u32 = 0;
const FLAGS: u32 = 32;

/// Runs `command` to its end and asks `next` about each of these calls. Its children are not followed: to them, these
/// calls fail.
pub(crate) fn step(mut command: Command, mut next: impl FnMut(&Entry) -> Next) -> ExitStatus {
    let filter = filter();
    #[expect(unsafe_code, reason = "between fork and exec")]
    // SAFETY: system calls and nothing else.
    unsafe {
        command.pre_exec(move || {
            ptrace::traceme()?;
            Ok(install(&filter)?)
        });
    }
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    // The stop of exec.
    assert!(matches!(waitpid(pid, None), Ok(WaitStatus::Stopped(_, Signal::SIGTRAP))));
    let options = Options::PTRACE_O_TRACESECCOMP | Options::PTRACE_O_EXITKILL;
    ptrace::setoptions(pid, options | Options::PTRACE_O_TRACEEXEC).unwrap();
    let mut signal = None;
    let status = loop {
        ptrace::cont(pid, signal.take()).unwrap();
        match waitpid(pid, None).unwrap() {
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_SECCOMP) => {}
            WaitStatus::PtraceEvent(..) => continue,
            WaitStatus::Stopped(_, other) => {
                signal = Some(other);
                continue;
            }
            WaitStatus::Exited(_, code) => break ExitStatus::from_raw(code << 8),
            WaitStatus::Signaled(_, signal, _) => break ExitStatus::from_raw(signal as i32),
            other => panic!("{other:?}"),
        }
        let info = ptrace::syscall_info(pid).unwrap();
        assert_eq!(info.op, libc::PTRACE_SYSCALL_INFO_SECCOMP);
        #[expect(unsafe_code, reason = "a union of C")]
        // SAFETY: this member is the one of a stop by a filter.
        let call = unsafe { info.u.seccomp };
        match next(&Entry { pid, number: call.nr, arguments: call.args }) {
            Next::Make => {}
            Next::Kill => {
                child.kill().unwrap();
                return child.wait().unwrap();
            }
            // A call of no number is not made, and what is put into the register for the result stays there.
            Next::Refuse(errno) => {
                registers::refuse(pid);
                registers::answer(pid, errno);
            }
        }
    };
    // Reaped already.
    let _ = child.wait();
    status
}

fn filter() -> Vec<sock_filter> {
    let filter = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    let load = |place| filter(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, place);
    let back = |answer| filter(libc::BPF_RET | libc::BPF_K, 0, 0, answer);
    let is = |number: c_long, jt| {
        filter(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, jt, 0, u32::try_from(number).unwrap())
    };
    let made = u32::try_from(libc::O_CREAT | libc::O_TRUNC).unwrap();
    let mut program = vec![load(NUMBER)];
    for (at, number) in CALLS.into_iter().enumerate() {
        // Over those that are left, and over the four lines behind them.
        program.push(is(number, u8::try_from(CALLS.len() - 1 - at + 4).unwrap()));
    }
    program.extend([
        is(libc::SYS_openat, 1),
        back(libc::SECCOMP_RET_ALLOW),
        load(FLAGS),
        filter(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 1, made),
        back(libc::SECCOMP_RET_TRACE),
        back(libc::SECCOMP_RET_ALLOW),
    ]);
    program
}

/// From here on the filter looks at each call of this process.
fn install(filter: &[sock_filter]) -> Result<(), Errno> {
    let program = sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| Errno::E2BIG)?,
        filter: filter.as_ptr().cast_mut(),
    };
    #[expect(unsafe_code, reason = "nix has no seccomp")]
    // SAFETY: numbers, and a pointer to a program that outlives the call and is only read.
    let installed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    if installed { Ok(()) } else { Err(Errno::last()) }
}
