//! Files that the program writes about itself: completions, manual pages, the lesson.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use std::fs;
use std::path::Path;

use common::Folder;

#[test]
fn every_shell_has_completions() {
    let folder = Folder::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = folder.run(&format!("completions {shell}")).done();
        for word in ["reproduce", "lesson", "seeds"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = Folder::new();
    let printed = folder.run("man --to man").done();
    assert!(printed.trim().ends_with("retrodict.1"));
    for page in ["retrodict", "retrodict-run", "retrodict-lesson", "retrodict-theory-bilinear"] {
        let text = fs::read_to_string(folder.path().join(format!("man/{page}.1"))).unwrap();
        assert!(text.contains(".SH NAME"), "{page}");
    }
}

#[test]
fn the_lesson_is_one_file_below_a_megabyte() {
    let folder = Folder::new();
    assert_eq!(folder.run("lesson").done(), "lesson.html\n");
    folder.run("lesson --out class.html").done();
    let file = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert!(file("lesson.html") == file("class.html"));
    assert!(file("lesson.html").len() < 1_000_000);
}

#[test]
fn every_page_of_the_documentation_is_in_the_book() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let summary = fs::read_to_string(root.join(".ci/book/SUMMARY.md")).unwrap();
    for folder in ["docs", "docs/theory"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                assert!(summary.contains(&format!("({folder}/{name})")), "{folder}/{name}");
            }
        }
    }
    let linked = summary.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    for (page, _) in linked {
        assert!(root.join(page).is_file(), "{page} is not there");
    }
}
