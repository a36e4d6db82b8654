//! Opening and reading with descriptors that cannot be mistaken for a standard stream.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::NixPath;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, openat};
use nix::sys::stat::Mode;
use nix::unistd::read;

/// The first number that is not a standard stream's.
const FIRST_OWN: i32 = 3;

/// Opens `path` beneath `directory`, close-on-exec.
pub(crate) fn open_at<P: ?Sized + NixPath>(
    directory: impl AsFd,
    path: &P,
    flags: OFlag,
) -> Result<OwnedFd, Errno> {
    above_stdio(openat(directory, path, flags | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// Opens `path` beneath `directory`, close-on-exec; where it is absent and `flags` have `O_CREAT`, it is made,
/// readable and writable by its owner alone.
pub(crate) fn create_at<P: ?Sized + NixPath>(
    directory: impl AsFd,
    path: &P,
    flags: OFlag,
) -> Result<OwnedFd, Errno> {
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    above_stdio(openat(directory, path, flags | OFlag::O_CLOEXEC, mode)?)
}

/// The same open file under a number that is not a standard stream's. A setuid program can be started with
/// descriptors 0 to 2 closed; what we open would then take their numbers, and what the program prints would
/// go into our file or our key.
pub(crate) fn above_stdio(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    if fd.as_raw_fd() >= FIRST_OWN {
        return Ok(fd);
    }
    let moved = fcntl(&fd, FcntlArg::F_DUPFD_CLOEXEC(FIRST_OWN))?;
    // SAFETY: F_DUPFD_CLOEXEC has just made this descriptor, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(moved) })
}

/// Reads until the end or until `buffer` is full; the number of bytes read.
pub(crate) fn fill(fd: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    let mut filled = 0_usize;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match read(fd, rest) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::AT_FDCWD;

    // X6. The test's own descriptors 0 to 2 stay open, so the move is asked for directly.
    #[test]
    fn what_is_opened_never_has_the_number_of_a_standard_stream() {
        let fd = open_at(AT_FDCWD, "/", OFlag::O_PATH).unwrap();
        assert!(fd.as_raw_fd() >= FIRST_OWN);
        let duplicate = fcntl(&fd, FcntlArg::F_DUPFD_CLOEXEC(0)).unwrap();
        // SAFETY: the descriptor was made in the line above.
        let moved = above_stdio(unsafe { OwnedFd::from_raw_fd(duplicate) }).unwrap();
        assert!(moved.as_raw_fd() >= FIRST_OWN);
    }
}
