//! One run over the committed inputs of all targets, for the fuzzer to tell what of the code that reached.
#![no_main]

use std::fs;
use std::path::Path;
use std::sync::Once;

use fidokey_tests::fuzz::TARGETS;

static ONCE: Once = Once::new();

// The first input of all is empty and not counted; what the fuzzer makes up after the second is of no interest here.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if !bytes.is_empty() {
        ONCE.call_once(replay);
    }
});

fn replay() {
    for (name, run) in TARGETS {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        for input in fs::read_dir(directory).unwrap() {
            run(&fs::read(input.unwrap().path()).unwrap());
        }
    }
}
