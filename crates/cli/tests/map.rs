//! Phase diagrams, as users make them.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use common::Folder;

const MAP: &str = "map tiny.toml --set data.vocab_size=32,40,48 --set data.train_fraction=0.3,0.5,0.7 \
                   --seeds 2 --set train.epochs=3 --measure train_nll --out out";

#[test]
fn a_map_trains_what_is_missing_and_draws_all() {
    let folder = Folder::new();
    let first = folder.run(&format!("{MAP} --level 3.4 --json")).json();
    assert_eq!((&first["runs"], &first["x"]), (&18.into(), &"data.vocab_size".into()));
    let cells = first["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 9);
    // The mean of the plain runs.
    let plain = folder.run(
        "run tiny.toml --set data.vocab_size=40 --set data.train_fraction=0.5 --seeds 2 --set \
         train.epochs=3 --out plain --json",
    );
    let plain = plain.json();
    let cell = cells.iter().find(|cell| cell["x"] == 40.0 && cell["y"] == 0.5).unwrap();
    assert_eq!(cell["mean"], plain["mean"]["train_nll"]);
    for file in ["figures/map.svg", "figures/map.png", "figures/map.pdf", "tables/map.csv"] {
        assert!(folder.path().join("out").join(file).is_file(), "{file}");
    }
    let csv = std::fs::read_to_string(folder.path().join("out/tables/map.csv")).unwrap();
    assert_eq!(csv.lines().next(), Some("data.vocab_size,data.train_fraction,mean,low,high,runs"));
    assert_eq!(csv.lines().count(), 10);
    // Refinement adds runs, and nothing is trained twice.
    let level = cell["mean"].as_f64().unwrap();
    let more = format!("{MAP} --level {level} --finer 1 --refine 1 --fit --name finer --json");
    let more = folder.run(&more).json();
    assert!(more["cells"].as_array().unwrap().len() > 9, "{more}");
    assert!(more["runs"].as_u64().unwrap() > 2 * 10, "{more}");
    let stored = folder.run("runs out --csv").done().lines().count() as u64 - 1;
    assert_eq!(stored, more["runs"].as_u64().unwrap());
}

#[test]
fn a_map_has_two_axes_of_numbers() {
    let folder = Folder::new();
    for (options, message) in [
        ("--set model.layers=1,2", "a map has two swept keys, and this sweep has model.layers"),
        ("", "this sweep has none"),
        (
            "--set model.layers=1,2 --set train.optimizer=adamw,adam",
            "the axes of a map are numbers, and `train.optimizer` is adamw",
        ),
        ("--set model.layers=1,2 --set model.dim=8,16 --measure held_out", "there is no measure"),
    ] {
        let output = folder.run(&format!("map tiny.toml {options}"));
        assert_eq!(output.status, 2, "{options}");
        assert!(output.message().contains(message), "{options}: {}", output.stderr);
    }
    assert!(!folder.path().join("retrodict-out").exists());
}
