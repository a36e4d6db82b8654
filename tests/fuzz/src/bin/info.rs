//! See `fidokey_tests::fuzz::info`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fidokey_tests::fuzz::info::run(bytes));
