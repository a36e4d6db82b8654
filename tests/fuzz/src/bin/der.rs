//! See `fidokey_tests::fuzz::der`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fidokey_tests::fuzz::der::run(bytes));
