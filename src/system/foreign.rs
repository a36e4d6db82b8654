//! A file that was named to the command and that anybody may have written, as in a home directory: read whole and within
//! bounds, and whose words are in it. Nothing of what is in it is trusted, or told.

use std::os::fd::OwnedFd;
use std::path::Path;

use fidokey_core::credential::Uid;
use fidokey_core::ports::FileError;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::fstat;
use nix::unistd::getcwd;
use zeroize::Zeroizing;

use crate::descriptors::fill;
use crate::walk::{error, failed, refused};

mod way;

use way::Ground;

/// What was read.
#[derive(Debug)]
pub struct Foreign {
    /// The bytes: it may be a private key that was named by mistake.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Whose words they are: root's only where nobody else could have put the file there, else the user's who owns it or a
    /// directory on the way to it.
    pub owner: Uid,
    /// It is where users may mount a disk of their own (`nosuid`), whose owners they have chosen: that the file is `owner`'s
    /// proves nothing of itself.
    pub brought: bool,
}

/// Reads the regular file `path`, of at most `most` bytes. Whoever owns a directory can put anything in it: a link of theirs
/// is not followed, so that it is the owner's own file and not one of root's that says what they like, and a pipe does not
/// hold the command up.
///
/// # Errors
/// [`FileError`]; `missing` where there is none.
pub fn read(path: &Path, most: usize) -> Result<Foreign, FileError> {
    Ground { root: Path::new("/"), owner: 0 }.read(path, most)
}

impl Ground<'_> {
    fn read(&self, path: &Path, most: usize) -> Result<Foreign, FileError> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let (fd, hands) = match path.is_absolute() {
            true => self.open(path, flags)?,
            // What is above counts as well: it may be how the shell came to be where it is.
            false => {
                let here = getcwd().map_err(|errno| failed(path, errno))?;
                self.open(&here.join(path), flags)?
            }
        };
        let stat = fstat(&fd).map_err(|errno| failed(path, errno))?;
        if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Err(error(path, "not_a_file", Errno::EINVAL));
        }
        if stat.st_mode & (libc::S_IWGRP | libc::S_IWOTH) != 0 {
            return Err(error(path, "mode", Errno::EPERM));
        }
        // Another name of the same file may be one that somebody gave it where they can.
        if stat.st_nlink > 1 {
            return Err(refused(path, "hard_link"));
        }
        if usize::try_from(stat.st_size).map_or(true, |size| size > most) {
            return Err(error(path, "too_large", Errno::EFBIG));
        }
        let bytes = read_all(&fd, most).map_err(|errno| failed(path, errno))?;
        let (owner, brought) = self.whose(path, &fd, stat.st_uid, &hands)?;
        Ok(Foreign { bytes, owner, brought })
    }
}

/// What is in it now, which may be more than it was.
fn read_all(fd: &OwnedFd, most: usize) -> Result<Zeroizing<Vec<u8>>, Errno> {
    let mut bytes = Zeroizing::new(vec![0; most.saturating_add(1)]);
    let length = fill(fd, &mut bytes)?;
    if length > most {
        return Err(Errno::EFBIG);
    }
    bytes.truncate(length);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use nix::sys::stat::Mode;
    use nix::sys::statvfs::{FsFlags, statvfs};
    use nix::unistd::mkfifo;

    use super::*;
    use crate::accounts::effective_uid;
    use crate::scratch::{mode, scratch};

    /// The file `name` of a system whose root is `directory`.
    fn read(directory: &Path, name: &str) -> Result<Foreign, FileError> {
        Ground { root: directory, owner: effective_uid() }.read(&Path::new("/").join(name), 8)
    }

    // I11.
    #[test]
    fn given_a_small_file_then_it_is_read_and_whose_it_is_is_known() {
        let directory = scratch("foreign-read");
        let place = directory.join("file");
        for text in ["", "12345678"] {
            fs::write(&place, text).unwrap();
            mode(&place, 0o640);
            let foreign = read(&directory, "file").unwrap();
            assert_eq!(foreign.bytes.as_slice(), text.as_bytes());
            assert_eq!(foreign.owner, effective_uid());
        }
    }

    // I11: nobody can put anything in its place that holds the command up or is another's.
    #[test]
    fn given_what_is_no_file_of_its_owners_own_then_it_is_refused_at_once() {
        let directory = scratch("foreign-refused");
        let place = |name: &str| directory.join(name);
        let reason = |name: &str| read(&directory, name).map(|_read| ()).unwrap_err().reason;
        assert_eq!(reason("none"), "missing");
        assert_eq!(reason(""), "not_a_file");
        fs::create_dir(place("directory")).unwrap();
        assert_eq!(reason("directory"), "not_a_file");
        mkfifo(&place("pipe"), Mode::S_IRUSR).unwrap();
        assert_eq!(reason("pipe"), "not_a_file");
        fs::write(place("small"), "1").unwrap();
        mode(&place("small"), 0o600);
        symlink("small", place("link")).unwrap();
        assert_eq!(reason("link"), "symlink");
        fs::write(place("large"), "123456789").unwrap();
        mode(&place("large"), 0o600);
        assert_eq!(reason("large"), "too_large");
        // A terabyte of nothing takes no time.
        File::create(place("sparse")).unwrap().set_len(1 << 40).unwrap();
        mode(&place("sparse"), 0o600);
        assert_eq!(reason("sparse"), "too_large");
        for bits in [0o620, 0o602] {
            mode(&place("small"), bits);
            assert_eq!(reason("small"), "mode");
        }
        mode(&place("small"), 0o600);
        fs::hard_link(place("small"), place("other")).unwrap();
        assert_eq!(reason("small"), "hard_link");
    }

    #[test]
    fn given_what_the_kernel_has_of_its_own_then_it_is_refused_too() {
        let reason = |path| super::read(Path::new(path), 8).map(|_read| ()).unwrap_err().reason;
        assert_eq!(reason("/"), "not_a_file");
        assert_eq!(reason("/dev/null"), "not_a_file");
        // What says that it is empty and is not.
        assert_eq!(reason("/proc/self/maps"), "too_large");
        // Root's, on what somebody could have mounted.
        let system = statvfs("/proc").unwrap();
        if system.flags().contains(FsFlags::ST_NOSUID) {
            assert_eq!(reason("/proc/sys/kernel/ostype"), "nosuid");
        }
    }

    #[test]
    fn given_a_relative_path_then_it_begins_where_the_command_was_started() {
        let place = scratch("foreign-relative").join("file");
        fs::write(&place, "1").unwrap();
        mode(&place, 0o600);
        let upwards: PathBuf = getcwd().unwrap().components().skip(1).map(|_| "..").collect();
        let relative = upwards.join(place.strip_prefix("/").unwrap());
        // Whatever is thought of the place that tests are run at.
        let whose =
            |path: &Path| super::read(path, 8).map(|read| read.owner).map_err(|error| error.reason);
        let expected = whose(&place);
        assert!(!matches!(expected, Err("missing")));
        assert_eq!(whose(&relative), expected);
    }
}
