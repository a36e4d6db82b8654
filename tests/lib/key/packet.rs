//! The key's end of the wire: 64-byte reports in and out.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::sys::time::TimeSpec;

/// One HID report without a report number.
pub type Report = [u8; 64];

/// Where a key is plugged in.
pub trait PacketEnd: Send {
    /// The next report, or none when `timeout` has passed.
    ///
    /// # Errors
    /// The other side is gone.
    fn receive(&mut self, timeout: Duration) -> io::Result<Option<Report>>;

    /// Sends a report.
    ///
    /// # Errors
    /// The other side is gone.
    fn send(&mut self, report: &Report) -> io::Result<()>;
}

/// A `SOCK_SEQPACKET` socket to a client in this process or one that it starts.
pub struct SeqpacketEnd(OwnedFd);

impl SeqpacketEnd {
    /// The client's descriptor and the key's end.
    ///
    /// # Errors
    /// No socket can be made.
    pub fn pair() -> io::Result<(OwnedFd, Self)> {
        let (client, key) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((client, Self(key)))
    }
}

impl PacketEnd for SeqpacketEnd {
    fn receive(&mut self, timeout: Duration) -> io::Result<Option<Report>> {
        if !wait_readable(&self.0, timeout)? {
            return Ok(None);
        }
        let mut report = [0; 64];
        match recv(self.0.as_raw_fd(), &mut report, MsgFlags::MSG_DONTWAIT)? {
            0 => Err(io::ErrorKind::BrokenPipe.into()),
            64 => Ok(Some(report)),
            // A key's USB controller pads or drops a short report; a client never sends one.
            length => Err(io::Error::other(format!("a report of {length} bytes"))),
        }
    }

    fn send(&mut self, report: &Report) -> io::Result<()> {
        send(self.0.as_raw_fd(), report, MsgFlags::MSG_NOSIGNAL)?;
        Ok(())
    }
}

/// Whether `fd` can be read (or has hung up) before `timeout`.
pub(super) fn wait_readable(fd: &impl AsFd, timeout: Duration) -> io::Result<bool> {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    match ppoll(&mut fds, Some(TimeSpec::from_duration(timeout)), None) {
        Ok(0) | Err(nix::errno::Errno::EINTR) => Ok(false),
        Ok(_) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}
