//! A file with any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostler_fuzz::read(bytes));
