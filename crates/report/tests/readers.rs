//! Every reader of files over its corpus and seeded mutations of it: it returns, whatever it reads.
//! `fuzz` has the same readers as libFuzzer targets.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

#[path = "../../../fuzz/src/lib.rs"]
#[allow(unreachable_pub)] // it is the library of the fuzz targets
mod fuzz;
#[path = "../../../fuzz/src/mutations.rs"]
#[allow(unreachable_pub)] // as above
mod mutations;

#[test]
fn readers_return_whatever_they_read() {
    mutations::returns_whatever_it_reads(&fuzz::READERS);
}
