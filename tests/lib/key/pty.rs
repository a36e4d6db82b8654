//! A terminal as the wire: a character device that one process can have made without asking the kernel for a key. To
//! whoever opens it, it is a hidraw node as far as reading, writing, polling and locking go.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::openpty;
use nix::sys::stat::{fstat, major, minor};
use nix::sys::termios::{
    FlushArg, SetArg, SpecialCharacterIndices, cfmakeraw, tcflush, tcgetattr, tcsetattr,
};
use nix::unistd::{read, write};

use super::packet::{PacketEnd, Report, wait_readable};

/// How long whoever listens has to take a report before the next one; a queue of the kernel forgets, too.
const PATIENCE: Duration = Duration::from_millis(500);

/// The key's end, and the node.
pub struct PtyEnd {
    key: OwnedFd,
    /// Open as long as the key is plugged in, whether anybody else has it open or not.
    node: OwnedFd,
    /// What was read of a report and its number so far.
    begun: Vec<u8>,
}

impl PtyEnd {
    /// A new one.
    ///
    /// # Errors
    /// No terminal can be made.
    pub fn new() -> io::Result<Self> {
        let pair = openpty(None, None)?;
        for end in [&pair.master, &pair.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        let mut raw = tcgetattr(&pair.slave)?;
        cfmakeraw(&mut raw);
        // Readable when a whole report is there.
        raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 64;
        raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(&pair.slave, SetArg::TCSANOW, &raw)?;
        Ok(Self { key: pair.master, node: pair.slave, begun: Vec::new() })
    }

    /// The path of the node, and what sysfs says its number is.
    ///
    /// # Errors
    /// `/proc` or the node cannot be read.
    pub fn node(&self) -> io::Result<(PathBuf, String)> {
        let path =
            std::fs::read_link(Path::new("/proc/self/fd").join(self.node.as_raw_fd().to_string()))?;
        let device = fstat(&self.node)?.st_rdev;
        Ok((path, format!("{}:{}\n", major(device), minor(device))))
    }

    /// Whether a report waits for whoever listens. The kernel hands on what was sent to the key's end at some later
    /// time, or when somebody asks: after this, it is there or was read.
    fn is_unread(&self) -> io::Result<bool> {
        wait_readable(&self.node, Duration::ZERO)
    }
}

impl PacketEnd for PtyEnd {
    fn receive(&mut self, timeout: Duration) -> io::Result<Option<Report>> {
        if !wait_readable(&self.key, timeout)? {
            return Ok(None);
        }
        // A report behind its number.
        let mut buffer = [0; 65];
        let count = read(&self.key, &mut buffer[self.begun.len()..])?;
        self.begun.extend_from_slice(&buffer[self.begun.len()..][..count]);
        match <[u8; 65]>::try_from(self.begun.as_slice()) {
            Ok([0, report @ ..]) => {
                self.begun.clear();
                Ok(Some(report))
            }
            Ok(_) => Err(io::Error::other("a report with a number")),
            Err(_) => Ok(None),
        }
    }

    fn send(&mut self, report: &Report) -> io::Result<()> {
        // Two reports at once would be read as a longer one.
        let start = Instant::now();
        while self.is_unread()? {
            if start.elapsed() > PATIENCE {
                tcflush(&self.node, FlushArg::TCIFLUSH)?;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let count = write(self.key.as_fd(), report)?;
        self.is_unread()?;
        if count == report.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}
