//! Noticing that something was plugged in or out.
//!
//! inotify on `/dev`, not netlink as udev's monitors use: sandboxed hosts, polkit's helper above all, may open
//! no netlink socket.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use fidokey_core::ports::Moment;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::descriptors::above_stdio;

/// How often the list of keys is worth another look where there is no inotify.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How many times pending events are read in one go; each reads up to 4 KiB.
const READS_MAX: usize = 64;

/// The watch on the device directory, or a timer where there is none.
#[derive(Debug)]
pub(crate) enum Hotplug {
    /// inotify says when.
    Watch(Inotify),
    /// There is no inotify: look again at this moment.
    Timer(Moment),
}

impl Hotplug {
    /// Begins to watch `dev`, as seen from `now`.
    pub(crate) fn begin(dev: &Path, now: Moment) -> Self {
        watch(dev).map_or(Self::Timer(now.after(LOOK_EVERY)), Self::Watch)
    }

    /// What to poll for input.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Watch(inotify) => Some(inotify.as_fd()),
            Self::Timer(_) => None,
        }
    }

    /// When waiting for input has to end for our sake, `until` at the latest.
    pub(crate) fn wake(&self, until: Moment) -> Moment {
        match self {
            Self::Watch(_) => until,
            Self::Timer(look) => until.min(*look),
        }
    }

    /// Whether the timer has run out; it begins anew then.
    pub(crate) fn is_due(&mut self, now: Moment) -> bool {
        match self {
            Self::Timer(look) if now >= *look => {
                *look = now.after(LOOK_EVERY);
                true
            }
            Self::Timer(_) | Self::Watch(_) => false,
        }
    }

    /// Reads what the watch has seen: whether any of it is about a hidraw node. A watch that is lost becomes a
    /// timer that is due.
    pub(crate) fn read(&mut self, now: Moment) -> bool {
        let Self::Watch(inotify) = self else {
            return false;
        };
        let mut noticed = false;
        for _ in 0..READS_MAX {
            match inotify.read_events() {
                Ok(events) => {
                    let lost = AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_UNMOUNT;
                    if events.iter().any(|event| event.mask.intersects(lost)) {
                        *self = Self::Timer(now.after(LOOK_EVERY));
                        return true;
                    }
                    noticed |= events.iter().any(|event| {
                        let name = event.name.as_ref().map(|name| name.as_encoded_bytes());
                        event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW)
                            || name.is_some_and(|name| name.starts_with(b"hidraw"))
                    });
                }
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(_) => {
                    *self = Self::Timer(now.after(LOOK_EVERY));
                    return true;
                }
            }
        }
        noticed
    }
}

/// A watch on `dev`. `IN_ATTRIB` because udev gives the node to the user after it has appeared.
fn watch(dev: &Path) -> Option<Inotify> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
    let fd = above_stdio(OwnedFd::from(inotify)).ok()?;
    // SAFETY: the descriptor is that of the inotify instance made above.
    let inotify = unsafe { Inotify::from_owned_fd(fd) };
    let events = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_ATTRIB;
    inotify.add_watch(dev, events | AddWatchFlags::IN_ONLYDIR).ok()?;
    Some(inotify)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;
    use crate::scratch::scratch;
    use std::fs;

    // D14.
    #[test]
    fn a_new_node_is_noticed_and_another_file_is_not() {
        let dev = scratch("hotplug-new-node");
        let mut hotplug = Hotplug::begin(&dev, now().unwrap());
        fs::write(dev.join("ttyS9"), "").unwrap();
        assert!(!hotplug.read(now().unwrap()));
        fs::write(dev.join("hidraw3"), "").unwrap();
        assert!(hotplug.read(now().unwrap()));
        assert!(!hotplug.read(now().unwrap()), "once for all that was pending");
        fs::remove_file(dev.join("hidraw3")).unwrap();
        assert!(hotplug.read(now().unwrap()));
    }

    #[test]
    fn without_a_directory_to_watch_a_look_is_due_twice_a_second() {
        let start = now().unwrap();
        let mut hotplug = Hotplug::begin(Path::new("/nonexistent"), start);
        assert!(hotplug.fd().is_none());
        let later = start.after(LOOK_EVERY);
        assert_eq!(hotplug.wake(start.after(Duration::from_secs(9))), later);
        assert!(!hotplug.is_due(start));
        assert!(hotplug.is_due(later));
        assert!(!hotplug.is_due(later));
        assert_eq!(hotplug.wake(later), later);
    }

    #[test]
    fn a_watch_that_is_lost_becomes_a_timer() {
        let dev = scratch("hotplug-lost");
        let mut hotplug = Hotplug::begin(&dev, now().unwrap());
        fs::remove_dir(&dev).unwrap();
        assert!(hotplug.read(now().unwrap()));
        assert!(hotplug.fd().is_none());
    }
}
