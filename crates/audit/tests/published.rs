//! Results of single facts in the files of Berglund et al., and our own.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, not in their helpers

use std::fs;
use std::path::Path;

use retrodict_audit::{Measure, Published, PublishedResult};

const HEADER: &str = "child,parent,parent_type,child_prediction";

/// The results of files with these contents.
fn summed(folder: &Path, files: &[&str]) -> Result<Vec<PublishedResult>, String> {
    let read = files.iter().enumerate().map(|(at, text)| {
        let path = folder.join(format!("{at}.csv"));
        fs::write(&path, text).unwrap();
        Published::read(&path)
    });
    let read: Result<Vec<Published>, _> = read.collect();
    read.and_then(|read| Published::summed(&read)).map_err(|error| error.to_string())
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}

#[test]
fn the_facts_of_one_subject_are_one_observation() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{HEADER},big-1_parent_logprob,big-1_child_logprob\n\
         Ann,Bo,mother,,-1,-4\nAnn,Cy,father,,-2,-3\nDee,Ed,father,,-1,-9\nDee,Ed,father,,-1,-9\n"
    );
    let results = summed(folder.path(), &[&text]).unwrap();
    let [of] = &results[..] else { panic!() };
    assert_eq!((of.model.as_deref(), of.measure), (Some("big-1"), Measure::LogProbability));
    assert_eq!((of.facts, of.subjects, of.left_out), (3, 2, 0));
    // Of Ann (3 + 1) / 2, of Dee 8.
    assert!(close(of.asymmetry, 5.0) && close(of.forward, -4.0 / 3.0), "{of:?}");
    assert!(close(of.reverse, -16.0 / 3.0), "{of:?}");
    // Of two, the resamples are (2, 2), (2, 8), (8, 2) and (8, 8); half the sign flips are as large.
    assert_eq!((of.interval, of.p), (Some([2.0, 8.0]), Some(0.5)));
}

#[test]
fn shares_of_answers_are_read_and_files_compared_on_their_common_facts() {
    let folder = tempfile::tempdir().unwrap();
    let chat = format!(
        "{HEADER},chat_can_find_parent,chat_can_find_child\n\
         Ann,Bo,mother,,1.0,0.0\nDee,Ed,father,,0.9,0.5\nFay,Gil,father,,0.0,0.0\n"
    );
    let ours = "line,relation,subject,object,group,forward_log_probability,forward_level,\
        reverse_log_probability\n2,mother,Ann,Bo,,-1.5,1,-2\n3,father,Dee,Ed,,-1,0.5,-3.5\n\
        4,mother,Hal,Ida,,-1,1,-2\n";
    let results = summed(folder.path(), &[&chat, ours]).unwrap();
    let [chat, ours] = &results[..] else { panic!() };
    assert_eq!((chat.measure, ours.measure), (Measure::Accuracy, Measure::LogProbability));
    assert_eq!((chat.facts, chat.left_out, ours.facts, ours.left_out), (2, 1, 2, 1));
    assert!(close(chat.forward, 0.95) && close(chat.reverse, 0.25) && close(chat.asymmetry, 0.7));
    assert!(close(ours.forward, -1.25) && close(ours.asymmetry, 1.5), "{ours:?}");
    assert_eq!(ours.model, None);
}

#[test]
fn mistakes_name_the_line_and_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    let with = |columns: &str, row: &str| format!("{HEADER},{columns}\n{row}\n");
    let [logs, shares] = ["m_parent_logprob,m_child_logprob", "m_can_find_parent,m_can_find_child"];
    for (text, message) in [
        ("subject,object\na,b\n".to_owned(), "0.csv:1: it is no file of results"),
        (format!("{HEADER}\na,b,mother,\n"), "it has no model's results"),
        (with("m_parent_logprob", "a,b,mother,,-1"), "no column `m_child_logprob` beside"),
        (
            with(&format!("{logs},{shares}"), "a,b,mother,,-1,-1,1,1"),
            "it has the results of 2 models",
        ),
        (with(logs, "a,b,mother,,-1,0.5"), "0.csv:2: m_child_logprob is `0.5`, but must be"),
        (with(logs, "a,b,mother,,NaN,-1"), "m_parent_logprob is `NaN`"),
        (with(logs, "a,b,mother,,-inf,-1"), "m_parent_logprob is `-inf`"),
        (with(shares, "a,b,mother,,,1"), "m_can_find_parent is ``, but must be a number from 0"),
        (with(shares, "a,b,mother,,1.5,1"), "is `1.5`"),
        (with(shares, ""), "0.csv: it has no facts"),
    ] {
        let error = summed(folder.path(), &[&text]).unwrap_err();
        assert!(error.contains(message), "{error}, not {message}");
    }
    let [one, other] = ["a,b,mother,,-1,-1", "c,b,mother,,-1,-1"].map(|row| with(logs, row));
    let error = summed(folder.path(), &[&one, &other]).unwrap_err();
    assert!(error.contains("no fact of it is in all the other files"), "{error}");
}
