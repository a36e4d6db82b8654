//! Reading and writing the state of an account, in a directory that is root's alone. What is in it and what it means
//! is decided elsewhere.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use fidokey_core::credential::Uid;
use fidokey_core::ports::{FileError, TextFile};
use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::descriptors::open_at;
use crate::files::{Places, account_file};
use crate::lock::{LockError, lock};
use crate::replace::Replacement;
use crate::walk::{Kind, error, failed};

/// How long to wait for another login that writes its state, which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// The directory of the states, locked against other logins until this is dropped.
#[derive(Debug)]
pub(crate) struct States {
    places: Places,
    place: PathBuf,
    /// Open, and where the lock could be had locked: nobody but root can open it, so nobody else can lock it.
    directory: OwnedFd,
    locked: Result<(), FileError>,
}

impl Places {
    /// The states, and the lock on them where it can be had in 3 seconds.
    ///
    /// # Errors
    /// [`FileError`]: the directory is missing, or others may look into it.
    pub(crate) fn states(&self) -> Result<States, FileError> {
        let place = self.beneath(&self.state);
        let missing = || error(&place, "missing_directory", Errno::ENOENT);
        let searchable =
            self.walk().directory(&self.state, Kind::PrivateDirectory)?.ok_or_else(missing)?;
        // The checked directory again, as one that can be locked.
        let directory = open_at(&searchable, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY)
            .map_err(|errno| failed(&place, errno))?;
        let locked = lock(&directory, PATIENCE).map_err(|refused| match refused {
            LockError::Fault(fault) => failed(&place, Errno::from_raw(fault.errno)),
            LockError::Held => error(&place, "locked", Errno::EWOULDBLOCK),
            LockError::Refused(errno) => failed(&place, errno),
        });
        Ok(States { places: self.clone(), place, directory, locked })
    }
}

impl States {
    /// The state of `uid`: 1 byte to 64 KiB. Without the lock as well, since a state is replaced in one step.
    ///
    /// # Errors
    /// [`FileError`]: others may have written it, or it cannot be read.
    pub(crate) fn read(&self, uid: Uid) -> Result<Option<TextFile>, FileError> {
        let name = account_file(uid);
        self.places.walk().file(&self.directory, &self.place.join(&name), &name, Kind::PrivateFile)
    }

    /// Replaces the state of `uid`. After a crash it is the old one or the new one.
    ///
    /// # Errors
    /// [`FileError`]: the old one is there.
    pub(crate) fn write(&self, uid: Uid, text: &str) -> Result<(), FileError> {
        self.locked.clone()?;
        let name = account_file(uid);
        // The lock is on all states, so that this name is nobody else's.
        let temporary = PathBuf::from(".new");
        let replacement = Replacement {
            directory: &self.directory,
            temporary: &temporary,
            name: &name,
            mode: 0o600,
        };
        replacement.write(text).map_err(|errno| failed(&self.place.join(&name), errno))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::path::Path;

    use super::*;
    use crate::accounts::effective_uid;
    use crate::scratch::{mode, scratch};

    fn places(name: &str) -> Places {
        let root = scratch(name);
        fs::create_dir_all(root.join("var/lib/fidokey")).unwrap();
        for (place, bits) in [("var", 0o755), ("var/lib", 0o755), ("var/lib/fidokey", 0o700)] {
            mode(&root.join(place), bits);
        }
        Places { root, owner: effective_uid(), ..Places::system() }
    }

    fn directory(places: &Places) -> PathBuf {
        places.beneath(&places.state)
    }

    /// Why the state is not read.
    fn reason(places: &Places) -> &'static str {
        places.states().and_then(|states| states.read(1000)).unwrap_err().reason
    }

    #[test]
    fn a_state_is_written_whole_and_is_roots_alone() {
        let places = places("state-whole");
        let states = places.states().unwrap();
        assert_eq!(states.read(1000), Ok(None));
        for text in ["first", "a longer second one", "3"] {
            states.write(1000, text).unwrap();
            assert_eq!(states.read(1000).unwrap().unwrap().text, text.as_bytes());
        }
        let file = fs::metadata(directory(&places).join("1000.toml")).unwrap();
        assert_eq!(file.mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(directory(&places)).unwrap().count(), 1);
    }

    // S8.
    #[test]
    fn a_state_that_others_may_see_or_write_is_not_read() {
        for bits in [0o755, 0o750, 0o711, 0o701, 0o710, 0o770, 0o1777] {
            let places = places("state-directory");
            places.states().unwrap().write(1000, "x").unwrap();
            mode(&directory(&places), bits);
            assert_eq!(reason(&places), "mode", "{bits:o}");
        }
        for bits in [0o644, 0o640, 0o604, 0o620, 0o602, 0o611] {
            let places = places("state-file");
            places.states().unwrap().write(1000, "x").unwrap();
            mode(&directory(&places).join("1000.toml"), bits);
            assert_eq!(reason(&places), "mode", "{bits:o}");
        }
        let places = places("state-link");
        symlink("/etc/hostname", directory(&places).join("1000.toml")).unwrap();
        assert_eq!(reason(&places), "symlink");
        let elsewhere = places.root.join("elsewhere");
        fs::rename(directory(&places), &elsewhere).unwrap();
        symlink(&elsewhere, directory(&places)).unwrap();
        assert_eq!(reason(&places), "symlink");
        fs::remove_file(directory(&places)).unwrap();
        assert_eq!(reason(&places), "missing_directory");
    }

    // S5, for a crash that leaves a temporary file of any kind.
    #[test]
    fn what_a_crashed_login_left_behind_is_in_nobodys_way() {
        let places = places("state-crash");
        let left = directory(&places).join(".new");
        fs::write(&left, "schema = 1\nuser = \"al").unwrap();
        let states = places.states().unwrap();
        assert_eq!(states.read(1000), Ok(None));
        states.write(1000, "x").unwrap();
        assert_eq!(states.read(1000).unwrap().unwrap().text, b"x");
        assert!(!left.exists());
    }

    // S7.
    #[test]
    fn given_a_step_that_fails_then_the_old_state_is_there() {
        let places = places("state-fails");
        let states = places.states().unwrap();
        states.write(1000, "old").unwrap();
        fs::create_dir(directory(&places).join(".new")).unwrap();
        assert!(states.write(1000, "new").is_err());
        assert_eq!(states.read(1000).unwrap().unwrap().text, b"old");
        fs::remove_dir(directory(&places).join(".new")).unwrap();
        states.write(1000, "new").unwrap();
    }

    // S4: the lock of another login is waited for, and without it nothing is written, but all is read.
    #[test]
    fn given_a_lock_that_another_login_holds_then_the_state_is_read_and_not_written() {
        let places = places("state-locked");
        let first = places.states().unwrap();
        first.write(1000, "x").unwrap();
        let second = places.states().unwrap();
        assert_eq!(second.read(1000).unwrap().unwrap().text, b"x");
        assert_eq!(second.write(1000, "y").unwrap_err().reason, "locked");
        drop(first);
        places.states().unwrap().write(1000, "y").unwrap();
        assert!(Path::new(&directory(&places)).is_dir());
    }
}
