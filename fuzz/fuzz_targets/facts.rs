#![no_main]

#[path = "../src/facts.rs"]
mod facts;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| facts::facts(bytes));
