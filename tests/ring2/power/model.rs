//! A disk that keeps as little as it may when the power goes: what was not synchronised is there, or half, or not.
//!
//! What was written to a file since its last fsync may be lost, whole or the second half of it, and so may its mode; what
//! was done to a directory since its last fsync may have happened up to any point. File systems promise more: to
//! synchronise a new file keeps its name as well (ext4), or a rename waits for the data (`auto_da_alloc`). Nothing here may
//! stand on that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::power::disk::{Content, Disk, Node, WATCHED};

/// A step of a program that a disk can lose, or that makes it keep others. Paths are from the root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Op {
    Create { path: PathBuf, mode: u32 },
    MakeDirectory { path: PathBuf },
    Mode { path: PathBuf, mode: u32 },
    Rename { from: PathBuf, to: PathBuf },
    Sync { path: PathBuf },
    Truncate { path: PathBuf },
    Unlink { path: PathBuf },
    Write { path: PathBuf, bytes: Vec<u8> },
}

impl Op {
    /// What it is done to.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Rename { from: path, .. }
            | Self::Create { path, .. }
            | Self::MakeDirectory { path }
            | Self::Mode { path, .. }
            | Self::Sync { path }
            | Self::Truncate { path }
            | Self::Unlink { path }
            | Self::Write { path, .. } => path,
        }
    }

    /// Puts one and the same deadline into a journal that is written: a start of the machine does not look at it, and
    /// disks that differ by nothing else are one.
    pub(crate) fn forget_deadline(&mut self) {
        const KEY: &str = "deadline = ";
        let Self::Write { bytes, .. } = self else { return };
        let Ok(text) = str::from_utf8(bytes) else { return };
        let Some((before, rest)) = text.split_once(KEY) else { return };
        let (_, rest) = rest.split_once('\n').unwrap();
        *bytes = format!("{before}{KEY}1000000\n{rest}").into_bytes();
    }
}

/// A file, by whatever name.
struct Inode {
    kept: Content,
    now: Content,
}

#[derive(Clone, Copy, PartialEq)]
enum Entry {
    Directory,
    File(usize),
}

type Names = BTreeMap<PathBuf, Entry>;
/// Names that get another meaning at once: a rename has two.
type Change = Vec<(PathBuf, Option<Entry>)>;

#[derive(Default)]
struct Directory {
    kept: Names,
    /// What was done since, in its order.
    waiting: Vec<Change>,
}

impl Directory {
    /// The names after the first `count` of what was done.
    fn after(&self, count: usize) -> Names {
        let mut names = self.kept.clone();
        for (name, entry) in self.waiting.iter().take(count).flatten() {
            match entry {
                Some(entry) => names.insert(name.clone(), *entry),
                None => names.remove(name),
            };
        }
        names
    }

    fn now(&self) -> Names {
        self.after(self.waiting.len())
    }
}

/// The disk while the power is there: what is kept for sure, and what is done.
pub(crate) struct Model {
    inodes: Vec<Inode>,
    directories: BTreeMap<PathBuf, Directory>,
}

impl Model {
    /// A disk of which everything is kept.
    pub(crate) fn new(disk: &Disk) -> Self {
        let mut model = Self { inodes: Vec::new(), directories: BTreeMap::new() };
        for directory in WATCHED {
            model.directories.insert(directory.into(), Directory::default());
        }
        for (name, node) in &disk.0 {
            let entry = match node {
                Node::Directory => {
                    model.directories.insert(name.clone(), Directory::default());
                    Entry::Directory
                }
                Node::File(content) => model.inode(content.clone()),
            };
            model.parent(name).kept.insert(name.clone(), entry);
        }
        model
    }

    fn inode(&mut self, content: Content) -> Entry {
        self.inodes.push(Inode { kept: content.clone(), now: content });
        Entry::File(self.inodes.len() - 1)
    }

    fn parent(&mut self, path: &Path) -> &mut Directory {
        self.directories.get_mut(path.parent().unwrap()).unwrap()
    }

    fn file(&mut self, path: &Path) -> &mut Inode {
        match self.parent(path).now()[path] {
            Entry::File(inode) => &mut self.inodes[inode],
            Entry::Directory => panic!("{} is a directory", path.display()),
        }
    }

