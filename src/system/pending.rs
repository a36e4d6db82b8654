//! What is kept of edits of stacks, in a directory of its own: the text of each before it was edited, and the journal of
//! an edit that is undone unless somebody logs in by it. What is in them is decided elsewhere.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fidokey_core::ports::{FileError, TextFile};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

use crate::descriptors::{create_at, open_at};
use crate::files::Places;
use crate::lock::{LockError, lock};
use crate::replace::Replacement;
use crate::walk::{Kind, error, failed};

/// The journal.
pub const JOURNAL: &str = "pending.toml";
/// The directory of the texts before.
const BEFORE: &str = "stacks";
/// What whoever edits stacks locks.
const LOCK: &str = ".stacks.lock";

/// The kept texts, locked against whoever else edits stacks until this is dropped.
#[derive(Debug)]
pub struct Kept<'p> {
    places: &'p Places,
    directory: OwnedFd,
    // Closing it gives the lock up.
    _lock: OwnedFd,
}

impl Places {
    /// What is kept of edits, locked; `None` when somebody else edits for longer than `patience`.
    ///
    /// # Errors
    /// [`FileError`]: the directory is missing, or others may look into it.
    pub fn kept(&self, patience: Duration) -> Result<Option<Kept<'_>>, FileError> {
        let place = self.beneath(&self.stacks);
        // The package has it. Where it cannot be made, or cannot be trusted, opening it tells.
        let _ = nix::unistd::mkdir(&place, Mode::S_IRWXU);
        let directory = self.open_private(&self.stacks)?;
        let flags = OFlag::O_RDWR
            | OFlag::O_CREAT
            | OFlag::O_NOFOLLOW
            | OFlag::O_NONBLOCK
            | OFlag::O_NOCTTY;
        let lock_place = place.join(LOCK);
        let open =
            create_at(&directory, LOCK, flags).map_err(|errno| failed(&lock_place, errno))?;
        match lock(&open, patience) {
            Ok(()) => Ok(Some(Kept { places: self, directory, _lock: open })),
            Err(LockError::Held) => Ok(None),
            Err(LockError::Fault(fault)) => Err(failed(&lock_place, Errno::from_raw(fault.errno))),
            Err(LockError::Refused(errno)) => Err(failed(&lock_place, errno)),
        }
    }

    /// A directory that is root's alone, as one that can be synchronised.
    fn open_private(&self, path: &Path) -> Result<OwnedFd, FileError> {
        let place = self.beneath(path);
        let missing = || error(&place, "missing_directory", Errno::ENOENT);
        let searchable =
            self.walk().directory(path, Kind::PrivateDirectory)?.ok_or_else(missing)?;
        open_at(&searchable, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY)
            .map_err(|errno| failed(&place, errno))
    }
}

impl Kept<'_> {
    /// The journal.
    ///
    /// # Errors
    /// [`FileError`]: it cannot be read, or others may have written it.
    pub fn journal(&self) -> Result<Option<TextFile>, FileError> {
        let place = self.place(JOURNAL);
        self.places.walk().file(&self.directory, &place, Path::new(JOURNAL), Kind::PrivateFile)
    }

    /// Replaces the journal, or makes it. After this it is on the disk.
    ///
    /// # Errors
    /// [`FileError`]: the old one is there, unless it is the last step that failed.
    pub fn write_journal(&self, text: &str) -> Result<(), FileError> {
        self.write(&self.directory, &self.place(JOURNAL), JOURNAL, text.as_bytes())
    }

    /// Removes the journal. After this nothing is pending, on the disk as well.
    ///
    /// # Errors
    /// [`FileError`]; that it is gone already is none.
    pub fn remove_journal(&self) -> Result<(), FileError> {
        match unlinkat(&self.directory, JOURNAL, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => fsync(&self.directory),
            Err(errno) => Err(errno),
        }
        .map_err(|errno| failed(&self.place(JOURNAL), errno))
    }

    /// Keeps the text that the stack of `service` has before it is edited. After this it is on the disk.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn keep(&self, service: &str, text: &[u8]) -> Result<(), FileError> {
        match mkdirat(&self.directory, BEFORE, Mode::S_IRWXU) {
            Ok(()) => fsync(&self.directory),
            Err(Errno::EEXIST) => Ok(()),
            Err(errno) => Err(errno),
        }
        .map_err(|errno| failed(&self.place(BEFORE), errno))?;
        let directory = self.before()?;
        self.write(&directory, &self.place(BEFORE).join(service), service, text)
    }

    /// The text that the stack of `service` had before it was last edited.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn kept_text(&self, service: &str) -> Result<Option<Vec<u8>>, FileError> {
        let place = self.place(BEFORE).join(service);
        let file = self.places.walk().file(
            &self.before()?,
            &place,
            Path::new(service),
            Kind::PrivateFile,
        )?;
        Ok(file.map(|file| file.text))
    }

    fn before(&self) -> Result<OwnedFd, FileError> {
        self.places.open_private(&self.places.stacks.join(BEFORE))
    }

    fn write(
        &self,
        directory: &OwnedFd,
        place: &Path,
        name: &str,
        text: &[u8],
    ) -> Result<(), FileError> {
        let temporary = PathBuf::from(format!(".{name}.new"));
        let replacement =
            Replacement { directory, temporary: &temporary, name: Path::new(name), mode: 0o600 };
        replacement
            .write(text)
            .and_then(|()| fsync(directory))
            .map_err(|errno| failed(place, errno))
    }

    fn place(&self, name: &str) -> PathBuf {
        self.places.beneath(&self.places.stacks).join(name)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::accounts::effective_uid;
    use crate::scratch::{mode, scratch};

    fn places(name: &str) -> Places {
        let root = scratch(name);
        fs::create_dir_all(root.join("var/lib/fidokey-stacks")).unwrap();
        for (place, bits) in [("var", 0o755), ("var/lib", 0o755), ("var/lib/fidokey-stacks", 0o700)]
        {
            mode(&root.join(place), bits);
        }
        Places { root, owner: effective_uid(), ..Places::system() }
    }

    // I3, I4.
    #[test]
    fn what_is_kept_is_read_again_and_is_root_s_alone() {
        let places = places("kept");
        let kept = places.kept(Duration::ZERO).unwrap().unwrap();
        assert_eq!(kept.journal(), Ok(None));
        kept.write_journal("schema = 1\n").unwrap();
        kept.keep("sudo", b"old\xff\n").unwrap();
        kept.keep("sudo", b"older\n").unwrap();
        assert_eq!(kept.journal().unwrap().unwrap().text, b"schema = 1\n");
        assert_eq!(kept.kept_text("sudo").unwrap().unwrap(), b"older\n");
        assert_eq!(kept.kept_text("su"), Ok(None));
        let state = places.root.join("var/lib/fidokey-stacks");
        for (name, bits) in [("pending.toml", 0o600), ("stacks", 0o700), ("stacks/sudo", 0o600)] {
            assert_eq!(fs::metadata(state.join(name)).unwrap().mode() & 0o777, bits, "{name}");
        }
        kept.remove_journal().unwrap();
        kept.remove_journal().unwrap();
        assert_eq!(kept.journal(), Ok(None));
    }

    #[test]
    fn given_somebody_who_edits_then_nobody_else_does() {
        let places = places("kept_locked");
        let _kept = places.kept(Duration::ZERO).unwrap().unwrap();
        assert!(places.kept(Duration::from_millis(30)).unwrap().is_none());
    }
}
