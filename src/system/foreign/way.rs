//! The way to a file that anybody may have made, and who could have put another one at its end.
//!
//! What a file says is said by whoever could have put it there: its owner, and whoever owns a directory on the way. So the
//! way is walked one component at a time, and each directory is judged on the descriptor that the next step starts from.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use fidokey_core::credential::Uid;
use fidokey_core::ports::FileError;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, readlinkat};
use nix::libc;
use nix::sys::stat::fstat;
use nix::sys::statvfs::{FsFlags, fstatvfs};

use crate::descriptors::open_at;
use crate::walk::{error, failed, refused};

/// The most links that lead to one file, as in the kernel.
const LINKS_MAX: usize = 40;

/// The system that files are looked for in.
#[derive(Clone, Copy)]
pub(super) struct Ground<'p> {
    /// Where absolute paths begin. It is judged, what is above it is not: `/` on a real machine.
    pub(super) root: &'p Path,
    /// Whom the system belongs to: 0, root, on a real machine.
    pub(super) owner: Uid,
}

/// In whose hands a way is.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Hands {
    /// Who else than root owns directories on it.
    user: Option<Uid>,
    /// The first of root's directories on it that others may write to, who can put something else of their own in there. That
    /// they may not rename what is another's, as in `/tmp`, is no help: they may have been first.
    shared: Option<PathBuf>,
}

impl Ground<'_> {
    /// Opens what is at the absolute `path` with `flags`, and tells in whose hands the way to it is.
    ///
    /// A link on the way is followed where nobody but root could have put it there, such as one from `/home` to another disk:
    /// anybody else's leads wherever they like, also to a file of root's, and to a disk of their own where all files say that
    /// they are. One at the end is never followed.
    ///
    /// # Errors
    /// [`FileError`]; `missing` where there is none.
    pub(super) fn open(&self, path: &Path, flags: OFlag) -> Result<(OwnedFd, Hands), FileError> {
        let absent = |place: &Path, errno| match errno {
            Errno::ENOENT => error(path, "missing", errno),
            errno => failed(place, errno),
        };
        let mut hands = Hands::default();
        let mut place = self.root.to_owned();
        let mut open = self.begin(&mut hands)?;
        let mut links = 0_usize;
        // The next one is the last.
        let mut names: Vec<OsString> = backwards(path).collect();
        while let Some(name) = names.pop() {
            if names.is_empty() {
                let file = open_at(&open, name.as_os_str(), flags | OFlag::O_NOFOLLOW);
                return Ok((file.map_err(|errno| absent(path, errno))?, hands));
            }
            let at = if name == ".." { parent(&place) } else { place.join(&name) };
            let next = open_at(&open, name.as_os_str(), OFlag::O_PATH | OFlag::O_NOFOLLOW);
            let next = next.map_err(|errno| absent(&at, errno))?;
            let stat = fstat(&next).map_err(|errno| failed(&at, errno))?;
            match stat.st_mode & libc::S_IFMT {
                libc::S_IFDIR => {
                    hands.pass(self.owner, &at, stat.st_uid, stat.st_mode)?;
                    (open, place) = (next, at);
                }
                libc::S_IFLNK
                    if hands.are_roots() && stat.st_uid == self.owner && links < LINKS_MAX =>
                {
                    links = links.saturating_add(1);
                    // Of the very link that was judged.
                    let target = readlinkat(&next, "").map_err(|errno| failed(&at, errno))?;
                    let target = Path::new(&target);
                    if target.is_absolute() {
                        (open, place) = (self.begin(&mut hands)?, self.root.to_owned());
                    }
                    names.extend(backwards(target));
                }
                libc::S_IFLNK => return Err(error(&at, "symlink", Errno::ELOOP)),
                _ => return Err(error(&at, "not_a_directory", Errno::ENOTDIR)),
            }
        }
        Err(error(path, "not_a_file", Errno::EISDIR))
    }

    fn begin(&self, hands: &mut Hands) -> Result<OwnedFd, FileError> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let at = |errno| failed(self.root, errno);
        let open = open_at(AT_FDCWD, self.root, flags).map_err(at)?;
        let stat = fstat(&open).map_err(at)?;
        hands.pass(self.owner, self.root, stat.st_uid, stat.st_mode)?;
        Ok(open)
    }

    /// Whose words are in the `file` of `uid` at `path`, to which the way is in these `hands`; and whether it may be on a disk that
    /// somebody has brought along.
    ///
    /// # Errors
    /// [`FileError`] where that cannot be told.
    pub(super) fn whose(
        &self,
        path: &Path,
        file: &OwnedFd,
        uid: Uid,
        hands: &Hands,
    ) -> Result<(Uid, bool), FileError> {
        let whose = hands.whose(self.owner, path, uid)?;
        // Of what somebody may bring along the kernel believes no file that it is root's, and neither does this: where
        // users may mount a disk, it is mounted so.
        let system = fstatvfs(file).map_err(|errno| failed(path, errno))?;
        let brought = system.flags().contains(FsFlags::ST_NOSUID);
        if brought && whose == self.owner {
            return Err(refused(path, "nosuid"));
        }
        Ok((whose, brought))
    }
}

impl Hands {
    fn are_roots(&self) -> bool {
        self.user.is_none() && self.shared.is_none()
    }

    /// Goes through the directory of `uid` at `place`. What two users could have put there is nobody's.
    fn pass(
        &mut self,
        root: Uid,
        place: &Path,
        uid: Uid,
        mode: libc::mode_t,
    ) -> Result<(), FileError> {
        if uid != root {
            if *self.user.get_or_insert(uid) != uid {
                return Err(refused(place, "owner"));
            }
        } else if mode & (libc::S_IWGRP | libc::S_IWOTH) != 0 {
            self.shared.get_or_insert_with(|| place.to_owned());
        }
        Ok(())
    }

    /// Whose words are in a file of `uid` at the end. A user may have moved a file of root's there.
    fn whose(&self, root: Uid, path: &Path, uid: Uid) -> Result<Uid, FileError> {
        match (self.user, &self.shared) {
            (Some(user), _) if uid != root && uid != user => Err(refused(path, "owner")),
            (Some(user), _) => Ok(user),
            (None, Some(shared)) if uid == root => Err(refused(shared, "shared")),
            (None, _) => Ok(uid),
        }
    }
}

/// The names in `path`, the last one first.
fn backwards(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    })
}

/// What is above `place`, which has no links in it.
fn parent(place: &Path) -> PathBuf {
    place.parent().unwrap_or(place).to_owned()
}

#[cfg(test)]
mod tests;
