//! Keys whose wires are sockets: the client's side of an emulated key in this or another process.

use std::fs::{File, TryLockError};
use std::os::fd::{BorrowedFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

use fidokey_core::ports::{Fault, Gone, Heard, KeyEvent, KeyId, Keys, Moment, OpenError, Report};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send};
use nix::time::{ClockId, clock_gettime};

/// The keys at these descriptors, which whoever made them keeps open.
pub struct SocketKeys {
    wires: Vec<Wire>,
    lock: Option<PathBuf>,
}

struct Wire {
    fd: RawFd,
    open: bool,
    alive: bool,
    /// As long as it is open, where there is a lock.
    held: Option<File>,
}

impl SocketKeys {
    /// The keys at these descriptors, in this order.
    pub fn new(fds: &[RawFd]) -> Self {
        let wire = |&fd| Wire { fd, open: false, alive: true, held: None };
        Self { wires: fds.iter().map(wire).collect(), lock: None }
    }

    /// Whoever opens a key holds the lock on this file meanwhile, as on a node of the kernel's: the wires
    /// themselves are the same open file in every process that has inherited them.
    #[must_use]
    pub fn locked_by(mut self, path: Option<PathBuf>) -> Self {
        self.lock = path;
        self
    }

    fn wire(&mut self, key: KeyId) -> Option<&mut Wire> {
        self.wires.get_mut(usize::try_from(key.0).ok()?)
    }

    /// Waits as [`Keys::wait`] does, and for any of these as well: nothing, when one of them is ready.
    ///
    /// # Errors
    /// As for [`Keys::wait`].
    pub fn wait_beside(
        &mut self,
        others: &[BorrowedFd<'_>],
        until: Moment,
    ) -> Result<Option<KeyEvent>, Fault> {
        loop {
            let now = self.now()?;
            if now >= until {
                return Ok(Some(KeyEvent::Elapsed));
            }
            let watched: Vec<usize> =
                (0..self.wires.len()).filter(|&index| self.wires[index].open).collect();
            let mut fds: Vec<PollFd<'_>> = watched
                .iter()
                .map(|&index| borrow(self.wires[index].fd))
                .chain(others.iter().copied())
                .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
                .collect();
            let left = PollTimeout::try_from(now.until(until).min(Duration::from_secs(60)))
                .unwrap_or(PollTimeout::MAX);
            match poll(&mut fds, left) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Fault { call: "poll", errno: errno as i32 }),
            }
            let is_ready = |fd: &PollFd<'_>| fd.revents().is_none_or(|flags| !flags.is_empty());
            if fds.iter().skip(watched.len()).any(is_ready) {
                return Ok(None);
            }
            let ready = watched.iter().zip(&fds).find(|(_, fd)| is_ready(fd));
            let ready = ready.map(|(&index, _)| index);
            if let Some(event) = ready.and_then(|index| self.read(index)) {
                return Ok(Some(event));
            }
        }
    }

    /// The report or the end that a readable wire has for us.
    fn read(&mut self, index: usize) -> Option<KeyEvent> {
        let wire = self.wires.get_mut(index)?;
        let key = KeyId(u64::try_from(index).ok()?);
        let mut report = [0; 64];
        match recv(wire.fd, &mut report, MsgFlags::MSG_DONTWAIT) {
            Ok(64) => Some(KeyEvent::Report(key, report)),
            Err(Errno::EAGAIN | Errno::EINTR) => None,
            _ => {
                wire.alive = false;
                wire.open = false;
                wire.held = None;
                Some(KeyEvent::Gone(key))
            }
        }
    }
}

impl Wire {
    /// Takes the lock, where there is one to take.
    fn take(&mut self, lock: Option<PathBuf>) -> Result<(), OpenError> {
        let Some(path) = lock else { return Ok(()) };
        let denied = |error: std::io::Error| OpenError::Denied {
            errno: error.raw_os_error().unwrap_or_default(),
        };
        let node = File::open(path).map_err(denied)?;
        node.try_lock().map_err(|refused| match refused {
            TryLockError::WouldBlock => OpenError::Busy,
            TryLockError::Error(error) => denied(error),
        })?;
        // Until it is closed, however that happens.
        self.held = Some(node);
        Ok(())
    }
}

impl Keys for SocketKeys {
    fn now(&mut self) -> Result<Moment, Fault> {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC)
            .map_err(|errno| Fault { call: "clock_gettime", errno: errno as i32 })?;
        Ok(Moment::new(Duration::from(now)))
    }

    fn plugged(&mut self) -> Result<Vec<KeyId>, Fault> {
        // An unplugged key shows as an end that hung up.
        let alive = |wire: &&Wire| {
            // The descriptor is open for as long as the test keeps it.
            let fd = borrow(wire.fd);
            let mut fds = [PollFd::new(fd, PollFlags::empty())];
            wire.alive && matches!(poll(&mut fds, PollTimeout::ZERO), Ok(0) | Err(Errno::EINTR))
        };
        let keys = self.wires.iter().enumerate().filter(|(_, wire)| alive(wire));
        Ok(keys.filter_map(|(index, _)| Some(KeyId(u64::try_from(index).ok()?))).collect())
    }

    fn open(&mut self, key: KeyId) -> Result<(), OpenError> {
        let lock = self.lock.clone();
        match self.wire(key) {
            Some(wire) if wire.alive => {
                wire.take(lock)?;
                wire.open = true;
                Ok(())
            }
            _ => Err(OpenError::Gone),
        }
    }

    fn release(&mut self, key: KeyId) {
        if let Some(wire) = self.wire(key) {
            wire.held = None;
        }
    }

    fn retake(&mut self, key: KeyId) -> Result<Heard, OpenError> {
        let lock = self.lock.clone();
        match self.wire(key) {
            Some(wire) if wire.alive && wire.open => {
                wire.take(lock)?;
                let (mut report, mut heard) = ([0; 64], Heard::Nothing);
                while let Ok(1..) = recv(wire.fd, &mut report, MsgFlags::MSG_DONTWAIT) {
                    heard = Heard::Others;
                }
                Ok(heard)
            }
            _ => Err(OpenError::Gone),
        }
    }

    fn send(&mut self, key: KeyId, report: &Report) -> Result<(), Gone> {
        match self.wire(key) {
            Some(wire) if wire.open => {
                send(wire.fd, report, MsgFlags::MSG_NOSIGNAL).map(|_| ()).map_err(|_| Gone)
            }
            _ => Err(Gone),
        }
    }

    fn wait(&mut self, until: Moment) -> Result<KeyEvent, Fault> {
        Ok(self.wait_beside(&[], until)?.unwrap_or(KeyEvent::Elapsed))
    }

    fn close(&mut self, key: KeyId) {
        if let Some(wire) = self.wire(key) {
            wire.open = false;
            wire.held = None;
        }
    }
}

/// The descriptor of a test's own key.
fn borrow(fd: RawFd) -> BorrowedFd<'static> {
    #[expect(unsafe_code, reason = "a descriptor that crosses a process has only a number")]
    // SAFETY: the test holds the descriptor open for as long as it uses the keys.
    unsafe {
        BorrowedFd::borrow_raw(fd)
    }
}
