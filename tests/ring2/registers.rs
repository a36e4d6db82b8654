//! The registers of a program that is stopped at a system call: the one thing in this ring that differs from machine to
//! machine. Elsewhere than here it must be said before the ring can be run, for no test is left out silently.

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace;
use nix::unistd::Pid;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("say here in which registers this machine has a system call's number and result");

/// At its entry: the kernel makes no call of that number. brk has no errors, but answers where the heap ends: that is
/// what it is asked for instead.
pub(crate) fn refuse(pid: Pid) {
    let mut registers = ptrace::getregs(pid).unwrap();
    if registers.orig_rax == libc::SYS_brk.cast_unsigned() {
        registers.rdi = 0;
    } else {
        registers.orig_rax = u64::MAX;
    }
    ptrace::setregs(pid, registers).unwrap();
}

/// At its exit: the program gets that error, where it was refused.
pub(crate) fn answer(pid: Pid, errno: Errno) {
    let mut registers = ptrace::getregs(pid).unwrap();
    if registers.orig_rax == u64::MAX {
        registers.rax = (-i64::from(errno as i32)).cast_unsigned();
        ptrace::setregs(pid, registers).unwrap();
    }
}

/// At its exit: the result.
pub(crate) fn result(pid: Pid) -> i64 {
    ptrace::getregs(pid).unwrap().rax.cast_signed()
}
