//! The keys that are open: their descriptors, and one `ppoll` over all of them and the hotplug watch.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use fidokey_core::ports::{Fault, Gone, KeyEvent, KeyId, Moment, Report};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use nix::unistd::{read, write};

use crate::clock;
use crate::hotplug::Hotplug;

/// The length of a report, in bytes, without its number.
const REPORT: usize = size_of::<Report>();
/// The longest single wait: the deadline may be further away than a `timespec` can tell.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// The keys that are open, each with the lock that its descriptor carries.
#[derive(Debug, Default)]
pub(crate) struct OpenKeys {
    open: BTreeMap<KeyId, OwnedFd>,
    /// Whose turn was last: `None` for the hotplug watch.
    last: Option<KeyId>,
}

/// Something that `ppoll` has found ready.
struct Ready {
    /// `None` for the hotplug watch.
    key: Option<KeyId>,
    /// What is ready; `None` for flags of the kernel that nobody knows here.
    flags: Option<PollFlags>,
}

impl OpenKeys {
    /// Whether `key` is open.
    pub(crate) fn contains(&self, key: KeyId) -> bool {
        self.open.contains_key(&key)
    }

    /// Takes over `fd`, which must not block, as the open `key`.
    pub(crate) fn insert(&mut self, key: KeyId, fd: OwnedFd) {
        self.open.insert(key, fd);
    }

    /// Closes `key`, and gives up its lock.
    pub(crate) fn close(&mut self, key: KeyId) {
        self.open.remove(&key);
    }

    /// Sends one report. The kernel gives a key that does not take it 5 seconds, whatever the flags of the
    /// descriptor say (`USB_CTRL_SET_TIMEOUT`); after that the write fails and the key is closed.
    pub(crate) fn send(&mut self, key: KeyId, report: &Report) -> Result<(), Gone> {
        // hidraw wants the report number first: 0, as the reports of a FIDO key have none.
        let mut numbered = [0; REPORT + 1];
        for (to, from) in numbered.iter_mut().skip(1).zip(report) {
            *to = *from;
        }
        let fd = self.open.get(&key).ok_or(Gone)?;
        loop {
            match write(fd, &numbered) {
                Ok(count) if count == numbered.len() => return Ok(()),
                Err(Errno::EINTR) => {}
                Ok(_) | Err(_) => break,
            }
        }
        self.close(key);
        Err(Gone)
    }

    /// Waits for the next event, `until` at the latest. Whoever was served last is looked at last, so that a key
    /// which never stops sending holds up neither the others nor the deadline.
    pub(crate) fn wait(&mut self, hotplug: &mut Hotplug, until: Moment) -> Result<KeyEvent, Fault> {
        loop {
            let now = clock::now()?;
            if now >= until {
                return Ok(KeyEvent::Elapsed);
            }
            if hotplug.is_due(now) {
                return Ok(KeyEvent::Hotplug);
            }
            for ready in self.poll(hotplug, now.until(hotplug.wake(until)))? {
                match ready.key {
                    None => {
                        if hotplug.read(now) {
                            self.last = None;
                            return Ok(KeyEvent::Hotplug);
                        }
                    }
                    Some(key) => {
                        if let Some(event) = self.receive(key, ready.flags) {
                            self.last = Some(key);
                            return Ok(event);
                        }
                    }
                }
            }
        }
    }

    /// What is ready now or within `left`, in the order of turns. Nothing, when a signal came.
    fn poll(&self, hotplug: &Hotplug, left: Duration) -> Result<Vec<Ready>, Fault> {
        let watched = self.in_turn(hotplug);
        let mut polled: Vec<PollFd<'_>> =
            watched.iter().map(|(_, fd)| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        match ppoll(&mut polled, Some(TimeSpec::from_duration(left.min(WAIT_MAX))), None) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Vec::new()),
            Err(errno) => return Err(Fault { call: "ppoll", errno: errno as i32 }),
        }
        let ready = watched
            .iter()
            .zip(&polled)
            .map(|((key, _), fd)| Ready { key: *key, flags: fd.revents() });
        Ok(ready.filter(|ready| ready.flags != Some(PollFlags::empty())).collect())
    }

    /// All that is waited for: the keys after the one that was served last, the hotplug watch, the other keys.
    fn in_turn<'w>(&'w self, hotplug: &'w Hotplug) -> Vec<(Option<KeyId>, BorrowedFd<'w>)> {
        let keys = || self.open.iter().map(|(key, fd)| (Some(*key), fd.as_fd()));
        let watch = hotplug.fd().map(|fd| (None, fd));
        let last = self.last;
        keys()
            .filter(|(key, _)| *key > last)
            .chain(watch)
            .chain(keys().filter(|(key, _)| *key <= last))
            .collect()
    }

    /// Reads one report of `key`. Nothing when there was none after all.
    fn receive(&mut self, key: KeyId, flags: Option<PollFlags>) -> Option<KeyEvent> {
        let readable = flags.is_some_and(|flags| flags.contains(PollFlags::POLLIN));
        // Input first: what a key sent before it was removed is still there to be read.
        if readable {
            match self.read(key) {
                Ok(report) => return Some(KeyEvent::Report(key, report)),
                Err(Errno::EAGAIN) if flags == Some(PollFlags::POLLIN) => return None,
                Err(_) => {}
            }
        }
        self.close(key);
        Some(KeyEvent::Gone(key))
    }

    /// One report of exactly the right length.
    fn read(&self, key: KeyId) -> Result<Report, Errno> {
        // One byte more than a report, to notice a longer one.
        let mut buffer = [0; REPORT + 1];
        let fd = self.open.get(&key).ok_or(Errno::EBADF)?;
        let count = loop {
            match read(fd, &mut buffer) {
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        match buffer.first_chunk() {
            Some(report) if count == REPORT => Ok(*report),
            _ => Err(Errno::EBADMSG),
        }
    }
}
