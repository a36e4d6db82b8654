//! Writes the bills of materials of what is installed: `sbom DIRECTORY`.

use std::path::{Path, PathBuf};
use std::{env, fs};

use fidokey_tests::sbom::{INSTALLED, bill};

fn main() {
    let directory = PathBuf::from(env::args_os().nth(1).expect("where they belong"));
    for package in INSTALLED {
        let path = directory.join(format!("{package}.cdx.json"));
        fs::write(path, bill(Path::new("."), package)).expect("a directory that can be written");
    }
}
