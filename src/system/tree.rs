//! A look at the files of a system, this one's or one that is mounted somewhere: what is there, whoever it belongs
//! to. For the command alone; what a login reads, it reads in [`crate::files`].

use std::ffi::OsString;
use std::fs::read_link;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use fidokey_core::credential::Uid;
use fidokey_core::ports::FileError;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::libc;
use nix::sys::stat::{FileStat, fstat};

use crate::descriptors::{above_stdio, fill, open_at};
use crate::listing::names_in;
use crate::walk::{Kind, Walk, error, failed};

/// The most names of a directory that are looked at.
pub const NAMES_MAX: usize = 100_000;

/// The files of a system. Symbolic links lead where they would lead on that system: `/etc` is the one beneath the
/// root, and nothing leads out of it.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    place: PathBuf,
}

/// What there is at a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seen {
    /// Which file it is: two paths with the same one are one file.
    pub identity: (u64, u64),
    /// What it is.
    pub kind: SeenKind,
    /// Its size in bytes.
    pub size: u64,
}

/// What sort of thing there is at a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SeenKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A device, a FIFO or a socket.
    Other,
}

/// The names in a directory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Names {
    /// In order, without `.` and `..`.
    pub names: Vec<OsString>,
    /// Whether there are more than [`NAMES_MAX`], the rest of which was left out.
    pub more: bool,
}

impl Tree {
    /// The files beneath `root`.
    ///
    /// # Errors
    /// [`FileError`] when it is no directory that can be searched.
    pub fn at(root: &Path) -> Result<Self, FileError> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let open = open_at(AT_FDCWD, root, flags).map_err(|errno| failed(root, errno))?;
        Ok(Self { root: open, place: root.to_owned() })
    }

    /// Whether these are the files of the running system.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let identity = |stat: FileStat| (stat.st_dev, stat.st_ino);
        let running = open_at(AT_FDCWD, "/", OFlag::O_PATH).and_then(fstat);
        fstat(&self.root).map(identity).is_ok_and(|own| running.map(identity) == Ok(own))
    }

    /// `path` as it is named from outside.
    #[must_use]
    pub fn place(&self, path: &Path) -> PathBuf {
        self.place.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// What is at `path`; `None` when nothing is.
    ///
    /// # Errors
    /// [`FileError`] when that cannot be told.
    pub fn look(&self, path: &Path) -> Result<Option<Seen>, FileError> {
        let Some(open) = self.open(path, OFlag::O_PATH)? else { return Ok(None) };
        let stat = fstat(&open).map_err(|errno| failed(&self.place(path), errno))?;
        let kind = match stat.st_mode & libc::S_IFMT {
            libc::S_IFDIR => SeenKind::Directory,
            libc::S_IFREG => SeenKind::File,
            _ => SeenKind::Other,
        };
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        Ok(Some(Seen { identity: (stat.st_dev, stat.st_ino), kind, size }))
    }

    /// The first `limit` bytes of the file at `path`, and whether that is all of it; `None` when there is none.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be read or is no regular file. A FIFO does not hold it up.
    pub fn read(&self, path: &Path, limit: usize) -> Result<Option<(Vec<u8>, bool)>, FileError> {
        let place = self.place(path);
        // First as what cannot block and has no effect on a device, then again: it must be that very file. Not by /proc, which
        // a rescue shell may not have.
        let Some(found) = self.open(path, OFlag::O_PATH)? else { return Ok(None) };
        let stat = fstat(&found).map_err(|errno| failed(&place, errno))?;
        if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Err(error(&place, "not_a_file", Errno::EINVAL));
        }
        let again = self.open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)?;
        let Some(file) = again else { return Ok(None) };
        if !is_same(&found, &file).map_err(|errno| failed(&place, errno))? {
            return Err(error(&place, "changed", Errno::ESTALE));
        }
        let mut text = vec![0; limit.saturating_add(1)];
        let filled = fill(&file, &mut text).map_err(|errno| failed(&place, errno))?;
        text.truncate(filled.min(limit));
        Ok(Some((text, filled <= limit)))
    }

    /// The names in the directory at `path`; `None` when there is none.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be read or is no directory.
    pub fn names(&self, path: &Path) -> Result<Option<Names>, FileError> {
        let Some(open) = self.open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)? else {
            return Ok(None);
        };
        // Two more, for the directory itself and the one above it.
        let listed = names_in(open, NAMES_MAX.saturating_add(2));
        let (mut names, more) = listed.map_err(|errno| failed(&self.place(path), errno))?;
        names.retain(|name| name != "." && name != "..");
        names.sort_unstable();
        names.truncate(NAMES_MAX);
        Ok(Some(Names { names, more }))
    }

    /// Whether nobody but root and `owner` can put something else in the place of the file at `path`, or of a
    /// directory on the way to it. It may have other names: systems that keep all their files in one store link
    /// them from there.
    ///
    /// # Errors
    /// [`FileError`] with the first place that somebody else can write to; also where there is no such file.
    pub fn check(&self, path: &Path, owner: Uid) -> Result<(), FileError> {
        let place = self.place(path);
        let missing = || error(&place, "missing", Errno::ENOENT);
        let found = self.open(path, OFlag::O_PATH)?.ok_or_else(missing)?;
        // Where it is without symbolic links: those of the system itself, as /lib, are no weakness.
        let resolved = read_link(format!("/proc/self/fd/{}", found.as_raw_fd()));
        let resolved = resolved.map_err(|_| error(&place, "unreadable", Errno::EIO))?;
        let root = read_link(format!("/proc/self/fd/{}", self.root.as_raw_fd()));
        let root = root.map_err(|_| error(&place, "unreadable", Errno::EIO))?;
        let beneath = resolved.strip_prefix(&root).unwrap_or(&resolved);
        let walk = Walk { root: &root, owner };
        walk.directory(beneath.parent().unwrap_or(beneath), Kind::Directory)?;
        match walk.check(&resolved, &found, Kind::File) {
            Err(refused) if refused.reason == "hard_link" => Ok(()),
            other => other.map(|_stat| ()),
        }
    }

    fn open(&self, path: &Path, flags: OFlag) -> Result<Option<OwnedFd>, FileError> {
        let inside = path.strip_prefix("/").unwrap_or(path);
        let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
        let flags = flags | OFlag::O_CLOEXEC;
        let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_IN_ROOT);
        let open = match openat2(&self.root, inside, how) {
            // Before Linux 5.6, and in sandboxes that do not know the call: without help the links of the running
            // system alone lead where they should.
            Err(Errno::ENOSYS | Errno::EPERM) if self.is_running() => {
                open_at(&self.root, inside, flags)
            }
            other => other.and_then(above_stdio),
        };
        match open {
            Ok(open) => Ok(Some(open)),
            // A link to nowhere is nothing as well.
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(failed(&self.place(path), errno)),
        }
    }
}

