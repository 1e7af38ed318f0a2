#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| retrodict_fuzz::segment(bytes));
