//! The PAM stacks of a machine: which file a service is read from, and replacing it in one step. What is in them and what
//! it comes to is decided in [`fidokey_core::stack`].

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use fidokey_core::ports::FileError;
use fidokey_core::stack::Files;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::fstat;
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

use crate::descriptors::open_at;
use crate::files::Places;
use crate::replace::Replacement;
use crate::walk::{Kind, error, failed};

/// Where the administrator's stacks are. What is there wins over what the vendor has.
const ETC: &str = "/etc/pam.d";
/// Where a vendor's are, as Debian's libpam has it, and openSUSE's and Arch's.
const VENDOR: [&str; 2] = ["/usr/lib/pam.d", "/usr/etc/pam.d"];
/// The directories that are looked into for modules, beside those of the machine's kind
/// (`/usr/lib/x86_64-linux-gnu/security`).
const MODULES: [&str; 4] =
    ["/usr/lib64/security", "/usr/lib/security", "/lib64/security", "/lib/security"];
/// The largest stack that is looked at, in bytes.
const STACK_MAX: u64 = 256 * 1024;
/// How many symbolic links are followed on the way to a file, as the kernel does.
const LINKS_MAX: usize = 40;

/// The stacks of this machine, or of one that is mounted somewhere.
#[derive(Clone, Debug)]
pub struct Stacks {
    places: Places,
    modules: Vec<PathBuf>,
}

/// A service as it is read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    /// The text of its file.
    pub text: Vec<u8>,
    /// Whether that is in the vendor's directory, and none of the name in the administrator's.
    pub vendor: bool,
}

impl Stacks {
    /// The stacks of the machine whose root `places` have.
    #[must_use]
    pub fn new(places: Places) -> Self {
        let root = places.root.clone();
        let mut modules: Vec<PathBuf> = MODULES.iter().map(|place| beneath(&root, place)).collect();
        for lib in ["/usr/lib", "/lib"] {
            let entries = fs::read_dir(beneath(&root, lib)).into_iter().flatten().flatten();
            let names = entries.map(|entry| entry.path());
            let kinds = names.filter(|path| path.to_string_lossy().contains("-linux-"));
            modules.extend(kinds.map(|path| path.join("security")));
        }
        Self { places, modules }
    }

    /// The names of all services, those of the vendor included, in their order.
    #[must_use]
    pub fn services(&self) -> Vec<String> {
        let directories =
            [ETC].into_iter().chain(VENDOR).map(|place| beneath(&self.places.root, place));
        let entries = directories.filter_map(|place| fs::read_dir(place).ok()).flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| !name.starts_with('.')).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The service as libpam reads it, where what it is read from is root's alone to write.
    ///
    /// # Errors
    /// [`FileError`]: it is not, or it cannot be read, or it is empty or a symbolic link, which something else manages.
    pub fn service(&self, name: &str) -> Result<Option<Service>, FileError> {
        if let Some(text) = self.read_checked(ETC, name)? {
            return Ok(Some(Service { text, vendor: false }));
        }
        Ok(self.vendors(name)?.map(|text| Service { text, vendor: true }))
    }