/// Whether both are the same file.
fn is_same(one: &OwnedFd, other: &OwnedFd) -> Result<bool, Errno> {
    let (one, other) = (fstat(one)?, fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "a test may look at the clock and wait")]

    use super::*;
    use crate::accounts::effective_uid;
    use crate::scratch::{mode, scratch};
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::{Duration, Instant};

    fn tree(name: &str) -> (Tree, PathBuf) {
        let place = scratch(name);
        for directory in ["etc/pam.d", "usr/lib/security"] {
            fs::create_dir_all(place.join(directory)).unwrap();
        }
        fs::write(place.join("usr/lib/security/pam_x.so"), "library").unwrap();
        for path in ["etc", "etc/pam.d", "usr", "usr/lib", "usr/lib/security"] {
            mode(&place.join(path), 0o755);
        }
        mode(&place.join("usr/lib/security/pam_x.so"), 0o644);
        symlink("/usr/lib", place.join("lib")).unwrap();
        (Tree::at(&place).unwrap(), place)
    }

    #[test]
    fn given_a_link_then_it_leads_where_it_would_on_that_system() {
        let (tree, place) = tree("tree-links");
        fs::write(place.join("etc/inside"), "inside").unwrap();
        symlink("/etc/inside", place.join("etc/pam.d/absolute")).unwrap();
        symlink("../../../../../../../etc/inside", place.join("etc/pam.d/upwards")).unwrap();
        symlink("/etc/passwd", place.join("etc/pam.d/outside")).unwrap();
        for name in ["absolute", "upwards"] {
            let read = tree.read(&Path::new("/etc/pam.d").join(name), 100);
            assert_eq!(read, Ok(Some((b"inside".to_vec(), true))), "{name}");
        }
        assert_eq!(tree.read(Path::new("/etc/pam.d/outside"), 100), Ok(None));
        let through = tree.look(Path::new("/lib/security/pam_x.so")).unwrap().unwrap();
        assert_eq!(Ok(Some(through)), tree.look(Path::new("/usr/lib/security/pam_x.so")));
        assert_eq!((through.kind, through.size), (SeenKind::File, 7));
        assert!(!tree.is_running());
        assert!(Tree::at(Path::new("/")).unwrap().is_running());
    }

    #[test]
    fn given_what_is_no_file_or_endless_then_it_holds_nobody_up() {
        let (tree, place) = tree("tree-hostile");
        let start = Instant::now();
        mkfifo(&place.join("etc/fifo"), Mode::from_bits_truncate(0o644)).unwrap();
        symlink("loop", place.join("etc/loop")).unwrap();
        let huge = fs::File::create(place.join("etc/huge")).unwrap();
        huge.set_len(3 << 30).unwrap();
        let reason = |name: &str| tree.read(&Path::new("etc").join(name), 9).unwrap_err().reason;
        assert_eq!(reason("fifo"), "not_a_file");
        assert_eq!(reason("pam.d"), "not_a_file");
        assert_eq!(reason("loop"), "symlink");
        assert_eq!(tree.read(Path::new("etc/huge"), 9), Ok(Some((vec![0; 9], false))));
        assert_eq!(tree.names(Path::new("etc/huge")).unwrap_err().reason, "not_a_directory");
        assert_eq!(tree.names(Path::new("etc/absent")), Ok(None));
        let listed = tree.names(Path::new("/etc")).unwrap().unwrap();
        assert_eq!(listed.names, ["fifo", "huge", "loop", "pam.d"]);
        assert!(!listed.more && start.elapsed() < Duration::from_secs(1));
    }

    #[test]
    fn given_a_library_then_whoever_else_could_replace_it_is_found() {
        let (tree, place) = tree("tree-library");
        let library = Path::new("/lib/security/pam_x.so");
        let check = || tree.check(library, effective_uid()).map_err(|error| error.reason);
        assert_eq!(check(), Ok(()));
        fs::hard_link(place.join("usr/lib/security/pam_x.so"), place.join("store")).unwrap();
        assert_eq!(check(), Ok(()));
        for level in ["usr/lib/security/pam_x.so", "usr/lib/security", "usr"] {
            mode(&place.join(level), 0o775);
            assert_eq!(check(), Err("mode"), "{level}");
            mode(&place.join(level), 0o755);
        }
        assert_eq!(check(), Ok(()));
        assert_eq!(tree.check(Path::new("/x"), 0).unwrap_err().reason, "missing");
    }
}
