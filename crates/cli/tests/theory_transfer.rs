//! `retrodict theory transfer`, as it is typed.

mod common;

use common::Folder;
use serde_json::Value;

const SMALL: &str = "--set data.vocab_size=24 --set model.layers=1 --set model.dim=16 \
                     --set model.dropout=0 --set train.batch_size=full --set train.epochs=60";

fn json(arguments: &str) -> Value {
    let output = Folder::new().run(&format!("theory transfer --json {arguments}"));
    assert_eq!(output.status, 0, "{output:?}");
    serde_json::from_str(&output.stdout).expect("JSON on standard output")
}

fn kind<'v>(point: &'v Value, id: &str) -> &'v Value {
    let kinds = point["kinds"].as_array().expect("kinds");
    kinds.iter().find(|kind| kind["id"] == id).expect("a kind of that name")
}

#[test]
fn a_tied_head_moves_the_reverse_and_a_free_one_does_not() {
    let at_ten = |tied: bool| {
        let result = json(&format!("--set model.layers=1 --set model.tie_head={tied} --at 10"));
        let parts = result["parts"].as_array().unwrap().len();
        assert_eq!(parts, if tied { 3 } else { 4 });
        let reverse = kind(&result["series"][0], "reverse").clone();
        let by_part = reverse["ratio_by_part"].as_array().unwrap();
        let sum: f64 = by_part.iter().map(|part| part.as_f64().unwrap()).sum();
        assert!((sum - reverse["ratio"].as_f64().unwrap()).abs() < 1e-9);
        reverse["excess"]["above"].as_f64().unwrap()
    };
    assert!(at_ten(true) > 0.9);
    assert!(at_ten(false) < 0.7);
}

#[test]
fn the_slope_is_predicted_late_in_training() {
    let result = json(&format!("{SMALL} --at 0,50 --window 3"));
    let series = result["series"].as_array().unwrap();
    assert!(series[0]["window"].is_null(), "AdamW has no state yet");
    let window = &series[1]["window"];
    let [slope, measured] = ["slope", "measured_slope"].map(|key| window[key].as_f64().unwrap());
    assert!((slope / measured - 1.0).abs() < 0.1, "{slope} {measured}");
    assert_eq!(window["steps"].as_array().unwrap().len(), 4);
}

#[test]
fn the_table_and_its_warnings_are_for_people() {
    let folder = Folder::new();
    let output =
        folder.run(&format!("theory transfer {SMALL} --at 0,50 --window 3 --preconditioned"));
    assert_eq!(output.status, 0, "{output:?}");
    for says in
        ["reverse", "unrelated", "related minus unrelated", "at the end, part by part", "holds for"]
    {
        assert!(output.stdout.contains(says), "no `{says}` in: {}", output.stdout);
    }
    assert!(output.stderr.contains("no window begins there"), "{output:?}");
}

#[test]
fn bad_input_names_the_option() {
    let folder = Folder::new();
    for (arguments, says) in [
        ("--at 5,3", "--at is 5,3: epochs have to rise"),
        ("--at 1000", "lie from 0 to train.epochs = 150"),
        ("--sentences 1", "--sentences is 1: it has to be at least 2"),
        ("--window 3", "train.batch_size is 64"),
        ("--window 0", "--window is 0"),
        ("--set model.heads=7", "does not divide `model.dim` = 64"),
        ("missing.toml", "missing.toml"),
        ("--set data.train_fraction=1", "train_fraction"),
    ] {
        let output = folder.run(&format!("theory transfer {arguments}"));
        assert_eq!((output.status, output.stdout.as_str()), (2, ""), "{arguments}: {output:?}");
        assert!(output.message().contains(says), "{arguments}: no `{says}` in {output:?}");
    }
}
