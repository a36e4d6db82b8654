//! See `fidokey_tests::fuzz::client_pin`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fidokey_tests::fuzz::client_pin::run(bytes));
