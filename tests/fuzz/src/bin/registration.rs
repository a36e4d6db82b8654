//! See `fidokey_tests::fuzz::registration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fidokey_tests::fuzz::registration::run(bytes));
