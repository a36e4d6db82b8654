//! Reading the administrator's files, and refusing those that somebody else could have written.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use fidokey_core::credential::Uid;
use fidokey_core::ports::{FileError, TextFile};
use nix::errno::Errno;

use crate::walk::{Kind, Walk, error};

/// The largest policy file, record or state, in bytes. 64 credentials of 1 KiB fit.
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
    /// The directory of the states, beneath `root`.
    pub state: PathBuf,
    /// The directory of what is kept of edits of stacks, beneath `root`. Not that of the states: programs that log somebody in
    /// may be confined, and must be able to write those.
    pub stacks: PathBuf,
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
            state: PathBuf::from("/var/lib/fidokey"),
            stacks: PathBuf::from("/var/lib/fidokey-stacks"),
            owner: 0,
        }
    }

    /// The policy file: 1 byte to [`FILE_MAX`]. `None` when it is proven absent, it or a directory
    /// on the way to it.
    ///
    /// # Errors
    /// [`FileError`] for anything else.
    pub fn read_config(&self) -> Result<Option<TextFile>, FileError> {
        self.read(&self.config)
    }

    /// Another file of the administrator's that the policy names, of the same size and as safe as that is.
    ///
    /// # Errors
    /// [`FileError`], also where there is none.
    pub fn read_named(&self, path: &Path) -> Result<TextFile, FileError> {
        self.read(path)?.ok_or_else(|| error(&self.beneath(path), "missing", Errno::ENOENT))
    }

    fn read(&self, path: &Path) -> Result<Option<TextFile>, FileError> {
        let place = self.beneath(path);
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(error(&place, "path", Errno::EINVAL));
        };
        let walk = self.walk();
        match walk.directory(directory, Kind::Directory)? {
            Some(open) => walk.file(&open, &place, Path::new(name), Kind::File),
            None => Ok(None),
        }
    }

    /// The record of `uid`: 1 byte to [`FILE_MAX`]. `None` when it is proven absent from a
    /// directory that was opened and is safe.
    ///
    /// # Errors
    /// [`FileError`] for anything else, a missing directory included.
    pub fn read_record(&self, uid: Uid) -> Result<Option<TextFile>, FileError> {
        self.record_in(&self.users_directory()?, uid)
    }

    /// Checks the directory of the records, and every directory on the way to it.
    ///
    /// # Errors
    /// [`FileError`], a missing directory included.
    pub fn check_records(&self) -> Result<(), FileError> {
        self.users_directory().map(drop)
    }

    /// The directory of the records, checked like every directory on the way to it; for searching only.
    ///
    /// # Errors
    /// [`FileError`], a missing directory included.
    pub(crate) fn users_directory(&self) -> Result<OwnedFd, FileError> {
        let missing = || error(&self.beneath(&self.users), "missing_directory", Errno::ENOENT);
        self.walk().directory(&self.users, Kind::Directory)?.ok_or_else(missing)
    }

    /// [`Places::read_record`] from the directory of the records, which is open already.
    pub(crate) fn record_in(
        &self,
        users: &OwnedFd,
        uid: Uid,
    ) -> Result<Option<TextFile>, FileError> {
        let name = account_file(uid);
        self.walk().file(users, &self.beneath(&self.users).join(&name), &name, Kind::File)
    }

    /// Checks a file that was opened at `place` otherwise than for reading, as one that is read is checked.
    pub(crate) fn check_file(&self, place: &Path, open: &OwnedFd) -> Result<(), FileError> {
        self.walk().check(place, open, Kind::File).map(|_stat| ())
    }

    pub(crate) fn walk(&self) -> Walk<'_> {
        Walk { root: &self.root, owner: self.owner }
    }

    /// `path` as it is on the machine, for the log.
    #[must_use]
    pub fn beneath(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// The name of the file of `uid`, in the directory of the records and in that of the states.
#[must_use]
pub fn account_file(uid: Uid) -> PathBuf {
    PathBuf::from(format!("{uid}.toml"))
}

/// The number of the account whose file has that name. One number, one name: nobody reads `01000.toml`.
#[must_use]
pub fn account_in(name: &OsStr) -> Option<Uid> {
    let uid: Uid = name.to_str()?.strip_suffix(".toml")?.parse().ok()?;
    (account_file(uid).as_os_str() == name).then_some(uid)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "a test may look at the clock and wait")]

    use super::*;
    use crate::scratch::{mode, scratch};
    use crate::walk::failed;
    use nix::libc;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use std::ffi::CString;
    use std::fs::{self, File};
    use std::os::unix::ffi::OsStrExt;
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
        assert_eq!(places.read_record(UID).unwrap().unwrap().text, b"schema = 1\n");
        assert_eq!(places.read_config().unwrap().unwrap().text, b"schema = 1\n");
        mode(&places.root.join(RECORD), 0o600);
        fs::write(places.root.join(RECORD), [b'#'; FILE_MAX]).unwrap();
        assert_eq!(places.read_record(UID).unwrap().unwrap().text.len(), FILE_MAX);
    }

    // E14, F6: the list of the trusted is as safe as the policy that names it, or none.
    #[test]
    fn a_file_that_the_policy_names_is_checked_like_the_policy() {
        let places = tree("files-named");
        let path = Path::new("/etc/fidokey/roots.pem");
        let real = places.root.join("etc/fidokey/roots.pem");
        assert_eq!(places.read_named(path).unwrap_err().reason, "missing");
        fs::write(&real, "roots").unwrap();
        mode(&real, 0o644);
        assert_eq!(places.read_named(path).unwrap().text, b"roots");
        mode(&real, 0o666);
        assert_eq!(places.read_named(path).unwrap_err().reason, "mode");
        mode(&real, 0o644);
        mode(&places.root.join("etc/fidokey"), 0o777);
        assert_eq!(places.read_named(path).unwrap_err().reason, "mode");
        mode(&places.root.join("etc/fidokey"), 0o755);
        fs::rename(&real, real.with_extension("moved")).unwrap();
        symlink(real.with_extension("moved"), &real).unwrap();
        assert_eq!(places.read_named(path).unwrap_err().reason, "symlink");
        assert!(places.read_named(Path::new("/")).is_err());
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

    #[test]
    fn a_number_has_one_name() {
        assert_eq!(account_in(OsStr::new("0.toml")), Some(0));
        assert_eq!(account_in(OsStr::new("4294967295.toml")), Some(Uid::MAX));
        for name in
            ["01.toml", "+1.toml", "-1.toml", "4294967296.toml", "1.toml~", "1", ".toml", "a.toml"]
        {
            assert_eq!(account_in(OsStr::new(name)), None, "{name}");
        }
        assert_eq!(account_in(OsStr::from_bytes(b"1\xff.toml")), None);
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

    // F6.
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

    // F7. A file system without ACLs has nothing to prove.
    #[test]
    fn an_acl_that_lets_another_user_write_shows_in_the_mode() {
        let places = tree("files-acl");
        let record = places.root.join(RECORD);
        for (mask, readable) in [(0o6_u16, false), (0o4, true)] {
            // linux/posix_acl_xattr.h: the version, then tag, permissions and id of each entry.
            let mut acl = 2_u32.to_le_bytes().to_vec();
            for (tag, permissions, id) in [
                (0x01_u16, 0o6_u16, u32::MAX),
                (0x02, 0o6, 65_533),
                (0x04, 0o4, u32::MAX),
                (0x10, mask, u32::MAX),
                (0x20, 0o4, u32::MAX),
            ] {
                acl.extend(tag.to_le_bytes());
                acl.extend(permissions.to_le_bytes());
                acl.extend(id.to_le_bytes());
            }
            let path = CString::new(record.as_os_str().as_bytes()).unwrap();
            let name = c"system.posix_acl_access";
            // SAFETY: both strings end in NUL, and the value is as long as said.
            let set = unsafe {
                libc::setxattr(path.as_ptr(), name.as_ptr(), acl.as_ptr().cast(), acl.len(), 0)
            };
            if set != 0 {
                assert_eq!(Errno::last(), Errno::EOPNOTSUPP);
            } else if readable {
                assert!(places.read_record(UID).is_ok());
            } else {
                assert_eq!(reason(&places, RECORD), "mode");
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
        let walk = places.walk();
        let users = walk.directory(&places.users, Kind::Directory).unwrap().unwrap();
        fs::remove_dir(places.root.join("etc/fidokey/users")).unwrap();
        let error = walk.file(&users, &record, Path::new("1000.toml"), Kind::File).unwrap_err();
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
                    let text = text.unwrap().text;
                    let whole = matches!((text[0], text.len()), (b'a', 60_000) | (b'b', 40_000));
                    assert!(whole || text == b"schema = 1\n", "{} bytes", text.len());
                    assert!(whole == text.iter().all(|byte| *byte == text[0]));
                }
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
