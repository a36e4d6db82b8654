//! The FIDO keys that are plugged in, through `/dev/hidraw*`.
//!
//! Which nodes are keys, sysfs says, see `sysfs.rs`.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use fidokey_core::ports::{
    Device, Fault, Gone, Heard, KeyEvent, KeyId, Keys, Moment, OpenError, Report, Signal,
};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::libc;
use nix::sys::stat::{fstat, major, minor};

use crate::clock;
use crate::descriptors::open_at;
use crate::hotplug::Hotplug;
use crate::lock::{LockError, try_lock};
use crate::open_keys::OpenKeys;
use crate::signals::Signals;
use crate::sysfs::{Sysfs, node};

/// The security keys of this machine. Dropping it closes all of them, gives up their locks, and lets the program have
/// its signals again.
#[derive(Debug)]
pub struct Hidraw {
    sys: Sysfs,
    dev: PathBuf,
    open: OpenKeys,
    hotplug: Option<Hotplug>,
    /// Dropped last: the program may end then.
    signals: Option<Signals>,
    keeps_signals: bool,
}

/// The device of a key that is plugged in, for whoever only looks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Node {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it can be opened.
    pub opened: Result<(), OpenError>,
}

impl Default for Hidraw {
    fn default() -> Self {
        Self::new()
    }
}

impl Hidraw {
    /// The keys in `/sys/class/hidraw` and `/dev`.
    #[must_use]
    pub fn new() -> Self {
        Self::beneath("/sys/class/hidraw", "/dev")
    }

    /// The keys of another tree: `sys` has a directory for every node, `dev` the nodes.
    #[must_use]
    pub fn beneath(sys: impl Into<PathBuf>, dev: impl Into<PathBuf>) -> Self {
        Self {
            sys: Sysfs::new(sys.into()),
            dev: dev.into(),
            open: OpenKeys::default(),
            hotplug: None,
            signals: None,
            keeps_signals: false,
        }
    }

    /// Keeps the signals while a key is released: for a program that asks its user itself, and looks for signals there.
    #[must_use]
    pub fn keeping_signals(mut self) -> Self {
        self.keeps_signals = true;
        self
    }

    /// Listens to signals from now on, where that is possible.
    fn listen(&mut self) {
        if self.signals.is_none() {
            self.signals = Signals::begin();
        }
    }

    /// The nodes of the keys that are plugged in, and whether they can be opened. None of them is locked or written
    /// to, so no login notices.
    ///
    /// # Errors
    /// [`Fault`] when the list of devices cannot be read.
    pub fn nodes(&self) -> Result<Vec<Node>, Fault> {
        let look = |key: KeyId| Node {
            path: self.dev.join(node(key)),
            opened: self.open_unlocked(key).map(drop),
        };
        Ok(self.sys.keys()?.into_iter().map(look).collect())
    }

    /// The node of `key`.
    #[must_use]
    pub fn path(&self, key: KeyId) -> PathBuf {
        self.dev.join(node(key))
    }

    /// Whether there has been a HID device since the machine was started.
    #[must_use]
    pub fn has_class(&self) -> bool {
        self.sys.has_class()
    }

    fn open_unlocked(&self, key: KeyId) -> Result<OwnedFd, OpenError> {
        let number = self.sys.number(key).ok_or(OpenError::Gone)?;
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY;
        let fd = open_at(AT_FDCWD, &self.dev.join(node(key)), flags).map_err(refused)?;
        check(&fd, &number)?;
        Ok(fd)
    }
}

impl Keys for Hidraw {
    fn now(&mut self) -> Result<Moment, Fault> {
        clock::now()
    }

    fn plugged(&mut self) -> Result<Vec<KeyId>, Fault> {
        self.listen();
        // The watch has to begin before the list is read: what is plugged in between the two is noticed then.
        if self.hotplug.is_none() {
            self.hotplug = Some(Hotplug::begin(&self.dev, clock::now()?));
        }
        self.sys.keys()
    }

    fn device(&mut self, key: KeyId) -> Device {
        self.sys.device(key)
    }

    fn are_visible(&self) -> bool {
        self.sys.is_mounted()
    }

    fn open(&mut self, key: KeyId) -> Result<(), OpenError> {
        if self.open.contains(key) {
            return Ok(());
        }
        let fd = self.open_unlocked(key)?;
        lock(&fd)?;
        self.open.insert(key, fd);
        Ok(())
    }

    fn send(&mut self, key: KeyId, report: &Report) -> Result<(), Gone> {
        self.open.send(key, report)
    }

    fn wait(&mut self, until: Moment) -> Result<KeyEvent, Fault> {
        self.listen();
        let hotplug = match &mut self.hotplug {
            Some(hotplug) => hotplug,
            none => none.insert(Hotplug::begin(&self.dev, clock::now()?)),
        };
        self.open.wait(hotplug, self.signals.as_mut(), until)
    }

