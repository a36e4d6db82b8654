//! Directories for tests, in the directory that the tests were built in.

use std::fs::{create_dir_all, remove_dir_all, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// An empty directory of the tests' own, writable by its owner alone. `name` is used by one test only.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let place = tests.parent().unwrap().join("scratch-system").join(name);
    if place.exists() {
        remove_dir_all(&place).unwrap();
    }
    create_dir_all(&place).unwrap();
    mode(&place, 0o755);
    place
}

/// Sets the mode of `place`, whatever the umask is.
pub(crate) fn mode(place: &Path, mode: u32) {
    set_permissions(place, PermissionsExt::from_mode(mode)).unwrap();
}
