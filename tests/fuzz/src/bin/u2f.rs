//! See `fidokey_tests::fuzz::u2f`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fidokey_tests::fuzz::u2f::run(bytes));
