//! Reading and writing the state of an account, in a directory that is root's alone. What is in it and what it means
//! is decided elsewhere.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fidokey_core::credential::Uid;
use fidokey_core::notice::Change;
use fidokey_core::ports::{Account, FileError, TextFile};
use fidokey_core::state::{announced, is_none};
use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::descriptors::create_at;
use crate::files::{Places, account_file};
use crate::lock::{LockError, lock};
use crate::replace::Replacement;
use crate::walk::{Kind, error, failed};

/// How long to wait for another login of the account, which needs milliseconds; it may be stopped, or its disk stuck.
const PATIENCE: Duration = Duration::from_millis(500);
/// The same for the command, whose change no later login would make up for: many logins may be waiting for it too.
const PATIENCE_TO_ANNOUNCE: Duration = Duration::from_secs(2);

/// The state of one account, locked against other logins of it until this is dropped.
#[derive(Debug)]
pub(crate) struct AccountState {
    places: Places,
    uid: Uid,
    directory: OwnedFd,
    /// Open, and with it the lock, where that could be had. Nobody but root can get at the file, so nobody else can
    /// lock it; and of another account's logins none does.
    lock: Result<OwnedFd, FileError>,
}

impl Places {
    /// The state of `uid`, and the lock on it where it can be had in half a second.
    ///
    /// # Errors
    /// [`FileError`]: the directory is missing, or others may look into it.
    pub(crate) fn account_state(&self, uid: Uid) -> Result<AccountState, FileError> {
        self.account_state_within(uid, PATIENCE)
    }

    fn account_state_within(
        &self,
        uid: Uid,
        patience: Duration,
    ) -> Result<AccountState, FileError> {
        let place = self.beneath(&self.state);
        let directory = self.state_directory()?;
        let lock = take(&directory, &place, uid, patience);
        Ok(AccountState { places: self.clone(), uid, directory, lock })
    }

    /// The state of `uid` for looking at it alone: nothing is locked and nothing made.
    ///
    /// # Errors
    /// As a login has them: the directory is missing, others may look into it or have written the state, or it cannot
    /// be read.
    pub fn read_state(&self, uid: Uid) -> Result<Option<TextFile>, FileError> {
        let directory = self.state_directory()?;
        let name = account_file(uid);
        let place = self.beneath(&self.state).join(&name);
        self.walk().file(&directory, &place, &name, Kind::PrivateFile)
    }

    fn state_directory(&self) -> Result<OwnedFd, FileError> {
        let missing = || error(&self.beneath(&self.state), "missing_directory", Errno::ENOENT);
        self.walk().directory(&self.state, Kind::PrivateDirectory)?.ok_or_else(missing)
    }
}

impl Places {
    /// Replaces the state of `uid` by what `change` makes of it, where there is one and it makes something.
    ///
    /// # Errors
    /// [`FileError`]: the old one is there.
    pub fn change_state(
        &self,
        uid: Uid,
        change: impl FnOnce(&[u8]) -> Option<String>,
    ) -> Result<(), FileError> {
        let state = self.account_state(uid)?;
        let Some(file) = state.read()? else { return Ok(()) };
        change(&file.text).map_or(Ok(()), |text| state.write(&text))
    }

    /// Puts `change`, which was made, down in the state of `account`, for its next login to tell; waits up to two seconds for
    /// logins of the account. What is no state, or one of another account of that number, is replaced, as a login does it.
    ///
    /// # Errors
    /// [`FileError`]: the next login will not tell. A state that others could have written is left alone.
    pub fn announce(&self, account: &Account, change: &Change<'_>) -> Result<(), FileError> {
        let state = self.account_state_within(account.uid, PATIENCE_TO_ANNOUNCE)?;
        let known = match state.read() {
            Ok(file) => file.map(|file| file.text),
            Err(error) if is_none(&error) => None,
            Err(error) => return Err(error),
        };
        state.write(&announced(known.as_deref(), &account.name, change))
    }

    /// The states of all accounts that can be read, without a lock: a state is replaced in one step.
    ///
    /// # Errors
    /// [`FileError`]: the directory is missing, or others may look into it.
    pub fn states(&self) -> Result<Vec<TextFile>, FileError> {
        let place = self.beneath(&self.state);
        let missing = || error(&place, "missing_directory", Errno::ENOENT);
        let directory =
            self.walk().directory(&self.state, Kind::PrivateDirectory)?.ok_or_else(missing)?;
        let names = std::fs::read_dir(&place).into_iter().flatten().flatten();
        let of_account = |name: &PathBuf| {
            let uid = name.to_str().and_then(|name| name.strip_suffix(".toml"));
            uid.is_some_and(|uid| uid.parse::<Uid>().is_ok())
        };
        let names = names.map(|entry| PathBuf::from(entry.file_name())).filter(of_account);
        let read = |name: PathBuf| {
            self.walk()
                .file(&directory, &place.join(&name), &name, Kind::PrivateFile)
                .ok()
                .flatten()
        };
        Ok(names.filter_map(read).collect())
    }
}

