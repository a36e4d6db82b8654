//! Advisory locks on open files (flock(2)): gone when the descriptor is closed, however the process ends.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use fidokey_core::ports::Fault;
use nix::errno::Errno;
use nix::libc;

use crate::clock;

/// How long to wait before a lock is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// Why there is no lock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LockError {
    /// The clock cannot be read.
    Fault(Fault),
    /// Another process has held it all the time.
    Held,
    /// The file cannot be locked.
    Refused(Errno),
}

/// Takes the lock, if nobody has it. Not through `nix::fcntl::Flock`, which panics when it cannot unlock.
pub(crate) fn try_lock(file: impl AsFd) -> Result<(), LockError> {
    let fd = file.as_fd();
    loop {
        // SAFETY: the descriptor is open; the call takes numbers only.
        let locked = unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
        if locked == 0 {
            return Ok(());
        }
        match Errno::last() {
            Errno::EINTR => {}
            Errno::EWOULDBLOCK => return Err(LockError::Held),
            other => return Err(LockError::Refused(other)),
        }
    }
}

/// Gives the lock back without closing the file.
pub(crate) fn unlock(file: impl AsFd) {
    // SAFETY: the descriptor is open; the call takes numbers only. It cannot fail for such a descriptor.
    let _ = unsafe { libc::flock(file.as_fd().as_raw_fd(), libc::LOCK_UN) };
}

/// Takes the lock, and waits `patience` for whoever has it.
pub(crate) fn lock(file: impl AsFd, patience: Duration) -> Result<(), LockError> {
    let until = clock::now().map_err(LockError::Fault)?.after(patience);
    loop {
        match try_lock(&file) {
            Err(LockError::Held) => {}
            other => return other,
        }
        if clock::now().map_err(LockError::Fault)? >= until {
            return Err(LockError::Held);
        }
        #[expect(clippy::disallowed_methods, reason = "no event tells that a lock is free again")]
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::scratch;
    use std::fs::{self, File};

    #[test]
    fn a_lock_is_one_openings_until_that_is_closed() {
        let path = scratch("lock").join("file");
        fs::write(&path, "").unwrap();
        let open = || File::open(&path).unwrap();
        let (first, second) = (open(), open());
        assert_eq!(try_lock(&first), Ok(()));
        assert_eq!(try_lock(&second), Err(LockError::Held));
        assert_eq!(lock(&second, PAUSE.saturating_mul(2)), Err(LockError::Held));
        unlock(&first);
        assert_eq!(try_lock(&second), Ok(()));
        unlock(&second);
        assert_eq!(try_lock(&first), Ok(()));
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::yield_now();
                drop(first);
            });
            assert_eq!(lock(&second, Duration::from_secs(10)), Ok(()));
        });
    }
}
