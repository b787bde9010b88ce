//! A history that holds any bytes where samples should be.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostler_fuzz::read_history(bytes));
