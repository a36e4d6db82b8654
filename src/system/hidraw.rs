//! The FIDO keys that are plugged in, through `/dev/hidraw*`.
//!
//! Which nodes are keys is read from sysfs: opening a node to find out would open keyboards too.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use fidokey_core::ports::{Fault, Gone, KeyEvent, KeyId, Keys, Moment, OpenError, Report};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::libc;
use nix::sys::stat::{fstat, major, minor};

use crate::clock;
use crate::descriptors::{fill, open_at};
use crate::hotplug::Hotplug;
use crate::open_keys::OpenKeys;
use crate::report_descriptor::{DESCRIPTOR_MAX, is_fido};

/// The security keys of this machine. Dropping it closes all of them and gives up their locks.
#[derive(Debug)]
pub struct Hidraw {
    sys: PathBuf,
    dev: PathBuf,
    open: OpenKeys,
    hotplug: Option<Hotplug>,
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
        Self { sys: sys.into(), dev: dev.into(), open: OpenKeys::default(), hotplug: None }
    }

    /// Whether sysfs shows `key` as a FIDO key. What cannot be read is none: it was removed in between.
    fn is_fido(&self, key: KeyId) -> bool {
        let path = self.sys.join(node(key)).join("device/report_descriptor");
        read_at_most(&path, DESCRIPTOR_MAX).is_ok_and(|descriptor| is_fido(&descriptor))
    }
}

impl Keys for Hidraw {
    fn now(&mut self) -> Result<Moment, Fault> {
        clock::now()
    }

    fn plugged(&mut self) -> Result<Vec<KeyId>, Fault> {
        // The watch has to begin before the list is read: what is plugged in between the two is noticed then.
        if self.hotplug.is_none() {
            self.hotplug = Some(Hotplug::begin(&self.dev, clock::now()?));
        }
        let mut keys = nodes(&self.sys)?;
        keys.retain(|key| self.is_fido(*key));
        Ok(keys)
    }

    fn open(&mut self, key: KeyId) -> Result<(), OpenError> {
        if self.open.contains(key) {
            return Ok(());
        }
        let number =
            read_at_most(&self.sys.join(node(key)).join("dev"), 32).map_err(|_| OpenError::Gone)?;
        // The number may have passed to a keyboard since the list was made.
        if !self.is_fido(key) {
            return Err(OpenError::Gone);
        }
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY;
        let fd = open_at(AT_FDCWD, &self.dev.join(node(key)), flags).map_err(refused)?;
        check(&fd, &number)?;
        lock(&fd)?;
        self.open.insert(key, fd);
        Ok(())
    }

    fn send(&mut self, key: KeyId, report: &Report) -> Result<(), Gone> {
        self.open.send(key, report)
    }

    fn wait(&mut self, until: Moment) -> Result<KeyEvent, Fault> {
        let hotplug = match &mut self.hotplug {
            Some(hotplug) => hotplug,
            none => none.insert(Hotplug::begin(&self.dev, clock::now()?)),
        };
        self.open.wait(hotplug, until)
    }

    fn close(&mut self, key: KeyId) {
        self.open.close(key);
    }
}

/// The name of a node, in sysfs and in `/dev`.
fn node(KeyId(number): KeyId) -> String {
    format!("hidraw{number}")
}

/// The nodes that sysfs lists, in the order of their numbers. None, where there is no sysfs.
fn nodes(sys: &Path) -> Result<Vec<KeyId>, Fault> {
    let fault =
        |error: io::Error| Fault { call: "readdir", errno: error.raw_os_error().unwrap_or(0) };
    let entries = match fs::read_dir(sys) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(fault)?,
    };
    let mut keys = Vec::new();
    for entry in entries {
        let name = entry.map_err(fault)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("hidraw"));
        let key = number.and_then(|number| number.parse().ok()).map(KeyId);
        // "+3" and "03" parse as well, and are nobody's names.
        keys.extend(key.filter(|key| name.to_str() == Some(&node(*key))));
    }
    keys.sort_unstable();
    Ok(keys)
}

/// The content of a small file of sysfs, of at most `limit` bytes.
fn read_at_most(path: &Path, limit: usize) -> Result<Vec<u8>, Errno> {
    let fd = open_at(AT_FDCWD, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)?;
    let mut buffer = vec![0; limit.saturating_add(1)];
    let filled = fill(&fd, &mut buffer)?;
    if filled > limit {
        return Err(Errno::EFBIG);
    }
    buffer.truncate(filled);
    Ok(buffer)
}

/// What a failed `open` of a node means.
fn refused(errno: Errno) -> OpenError {
    match errno {
        Errno::ENODEV | Errno::ENOENT | Errno::ENXIO => OpenError::Gone,
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
/// Not through `nix::fcntl::Flock`, which panics when it cannot unlock.
fn lock(fd: &OwnedFd) -> Result<(), OpenError> {
    loop {
        // SAFETY: the descriptor is open; the call takes numbers only.
        let locked = unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
        if locked == 0 {
            return Ok(());
        }
        match Errno::last() {
            Errno::EINTR => {}
            Errno::EWOULDBLOCK => return Err(OpenError::Busy),
            other => return Err(OpenError::Denied { errno: other as i32 }),
        }
    }
}
