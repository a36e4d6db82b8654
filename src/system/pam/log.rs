//! The authentication log, through libpam: it adds the module, the service and the facility, and writes under the
//! identity that the program has given itself.

use std::ffi::{CString, c_int};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use ::pam::module::PamHandle;
use fidokey_core::ports::Severity;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::ffi::pam_syslog;
use crate::clock;
use crate::descriptors::above_stdio;

/// Where syslog(3) writes.
const LOG: &str = "/dev/log";
/// How long a log that takes nothing may hold up a login.
const PATIENCE: Duration = Duration::from_millis(100);

/// Writes one line. syslog(3) waits without end for a log whose queue is full, so it is only called where there is
/// room, or no log at all.
pub(super) fn log(handle: &PamHandle, severity: Severity, line: &str) {
    let Ok(line) = CString::new(line.replace('\0', " ")) else { return };
    if !has_room() {
        return;
    }
    let format = c"%s";
    // SAFETY: the handle is libpam's; the format wants one string, and both strings end in NUL.
    unsafe { pam_syslog(handle, priority(severity), format.as_ptr(), line.as_ptr()) };
}

/// Whether the log takes a line within [`PATIENCE`]. What cannot be asked is left to syslog(3): where there is no
/// log it does not wait, and streams, which it knows as well, are of days when nobody wrote them full.
fn has_room() -> bool {
    let Some(probe) = connected() else { return true };
    let Ok(start) = clock::now() else { return false };
    let until = start.after(PATIENCE);
    let mut left = PATIENCE;
    loop {
        let mut polled = [PollFd::new(probe.as_fd(), PollFlags::POLLOUT)];
        match ppoll(&mut polled, Some(TimeSpec::from_duration(left)), None) {
            Err(Errno::EINTR) => {}
            answer => return answer == Ok(1),
        }
        let Ok(now) = clock::now() else { return false };
        left = now.until(until);
    }
}

/// A socket of our own to the log. What it may send any other may: it is the log's queue that is full or not.
fn connected() -> Option<OwnedFd> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect(LOG).ok()?;
    above_stdio(OwnedFd::from(socket)).ok()
}

/// The priority of syslog(3). The facility is libpam's to add: `LOG_AUTHPRIV`.
const fn priority(severity: Severity) -> c_int {
    match severity {
        Severity::Alert => libc::LOG_ALERT,
        Severity::Error => libc::LOG_ERR,
        Severity::Info => libc::LOG_INFO,
        Severity::Notice => libc::LOG_NOTICE,
        Severity::Warning => libc::LOG_WARNING,
    }
}
