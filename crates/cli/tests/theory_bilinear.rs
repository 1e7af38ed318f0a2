//! `retrodict theory bilinear`, as it is typed.

mod common;

use common::Folder;
use serde_json::Value;

fn json(arguments: &str) -> Value {
    let output = Folder::new().run(&format!("theory bilinear --json {arguments}"));
    assert_eq!(output.status, 0, "{output:?}");
    serde_json::from_str(&output.stdout).expect("JSON on standard output")
}

#[test]
fn theorem_1_is_read_off_the_series() {
    let result = json("--entities 60 --dim 240 --t-max 1e5 --points 30 --seed 2");
    let series = result["series"].as_array().unwrap();
    let number = |at: usize, key: &str| series[at][key].as_f64().unwrap();
    assert_eq!((series.len(), number(0, "t"), number(1, "t")), (31, 0.0, 0.01));
    assert!((number(0, "train_loss") - 60f64.ln()).abs() < 1e-12);
    assert_eq!(result["trained_directions"], 51);
    let exponent = |at: usize| {
        (number(at, "reversal_loss") / number(0, "reversal_loss")).ln()
            / (number(at, "train_loss") / number(0, "train_loss")).ln()
    };
    let largest = (1..31).map(exponent).fold(f64::NEG_INFINITY, f64::max);
    let theorem = &result["theorems"][0];
    assert_eq!((&theorem["id"], &theorem["bound"]), (&"theorem-1".into(), &0.1.into()));
    assert!((theorem["measured"].as_f64().unwrap() - largest).abs() < 1e-7);
    assert_eq!(theorem["holds"], true);
    // The closed form at t → 0 is where the exponents begin.
    let initial = result["initial_exponent"].as_f64().unwrap();
    assert!((exponent(1) / initial - 1.0).abs() < 1e-2, "{initial}");
    // A bound that is below the measurement does not hold.
    let strict = json("--entities 60 --dim 240 --t-max 1e5 --points 30 --seed 2 --epsilon -0.5");
    assert_eq!(strict["theorems"][0]["holds"], false);
}

#[test]
fn orthonormal_embeddings_follow_the_closed_form() {
    let result = json("--entities 50 --dim 50 --embeddings orthonormal --held-out 0.26");
    let theorems = result["theorems"].as_array().unwrap();
    let closed = theorems.iter().find(|theorem| theorem["id"] == "closed-form").unwrap();
    assert_eq!(closed["holds"], true, "{closed}");
    // 6.5 pairs, half to even.
    assert_eq!(result["trained_directions"], 44);
}

#[test]
fn nothing_held_out_gives_null() {
    let result = json("--entities 20 --held-out 0 --t-max 10 --dynamics gd");
    assert!(result["series"].as_array().unwrap().iter().all(|p| p["reversal_loss"].is_null()));
    assert!(result["theorems"][0]["measured"].is_null());
}

#[test]
fn the_same_command_prints_the_same_bytes_and_warns_of_few_dimensions() {
    let folder = Folder::new();
    let arguments = "theory bilinear --entities 30 --dim 10 --t-max 100 --dynamics sgd --init 0.3";
    let output = folder.run(arguments);
    assert_eq!(output.status, 0, "{output:?}");
    assert_eq!(output.stdout, folder.run(arguments).stdout);
    assert!(output.message().contains("far from orthonormal"), "{output:?}");
    assert!(output.stdout.contains("theorem-1: "), "{output:?}");
}

#[test]
fn bad_input_names_the_option() {
    let folder = Folder::new();
    for (arguments, says) in [
        ("--entities 7", "--entities is 7: it has to be an even number"),
        ("--dim 0", "--dim is 0"),
        ("--embeddings orthonormal --dim 50", "--dim is 50: it has to be at least the number"),
        ("--held-out 1.5", "--held-out is 1.5"),
        ("--tolerance -1", "--tolerance is -1"),
        ("--dynamics gd --lr 0", "--lr is 0"),
        ("--init -1", "--init is -1"),
        ("--t-max 0", "--t-max is 0"),
        ("--t-max nan", "--t-max is NaN"),
        ("--points 0", "--points is 0"),
        ("--epsilon inf", "--epsilon is inf"),
        ("--entities 1000000", "GiB"),
        ("--dynamics adam", "possible values: flow, gd, sgd"),
    ] {
        let output = folder.run(&format!("theory bilinear {arguments}"));
        assert_eq!((output.status, output.stdout.as_str()), (2, ""), "{arguments}: {output:?}");
        assert!(output.message().contains(says), "{arguments}: no `{says}` in {output:?}");
    }
}
