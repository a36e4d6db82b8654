//! The PAM stacks of a machine: which file a service is read from, and replacing it in one step. What is in them and what
//! it comes to is decided in [`fidokey_core::stack`].

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use fidokey_core::ports::FileError;
use fidokey_core::stack::Files;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::fstat;
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

use crate::descriptors::open_at;
use crate::files::Places;
use crate::replace::Replacement;
use crate::tree::{SeenKind, Tree};
use crate::walk::{Kind, error, failed};

/// Where the administrator's stacks are. What is there wins over what the vendor has.
const ETC: &str = "/etc/pam.d";
/// Where a vendor's are, as Debian's libpam has it, and openSUSE's and Arch's.
const VENDOR: [&str; 2] = ["/usr/lib/pam.d", "/usr/etc/pam.d"];
/// Below which directories modules are, in `security` itself or in that of the machine's kind
/// (`/usr/lib/x86_64-linux-gnu/security`).
const LIBRARIES: [&str; 4] = ["/usr/lib64", "/usr/lib", "/lib64", "/lib"];
/// Modules that libpam brings along: where they are, it looks.
const COMPANIONS: [&str; 3] = ["pam_permit.so", "pam_deny.so", "pam_unix.so"];
/// The largest stack that is looked at, in bytes. What is larger is none.
pub const STACK_MAX: usize = 256 * 1024;

/// The stacks of this machine, or of one that is mounted somewhere.
#[derive(Clone, Debug)]
pub struct Stacks {
    places: Places,
    /// The directories in which libpam looks for modules.
    libraries: Vec<PathBuf>,
    /// Those in which it would on other systems.
    elsewhere: Vec<PathBuf>,
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
        let mut stacks = Self { places, libraries: Vec::new(), elsewhere: Vec::new() };
        let Some(tree) = stacks.tree() else { return stacks };
        let mut seen = Vec::new();
        for directory in library_directories(&tree) {
            let Ok(Some(found)) = tree.look(&directory) else { continue };
            // Not under another name once more, as /lib is /usr/lib.
            if found.kind != SeenKind::Directory || seen.contains(&found.identity) {
                continue;
            }
            seen.push(found.identity);
            match COMPANIONS.iter().any(|name| is_file(&tree, &directory.join(name))) {
                true => stacks.libraries.push(directory),
                false => stacks.elsewhere.push(directory),
            }
        }
        // Debian's looks there as well, for modules from before it had a directory for each kind of machine.
        if stacks.libraries.iter().any(|place| is_of_a_kind(place)) {
            let old = |place: &mut PathBuf| place.ends_with("lib/security");
            stacks.libraries.extend(stacks.elsewhere.extract_if(.., old));
        }
        // Where it brings nothing along, nothing is known of where it looks.
        if stacks.libraries.is_empty() {
            stacks.libraries = std::mem::take(&mut stacks.elsewhere);
        }
        stacks
    }

    /// Where the file of a service, or one that is included, is on that machine.
    #[must_use]
    pub fn path(&self, name: &[u8]) -> Option<PathBuf> {
        path_in(&self.tree()?, name)
    }

    /// The files that libpam would load for that name; that one, where it is a path.
    #[must_use]
    pub fn modules(&self, name: &[u8]) -> Vec<PathBuf> {
        self.among(&self.libraries, name)
    }

    /// The files of that name where other systems have their modules, and libpam does not look on this one.
    #[must_use]
    pub fn strays(&self, name: &[u8]) -> Vec<PathBuf> {
        self.among(&self.elsewhere, name)
    }

    fn among(&self, directories: &[PathBuf], name: &[u8]) -> Vec<PathBuf> {
        // Of the days when a path had to say for which machine: libpam finds it without.
        let name = PathBuf::from(OsStr::from_bytes(name));
        let name: PathBuf = name.iter().filter(|part| *part != "$ISA").collect();
        let name = match name.strip_prefix("/lib/security") {
            Ok(file) if self.libraries.iter().any(|place| is_of_a_kind(place)) => file.to_owned(),
            _ => name,
        };
        let paths = match name.is_absolute() {
            true => vec![name],
            false => directories.iter().map(|directory| directory.join(&name)).collect(),
        };
        let Some(tree) = self.tree() else { return Vec::new() };
        paths.into_iter().filter(|path| is_file(&tree, path)).collect()
    }

    /// The machine's files, in which links lead where they lead on it.
    fn tree(&self) -> Option<Tree> {
        Tree::at(&self.places.root).ok()
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

    /// Has on the disk whatever was done to the administrator's directory, by whomever.
    ///
    /// # Errors
    /// [`FileError`]; that there is no such directory is none.
    pub fn settle(&self) -> Result<(), FileError> {
        if self.places.walk().directory(Path::new(ETC), Kind::Directory)?.is_none() {
            return Ok(());
        }
        let (directory, place) = self.etc("")?;
        fsync(&directory).map_err(|errno| failed(&place, errno))
    }

    /// Every text that could be read by the name of a service, with what the administrator has before what the vendor has:
    /// for a directory that stands for all of them.
    #[must_use]
    pub fn texts(&self) -> Vec<(String, Vec<u8>)> {
        let text = |name: String| self.stack(name.as_bytes()).map(|text| (name, text));
        self.services().into_iter().filter_map(text).collect()
    }

    /// Whether the file that a service or an include of that name would be read from is there, or may be, though it cannot be
    /// read.
    #[must_use]
    pub fn may_be_there(&self, name: &[u8]) -> bool {
        let Some(tree) = self.tree() else { return true };
        places_of(name).iter().any(|path| !matches!(tree.look(path), Ok(None)))
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
}

/// A new directory for a trial, root's alone, which is gone after the next start of the machine.
///
/// # Errors
/// What the kernel says.
pub fn trial_directory() -> std::io::Result<PathBuf> {
    Ok(nix::unistd::mkdtemp("/run/fidokey-trial-XXXXXX")?)
}

/// Where modules could be.
fn library_directories(tree: &Tree) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    for library in LIBRARIES.map(Path::new) {
        let names = tree.names(library).ok().flatten().unwrap_or_default().names;
        let kinds = names.iter().filter(|name| is_of_a_kind(Path::new(name)));
        directories.extend(kinds.map(|kind| library.join(kind).join("security")));
        directories.push(library.join("security"));
    }
    directories
}

