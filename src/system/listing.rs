//! The names in a directory of the system's own.

use std::ffi::{CStr, CString, OsString};
use std::os::fd::{IntoRawFd, OwnedFd};
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
    // SAFETY: the stream was opened in the line above, and nobody else has it.
    unsafe { read_all(stream, usize::MAX) }.map(|(names, _more)| names)
}

/// The first `limit` names in a directory that is open for reading, in no order, and whether there are more.
pub(crate) fn names_in(directory: OwnedFd, limit: usize) -> Result<(Vec<OsString>, bool), Errno> {
    let fd = directory.into_raw_fd();
    // SAFETY: the descriptor is open and nobody else's.
    let stream = unsafe { libc::fdopendir(fd) };
    if stream.is_null() {
        let errno = Errno::last();
        // SAFETY: as above; fdopendir takes it only where it succeeds.
        let _ = unsafe { libc::close(fd) };
        return Err(errno);
    }
    // SAFETY: the stream was made in the line above, and nobody else has it.
    unsafe { read_all(stream, limit) }
}

/// The first `limit` names of `stream`, which is closed, and whether there are more.
///
/// # Safety
/// The stream is open, and nobody else has it.
unsafe fn read_all(stream: *mut libc::DIR, limit: usize) -> Result<(Vec<OsString>, bool), Errno> {
    let mut names = Vec::new();
    let mut more = false;
    let end = loop {
        Errno::clear();
        // SAFETY: the stream is open, and nobody else has it.
        let entry = unsafe { libc::readdir(stream) };
        if entry.is_null() {
            // The end, unless there is an error (readdir(3)).
            break Errno::last();
        }
        if names.len() >= limit {
            more = true;
            break Errno::UnknownErrno;
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
        Errno::UnknownErrno => Ok((names, more)),
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
        let open = || fs::File::open(&directory).unwrap().into();
        assert_eq!(
            names_in(open(), 1002).map(|(names, more)| (names.len(), more)),
            Ok((1002, false))
        );
        assert_eq!(names_in(open(), 7).map(|(names, more)| (names.len(), more)), Ok((7, true)));
        assert_eq!(names(&directory.join("absent")), Err(Errno::ENOENT));
        assert_eq!(names(&directory.join("file-1")), Err(Errno::ENOTDIR));
    }
}
