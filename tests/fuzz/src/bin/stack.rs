//! See `fidokey_tests::fuzz::stack`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fidokey_tests::fuzz::stack::run(bytes));
