//! See `fidokey_tests::fuzz::import`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fidokey_tests::fuzz::import::run(bytes));