    /// The text that the vendor has for the service, whether or not the administrator's is read.
    ///
    /// # Errors
    /// As [`Stacks::service`].
    pub fn vendors(&self, name: &str) -> Result<Option<Vec<u8>>, FileError> {
        for directory in VENDOR {
            if let Some(text) = self.read_checked(directory, name)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    fn read_checked(&self, directory: &str, name: &str) -> Result<Option<Vec<u8>>, FileError> {
        let walk = self.places.walk();
        let Some(open) = walk.directory(Path::new(directory), Kind::Directory)? else {
            return Ok(None);
        };
        let place = beneath(&self.places.root, directory).join(name);
        let file = walk.file(&open, &place, Path::new(name), Kind::File)?;
        Ok(file.map(|file| file.text))
    }

    /// Replaces the administrator's file of the service, or makes it. It keeps its mode. After this it is on the disk.
    ///
    /// # Errors
    /// [`FileError`]: the old one is there, unless it is the last step that failed, the synchronisation of the
    /// directory; then it is the old one or the new one.
    pub fn replace(&self, name: &str, text: &[u8]) -> Result<(), FileError> {
        let (directory, place) = self.etc(name)?;
        let mode = match open_at(&directory, name, OFlag::O_PATH | OFlag::O_NOFOLLOW) {
            Ok(old) => fstat(&old).map_err(|errno| failed(&place, errno))?.st_mode & 0o777,
            Err(Errno::ENOENT) => 0o644,
            Err(errno) => return Err(failed(&place, errno)),
        };
        // No service has a name that begins with a dot.
        let temporary = PathBuf::from(format!(".{name}.fidokey-new"));
        let replacement = Replacement {
            directory: &directory,
            temporary: &temporary,
            name: Path::new(name),
            mode,
        };
        replacement
            .write(text)
            .and_then(|()| fsync(&directory))
            .map_err(|errno| failed(&place, errno))
    }

    /// Removes the administrator's file of the service, so that the vendor's is read.
    ///
    /// # Errors
    /// [`FileError`]; that it is gone already is none.
    pub fn remove(&self, name: &str) -> Result<(), FileError> {
        let (directory, place) = self.etc(name)?;
        match unlinkat(&directory, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => fsync(&directory).map_err(|errno| failed(&place, errno)),
            Err(errno) => Err(failed(&place, errno)),
        }
    }

    /// Every text that could be read by the name of a service, with what the administrator has before what the vendor has:
    /// for a directory that stands for all of them.
    #[must_use]
    pub fn texts(&self) -> Vec<(String, Vec<u8>)> {
        let text = |name: String| self.stack(name.as_bytes()).map(|text| (name, text));
        self.services().into_iter().filter_map(text).collect()
    }

    /// The administrator's directory, to be written to, and where the file of a service is in it.
    fn etc(&self, name: &str) -> Result<(OwnedFd, PathBuf), FileError> {
        let directory = beneath(&self.places.root, ETC);
        let missing = || error(&directory, "missing_directory", Errno::ENOENT);
        let searchable =
            self.places.walk().directory(Path::new(ETC), Kind::Directory)?.ok_or_else(missing)?;
        // The checked directory again, as one that can be synchronised.
        let open = open_at(&searchable, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY);
        let place = directory.join(name);
        open.map(|open| (open, place)).map_err(|errno| failed(&directory, errno))
    }

    /// The text of what libpam opens for that name, followed as it follows it, but within the root.
    fn opened(&self, path: &Path) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        let file = File::open(self.resolved(path)?).ok()?;
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        file.take(STACK_MAX).read_to_end(&mut text).ok()?;
        Some(text)
    }

    /// `path`, which is one of the machine that is looked at, as one of this machine: a link that begins at the root
    /// means that machine's root.
    fn resolved(&self, path: &Path) -> Option<PathBuf> {
        let mut left = LINKS_MAX;
        let mut open: Vec<std::ffi::OsString> = names(path);
        let mut at = PathBuf::new();
        open.reverse();
        while let Some(name) = open.pop() {
            if name == ".." {
                at.pop();
                continue;
            }
            let step = at.join(&name);
            match fs::read_link(self.places.root.join(&step)) {
                Ok(target) => {
                    left = left.checked_sub(1)?;
                    if target.is_absolute() {
                        at = PathBuf::new();
                    }
                    open.extend(names(&target).into_iter().rev());
                }
                Err(_) => at = step,
            }
        }
        Some(self.places.root.join(at))
    }
}

/// A new directory for a trial, root's alone, which is gone after the next start of the machine.
///
/// # Errors
/// What the kernel says.
pub fn trial_directory() -> std::io::Result<PathBuf> {
    Ok(nix::unistd::mkdtemp("/run/fidokey-trial-XXXXXX")?)
}

/// The names on the way, `..` among them.
fn names(path: &Path) -> Vec<std::ffi::OsString> {
    let name = |component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(name).collect()
}

fn beneath(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

impl Files for Stacks {
    fn stack(&self, name: &[u8]) -> Option<Vec<u8>> {
        let name = Path::new(std::ffi::OsStr::from_bytes(name));
        if name.is_absolute() {
            return self.opened(name);
        }
        [ETC].into_iter().chain(VENDOR).find_map(|place| self.opened(&Path::new(place).join(name)))
    }

    fn has_module(&self, name: &[u8]) -> bool {
        let name = Path::new(std::ffi::OsStr::from_bytes(name));
        let is_file = |path: &Path| self.resolved(path).is_some_and(|path| path.is_file());
        if name.is_absolute() {
            return is_file(name);
        }
        let root = &self.places.root;
        self.modules
            .iter()
            .any(|place| place.strip_prefix(root).is_ok_and(|place| is_file(&place.join(name))))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use crate::accounts::effective_uid;
    use crate::scratch::{mode, scratch};

    fn stacks(name: &str) -> Stacks {
        let root = scratch(name);
        for place in ["etc/pam.d", "usr/lib/pam.d", "usr/lib/x86_64-linux-gnu/security"] {
            fs::create_dir_all(root.join(place)).unwrap();
        }
        for place in ["etc", "etc/pam.d", "usr", "usr/lib", "usr/lib/pam.d"] {
            mode(&root.join(place), 0o755);
        }
        Stacks::new(Places { root, owner: effective_uid(), ..Places::system() })
    }

    fn put(stacks: &Stacks, place: &str, text: &str) {
        fs::write(stacks.places.root.join(place), text).unwrap();
        mode(&stacks.places.root.join(place), 0o644);
    }

    // I3.
    #[test]
    fn a_service_is_replaced_and_keeps_its_mode_and_no_other_file_is_left() {
        let stacks = stacks("stack_replaced");
        put(&stacks, "etc/pam.d/sudo", "old\n");
        mode(&stacks.places.root.join("etc/pam.d/sudo"), 0o640);
        // What a crash has left.
        put(&stacks, "etc/pam.d/.sudo.fidokey-new", "half");
        stacks.replace("sudo", b"new\xff\n").unwrap();
        stacks.replace("other", b"made\n").unwrap();
        assert_eq!(stacks.service("sudo").unwrap().unwrap().text, b"new\xff\n");
        let metadata =
            |name: &str| fs::metadata(stacks.places.root.join("etc/pam.d").join(name)).unwrap();
        assert_eq!(metadata("sudo").mode() & 0o777, 0o640);
        assert_eq!(metadata("other").mode() & 0o777, 0o644);
        assert_eq!(stacks.services(), ["other", "sudo"]);
        assert_eq!(fs::read_dir(stacks.places.root.join("etc/pam.d")).unwrap().count(), 2);
        stacks.remove("other").unwrap();
        stacks.remove("other").unwrap();
        assert_eq!(stacks.services(), ["sudo"]);
    }

    #[test]
    fn given_a_vendor_s_file_then_the_administrator_s_wins() {
        let stacks = stacks("stack_vendor");
        put(&stacks, "usr/lib/pam.d/sudo", "vendor\n");
        let vendor = Service { text: b"vendor\n".to_vec(), vendor: true };
        assert_eq!(stacks.service("sudo"), Ok(Some(vendor)));
        assert_eq!(stacks.stack(b"sudo").unwrap(), b"vendor\n");
        put(&stacks, "etc/pam.d/sudo", "own\n");
        assert_eq!(stacks.stack(b"sudo").unwrap(), b"own\n");
        assert!(!stacks.service("sudo").unwrap().unwrap().vendor);
        assert_eq!(stacks.service("su"), Ok(None));
    }

    #[test]
    fn given_a_link_then_it_is_read_within_the_root_and_never_replaced() {
        let stacks = stacks("stack_link");
        put(&stacks, "etc/pam.d/real", "text\n");
        symlink("/etc/pam.d/real", stacks.places.root.join("etc/pam.d/link")).unwrap();
        symlink("loop", stacks.places.root.join("etc/pam.d/loop")).unwrap();
        symlink("../../etc/pam.d/real", stacks.places.root.join("etc/pam.d/relative")).unwrap();
        assert_eq!(stacks.stack(b"link").unwrap(), b"text\n");
        assert_eq!(stacks.stack(b"relative").unwrap(), b"text\n");
        assert_eq!(stacks.stack(b"/etc/pam.d/link").unwrap(), b"text\n");
        assert_eq!(stacks.stack(b"loop"), None);
        assert_eq!(stacks.service("link").unwrap_err().reason, "symlink");
        // Whose passwords these are is no matter: another machine's root ends at its own.
        symlink("/etc/passwd", stacks.places.root.join("etc/pam.d/outside")).unwrap();
        assert_eq!(stacks.stack(b"outside"), None);
    }

    #[test]
    fn a_module_is_found_where_libpam_looks() {
        let stacks = stacks("stack_module");
        put(&stacks, "usr/lib/x86_64-linux-gnu/security/pam_x.so", "");
        let stacks = Stacks::new(stacks.places);
        assert!(stacks.has_module(b"pam_x.so"));
        assert!(stacks.has_module(b"/usr/lib/x86_64-linux-gnu/security/pam_x.so"));
        assert!(!stacks.has_module(b"pam_y.so") && !stacks.has_module(b"pam_x.so\r"));
    }

    #[test]
    fn given_a_stack_that_others_may_write_then_it_is_not_touched() {
        let stacks = stacks("stack_mode");
        put(&stacks, "etc/pam.d/sudo", "old\n");
        mode(&stacks.places.root.join("etc/pam.d/sudo"), 0o666);
        assert_eq!(stacks.service("sudo").unwrap_err().reason, "mode");
        mode(&stacks.places.root.join("etc/pam.d"), 0o777);
        assert_eq!(stacks.replace("sudo", b"new\n").unwrap_err().reason, "mode");
    }
}
