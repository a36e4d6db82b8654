//! Reading the administrator's files, and refusing those that somebody else could have written.
//!
//! The way from the root to the file is walked one component at a time with `openat`, and each directory is
//! checked on the descriptor that the next step starts from. `openat2(RESOLVE_NO_SYMLINKS)` would follow no
//! link either, but it would not show the directories in between, whose owners and modes have to be checked.

use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use fidokey_core::credential::Uid;
use fidokey_core::ports::FileError;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::libc;
use nix::sys::stat::{FileStat, fstat};

use crate::descriptors::{fill, open_at};

/// The largest policy file or record, in bytes. 64 credentials of 1 KiB fit.
pub const FILE_MAX: usize = 64 * 1024;

/// Where the administrator's files are, and whose they must be.
#[derive(Clone, Debug)]
pub struct Places {
    /// Where the walk begins. It is checked, what is above it is not: `/` on a real machine.
    pub root: PathBuf,
    /// The policy file, beneath `root`.
    pub config: PathBuf,
    /// The directory of the records, beneath `root`.
    pub users: PathBuf,
    /// The user, beside root, who may own the files and every directory on the way: 0 on a real machine.
    pub owner: Uid,
}

impl Places {
    /// The places of an installed fidokey.
    #[must_use]
    pub fn system() -> Self {
        Self {
            root: PathBuf::from("/"),
            config: PathBuf::from("/etc/fidokey/config.toml"),
            users: PathBuf::from("/etc/fidokey/users"),
            owner: 0,
        }
    }

    /// The text of the policy file: 1 byte to [`FILE_MAX`]. `None` when it is proven absent, it or a directory
    /// on the way to it.
    ///
    /// # Errors
    /// [`FileError`] for anything else.
    pub fn read_config(&self) -> Result<Option<Vec<u8>>, FileError> {
        let directory = self.config.parent().unwrap_or(Path::new(""));
        let name = self.config.file_name().map_or(Path::new(""), Path::new);
        let walk = Walk { places: self };
        match walk.directory(directory)? {
            Some(open) => walk.file(&open, &self.beneath(&self.config), name),
            None => Ok(None),
        }
    }

    /// The text of the record of `uid`: 1 byte to [`FILE_MAX`]. `None` when it is proven absent from a
    /// directory that was opened and is safe.
    ///
    /// # Errors
    /// [`FileError`] for anything else, a missing directory included.
    pub fn read_record(&self, uid: Uid) -> Result<Option<Vec<u8>>, FileError> {
        self.record_in(&self.users_directory()?, uid)
    }

    /// The directory of the records, checked like every directory on the way to it; for searching only.
    ///
    /// # Errors
    /// [`FileError`], a missing directory included.
    pub(crate) fn users_directory(&self) -> Result<OwnedFd, FileError> {
        let missing = || error(&self.beneath(&self.users), "missing_directory", Errno::ENOENT);
        Walk { places: self }.directory(&self.users)?.ok_or_else(missing)
    }

    /// [`Places::read_record`] from the directory of the records, which is open already.
    pub(crate) fn record_in(
        &self,
        users: &OwnedFd,
        uid: Uid,
    ) -> Result<Option<Vec<u8>>, FileError> {
        let name = record_name(uid);
        Walk { places: self }.file(users, &self.beneath(&self.users).join(&name), &name)
    }

    /// Checks a file that was opened at `place` otherwise than for reading, as one that is read is checked.
    pub(crate) fn check_file(&self, place: &Path, open: &OwnedFd) -> Result<(), FileError> {
        Walk { places: self }.check(place, open, Kind::File).map(|_stat| ())
    }

    /// `path` as it is on the machine, for the log.
    pub(crate) fn beneath(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// The name of the record of `uid`, in the directory of the records.
pub(crate) fn record_name(uid: Uid) -> PathBuf {
    PathBuf::from(format!("{uid}.toml"))
}

/// One walk from the root to a file.
struct Walk<'p> {
    places: &'p Places,
}

impl Walk<'_> {
    /// Opens the directory at `path`; every directory from the root to it is checked. `None` when one of them
    /// is absent from the one before it.
    fn directory(&self, path: &Path) -> Result<Option<OwnedFd>, FileError> {
        // O_PATH and not O_RDONLY: searching a directory is enough for a screen locker, which runs as the user.
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
        let mut place = self.places.root.clone();
        let mut open = open_at(AT_FDCWD, &place, flags).map_err(|errno| failed(&place, errno))?;
        self.check(&place, &open, Kind::Directory)?;
        for component in path.components() {
            let name = match component {
                Component::Normal(name) => name,
                Component::CurDir | Component::RootDir => continue,
                Component::ParentDir | Component::Prefix(_) => {
                    return Err(error(&place, "path", Errno::EINVAL));
                }
            };
            let next = open_at(&open, name, flags);
            if matches!(next, Err(Errno::ENOENT)) {
                return still_there(&place, &open).map(|()| None);
            }
            place.push(name);
            open = next.map_err(|errno| failed(&place, errno))?;
            self.check(&place, &open, Kind::Directory)?;
        }
        Ok(Some(open))
    }

