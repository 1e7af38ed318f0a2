//! Specs of the user's own facts: where the file is found, what the hash depends on, and what is left
//! when the file changes or is gone.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, not in their helpers

use std::fs;
use std::path::{Path, PathBuf};

use retrodict_facts::DataConfig;
use retrodict_lab::Experiment;
use retrodict_lab::spec::Spec;

const CSV: &str = "subject,relation,object,split\nFrance,capital,Paris,both\nPeru,capital,Lima,forward\n\
                   Chile,capital,Santiago,reverse\n";

/// A folder with a spec and its facts.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("facts.csv"), CSV).unwrap();
    let spec = folder.path().join("mine.toml");
    fs::write(&spec, "[data]\nkind = \"file\"\nfacts = \"facts.csv\"\n").unwrap();
    (folder, spec)
}

fn load(spec: &Path) -> Result<Spec, String> {
    Spec::load(spec, &[]).map_err(|error| error.to_string())
}

#[test]
fn a_file_is_found_beside_its_spec_and_its_content_decides_the_hash() {
    let (folder, path) = folder();
    let spec = load(&path).unwrap();
    let DataConfig::File(config) = &spec.data.kind else { panic!() };
    assert!(Path::new(&config.facts.0).is_absolute());
    let experiment = Experiment::new(spec.clone(), "mine.toml").unwrap();
    let dataset = experiment.dataset(0).unwrap();
    assert_eq!((dataset.train.len(), dataset.held_out.len(), dataset.vocab), (4, 2, 8));

    // The same content elsewhere.
    let other = folder.path().join("other.csv");
    fs::rename(folder.path().join("facts.csv"), &other).unwrap();
    let set = [("data.facts", other.to_str().unwrap())];
    let moved = Spec::load(&path, &set).unwrap();
    assert_eq!(moved.hash(), spec.hash());
    // Another content in the same place.
    fs::write(folder.path().join("facts.csv"), CSV.replace("Lima", "Cusco")).unwrap();
    let renamed = load(&path).unwrap();
    assert_ne!(renamed.hash(), spec.hash(), "a name counts");
    fs::write(folder.path().join("facts.csv"), CSV.replace("forward", "both")).unwrap();
    assert_ne!(load(&path).unwrap().hash(), renamed.hash());
    // No table of runs shows the content.
    assert!(spec.lines().iter().all(|line| line.key != "content"));
    assert!(spec.lines().iter().any(|line| line.key == "facts"));
}

#[test]
fn a_resolved_spec_needs_no_file_and_refuses_a_changed_one() {
    let (folder, path) = folder();
    let spec = load(&path).unwrap();
    let text = spec.to_toml();
    let again = |origin: &str| Spec::parse(&text, origin).map_err(|error| error.to_string());
    assert_eq!(again("store/spec.toml").unwrap(), spec);

    let facts = folder.path().join("facts.csv");
    fs::write(&facts, CSV.replace("Lima", "Cusco")).unwrap();
    let error = again("spec.toml").unwrap_err();
    let named = format!("{} has changed since", facts.display());
    assert!(error.starts_with("spec.toml:") && error.contains(&named), "{error}");
    assert!(error.contains("leave out `data.content`"), "{error}");
    // Stored runs are read whatever became of the file.
    assert_eq!(Spec::parse_stored(&text, "spec.toml").unwrap().hash(), spec.hash());

    fs::remove_file(&facts).unwrap();
    assert_eq!(again("spec.toml").unwrap().hash(), spec.hash());
    let stored =
        Experiment::stored(Spec::parse_stored(&text, "spec.toml").unwrap(), "spec.toml").unwrap();
    assert_eq!(stored.dataset(3).unwrap(), Experiment::new(spec, "m").unwrap().dataset(3).unwrap());
}

#[test]
fn mistakes_name_the_file_the_line_and_the_key() {
    let (folder, path) = folder();
    let facts = folder.path().join("facts.csv");
    fs::write(&facts, CSV.replace("reverse", "test")).unwrap();
    let error = load(&path).unwrap_err();
    assert!(
        error.contains("mine.toml:3: ") && error.contains("facts.csv:4: `split` is `test`"),
        "{error}"
    );
    fs::remove_file(&facts).unwrap();
    let error = load(&path).unwrap_err();
    assert!(error.contains("facts.csv: it cannot be read"), "{error}");
    let bare = Spec::parse("data.kind = \"file\"", "s.toml").unwrap();
    let error = Experiment::new(bare, "s.toml").unwrap_err().to_string();
    assert_eq!(
        error,
        "s.toml: data.facts is missing: give the path of a file of facts, as in facts = \"facts.csv\""
    );
    let damaged = "data.kind = \"file\"\ndata.content = \"x\"";
    let error = Spec::parse(damaged, "s.toml").unwrap_err().to_string();
    assert!(
        error.starts_with(
            "s.toml:2: `data.content` is \"x\"; it must be what `retrodict run` wrote"
        ),
        "{error}"
    );
}
