//! Files that the program writes about itself: completions, manual pages, the lesson.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use std::fs;

use common::Folder;

#[test]
fn every_shell_has_completions() {
    let folder = Folder::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = folder.run(&format!("completions {shell}")).done();
        for word in ["reproduce", "lesson", "--seeds"] {
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
