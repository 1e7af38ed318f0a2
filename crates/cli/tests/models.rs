//! An audit of a pretrained model on this machine.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use common::Folder;

const TEMPLATES: &str = "[capital]\n\
    forward = [\"The capital of {subject} is {object}.\"]\n\
    reverse = [\"{object} is the capital of {subject}.\"]\n";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write(
        "facts.csv",
        "subject,relation,object\nVeltria,capital,Ansolo\nMorund,capital,Quill Harbor\n\
         Sestany,capital,Brask\n",
    );
    folder.write("t.toml", TEMPLATES);
    folder
}

/// A build without the feature says how to get one with it.
#[cfg(not(feature = "models"))]
#[test]
fn a_build_without_models_says_so() {
    let output = folder().run("audit . facts.csv --templates t.toml");
    assert_eq!(output.status, 2);
    assert!(output.message().contains("--features models"), "{output:?}");
}

#[cfg(feature = "models")]
#[test]
fn a_model_is_audited() {
    use std::fs;

    use serde_json::Value;

    let folder = folder();
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/../pretrained/tests/reference");
    for model in ["gpt2", "llama", "gguf/tiny.gguf"] {
        let audit = format!("audit {reference}/{model} facts.csv --templates t.toml --out audit");
        let text = folder.run(&audit).done();
        assert!(text.contains("said forward"), "{text}");
        let json = folder.run(&format!("{audit} --json")).json();
        assert_eq!(json["facts"].as_array().unwrap().len(), 3);
        assert!(json["all"]["forward_exact"].is_number(), "{json}");
        let known = &json["facts"][0]["forward"];
        assert!(known["log_probability"].as_f64() < Some(0.0), "{known}");
        let lines = fs::read_to_string(folder.path().join("audit/generated.jsonl")).unwrap();
        let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[0]["right"][0], "Ansolo");
        let page = fs::read_to_string(folder.path().join("audit/index.html")).unwrap();
        assert!(page.contains("Reverse said") && !page.contains("{%"));
        let rows = fs::read_to_string(folder.path().join("audit/audit.csv")).unwrap();
        let mut rows = rows.lines().map(|row| row.split(',').count());
        let columns = rows.next();
        assert!(columns == Some(21) && rows.all(|count| Some(count) == columns));
    }
    let output = folder.run("audit . facts.csv --templates t.toml");
    assert_eq!(output.status, 2);
    assert!(output.message().contains("config.json: it cannot be read"), "{output:?}");
}