    fn close(&mut self, key: KeyId) {
        self.open.close(key);
    }

    fn release(&mut self, key: KeyId) {
        self.open.unlock(key);
        if !self.keeps_signals {
            self.signals = None;
        }
    }

    fn retake(&mut self, key: KeyId) -> Result<Heard, OpenError> {
        self.listen();
        lock(self.open.fd(key).ok_or(OpenError::Gone)?)?;
        Ok(if self.open.discard(key) == 0 { Heard::Nothing } else { Heard::Others })
    }

    fn pending_signal(&mut self) -> Option<Signal> {
        self.signals.as_ref().and_then(Signals::pending)
    }

    fn take_interrupt(&mut self) {
        if let Some(signals) = &self.signals {
            signals.take_interrupt();
        }
    }
}

/// What a failed `open` of a node means. One that is not there while sysfs shows it is not there yet, or never
/// will be: a sandbox has a `/dev` of its own.
fn refused(errno: Errno) -> OpenError {
    match errno {
        Errno::ENODEV | Errno::ENXIO => OpenError::Gone,
        Errno::ELOOP => OpenError::NotAKey,
        other => OpenError::Denied { errno: other as i32 },
    }
}

/// Whether what was opened is the character device that sysfs speaks of: `number` is the text of its `dev`.
fn check(fd: &OwnedFd, number: &[u8]) -> Result<(), OpenError> {
    let stat = fstat(fd).map_err(|errno| OpenError::Denied { errno: errno as i32 })?;
    let opened = format!("{}:{}\n", major(stat.st_rdev), minor(stat.st_rdev));
    if stat.st_mode & libc::S_IFMT == libc::S_IFCHR && opened.as_bytes() == number {
        Ok(())
    } else {
        Err(OpenError::NotAKey)
    }
}

