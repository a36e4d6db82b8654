//! Writing the record of an account, so that whatever happens on the way the old one is there or the new one.
//!
//! Only the command does this; what a login writes is its state alone. What is written is decided elsewhere.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fidokey_core::credential::Uid;
use fidokey_core::ports::{Fault, FileError, TextFile};
use fidokey_core::record::{Misfit, Record};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

use crate::descriptors::{create_at, open_at};
use crate::files::{Places, account_file, account_in};
use crate::holder::holder;
use crate::listing::names_in;
use crate::lock::{LockError, lock};
use crate::replace::Replacement;
use crate::tree::NAMES_MAX;
use crate::walk::failed;

/// What writers lock. Not the directory: everybody may open that, and so lock it for ever.
const LOCK: &str = ".lock";
/// How long to wait for another writer, who needs milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no lock on the records, or why a record was not written. The old one is as it was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WriteError {
    /// The clock cannot be read.
    Fault(Fault),
    /// The directory or a file in it cannot be trusted, read or written.
    File(FileError),
    /// Another writer has held the lock all the time: the process of this number, where that can be told.
    Locked(Option<u32>),
    /// The record would not be read again.
    Misfit(Misfit),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => write!(f, "{} failed (error {})", fault.call, fault.errno),
            Self::File(error) => error.fmt(f),
            Self::Locked(Some(holder)) => {
                write!(f, "another registration is under way (process {holder})")
            }
            Self::Locked(None) => f.write_str("another registration is under way"),
            Self::Misfit(misfit) => write!(f, "the new record would not be read: {misfit}"),
        }
    }
}

impl From<FileError> for WriteError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

/// The records, locked against other writers until this is dropped. Readers are not held up: a record is
/// replaced in one step.
#[derive(Debug)]
pub struct LockedRecords<'p> {
    places: &'p Places,
    users: OwnedFd,
    // Closing it gives the lock up.
    _lock: OwnedFd,
}

impl Places {
    /// The records, locked for writing. What is read from here on stays true until it is written.
    ///
    /// # Errors
    /// [`WriteError`]; a missing directory is one.
    pub fn lock_records(&self) -> Result<LockedRecords<'_>, WriteError> {
        let place = self.beneath(&self.users);
        let searchable = self.users_directory()?;
        // The checked directory again, as one that can be synchronised.
        let users = open_at(&searchable, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY)
            .map_err(|errno| failed(&place, errno))?;
        let lock = lock_file(self, &users, &place.join(LOCK))?;
        Ok(LockedRecords { places: self, users, _lock: lock })
    }
}

impl LockedRecords<'_> {
    /// As [`Places::read_record`].
    ///
    /// # Errors
    /// As there.
    pub fn read(&self, uid: Uid) -> Result<Option<TextFile>, FileError> {
        self.places.record_in(&self.users, uid)
    }

    /// The accounts that have a file here, whatever is in it.
    ///
    /// # Errors
    /// [`FileError`]: the directory cannot be read.
    pub fn uids(&self) -> Result<Vec<Uid>, FileError> {
        let listed = open_at(&self.users, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY)
            .and_then(|directory| names_in(directory, NAMES_MAX));
        let (names, _more) =
            listed.map_err(|errno| failed(&self.places.beneath(&self.places.users), errno))?;
        Ok(names.iter().filter_map(|name| account_in(name)).collect())
    }

    /// Replaces the record of `record.uid`, or makes it. After this it is on the disk.
    ///
    /// # Errors
    /// [`WriteError`]: the old record is there, unless it is the last step that failed, the synchronisation
    /// of the directory; then it is the old one or the new one.
    pub fn write(&self, record: &Record) -> Result<(), WriteError> {
        let text = record.to_toml();
        // What would not be read again is not written: it would lock the account out.
        Record::parse(text.as_bytes()).map_err(WriteError::Misfit)?;
        let name = account_file(record.uid);
        let temporary = PathBuf::from(format!(".{}.{}.new", name.display(), std::process::id()));
        // Screen lockers, which run as the user, read it.
        let replacement =
            Replacement { directory: &self.users, temporary: &temporary, name: &name, mode: 0o644 };
        let place = self.places.beneath(&self.places.users).join(&name);
        replacement
            .write(text.as_bytes())
            .and_then(|()| fsync(&self.users))
            .map_err(|errno| WriteError::File(failed(&place, errno)))
    }

    /// Removes the record of `uid`, whatever is in it: whether there was one. After this it is gone from the disk.
    ///
    /// # Errors
    /// [`FileError`]: it is there, unless it is the last step that failed, the synchronisation of the directory.
    pub fn remove(&self, uid: Uid) -> Result<bool, FileError> {
        let name = account_file(uid);
        let place = self.places.beneath(&self.places.users).join(&name);
        match unlinkat(&self.users, &name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => {
                fsync(&self.users).map_err(|errno| failed(&place, errno))?;
                Ok(true)
            }
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(failed(&place, errno)),
        }
    }
}

