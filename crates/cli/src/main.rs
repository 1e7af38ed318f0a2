//! The `retrodict` command line.

fn main() {}
