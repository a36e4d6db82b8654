//! What is on a disk, as far as the command may change it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The administrator's stacks.
pub(crate) const STACKS: &str = "etc/pam.d";
/// What is kept of edits, and the states.
pub(crate) const KEPT: &str = "var/lib/fidokey-stacks";
/// The states of accounts.
pub(crate) const STATES: &str = "var/lib/fidokey";
/// The records.
pub(crate) const RECORDS: &str = "etc/fidokey/users";
/// The directories that are looked at, with everything beneath.
pub(crate) const WATCHED: [&str; 4] = [STACKS, KEPT, STATES, RECORDS];

/// A file.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Content {
    pub(crate) text: Vec<u8>,
    pub(crate) mode: u32,
}

impl Content {
    pub(crate) fn new(text: &str, mode: u32) -> Self {
        Self { text: text.into(), mode }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:o} {:?}", self.mode, String::from_utf8_lossy(&self.text))
    }
}

/// What a name stands for.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Node {
    Directory,
    File(Content),
}

/// The names beneath the watched directories, from the root.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Disk(pub(crate) BTreeMap<PathBuf, Node>);

impl Disk {
    /// Reads what is beneath `root`.
    pub(crate) fn read(root: &Path) -> Self {
        let mut disk = Self::default();
        let mut open: Vec<PathBuf> = WATCHED.map(PathBuf::from).into();
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(root.join(&directory)).unwrap() {
                let name = directory.join(entry.unwrap().file_name());
                let metadata = fs::symlink_metadata(root.join(&name)).unwrap();
                let node = if metadata.is_dir() {
                    open.push(name.clone());
                    Node::Directory
                } else {
                    let mode = metadata.permissions().mode() & 0o7777;
                    Node::File(Content { text: fs::read(root.join(&name)).unwrap(), mode })
                };
                disk.0.insert(name, node);
            }
        }
        disk
    }

    /// Makes it what is beneath `root`.
    pub(crate) fn write(&self, root: &Path) {
        for directory in WATCHED {
            for entry in fs::read_dir(root.join(directory)).unwrap() {
                let path = entry.unwrap().path();
                let remove = if path.is_dir() { fs::remove_dir_all } else { fs::remove_file };
                remove(path).unwrap();
            }
        }
        // A directory stands before what is in it.
        for (name, node) in &self.0 {
            let path = root.join(name);
            let mode = match node {
                Node::Directory => {
                    fs::create_dir(&path).unwrap();
                    0o700
                }
                Node::File(content) => {
                    fs::write(&path, &content.text).unwrap();
                    content.mode
                }
            };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    pub(crate) fn put(&mut self, name: impl AsRef<Path>, content: Content) {
        self.0.insert(name.as_ref().to_owned(), Node::File(content));
    }

    pub(crate) fn file(&self, name: impl AsRef<Path>) -> Option<&Content> {
        match self.0.get(name.as_ref())? {
            Node::File(content) => Some(content),
            Node::Directory => None,
        }
    }

    /// The administrator's file of a service.
    pub(crate) fn stack(&self, service: &str) -> Option<&Content> {
        self.file(Path::new(STACKS).join(service))
    }

    /// What is kept of edits under that name.
    pub(crate) fn kept(&self, name: &str) -> Option<&Content> {
        self.file(Path::new(KEPT).join(name))
    }

    /// The stacks, without what no service is called.
    pub(crate) fn stacks(&self) -> BTreeMap<&Path, &Node> {
        let is_service = |name: &Path| {
            name.parent() == Some(Path::new(STACKS))
                && !name.file_name().unwrap().to_str().unwrap().starts_with('.')
        };
        self.0
            .iter()
            .map(|(name, node)| (&**name, node))
            .filter(|(name, _)| is_service(name))
            .collect()
    }
}
