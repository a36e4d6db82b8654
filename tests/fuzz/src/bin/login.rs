//! See `fidokey_tests::fuzz::login`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fidokey_tests::fuzz::login::run(bytes));
