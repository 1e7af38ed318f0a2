//! The readers of facts over their corpora and seeded mutations of them: they return, whatever they
//! read. `fuzz` has the same readers as libFuzzer targets.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

#[path = "../../../fuzz/src/facts.rs"]
#[allow(unreachable_pub)] // it is of the fuzz targets
mod facts;
#[path = "../../../fuzz/src/mutations.rs"]
#[allow(unreachable_pub)] // as above
mod mutations;

#[test]
fn readers_return_whatever_they_read() {
    mutations::returns_whatever_it_reads(&facts::READERS);
}