    /// The text of the file `name` in `directory`, or `None` when it is absent. `place` is its path.
    fn file(
        &self,
        directory: &OwnedFd,
        place: &Path,
        name: &Path,
    ) -> Result<Option<Vec<u8>>, FileError> {
        // O_NONBLOCK: a FIFO must not hold the login. O_NOCTTY: a terminal must not become the program's.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let open = match open_at(directory, name, flags) {
            Err(Errno::ENOENT) => {
                return still_there(place.parent().unwrap_or(place), directory).map(|()| None);
            }
            other => other.map_err(|errno| failed(place, errno))?,
        };
        let stat = self.check(place, &open, Kind::File)?;
        let Ok(size) = usize::try_from(stat.st_size) else {
            return Err(error(place, "too_large", Errno::EFBIG));
        };
        match size {
            0 => return Err(refused(place, "empty")),
            1..=FILE_MAX => {}
            _ => return Err(error(place, "too_large", Errno::EFBIG)),
        }
        // One byte more than there should be, to notice a file that has grown.
        let mut text = vec![0; size.saturating_add(1)];
        let filled = fill(&open, &mut text).map_err(|errno| failed(place, errno))?;
        if filled != size {
            return Err(refused(place, "changed"));
        }
        text.truncate(size);
        Ok(Some(text))
    }

    /// Checks what is open at `place`: its kind, its owner, and that nobody else may write to it.
    ///
    /// Where there is a POSIX ACL, the group bits of the mode are its mask (acl(5)), which no named user and no
    /// group in it can exceed: without `S_IWGRP` it grants nobody but the owner to write.
    fn check(&self, place: &Path, open: &OwnedFd, kind: Kind) -> Result<FileStat, FileError> {
        let stat = fstat(open).map_err(|errno| failed(place, errno))?;
        match (stat.st_mode & libc::S_IFMT, kind) {
            (libc::S_IFDIR, Kind::Directory) | (libc::S_IFREG, Kind::File) => {}
            (libc::S_IFLNK, _) => return Err(error(place, "symlink", Errno::ELOOP)),
            (_, Kind::Directory) => return Err(error(place, "not_a_directory", Errno::ENOTDIR)),
            (_, Kind::File) => return Err(refused(place, "not_a_file")),
        }
        if stat.st_uid != 0 && stat.st_uid != self.places.owner {
            return Err(refused(place, "owner"));
        }
        if stat.st_mode & (libc::S_IWGRP | libc::S_IWOTH) != 0 {
            return Err(refused(place, "mode"));
        }
        // Another name of the same file may be in a directory where others write.
        if kind == Kind::File && stat.st_nlink != 1 {
            return Err(refused(place, "hard_link"));
        }
        Ok(stat)
    }
}

/// What has to be at the end of a step.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Directory,
    File,
}

/// Whether a directory in which nothing was found is still one: a removed directory is empty, and what is
/// absent from it may be in the one that has taken its place.
fn still_there(place: &Path, directory: &OwnedFd) -> Result<(), FileError> {
    match fstat(directory) {
        Ok(stat) if stat.st_nlink == 0 => Err(error(place, "missing_directory", Errno::ENOENT)),
        Ok(_) => Ok(()),
        Err(errno) => Err(failed(place, errno)),
    }
}

/// A system call failed.
pub(crate) fn failed(place: &Path, errno: Errno) -> FileError {
    let reason = match errno {
        Errno::EACCES | Errno::EPERM => "permission",
        Errno::EFBIG | Errno::EOVERFLOW => "too_large",
        Errno::EIO | Errno::ESTALE => "io",
        Errno::ELOOP => "symlink",
        Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM => "resources",
        Errno::ENOENT => "missing_directory",
        Errno::ENOTDIR => "not_a_directory",
        Errno::ENXIO | Errno::ENODEV => "not_a_file",
        _ => "unreadable",
    };
    error(place, reason, errno)
}

/// No system call failed, but what it showed is not acceptable.
fn refused(place: &Path, reason: &'static str) -> FileError {
    FileError { path: place.to_string_lossy().into_owned(), reason, errno: 0 }
}

fn error(place: &Path, reason: &'static str, errno: Errno) -> FileError {
    FileError { path: place.to_string_lossy().into_owned(), reason, errno: errno as i32 }
}
