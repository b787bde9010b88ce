//! A journal that holds any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostler_fuzz::read_journal(bytes));
