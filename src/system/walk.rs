//! The walk from the root to a file, one component at a time with `openat`. Each directory is checked on the
//! descriptor that the next step starts from.
//!
//! `openat2(RESOLVE_NO_SYMLINKS)` would follow no link either, but it would not show the directories in between,
//! whose owners and modes have to be checked.

use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use fidokey_core::credential::Uid;
use fidokey_core::ports::{FileError, TextFile};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::libc;
use nix::sys::stat::{FileStat, fstat};

use crate::descriptors::{fill, open_at};
use crate::files::FILE_MAX;

/// A walk to a file, and whom to trust on the way.
pub(crate) struct Walk<'p> {
    /// Where it begins.
    pub(crate) root: &'p Path,
    /// Who, beside root, may own what is on the way.
    pub(crate) owner: Uid,
}

impl Walk<'_> {
    /// Opens the directory at `path`; every directory from the root to it is checked. `None` when one of them
    /// is absent from the one before it. `last` says what the last one has to be.
    pub(crate) fn directory(&self, path: &Path, last: Kind) -> Result<Option<OwnedFd>, FileError> {
        // O_PATH and not O_RDONLY: searching a directory is enough for a screen locker, which runs as the user.
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
        let mut place = self.root.to_owned();
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
        self.check(&place, &open, last)?;
        Ok(Some(open))
    }

    /// The text of the file `name` in `directory`, or `None` when it is absent. `place` is its path.
    pub(crate) fn file(
        &self,
        directory: &OwnedFd,
        place: &Path,
        name: &Path,
        kind: Kind,
    ) -> Result<Option<TextFile>, FileError> {
        // O_NONBLOCK: a FIFO must not hold the login. O_NOCTTY: a terminal must not become the program's.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let open = match open_at(directory, name, flags) {
            Err(Errno::ENOENT) => {
                return still_there(place.parent().unwrap_or(place), directory).map(|()| None);
            }
            other => other.map_err(|errno| failed(place, errno))?,
        };
        let stat = self.check(place, &open, kind)?;
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
        Ok(Some(TextFile { path: place.to_string_lossy().into_owned(), text }))
    }

    /// Checks what is open at `place`: its kind, its owner, and that nobody else may write to it.
    ///
    /// Where there is a POSIX ACL, the group bits of the mode are its mask (acl(5)), which no named user and no
    /// group in it can exceed: without `S_IWGRP` it grants nobody but the owner to write.
    pub(crate) fn check(
        &self,
        place: &Path,
        open: &OwnedFd,
        kind: Kind,
    ) -> Result<FileStat, FileError> {
        let stat = fstat(open).map_err(|errno| failed(place, errno))?;
        match (stat.st_mode & libc::S_IFMT, kind.is_directory()) {
            (libc::S_IFDIR, true) | (libc::S_IFREG, false) => {}
            (libc::S_IFLNK, _) => return Err(error(place, "symlink", Errno::ELOOP)),
            (_, true) => return Err(error(place, "not_a_directory", Errno::ENOTDIR)),
            (_, false) => return Err(refused(place, "not_a_file")),
        }
        if stat.st_uid != 0 && stat.st_uid != self.owner {
            return Err(refused(place, "owner"));
        }
        if stat.st_mode & kind.forbidden() != 0 {
            return Err(refused(place, "mode"));
        }
        // Another name of the same file may be in a directory where others write. None at all is a file that was
        // replaced since it was opened, which is how records are written.
        if !kind.is_directory() && stat.st_nlink > 1 {
            return Err(refused(place, "hard_link"));
        }
        Ok(stat)
    }
}

/// What has to be at the end of a step.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Nobody else may write to it.
    Directory,
    /// Nobody else may write to it.
    File,
    /// Nobody else may do anything with it.
    PrivateDirectory,
    /// Nobody else may do anything with it.
    PrivateFile,
}

impl Kind {
    const fn is_directory(self) -> bool {
        matches!(self, Self::Directory | Self::PrivateDirectory)
    }

    /// The bits that its mode must not have.
    const fn forbidden(self) -> libc::mode_t {
        match self {
            Self::Directory | Self::File => libc::S_IWGRP | libc::S_IWOTH,
            Self::PrivateDirectory | Self::PrivateFile => libc::S_IRWXG | libc::S_IRWXO,
        }
    }
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
pub(crate) fn refused(place: &Path, reason: &'static str) -> FileError {
    FileError { path: place.to_string_lossy().into_owned(), reason, errno: 0 }
}

/// What is there is not acceptable, as `errno` would say it.
pub(crate) fn error(place: &Path, reason: &'static str, errno: Errno) -> FileError {
    FileError { path: place.to_string_lossy().into_owned(), reason, errno: errno as i32 }
}
