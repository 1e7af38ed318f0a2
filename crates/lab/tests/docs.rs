//! `docs/store.md` equals the generated text.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

use std::fs;
use std::path::Path;

use retrodict_lab::store::dictionary;

#[test]
fn the_dictionary_of_the_store_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/store.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, dictionary()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == dictionary(),
        "docs/store.md is not current: UPDATE_DOCS=1 cargo test -p retrodict-lab --test docs"
    );
}