    /// Does a step.
    pub(crate) fn apply(&mut self, op: &Op) {
        match op {
            Op::Create { path, mode } => {
                let entry = self.inode(Content::new("", *mode));
                self.parent(path).waiting.push(vec![(path.clone(), Some(entry))]);
            }
            Op::MakeDirectory { path } => {
                self.directories.insert(path.clone(), Directory::default());
                self.parent(path).waiting.push(vec![(path.clone(), Some(Entry::Directory))]);
            }
            Op::Mode { path, mode } => self.file(path).now.mode = *mode,
            Op::Rename { from, to } => {
                assert_eq!(from.parent(), to.parent(), "a rename from one directory to another");
                let parent = self.parent(from);
                let entry = parent.now()[from];
                parent.waiting.push(vec![(from.clone(), None), (to.clone(), Some(entry))]);
            }
            Op::Sync { path } => match self.directories.get_mut(path) {
                Some(directory) => {
                    directory.kept = directory.now();
                    directory.waiting.clear();
                }
                None => {
                    let inode = self.file(path);
                    inode.kept = inode.now.clone();
                }
            },
            Op::Truncate { path } => self.file(path).now.text.clear(),
            Op::Unlink { path } => self.parent(path).waiting.push(vec![(path.clone(), None)]),
            Op::Write { path, bytes } => self.file(path).now.text.extend(bytes),
        }
    }

    /// What a program finds while the power is there.
    pub(crate) fn now(&self) -> Disk {
        let mut disk = Disk::default();
        for (name, entry) in self.directories.values().flat_map(Directory::now) {
            let node = match entry {
                Entry::Directory => Node::Directory,
                Entry::File(inode) => Node::File(self.inodes[inode].now.clone()),
            };
            disk.0.insert(name, node);
        }
        disk
    }

    /// Every disk that can be there if the power goes now.
    pub(crate) fn cut(&self) -> Vec<Disk> {
        WATCHED.iter().fold(vec![Disk::default()], |disks, directory| {
            product(&disks, &self.beneath(Path::new(directory)))
        })
    }

    fn beneath(&self, directory: &Path) -> Vec<Disk> {
        let directory = &self.directories[directory];
        let states = (0..=directory.waiting.len()).map(|count| directory.after(count));
        let of_state = |names: Names| {
            names.iter().fold(vec![Disk::default()], |disks, (name, entry)| {
                product(&disks, &self.entry(name, *entry))
            })
        };
        states.flat_map(of_state).collect()
    }

    fn entry(&self, name: &Path, entry: Entry) -> Vec<Disk> {
        let single = |node| Disk(BTreeMap::from([(name.to_owned(), node)]));
        match entry {
            Entry::Directory => product(&[single(Node::Directory)], &self.beneath(name)),
            Entry::File(inode) => {
                let contents = self.inodes[inode].contents().into_iter();
                contents.map(|content| single(Node::File(content))).collect()
            }
        }
    }
}

impl Inode {
    fn contents(&self) -> BTreeSet<Content> {
        let Self { kept, now } = self;
        let half = now.text[..now.text.len() / 2].to_vec();
        let mut contents = BTreeSet::from([kept.clone()]);
        if kept != now {
            for mode in [kept.mode, now.mode] {
                for text in [&kept.text, &Vec::new(), &half, &now.text] {
                    contents.insert(Content { text: text.clone(), mode });
                }
            }
        }
        contents
    }
}

fn product(some: &[Disk], others: &[Disk]) -> Vec<Disk> {
    let both = |one: &Disk, other: &Disk| {
        let names = one.0.iter().chain(&other.0);
        Disk(names.map(|(name, node)| (name.clone(), node.clone())).collect())
    };
    some.iter().flat_map(|one| others.iter().map(move |other| both(one, other))).collect()
}

/// Every disk that can be there if the power goes before, between or after these steps.
pub(crate) fn cuts(disk: &Disk, ops: &[Op]) -> BTreeSet<Disk> {
    let mut model = Model::new(disk);
    let mut disks: BTreeSet<Disk> = model.cut().into_iter().collect();
    for op in ops {
        model.apply(op);
        disks.extend(model.cut());
    }
    disks
}

/// What is there after these steps while the power is there.
pub(crate) fn after(disk: &Disk, ops: &[Op]) -> Disk {
    let mut model = Model::new(disk);
    ops.iter().for_each(|op| model.apply(op));
    model.now()
}
