//! The system calls of the command that a disk remembers, as they are about to be made.
//!
//! What is not known here and changes something all the same is noticed: the disk that the model has is compared to the
//! one that is there.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use nix::libc;

use crate::power::disk::WATCHED;
use crate::power::model::Op;
use crate::stepping::Entry;

/// The longest path.
const PATH_MAX: usize = 4096;

/// The step that the call is, beneath `root`, where the program has its own. A call that is going to fail, for there is a
/// file or none, is none.
pub(crate) fn op(entry: &Entry, root: &Path) -> Option<Op> {
    let Entry { number, arguments, .. } = *entry;
    let call = Call { entry, root };
    let number = i64::try_from(number).unwrap();
    match number {
        libc::SYS_openat => {
            let flags = i32::try_from(arguments[2] & 0xffff_ffff).unwrap();
            let path = call.at(0, 1)?;
            let is_there = root.join(&path).exists();
            if flags & libc::O_CREAT != 0 && !is_there {
                return Some(Op::Create { path, mode: mode(arguments[3]) });
            }
            (flags & libc::O_TRUNC != 0 && is_there).then_some(Op::Truncate { path })
        }
        libc::SYS_write => {
            let path = call.descriptor(0)?;
            let bytes = call.memory(arguments[1], usize::try_from(arguments[2]).unwrap());
            Some(Op::Write { path, bytes })
        }
        libc::SYS_fchmod => Some(Op::Mode { path: call.descriptor(0)?, mode: mode(arguments[1]) }),
        libc::SYS_fsync | libc::SYS_fdatasync => Some(Op::Sync { path: call.descriptor(0)? }),
        libc::SYS_renameat | libc::SYS_renameat2 => {
            Some(Op::Rename { from: call.at(0, 1)?, to: call.at(2, 3)? })
        }
        libc::SYS_unlinkat => {
            let path = call.at(0, 1)?;
            root.join(&path).exists().then_some(Op::Unlink { path })
        }
        libc::SYS_mkdirat => {
            let path = call.at(0, 1)?;
            (!root.join(&path).exists()).then_some(Op::MakeDirectory { path })
        }
        _ => None,
    }
}

fn mode(argument: u64) -> u32 {
    u32::try_from(argument & 0o7777).unwrap()
}

struct Call<'a> {
    entry: &'a Entry,
    root: &'a Path,
}

impl Call<'_> {
    /// The watched path that a directory and a name are.
    fn at(&self, directory: usize, name: usize) -> Option<PathBuf> {
        let mut name = self.memory(self.entry.arguments[name], PATH_MAX);
        name.truncate(name.iter().position(|byte| *byte == 0)?);
        let name = PathBuf::from(OsString::from_vec(name));
        if let Ok(absolute) = name.strip_prefix("/") {
            return watched(absolute);
        }
        // The working directory is the root.
        let of = self.entry.arguments[directory] as i32;
        if of == libc::AT_FDCWD { watched(&name) } else { watched(&self.open(of)?.join(name)) }
    }

    /// The watched path of what is open.
    fn descriptor(&self, at: usize) -> Option<PathBuf> {
        watched(&self.open(self.entry.arguments[at] as i32)?)
    }

    fn open(&self, descriptor: i32) -> Option<PathBuf> {
        let path = fs::read_link(format!("/proc/{}/fd/{descriptor}", self.entry.pid)).ok()?;
        Some(path.strip_prefix(self.root).ok()?.to_owned())
    }

    /// At most `length` bytes of the program's memory: less at the end of what it has.
    fn memory(&self, at: u64, length: usize) -> Vec<u8> {
        let memory = File::open(format!("/proc/{}/mem", self.entry.pid)).unwrap();
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match memory.read_at(&mut bytes[filled..], at + filled as u64) {
                Ok(count) if count > 0 => filled += count,
                _ => break,
            }
        }
        bytes.truncate(filled);
        bytes
    }
}

fn watched(path: &Path) -> Option<PathBuf> {
    WATCHED.iter().any(|place| path.starts_with(place)).then(|| path.to_owned())
}