/// Takes the lock that programs which speak to keys take (libfido2 does). It goes when the descriptor is closed.
fn lock(fd: &OwnedFd) -> Result<(), OpenError> {
    try_lock(fd).map_err(|refused| match refused {
        LockError::Held => OpenError::Busy,
        LockError::Refused(errno) => OpenError::Denied { errno: errno as i32 },
        LockError::Fault(fault) => OpenError::Denied { errno: fault.errno },
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "a test may look at the clock and wait")]

    use super::*;
    use crate::report_descriptor::tests::{KEY, KEYBOARD};
    use crate::scratch::scratch;
    use crate::sysfs;
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::{Duration, Instant};

    /// The keys of a tree of nodes, in a scratch place of this name.
    fn tree(name: &str, nodes: &[(u32, &[u8])]) -> Hidraw {
        let place = scratch(name);
        fs::create_dir_all(place.join("dev")).unwrap();
        Hidraw::beneath(sysfs::tests::tree(&place, nodes), place.join("dev"))
    }

    // D16.
    #[test]
    fn the_node_of_a_keyboard_is_never_opened() {
        let mut hidraw = tree("hidraw-keyboard", &[(0, KEYBOARD), (1, KEY)]);
        for number in [0, 1] {
            fs::write(hidraw.dev.join(format!("hidraw{number}")), "").unwrap();
        }
        let opened = Inotify::init(InitFlags::IN_NONBLOCK).unwrap();
        opened.add_watch(&hidraw.dev, AddWatchFlags::IN_OPEN).unwrap();
        assert_eq!(hidraw.plugged(), Ok(vec![KeyId(1)]));
        assert_eq!(opened.read_events().err(), Some(Errno::EAGAIN));
        assert_eq!(hidraw.open(KeyId(0)), Err(OpenError::Gone));
        assert_eq!(opened.read_events().err(), Some(Errno::EAGAIN));
        // That the watch would have seen it:
        assert_eq!(hidraw.open(KeyId(1)), Err(OpenError::NotAKey));
        assert!(opened.read_events().is_ok());
    }

    // D17.
    #[test]
    fn what_is_no_device_node_is_not_a_key_and_does_not_hang() {
        let mut hidraw = tree("hidraw-node", &[(0, KEY), (1, KEY), (2, KEY), (3, KEY)]);
        fs::write(hidraw.dev.join("hidraw0"), "").unwrap();
        mkfifo(&hidraw.dev.join("hidraw1"), Mode::from_bits_truncate(0o600)).unwrap();
        symlink("/dev/null", hidraw.dev.join("hidraw2")).unwrap();
        let start = Instant::now();
        for number in [0, 1, 2] {
            assert_eq!(hidraw.open(KeyId(number)), Err(OpenError::NotAKey), "{number}");
        }
        let absent = OpenError::Denied { errno: libc::ENOENT };
        assert_eq!(hidraw.open(KeyId(3)), Err(absent));
        assert_eq!(hidraw.open(KeyId(4)), Err(OpenError::Gone));
        let nodes = hidraw.nodes().unwrap();
        let found: Vec<Result<(), OpenError>> = nodes.iter().map(|node| node.opened).collect();
        let not_a_key = Err(OpenError::NotAKey);
        assert_eq!(found, [not_a_key, not_a_key, not_a_key, Err(absent)]);
        assert!(nodes.iter().all(|node| node.path.starts_with(&hidraw.dev)));
        assert!(start.elapsed() < Duration::from_millis(100));
        fs::create_dir(hidraw.dev.join("hidraw3")).unwrap();
        let denied = OpenError::Denied { errno: libc::EISDIR };
        assert_eq!(hidraw.open(KeyId(3)), Err(denied));
    }

    // D17.
    #[test]
    fn a_device_is_the_one_that_sysfs_speaks_of() {
        let null = open_at(AT_FDCWD, "/dev/null", OFlag::O_RDWR).unwrap();
        assert_eq!(check(&null, b"1:3\n"), Ok(()));
        for other in [&b"1:5\n"[..], b"1:3", b"", b"11:3\n", b"1:3\n\n"] {
            assert_eq!(check(&null, other), Err(OpenError::NotAKey));
        }
    }

    // U10: a sandbox or container that shows sysfs and has no nodes. "Removed" would be tried again until the
    // login's time is over, and never be said.
    #[test]
    fn a_key_that_sysfs_shows_and_that_has_no_node_is_refused_and_not_removed() {
        let mut hidraw = tree("hidraw-no-node", &[(0, KEY)]);
        assert_eq!(hidraw.plugged(), Ok(vec![KeyId(0)]));
        assert_eq!(hidraw.open(KeyId(0)), Err(OpenError::Denied { errno: libc::ENOENT }));
        assert_eq!(hidraw.open(KeyId(1)), Err(OpenError::Gone));
    }

    #[test]
    fn given_another_key_behind_the_same_node_then_it_is_another_key() {
        let mut hidraw = tree("hidraw-replugged", &[(0, KEY)]);
        let sys = hidraw.dev.with_file_name("sys");
        let (node, devices) = (sys.join("hidraw0"), sys.with_file_name("devices"));
        let plug = |device: &str| {
            let _ = fs::remove_file(node.join("device"));
            let _ = fs::remove_dir_all(node.join("device"));
            fs::create_dir_all(devices.join(device)).unwrap();
            fs::write(devices.join(device).join("report_descriptor"), KEY).unwrap();
            symlink(devices.join(device), node.join("device")).unwrap();
        };
        plug("0003:1050:0407.0001");
        let first = hidraw.plugged().unwrap();
        plug("0003:1050:0407.002A");
        let second = hidraw.plugged().unwrap();
        assert_eq!((first, second), (vec![KeyId(1 << 32)], vec![KeyId(0x2a << 32)]));
        assert_eq!(hidraw.open(KeyId(1 << 32)), Err(OpenError::Gone));
        assert_ne!(hidraw.open(KeyId(0x2a << 32)), Err(OpenError::Gone));
    }

    #[test]
    fn a_key_that_another_program_has_locked_is_busy_until_it_is_closed() {
        let node = scratch("hidraw-lock").join("node");
        fs::write(&node, "").unwrap();
        let open = || open_at(AT_FDCWD, &node, OFlag::O_RDWR).unwrap();
        let (first, second) = (open(), open());
        assert_eq!(lock(&first), Ok(()));
        assert_eq!(lock(&second), Err(OpenError::Busy));
        drop(first);
        assert_eq!(lock(&second), Ok(()));
    }

    #[test]
    fn a_refusal_is_told_from_a_removal() {
        for errno in [Errno::ENODEV, Errno::ENXIO] {
            assert_eq!(refused(errno), OpenError::Gone);
        }
        for errno in [Errno::EACCES, Errno::EPERM, Errno::EMFILE, Errno::EIO, Errno::ENOENT] {
            assert_eq!(refused(errno), OpenError::Denied { errno: errno as i32 });
        }
    }

    // D13, D14.
    #[test]
    fn what_is_plugged_in_after_the_list_was_read_is_noticed() {
        let mut hidraw = tree("hidraw-hotplug", &[]);
        assert_eq!(hidraw.plugged(), Ok(Vec::new()));
        fs::write(hidraw.dev.join("hidraw0"), "").unwrap();
        let until = clock::now().unwrap().after(Duration::from_millis(100));
        assert_eq!(hidraw.wait(until), Ok(KeyEvent::Hotplug));
        assert_eq!(hidraw.wait(until), Ok(KeyEvent::Elapsed));
        hidraw.close(KeyId(0));
        assert_eq!(hidraw.send(KeyId(0), &[0; 64]), Err(Gone));
    }
}
