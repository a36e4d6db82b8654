//! See `fidokey_tests::fuzz::cbor`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fidokey_tests::fuzz::cbor::run(bytes));
