#![no_main]

#[path = "../src/facts.rs"]
mod facts;

// The Parquet crate panics on some bytes, and the reader turns that into an error: libFuzzer's hook
// would abort at the panic. One that leaves the reader still ends the process.
libfuzzer_sys::fuzz_target!(
    init: std::panic::set_hook(Box::new(|_| ())),
    |bytes: &[u8]| facts::facts_parquet(bytes)
);