/// Whether it is a directory for one kind of machine.
fn is_of_a_kind(place: &Path) -> bool {
    place.to_string_lossy().contains("-linux-")
}

fn is_file(tree: &Tree, path: &Path) -> bool {
    matches!(tree.look(path), Ok(Some(found)) if found.kind == SeenKind::File)
}

/// Where libpam would look for `name`, in this order.
fn places_of(name: &[u8]) -> Vec<PathBuf> {
    let name = Path::new(OsStr::from_bytes(name));
    match name.is_absolute() {
        true => vec![name.to_owned()],
        false => [ETC].iter().chain(&VENDOR).map(|place| Path::new(place).join(name)).collect(),
    }
}

/// The first file that libpam would open for `name`.
fn path_in(tree: &Tree, name: &[u8]) -> Option<PathBuf> {
    places_of(name).into_iter().find(|path| is_file(tree, path))
}

fn beneath(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

impl Files for Stacks {
    fn stack(&self, name: &[u8]) -> Option<Vec<u8>> {
        let tree = self.tree()?;
        // Half a stack is another one.
        match tree.read(&path_in(&tree, name)?, STACK_MAX) {
            Ok(Some((text, true))) => Some(text),
            _ => None,
        }
    }

    fn has_module(&self, name: &[u8]) -> bool {
        !self.modules(name).is_empty()
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

    // I11.
    #[test]
    fn what_cannot_be_read_may_be_there_and_what_is_missing_is_not() {
        let stacks = stacks("stack_may_be_there");
        put(&stacks, "etc/pam.d/sudo", "");
        put(&stacks, "etc/long", &"#".repeat(STACK_MAX + 1));
        fs::create_dir(stacks.places.root.join("etc/directory")).unwrap();
        symlink("long", stacks.places.root.join("etc/link")).unwrap();
        symlink("nowhere", stacks.places.root.join("etc/dangling")).unwrap();
        for name in ["/etc/long", "/etc/directory", "/etc/link"] {
            assert_eq!(stacks.stack(name.as_bytes()), None);
            assert!(stacks.may_be_there(name.as_bytes()), "{name}");
        }
        for name in ["/etc/none", "/etc/dangling", "/none/none", "none"] {
            assert!(!stacks.may_be_there(name.as_bytes()), "{name}");
        }
        assert!(stacks.may_be_there(b"sudo") && stacks.stack(b"sudo").is_some());
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
    fn given_a_module_where_libpam_does_not_look_then_it_is_a_stray() {
        for (name, library) in [
            ("stack_module_debian", "usr/lib/x86_64-linux-gnu/security"),
            ("stack_module_fedora", "usr/lib64/security"),
            ("stack_module_arch", "usr/lib/security"),
        ] {
            let stacks = stacks(name);
            for place in [library, "usr/lib/stray-linux-x/security", "opt"] {
                fs::create_dir_all(stacks.places.root.join(place)).unwrap();
            }
            put(&stacks, &format!("{library}/pam_permit.so"), "");
            put(&stacks, &format!("{library}/pam_fidokey.so"), "");
            put(&stacks, "usr/lib/stray-linux-x/security/pam_s.so", "");
            put(&stacks, "opt/pam_x.so", "");
            symlink("usr/lib", stacks.places.root.join("lib")).unwrap();
            let stacks = Stacks::new(stacks.places);
            let ours = Path::new("/").join(library).join("pam_fidokey.so");
            assert_eq!(stacks.modules(b"pam_fidokey.so"), [ours]);
            assert!(stacks.has_module(b"/opt/pam_x.so") && !stacks.has_module(b"pam_x.so"));
            assert!(!stacks.has_module(b"pam_s.so") && !stacks.has_module(b"/opt"));
            assert_eq!(stacks.strays(b"pam_s.so").len(), 1);
            assert!(stacks.has_module(b"$ISA/pam_fidokey.so"));
            let old = stacks.has_module(b"/lib/security/$ISA/pam_fidokey.so");
            assert_eq!(old, library != "usr/lib64/security", "{name}");
        }
    }

    #[test]
    fn given_what_is_no_file_or_huge_then_it_is_no_stack_and_holds_nobody_up() {
        let stacks = stacks("stack_hostile");
        let place = |name: &str| stacks.places.root.join("etc/pam.d").join(name);
        nix::unistd::mkfifo(&place("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        fs::create_dir(place("directory")).unwrap();
        fs::File::create(place("huge")).unwrap().set_len(3 << 30).unwrap();
        for name in ["fifo", "directory", "huge", "."] {
            assert_eq!(stacks.stack(name.as_bytes()), None, "{name}");
        }
        assert_eq!(stacks.path(b"huge"), Some(PathBuf::from("/etc/pam.d/huge")));
        assert_eq!(stacks.path(b"fifo"), None);
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
