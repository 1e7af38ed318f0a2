//! `retrodict theory one-layer`, as it is typed.

mod common;

use common::Folder;
use serde_json::Value;

fn json(arguments: &str) -> Value {
    let output = Folder::new().run(&format!("theory one-layer --json {arguments}"));
    assert_eq!(output.status, 0, "{output:?}");
    serde_json::from_str(&output.stdout).expect("JSON on standard output")
}

#[test]
fn theorems_3_and_4_hold_as_json() {
    for (data, id) in [("reversal", "theorem-3"), ("chain", "theorem-4")] {
        let result = json(&format!("--data {data} --vocab-size 400"));
        let series = result["series"].as_array().unwrap();
        assert_eq!(
            (&series[0]["step"], &series[series.len() - 1]["step"]),
            (&0.into(), &200_000.into())
        );
        let chance = 1.0 / 402.0;
        for point in series {
            assert!(point["held_out_probability_max"].as_f64().unwrap() <= chance * (1.0 + 1e-12));
            assert!((0.0..=1.0).contains(&point["train_probability_min"].as_f64().unwrap()));
        }
        let theorems = result["theorems"].as_array().unwrap();
        assert_eq!((&theorems[0]["id"], &theorems[0]["bound"]), (&id.into(), &chance.into()));
        assert!(theorems.iter().all(|theorem| theorem["holds"] == true), "{theorems:?}");
        assert!(result["rate"]["exponent"].as_f64().unwrap() < -1.0);
    }
}

#[test]
fn the_same_command_prints_the_same_bytes_and_says_what_a_broken_assumption_changes() {
    let folder = Folder::new();
    let arguments = "theory one-layer --vocab-size 80 --steps 20000 --init 1 --seed 4";
    let output = folder.run(arguments);
    assert_eq!(output.status, 0, "{output:?}");
    assert_eq!(output.stdout, folder.run(arguments).stdout);
    for says in
        ["held-out max p", "1 − p ∝ (η t/N)^(", "theorem-3: does not hold", "what changes: random"]
    {
        assert!(output.stdout.contains(says), "no `{says}` in: {}", output.stdout);
    }
}

#[test]
fn bad_input_names_the_option() {
    let folder = Folder::new();
    for (arguments, says) in [
        ("--steps 0", "--steps is 0: it has to be a whole number from 1"),
        ("--vocab-size 3", "--vocab-size is 3, but must be at least 4"),
        ("--train-fraction 1.5", "--train-fraction is 1.5"),
        ("--lr-decoder 0", "--lr-decoder is 0: it has to be a number above 0"),
        ("--lr-attention nan", "--lr-attention is NaN"),
        ("--init -1", "--init is -1: it has to be a number from 0"),
        ("--init 1 --vocab-size 200000", "GiB"),
        ("--data icl", "possible values: reversal, chain"),
        ("--dynamics adam", "possible values: sgd, gd, flow"),
    ] {
        let output = folder.run(&format!("theory one-layer {arguments}"));
        assert_eq!((output.status, output.stdout.as_str()), (2, ""), "{arguments}: {output:?}");
        assert!(output.message().contains(says), "{arguments}: no `{says}` in {output:?}");
    }
}
