//! The names in a directory of the system's own.

use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::errno::Errno;
use nix::libc;

/// The names in `directory`, in no order. Not through `std::fs::read_dir`, which panics when the directory cannot be
/// closed, nor through `nix::dir::Dir`, which leaves it open where it cannot be looked into.
pub(crate) fn names(directory: &Path) -> Result<Vec<OsString>, Errno> {
    let path = CString::new(directory.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the path ends in NUL.
    let stream = unsafe { libc::opendir(path.as_ptr()) };
    if stream.is_null() {
        return Err(Errno::last());
    }
    let mut names = Vec::new();
    let end = loop {
        Errno::clear();
        // SAFETY: the stream is open, and nobody else has it.
        let entry = unsafe { libc::readdir(stream) };
        if entry.is_null() {
            // The end, unless there is an error (readdir(3)).
            break Errno::last();
        }
        // SAFETY: the entry is there until the next one is read; it may be shorter than its type, so only the place of
        // the name is taken.
        let name = unsafe { &raw const (*entry).d_name };
        // SAFETY: it ends in NUL.
        let name = unsafe { CStr::from_ptr(name.cast()) };
        names.push(OsString::from_vec(name.to_bytes().to_vec()));
    };
    // SAFETY: the stream is open, and is not used any more. Where closing it fails, nothing is lost.
    let _ = unsafe { libc::closedir(stream) };
    match end {
        Errno::UnknownErrno => Ok(names),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::scratch;
    use std::fs;

    #[test]
    fn every_name_is_listed_and_what_is_no_directory_is_an_error() {
        let directory = scratch("listing");
        for number in 0..1000 {
            fs::write(directory.join(format!("file-{number}")), "").unwrap();
        }
        let mut listed = names(&directory).unwrap();
        listed.sort_unstable();
        let mut expected: Vec<OsString> =
            (0..1000).map(|number| format!("file-{number}").into()).collect();
        expected.extend([".".into(), "..".into()]);
        expected.sort_unstable();
        assert_eq!(listed, expected);
        assert_eq!(names(&directory.join("absent")), Err(Errno::ENOENT));
        assert_eq!(names(&directory.join("file-1")), Err(Errno::ENOTDIR));
    }
}
