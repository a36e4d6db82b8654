//! Whether a program of this machine may be run as root: nobody else could have put another one in its place. For the
//! command alone; a login runs none.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use fidokey_core::ports::FileError;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::fstat;

use crate::descriptors::open_at;
use crate::files::Places;
use crate::walk::{Kind, error, failed};

/// The most links from a program's usual name to the program: `alternatives` makes two.
const LINKS_MAX: usize = 8;

impl Places {
    /// Where the program `path` is, beneath the root, or `None` where there is none.
    ///
    /// Links are followed, as that is how a system says which of several programs it means. The directory of each one and of
    /// the program is checked like that of a record, on its path without links; the program itself may have other names, as
    /// some systems link all that they install.
    ///
    /// # Errors
    /// [`FileError`] when somebody else could have changed it, or when that cannot be told.
    pub fn program(&self, path: &Path) -> Result<Option<PathBuf>, FileError> {
        let root = self.root.canonicalize().map_err(|error| unresolved(&self.root, &error))?;
        let mut place = self.beneath(path);
        for _ in 0..=LINKS_MAX {
            let (Some(parent), Some(name)) = (place.parent(), place.file_name().map(PathBuf::from))
            else {
                break;
            };
            let parent = match parent.canonicalize() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                other => other.map_err(|error| unresolved(&place, &error))?,
            };
            let Ok(beneath) = parent.strip_prefix(&root) else { break };
            let Some(directory) = self.walk().directory(beneath, Kind::Directory)? else {
                return Ok(None);
            };
            place = parent.join(&name);
            // O_PATH: a FIFO or a device in its place is not touched.
            let open = match open_at(&directory, &name, OFlag::O_PATH | OFlag::O_NOFOLLOW) {
                Err(Errno::ENOENT) => return Ok(None),
                other => other.map_err(|errno| failed(&place, errno))?,
            };
            let stat = fstat(&open).map_err(|errno| failed(&place, errno))?;
            match stat.st_mode & libc::S_IFMT {
                libc::S_IFLNK => {
                    let link = fs::read_link(&place).map_err(|error| unresolved(&place, &error))?;
                    place = self.led(&parent, &link);
                }
                libc::S_IFREG if stat.st_uid != 0 && stat.st_uid != self.owner => {
                    return Err(error(&place, "owner", Errno::EPERM));
                }
                libc::S_IFREG if stat.st_mode & (libc::S_IWGRP | libc::S_IWOTH) != 0 => {
                    return Err(error(&place, "mode", Errno::EPERM));
                }
                libc::S_IFREG => return Ok(Some(place)),
                _ => return Err(error(&place, "not_a_file", Errno::EACCES)),
            }
        }
        Err(error(&place, "symlink", Errno::ELOOP))
    }

    /// Where `link`, which stands in `directory`, leads.
    fn led(&self, directory: &Path, link: &Path) -> PathBuf {
        match link.components().next() {
            Some(Component::RootDir) => self.beneath(link),
            _ => directory.join(link),
        }
    }
}

fn unresolved(place: &Path, error: &io::Error) -> FileError {
    failed(place, Errno::from_raw(error.raw_os_error().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, chown, symlink};

    use super::*;
    use crate::scratch::{mode, scratch};

    const SENDMAIL: &str = "/usr/sbin/sendmail";

    /// A system whose `directories` have the mode that they should have.
    fn system(name: &str, directories: &[&str]) -> Places {
        let root = scratch(name).canonicalize().unwrap();
        for directory in directories {
            fs::create_dir_all(root.join(directory)).unwrap();
            let parts = Path::new(directory).ancestors().filter(|part| *part != Path::new(""));
            parts.for_each(|part| mode(&root.join(part), 0o755));
        }
        let owner = fs::metadata(&root).unwrap().uid();
        Places { root, owner, ..Places::system() }
    }

    fn put(places: &Places, path: &str) {
        let place = places.root.join(path);
        fs::write(&place, "#!/bin/sh\n").unwrap();
        mode(&place, 0o755);
    }

    fn found(places: &Places) -> Result<Option<PathBuf>, &'static str> {
        let found = places.program(Path::new(SENDMAIL)).map_err(|error| error.reason)?;
        Ok(found.map(|path| path.strip_prefix(&places.root).unwrap().to_owned()))
    }

    fn at(path: &str) -> Result<Option<PathBuf>, &'static str> {
        Ok(Some(PathBuf::from(path)))
    }

    #[test]
    fn given_links_within_the_system_then_what_they_lead_to_is_the_program() {
        let places = system("programs-links", &["usr/bin", "usr/lib", "etc/alternatives"]);
        assert_eq!(found(&places), Ok(None));
        put(&places, "usr/bin/exim");
        fs::hard_link(places.root.join("usr/bin/exim"), places.root.join("usr/bin/mailq")).unwrap();
        // As Fedora has it: one directory of programs, and a link that says which.
        symlink("bin", places.root.join("usr/sbin")).unwrap();
        symlink("/etc/alternatives/mta", places.root.join("usr/bin/sendmail")).unwrap();
        assert_eq!(found(&places), Ok(None));
        symlink("../../usr/bin/exim", places.root.join("etc/alternatives/mta")).unwrap();
        assert_eq!(found(&places), at("usr/bin/exim"));
    }

    #[test]
    fn given_a_program_that_somebody_else_could_have_put_there_then_it_is_refused() {
        let places = system("programs-others", &["usr/sbin", "opt/mail"]);
        put(&places, "opt/mail/program");
        symlink("/opt/mail/program", places.root.join("usr/sbin/sendmail")).unwrap();
        assert_eq!(found(&places), at("opt/mail/program"));
        for (path, good) in
            [("opt/mail/program", 0o755), ("opt/mail", 0o755), ("opt", 0o755), ("usr/sbin", 0o755)]
        {
            for bad in [0o775, 0o757] {
                mode(&places.root.join(path), bad);
                assert_eq!(found(&places), Err("mode"), "{path} {bad:o}");
            }
            mode(&places.root.join(path), good);
        }
        assert_eq!(found(&places), at("opt/mail/program"));
        // Only root can give a file away.
        if chown(places.root.join("opt/mail/program"), Some(4711), None).is_ok() {
            assert_eq!(found(&places), Err("owner"));
        }
    }

    #[test]
    fn given_what_is_no_program_or_leads_nowhere_then_it_ends() {
        let places = system("programs-odd", &["usr/sbin/sendmail"]);
        assert_eq!(found(&places), Err("not_a_file"));
        fs::remove_dir(places.root.join("usr/sbin/sendmail")).unwrap();
        symlink("sendmail", places.root.join("usr/sbin/sendmail")).unwrap();
        assert_eq!(found(&places), Err("symlink"));
        fs::remove_file(places.root.join("usr/sbin/sendmail")).unwrap();
        // Out of the system that is meant: not one of its programs.
        let out = format!("{}bin/sh", "../".repeat(64));
        symlink(out, places.root.join("usr/sbin/sendmail")).unwrap();
        assert_eq!(found(&places), Err("symlink"));
    }
}
