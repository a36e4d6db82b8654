//! Writes the parts of the manuals that are made from the code: `manuals DIRECTORY`.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let directory = PathBuf::from(env::args_os().nth(1).expect("the directory of the manuals"));
    for manual in fidokey_tests::manuals::manuals() {
        let path = directory.join(manual.file);
        let text = fs::read_to_string(&path).expect("a manual");
        fs::write(&path, manual.corrected(&text)).expect("a manual that can be written");
    }
}
