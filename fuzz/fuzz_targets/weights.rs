#![no_main]

#[path = "../src/pretrained.rs"]
mod pretrained;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pretrained::weights(bytes));
