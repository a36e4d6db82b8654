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
        let place = self.beneath(&self.config);
        let (Some(directory), Some(name)) = (self.config.parent(), self.config.file_name()) else {
            return Err(error(&place, "path", Errno::EINVAL));
        };
        let walk = Walk { places: self };
        match walk.directory(directory)? {
            Some(open) => walk.file(&open, &place, Path::new(name)),
            None => Ok(None),
        }
    }

    /// The text of the record of `uid`: 1 byte to [`FILE_MAX`]. `None` when it is proven absent from a
    /// directory that was opened and is safe.
    ///
    /// # Errors
    /// [`FileError`] for anything else, a missing directory included.
    pub fn read_record(&self, uid: Uid) -> Result<Option<Vec<u8>>, FileError> {
        let name = PathBuf::from(format!("{uid}.toml"));
        let walk = Walk { places: self };
        match walk.directory(&self.users)? {
            Some(open) => walk.file(&open, &self.beneath(&self.users).join(&name), &name),
            None => Err(error(&self.beneath(&self.users), "missing_directory", Errno::ENOENT)),
        }
    }

    /// `path` as it is on the machine, for the log.
    fn beneath(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
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
        // Another name of the same file may be in a directory where others write. None at all is a file that was
        // replaced since it was opened, which is how records are written.
        if kind == Kind::File && stat.st_nlink > 1 {
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
fn failed(place: &Path, errno: Errno) -> FileError {
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

#[cfg(test)]
mod tests {
    #![expect(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        reason = "a test says what went wrong by failing"
    )]

    use super::*;
    use crate::scratch::{mode, scratch};
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt, chown, symlink};
    use std::os::unix::net::UnixListener;
    use std::time::{Duration, Instant};

    const UID: Uid = 1000;
    const RECORD: &str = "etc/fidokey/users/1000.toml";

    /// A tree with the record and the policy of an installed fidokey, owned by whoever runs the tests.
    fn tree(name: &str) -> Places {
        let root = scratch(name);
        fs::create_dir_all(root.join("etc/fidokey/users")).unwrap();
        for file in [RECORD, "etc/fidokey/config.toml"] {
            fs::write(root.join(file), "schema = 1\n").unwrap();
            mode(&root.join(file), 0o644);
        }
        for directory in ["etc", "etc/fidokey", "etc/fidokey/users"] {
            mode(&root.join(directory), 0o755);
        }
        let owner = fs::metadata(&root).unwrap().uid();
        Places { root, owner, ..Places::system() }
    }

    /// Why the record is not read; the message must name the place.
    fn reason(places: &Places, place: &str) -> &'static str {
        let error = places.read_record(UID).unwrap_err();
        assert_eq!(error.path, places.root.join(place).to_string_lossy().trim_end_matches('/'));
        error.reason
    }

    /// A tree in which something else takes the place of the record.
    fn tree_without_record(name: &str) -> (Places, PathBuf) {
        let places = tree(name);
        let record = places.root.join(RECORD);
        fs::remove_file(&record).unwrap();
        (places, record)
    }

    #[test]
    fn the_files_of_the_administrator_are_read() {
        let places = tree("files-read");
        assert_eq!(places.read_record(UID), Ok(Some(b"schema = 1\n".to_vec())));
        assert_eq!(places.read_config(), Ok(Some(b"schema = 1\n".to_vec())));
        mode(&places.root.join(RECORD), 0o600);
        fs::write(places.root.join(RECORD), [b'#'; FILE_MAX]).unwrap();
        assert_eq!(places.read_record(UID).unwrap().unwrap().len(), FILE_MAX);
    }

    // F1, F2.
    #[test]
    fn a_symlink_is_followed_at_no_level() {
        let (places, record) = tree_without_record("files-symlink");
        symlink(places.root.join("etc/fidokey/config.toml"), &record).unwrap();
        assert_eq!(reason(&places, RECORD), "symlink");
        for level in ["etc/fidokey/users", "etc/fidokey", "etc"] {
            let places = tree("files-symlink");
            let directory = places.root.join(level);
            fs::rename(&directory, places.root.join("moved")).unwrap();
            symlink(places.root.join("moved"), &directory).unwrap();
            assert_eq!(reason(&places, level), "symlink");
        }
        let places = tree("files-symlink");
        fs::rename(&places.root, places.root.with_extension("moved")).unwrap();
        symlink(places.root.with_extension("moved"), &places.root).unwrap();
        assert_eq!(reason(&places, ""), "symlink");
        fs::remove_file(&places.root).unwrap();
        fs::remove_dir_all(places.root.with_extension("moved")).unwrap();
    }

    // F3.
    #[test]
    fn a_fifo_does_not_hold_the_login() {
        let (places, record) = tree_without_record("files-fifo");
        mkfifo(&record, Mode::from_bits_truncate(0o644)).unwrap();
        let start = Instant::now();
        assert_eq!(reason(&places, RECORD), "not_a_file");
        assert!(start.elapsed() < Duration::from_millis(100));
    }

    // F4. Devices differ in the type bits alone, which the check compares with a regular file's.
    #[test]
    fn what_is_no_regular_file_is_refused() {
        let (places, record) = tree_without_record("files-kind");
        fs::create_dir(&record).unwrap();
        assert_eq!(reason(&places, RECORD), "not_a_file");
        fs::remove_dir(&record).unwrap();
        // The path of a socket has at most 107 bytes, so it is bound elsewhere and moved.
        let short = std::env::temp_dir().join(format!("fidokey-{}", std::process::id()));
        let bound = UnixListener::bind(&short).unwrap();
        let moved = fs::rename(&short, &record);
        if moved.is_ok() {
            assert_eq!(reason(&places, RECORD), "not_a_file");
        } else {
            fs::remove_file(&short).unwrap();
        }
        drop(bound);
        let (places, _) = tree_without_record("files-kind");
        fs::remove_dir(places.root.join("etc/fidokey/users")).unwrap();
        File::create(places.root.join("etc/fidokey/users")).unwrap();
        assert_eq!(reason(&places, "etc/fidokey/users"), "not_a_directory");
    }

    // F5.
    #[test]
    fn a_large_file_is_refused_unread() {
        let places = tree("files-large");
        let file = File::options().write(true).open(places.root.join(RECORD)).unwrap();
        for size in [FILE_MAX as u64 + 1, 3 << 30] {
            file.set_len(size).unwrap();
            let start = Instant::now();
            assert_eq!(reason(&places, RECORD), "too_large");
            assert!(start.elapsed() < Duration::from_millis(100));
        }
    }

    // F6. F7 for the part that the mode shows: the group bits are the mask of an ACL.
    #[test]
    fn whoever_else_could_write_is_not_trusted_at_any_level() {
        for level in ["", "etc", "etc/fidokey", "etc/fidokey/users", RECORD] {
            for bits in [0o020, 0o002, 0o022, 0o1002] {
                let places = tree("files-mode");
                mode(&places.root.join(level), 0o755 | bits);
                assert_eq!(reason(&places, level), "mode", "{level} {bits:o}");
            }
            let places = tree("files-owner");
            // Only root can give a file away; anybody else can expect another owner.
            if chown(places.root.join(level), Some(places.owner + 1), None).is_ok() {
                assert_eq!(reason(&places, level), "owner", "{level}");
                let theirs = Places { owner: places.owner + 1, ..places };
                assert!(theirs.read_record(UID).is_ok(), "{level}");
            } else {
                let theirs = Places { owner: places.owner + 1, ..places };
                assert_eq!(reason(&theirs, ""), "owner");
            }
        }
    }

    // F8.
    #[test]
    fn a_file_with_a_second_name_is_refused() {
        let places = tree("files-link");
        fs::hard_link(places.root.join(RECORD), places.root.join("second")).unwrap();
        assert_eq!(reason(&places, RECORD), "hard_link");
    }

    // F9: whatever error a call can have, none of them is an absent file.
    #[test]
    fn a_failing_call_is_never_an_absent_file() {
        for number in 1..134 {
            let error = failed(Path::new("/etc"), Errno::from_raw(number));
            assert_ne!(error.reason, "");
        }
        let places = Places { users: PathBuf::from("/etc/../etc"), ..tree("files-errors") };
        assert_eq!(reason(&places, "etc"), "path");
        let long = PathBuf::from("n".repeat(300));
        let places = Places { config: long, ..tree("files-errors") };
        assert_eq!(places.read_config().unwrap_err().errno, Errno::ENAMETOOLONG as i32);
    }

    // F10.
    #[test]
    fn an_absent_record_is_absent_from_a_safe_directory_alone() {
        let (places, _) = tree_without_record("files-absent");
        assert_eq!(places.read_record(UID), Ok(None));
        mode(&places.root.join("etc/fidokey"), 0o777);
        assert_eq!(reason(&places, "etc/fidokey"), "mode");
        mode(&places.root.join("etc/fidokey"), 0o755);
        fs::remove_dir(places.root.join("etc/fidokey/users")).unwrap();
        assert_eq!(reason(&places, "etc/fidokey/users"), "missing_directory");
        fs::remove_dir_all(places.root.join("etc")).unwrap();
        assert_eq!(reason(&places, "etc/fidokey/users"), "missing_directory");
    }

    // F10, the removal between two steps.
    #[test]
    fn nothing_is_proven_absent_by_a_directory_that_was_removed() {
        let (places, record) = tree_without_record("files-removed");
        let walk = Walk { places: &places };
        let users = walk.directory(&places.users).unwrap().unwrap();
        fs::remove_dir(places.root.join("etc/fidokey/users")).unwrap();
        let error = walk.file(&users, &record, Path::new("1000.toml")).unwrap_err();
        assert_eq!(error.reason, "missing_directory");
    }

    #[test]
    fn an_absent_policy_is_absent_and_an_unsafe_one_is_an_error() {
        let places = tree("files-policy");
        fs::remove_file(places.root.join("etc/fidokey/config.toml")).unwrap();
        assert_eq!(places.read_config(), Ok(None));
        mode(&places.root.join("etc"), 0o775);
        assert_eq!(places.read_config().unwrap_err().reason, "mode");
        mode(&places.root.join("etc"), 0o755);
        fs::remove_dir_all(places.root.join("etc/fidokey")).unwrap();
        assert_eq!(places.read_config(), Ok(None));
        let nameless = Places { config: PathBuf::from("/"), ..places };
        assert!(nameless.read_config().is_err());
    }

    // F16.
    #[test]
    fn an_empty_file_is_not_an_absent_one() {
        let places = tree("files-empty");
        File::create(places.root.join(RECORD)).unwrap();
        assert_eq!(reason(&places, RECORD), "empty");
    }

    // F11, F13: every reading is of one file, whole, or an error.
    #[test]
    fn files_that_are_swapped_and_rewritten_meanwhile_are_never_mixed() {
        let places = tree("files-swapped");
        let users = places.root.join("etc/fidokey/users");
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    for (letter, size) in [("a", 60_000), ("b", 40_000)] {
                        fs::write(users.join("next"), letter.repeat(size)).unwrap();
                        fs::rename(users.join("next"), users.join("1000.toml")).unwrap();
                    }
                }
            });
            for _ in 0..2000 {
                if let Ok(text) = places.read_record(UID) {
                    let text = text.unwrap();
                    let whole = matches!((text[0], text.len()), (b'a', 60_000) | (b'b', 40_000));
                    assert!(whole || text == b"schema = 1\n", "{} bytes", text.len());
                    assert!(whole == text.iter().all(|byte| *byte == text[0]));
                }
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
