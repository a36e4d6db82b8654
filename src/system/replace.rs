//! Replacing a file in one step: whatever happens on the way, the old one is there or the new one.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, renameat};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::descriptors::create_at;

/// A file that is to be replaced by another one.
pub(crate) struct Replacement<'a> {
    /// The directory that it is in.
    pub(crate) directory: &'a OwnedFd,
    /// The name that the new one has until it is whole. No reader looks for that name, and no two writers use it
    /// at once.
    pub(crate) temporary: &'a Path,
    /// The name of it.
    pub(crate) name: &'a Path,
    /// The mode of the new one, whatever the umask is.
    pub(crate) mode: u32,
}

impl Replacement<'_> {
    /// Writes `text`, and has it on the disk before it gets its name.
    ///
    /// # Errors
    /// The old one is there, and nothing else that could be removed.
    pub(crate) fn write(&self, text: &[u8]) -> Result<(), Errno> {
        // A write beyond RLIMIT_FSIZE, which is the caller's of a setuid program to choose, kills the process.
        let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE)?;
        if u64::try_from(text.len()).is_ok_and(|length| length > limit) {
            return Err(Errno::EFBIG);
        }
        let written = self.steps(text);
        if written.is_err() {
            // Where it cannot be removed either, it does no harm.
            let _ = unlinkat(self.directory, self.temporary, UnlinkatFlags::NoRemoveDir);
        }
        written
    }

    /// A crash between two of them leaves the old file and at most a temporary one.
    fn steps(&self, text: &[u8]) -> Result<(), Errno> {
        // What a crashed writer has left behind.
        match unlinkat(self.directory, self.temporary, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
        let mut file = File::from(create_at(self.directory, self.temporary, flags)?);
        file.write_all(text).map_err(number)?;
        file.set_permissions(Permissions::from_mode(self.mode)).map_err(number)?;
        file.sync_all().map_err(number)?;
        renameat(self.directory, self.temporary, self.directory, self.name)
    }
}

/// The error number of what the standard library did.
fn number(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
