//! See `fidokey_tests::fuzz::enroll`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fidokey_tests::fuzz::enroll::run(bytes));