/// Opens and locks the lock file, which is made where it is absent and is never removed.
fn lock_file(places: &Places, users: &OwnedFd, place: &Path) -> Result<OwnedFd, WriteError> {
    let flags =
        OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let open = create_at(users, LOCK, flags).map_err(|errno| failed(place, errno))?;
    lock(&open, PATIENCE).map_err(|refused| match refused {
        LockError::Fault(fault) => WriteError::Fault(fault),
        LockError::Held => WriteError::Locked(holder(&open)),
        LockError::Refused(errno) => failed(place, errno).into(),
    })?;
    // After locking: a file that was removed meanwhile has no name any more, and locks nobody out.
    places.check_file(place, &open)?;
    Ok(open)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use fidokey_core::credential::{Credential, CredentialId, KeyName};

    use super::*;
    use crate::accounts::effective_uid;
    use crate::scratch::{mode, scratch};

    const RECORD: &str = r#"
schema = 1
user = "alice"
uid = 1000

[[credential]]
name = "Key 1"
protocol = "fido2"
algorithm = "es256"
rp_id = "pam://fidokey"
id = "AAAA"
public_key = "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"
verification = "none"
added = 2026-11-23T10:00:00Z
added_by = "root"
"#;

    fn places(name: &str) -> Places {
        let root = scratch(name);
        fs::create_dir_all(root.join("etc/fidokey/users")).unwrap();
        for place in ["etc", "etc/fidokey", "etc/fidokey/users"] {
            mode(&root.join(place), 0o755);
        }
        Places { root, owner: effective_uid(), ..Places::system() }
    }

    fn record(names: &[&str]) -> Record {
        let mut record = Record::parse(RECORD.as_bytes()).unwrap();
        let one = record.credentials.remove(0);
        record.credentials.extend(names.iter().map(|name| named(&one, name)));
        record
    }

    fn named(one: &Credential, name: &str) -> Credential {
        let id = CredentialId::new(name.as_bytes()).unwrap();
        Credential { name: KeyName::new(name).unwrap(), id, ..one.clone() }
    }

    fn names(places: &Places) -> Vec<String> {
        let file = places.read_record(1000).unwrap().unwrap();
        let record = Record::parse(&file.text).unwrap();
        record.credentials.iter().map(|credential| credential.name.to_string()).collect()
    }

    fn files(places: &Places) -> Vec<String> {
        let users = places.beneath(&places.users);
        let mut files: Vec<String> = fs::read_dir(users)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        files
    }

    // E7.
    #[test]
    fn a_written_record_is_whole_readable_by_all_and_alone() {
        let places = places("record_is_whole");
        let records = places.lock_records().unwrap();
        assert_eq!(records.read(1000), Ok(None));
        records.write(&record(&["a"])).unwrap();
        let first = fs::metadata(places.beneath(&places.users).join("1000.toml")).unwrap();
        records.write(&record(&["a", "b"])).unwrap();
        let second = fs::metadata(places.beneath(&places.users).join("1000.toml")).unwrap();
        assert_eq!(names(&places), ["a", "b"]);
        assert_eq!(second.mode() & 0o7777, 0o644);
        assert_ne!(first.ino(), second.ino(), "the old file must be replaced, not written into");
        assert_eq!(files(&places), [".lock", "1000.toml"]);
        assert_eq!(records.uids(), Ok(vec![1000]));
    }

    // E7.
    #[test]
    fn given_a_temporary_file_of_a_crash_then_reading_and_writing_go_on() {
        let places = places("crash");
        let users = places.beneath(&places.users);
        let own = format!(".1000.toml.{}.new", std::process::id());
        fs::write(users.join(&own), "schema = 1\nuser = \"al").unwrap();
        fs::write(users.join(".1000.toml.1.new"), "").unwrap();
        assert_eq!(places.read_record(1000), Ok(None));
        places.lock_records().unwrap().write(&record(&["a"])).unwrap();
        assert_eq!(names(&places), ["a"]);
        assert_eq!(files(&places), [".1000.toml.1.new", ".lock", "1000.toml"]);
    }

    // E7.
    #[test]
    fn given_a_failing_step_then_the_old_record_is_there_and_nothing_else() {
        let places = places("failing_step");
        let users = places.beneath(&places.users);
        let records = places.lock_records().unwrap();
        // A directory in the place of the record: the rename fails.
        fs::create_dir(users.join("1000.toml")).unwrap();
        let failed = records.write(&record(&["a"]));
        assert!(matches!(failed, Err(WriteError::File(_))), "{failed:?}");
        assert_eq!(files(&places), [".lock", "1000.toml"]);
        fs::remove_dir(users.join("1000.toml")).unwrap();
        records.write(&record(&["a"])).unwrap();
        // A temporary file that cannot be made.
        let own = users.join(format!(".1000.toml.{}.new", std::process::id()));
        fs::create_dir(&own).unwrap();
        assert!(records.write(&record(&["a", "b"])).is_err());
        assert_eq!(names(&places), ["a"]);
    }

    #[test]
    fn what_would_not_be_read_is_not_written() {
        let places = places("not_read");
        let records = places.lock_records().unwrap();
        for doubtful in [record(&[]), record(&["a", "a"])] {
            assert!(matches!(records.write(&doubtful), Err(WriteError::Misfit(_))));
        }
        let mut doubtful = record(&["a"]);
        doubtful.credentials[0].added = "yesterday".to_owned();
        assert!(matches!(records.write(&doubtful), Err(WriteError::Misfit(_))));
        assert_eq!(files(&places), [".lock"]);
    }

    #[test]
    fn a_removed_record_is_proven_absent_whatever_was_in_it() {
        let places = places("removed");
        let records = places.lock_records().unwrap();
        assert_eq!(records.remove(1000), Ok(false));
        records.write(&record(&["a"])).unwrap();
        assert_eq!(records.remove(1000), Ok(true));
        assert_eq!(places.read_record(1000), Ok(None));
        std::os::unix::fs::symlink("/dev/null", places.beneath(&places.users).join("1000.toml"))
            .unwrap();
        assert_eq!(records.remove(1000), Ok(true));
        assert_eq!(files(&places), [".lock"]);
    }

    // E8.
    #[test]
    fn two_that_register_at_once_are_both_there() {
        let places = places("at_once");
        let add = |name: &str| {
            let records = places.lock_records().unwrap();
            let known = records.read(1000).unwrap();
            let mut new = record(&[]);
            if let Some(file) = known {
                new = Record::parse(&file.text).unwrap();
            }
            // Whoever reads before the other writes would now lose the other's key.
            std::thread::yield_now();
            new.credentials.extend(record(&[name]).credentials);
            records.write(&new).unwrap();
        };
        std::thread::scope(|scope| {
            for half in ["a", "b"] {
                scope.spawn(move || (0..16).for_each(|n| add(&format!("{half}{n}"))));
            }
        });
        assert_eq!(names(&places).len(), 32);
    }

    #[test]
    fn given_a_lock_that_is_held_then_it_is_said_in_bounded_time() {
        let places = places("held");
        let _held = places.lock_records().unwrap();
        let own = std::process::id();
        assert_eq!(places.lock_records().err(), Some(WriteError::Locked(Some(own))));
    }

    #[test]
    fn given_a_directory_or_a_lock_in_doubt_then_nothing_is_written() {
        let places = places("in_doubt");
        let users = places.beneath(&places.users);
        let reason = |places: &Places| match places.lock_records() {
            Err(WriteError::File(error)) => error.reason,
            other => panic!("{other:?}"),
        };
        std::os::unix::fs::symlink("/dev/null", users.join(".lock")).unwrap();
        assert_eq!(reason(&places), "symlink");
        fs::remove_file(users.join(".lock")).unwrap();
        fs::write(users.join(".lock"), "").unwrap();
        mode(&users.join(".lock"), 0o666);
        assert_eq!(reason(&places), "mode");
        mode(&users, 0o775);
        assert_eq!(reason(&places), "mode");
        fs::remove_dir_all(&users).unwrap();
        assert_eq!(reason(&places), "missing_directory");
    }
}