/// Opens and locks the lock file of `uid`, which is made where it is absent and never removed.
fn take(
    directory: &OwnedFd,
    place: &Path,
    uid: Uid,
    patience: Duration,
) -> Result<OwnedFd, FileError> {
    let name = format!(".{uid}.lock");
    let place = place.join(&name);
    let flags =
        OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let open = create_at(directory, name.as_str(), flags).map_err(|errno| failed(&place, errno))?;
    lock(&open, patience).map_err(|refused| match refused {
        LockError::Fault(fault) => failed(&place, Errno::from_raw(fault.errno)),
        LockError::Held => error(&place, "locked", Errno::EWOULDBLOCK),
        LockError::Refused(errno) => failed(&place, errno),
    })?;
    Ok(open)
}

impl AccountState {
    /// What is in it: 1 byte to 64 KiB. Without the lock as well, since a state is replaced in one step.
    ///
    /// # Errors
    /// [`FileError`]: others may have written it, or it cannot be read.
    pub(crate) fn read(&self) -> Result<Option<TextFile>, FileError> {
        let name = account_file(self.uid);
        self.places.walk().file(&self.directory, &self.place(), &name, Kind::PrivateFile)
    }

    /// Replaces it. After a crash it is the old one or the new one.
    ///
    /// # Errors
    /// [`FileError`]: the old one is there.
    pub(crate) fn write(&self, text: &str) -> Result<(), FileError> {
        if let Err(error) = &self.lock {
            return Err(error.clone());
        }
        let name = account_file(self.uid);
        // Nobody else's while the lock is ours.
        let temporary = PathBuf::from(format!(".{}.new", self.uid));
        let replacement = Replacement {
            directory: &self.directory,
            temporary: &temporary,
            name: &name,
            mode: 0o600,
        };
        replacement.write(text.as_bytes()).map_err(|errno| failed(&self.place(), errno))
    }

    fn place(&self) -> PathBuf {
        self.places.beneath(&self.places.state).join(account_file(self.uid))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

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
        places.account_state(1000).and_then(|state| state.read()).unwrap_err().reason
    }

    #[test]
    fn a_state_is_written_whole_and_is_roots_alone() {
        let places = places("state-whole");
        let state = places.account_state(1000).unwrap();
        assert_eq!(state.read(), Ok(None));
        for text in ["first", "a longer second one", "3"] {
            state.write(text).unwrap();
            assert_eq!(state.read().unwrap().unwrap().text, text.as_bytes());
        }
        let file = fs::metadata(directory(&places).join("1000.toml")).unwrap();
        assert_eq!(file.mode() & 0o7777, 0o600);
        // And the lock.
        assert_eq!(fs::read_dir(directory(&places)).unwrap().count(), 2);
    }

    // S8.
    #[test]
    fn a_state_that_others_may_see_or_write_is_not_read() {
        for bits in [0o755, 0o750, 0o711, 0o701, 0o710, 0o770, 0o1777] {
            let places = places("state-directory");
            places.account_state(1000).unwrap().write("x").unwrap();
            mode(&directory(&places), bits);
            assert_eq!(reason(&places), "mode", "{bits:o}");
        }
        for bits in [0o644, 0o640, 0o604, 0o620, 0o602, 0o611] {
            let places = places("state-file");
            places.account_state(1000).unwrap().write("x").unwrap();
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
        assert_eq!(places.read_state(1000).unwrap_err().reason, "missing_directory");
    }

    #[test]
    fn a_look_at_a_state_is_what_a_login_reads_and_leaves_nothing_behind() {
        let places = places("state-look");
        assert_eq!(places.read_state(1000), Ok(None));
        assert_eq!(fs::read_dir(directory(&places)).unwrap().count(), 0);
        let state = places.account_state(1000).unwrap();
        state.write("x").unwrap();
        assert_eq!(places.read_state(1000), state.read());
        mode(&directory(&places).join("1000.toml"), 0o640);
        assert_eq!(places.read_state(1000).unwrap_err().reason, "mode");
    }

    // S5, for a crash that leaves a temporary file of any kind.
    #[test]
    fn what_a_crashed_login_left_behind_is_in_nobodys_way() {
        let places = places("state-crash");
        let left = directory(&places).join(".1000.new");
        fs::write(&left, "schema = 1\nuser = \"al").unwrap();
        let state = places.account_state(1000).unwrap();
        assert_eq!(state.read(), Ok(None));
        state.write("x").unwrap();
        assert_eq!(state.read().unwrap().unwrap().text, b"x");
        assert!(!left.exists());
    }

    // S7.
    #[test]
    fn given_a_step_that_fails_then_the_old_state_is_there() {
        let places = places("state-fails");
        let state = places.account_state(1000).unwrap();
        state.write("old").unwrap();
        fs::create_dir(directory(&places).join(".1000.new")).unwrap();
        assert!(state.write("new").is_err());
        assert_eq!(state.read().unwrap().unwrap().text, b"old");
        fs::remove_dir(directory(&places).join(".1000.new")).unwrap();
        state.write("new").unwrap();
    }

    // S4: the lock of another login is waited for, and without it nothing is written, but all is read.
    #[test]
    fn given_a_lock_that_another_login_holds_then_the_state_is_read_and_not_written() {
        let places = places("state-locked");
        let first = places.account_state(1000).unwrap();
        first.write("x").unwrap();
        let second = places.account_state(1000).unwrap();
        assert_eq!(second.read().unwrap().unwrap().text, b"x");
        assert_eq!(second.write("y").unwrap_err().reason, "locked");
        // Another account's is another lock.
        places.account_state(1001).unwrap().write("z").unwrap();
        drop(first);
        places.account_state(1000).unwrap().write("y").unwrap();
    }
}
