//! See `fidokey_tests::fuzz::assertion`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fidokey_tests::fuzz::assertion::run(bytes));
