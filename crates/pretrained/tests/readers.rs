//! The readers of pretrained models over their corpora and seeded mutations of them: they return,
//! whatever they read. `fuzz` has the same readers as libFuzzer targets.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

#[path = "../../../fuzz/src/mutations.rs"]
#[allow(unreachable_pub)] // it is of the library of the fuzz targets
mod mutations;
#[path = "../../../fuzz/src/pretrained.rs"]
#[allow(unreachable_pub)] // as above
mod pretrained;

#[test]
fn readers_return_whatever_they_read() {
    mutations::returns_whatever_it_reads(&pretrained::READERS);
}
